/** Registering a dataset: described and profiled here, sealed by the provider's own tool, offered under a signature. */
import { Button, Checkbox, FileButton, Select, Stepper, Textarea, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { api, ask } from '../api/client';
import type { DatasetOffer, ImageSet, PublicOffer } from '../api/documents';
import { datasets, imageSets, me, signedOffer, trust } from '../api/queries';
import { t } from '../i18n';
import { peek, seal, stamp } from '../keys/document';
import { moved } from '../parts/arrival';
import { croissant } from '../parts/croissant';
import { drop, leftAt, useHeadOf, useKeeping } from '../parts/half-done';
import { Json } from '../parts/json';
import { keyMissing, NoKey, useSigning } from '../parts/keys';
import { doubts, fresh, lacks, merged, rest, type Row, rowsOf, sealedOf, typeOf } from '../parts/next-version';
import { Card, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { profile, type Profiled, told } from '../parts/profile';
import { save } from '../parts/save';
import { type Sealed, sealedRecord } from '../parts/sealed-record';
import { SignedBytes, useOwn } from '../parts/signed';
import { type Statistics, statistics, unlike } from '../parts/statistics';
import { lacking, priceOf, priceTerms, regionsOf, type Terms, termsOf, usualDelta } from '../parts/terms';
import { TermsForm } from '../parts/terms-form';
import { useNames } from '../parts/words';

const CARD = { description: '', collection: '', limitations: '', personal_data: '', licence: 'By contract only' };
const CARD_WORDS: Record<keyof typeof CARD, string> = {
  description: 'What it is', collection: 'How it was collected', limitations: 'What it is not good for',
  personal_data: 'Personal data in it', licence: 'Licence',
};

/** What a step still lacks, in the order of the steps; of the columns, {@link lacks} says it. */
const MISSING = ['Fill in every field: catalogues show them, and contracts refer to them.', 'Choose a file first.'];

/** Where rooms may ask for a key, and this house says so: over https, or on the same machine. */
const REACHABLE = /^https:\/\/.|^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:|\/|$)/;

/** A word of a command as a shell takes it. */
const quoted = (word: string): string => (/^[\w.%/:-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** The image sets that the SRO approved; undefined while they are unread. */
function useApproved(): ImageSet[] | undefined {
  const { data } = useQuery(imageSets);
  return data?.image_sets.filter(({ state }) => state === 'approved').map(({ image_set }) => peek<ImageSet>(image_set.envelope));
}

/** Whether a room of this image set may get a key that asks for such evidence. */
const opens = (set: ImageSet, assurance: string): boolean => assurance === 'software' || set['profile'] !== 'software';

/** Where the key service of this provider's newest offer answers: most have one for all of their tables. */
function useUsualKms(member: string | undefined): string {
  const { data: all } = useQuery(datasets);
  const own = (all ?? []).filter(({ offer }) => offer.provider === member).toSorted((a, b) => b.offer.offered_at.localeCompare(a.offer.offered_at));
  const id = own[0]?.offer.dataset_id;
  const { data } = useQuery({ ...signedOffer(id ?? ''), enabled: id !== undefined });
  return data?.offer.key.kms ?? '';
}

/** A new dataset, or with `?from=` the next version of one, which begins as the version before. */
export default function Wizard() {
  const from = useSearchParams()[0].get('from');
  // Begun anew, it is another form.
  const [round, setRound] = useState(0);
  const anew = () => {
    moved(null);
    setRound(round + 1);
  };
  return from === null ? <Form key={round} anew={anew} /> : <Next key={round} id={from} anew={anew} />;
}

function Next({ id, anew }: { id: string; anew: () => void }) {
  // Read anew at each visit, and then never under the hands of who fills the form.
  const signed = signedOffer(id);
  const before = useQuery({ ...signed, queryKey: [...signed.queryKey, 'next'] as never, staleTime: Infinity, gcTime: 0 });
  return <Read of={before} title={t('New version')}>{({ offer, sha256 }) => <Form key={sha256} before={offer} anew={anew} />}</Read>;
}

interface Typed { step: number; name: string; card: typeof CARD; file: string; rows: Row[]; said?: string; assurance: 'hardware' | 'software'; asked: Terms }

function Form({ before, anew }: { before?: DatasetOffer; anew: () => void }) {
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const { ready } = useSigning();
  const names = useNames();
  const navigate = useNavigate();
  const client = useQueryClient();
  const place = `depa-wizard-1 ${session?.member ?? ''} ${before ? `${before.dataset_id} ${before.version}` : ''}`;
  const [old] = useState(() => leftAt<Typed>(place));
  const [step, setStep] = useState(old?.step ?? 0);
  const [name, setName] = useState(old?.name ?? before?.name ?? '');
  const [card, setCard] = useState(old?.card ?? before?.data_card ?? CARD);
  const [file, setFile] = useState(old?.file ?? 'table.csv');
  const [rows, setRows] = useState<Row[]>(old?.rows ?? (before ? rowsOf(before) : []));
  const usual = useUsualKms(session?.member);
  const [said, setKms] = useState(old?.said ?? before?.key.kms);
  const kms = said ?? usual;
  const approved = useApproved();
  const [assurance, setAssurance] = useState<'hardware' | 'software'>(old?.assurance ?? before?.key.min_assurance ?? 'hardware');
  const [asked, setAsked] = useState<Terms>(() => old?.asked ?? termsOf(before));
  useHeadOf(step);
  useKeeping(place, { step, name, card, file, rows, said, assurance, asked });
  const kept = before && priceOf(before.payment, before.provider) === undefined ? before.payment : undefined;
  const [profiled, setProfiled] = useState<Statistics>();
  const [record, setRecord] = useState<{ sealed: Sealed; of: string }>();
  // What went wrong, and at which button it is said.
  const [trouble, setTrouble] = useState<{ at: string; problem: unknown }>();
  const used = rows.filter((row) => row.sealed);
  const described = sealedOf(rows, kms, assurance, asked.family);
  const sealed = record?.of === described ? record.sealed : undefined;
  const { purposes, people, epsilon, scope, family } = asked;
  const delta = asked.delta || usualDelta(people);
  const bound = (row: Row) => (row.type === 'text' || row.lower === '' || row.upper === '' ? { lower: null, upper: null } : { lower: row.lower, upper: row.upper });
  const usage = {
    ...before?.usage,
    purposes,
    allowed_columns: used.filter((row) => row.read).map((row) => row.name),
    join_keys: used.filter((row) => row.join).map((row) => row.name),
    target_columns: used.filter((row) => row.target).map((row) => row.name),
  };
  const payment = kept ?? priceTerms(asked.price, session?.member ?? '');
  const description = () => ({
    name, kms, min_assurance: assurance, public_rows: people, ...(family === '' ? {} : { family }),
    ...(before ? { dataset_id: before.dataset_id, version: before.version + 1 } : {}),
    columns: used.map((row) => ({ name: row.name, ...(row.source === undefined ? {} : { source: row.source }), type: typeOf(row), ...(bound(row).lower === null ? {} : { lower: row.lower, upper: row.upper }) })),
    usage, cap: { epsilon, delta, scope }, price: payment, card,
  });
  const [offeredAt, setOfferedAt] = useState(stamp);
  const creator = session ? names(session.member) : '';
  // What everyone will read of it; where it is sealed, and its key, are not known before the sealing.
  const terms = useMemo<PublicOffer | undefined>(() => {
    if (!pinned || !session) return undefined;
    const columns = used.map((row) => ({ name: row.name, type: typeOf(row), ...bound(row) }));
    const regions = regionsOf(asked.regions);
    const { regions: _, ...reference }: PublicOffer['reference'] = before?.reference ?? { data_schema: 'urn:depa:schema:table-v1', creators: [creator], keywords: [], sample: null, consent_basis_sha256: null };
    const fits = profiled?.ledger === 'charged' && profiled.public_rows === people && unlike(profiled, { columns }) === undefined;
    return {
      ...rest(before),
      registry: pinned.registry, dataset_id: sealed?.dataset_id ?? before?.dataset_id ?? 'dst_…', version: sealed?.version ?? (before?.version ?? 0) + 1, offer_version: 1,
      family: sealed?.family ?? (family || 'fam_…'), provider: session.member, name,
      reference: regions.length > 0 ? { ...reference, regions } : reference, columns,
      objects: sealed ? [{ url: sealed.url, bytes: sealed.bytes, media_type: sealed.media_type ?? 'text/csv' }] : [],
      manifest_root: sealed?.manifest_root ?? '', key: { min_assurance: sealed?.min_assurance ?? assurance },
      public_rows: people, usage,
      privacy_cap: { ...(before?.privacy_cap ?? { unit: 'principal', adjacency: 'add_remove', accountant: 'rdp', level: 1 }), epsilon, delta, scope },
      payment, ...(fits ? { statistics: profiled } : {}), data_card: card, offered_at: offeredAt,
    };
  }, [before, pinned, session?.member, creator, sealed, name, rows, assurance, asked, profiled, card, offeredAt]);
  const offer = useMemo<DatasetOffer | undefined>(() => sealed && terms && {
    schema: 'dataset-offer.v1', ...terms,
    key: { kms: sealed.kms, kms_jwk: sealed.kms_jwk, key_id: sealed.key_id, min_assurance: sealed.min_assurance },
  }, [sealed, terms]);
  const { own, problem: unmade } = useOwn(offer);
  const change = (at: number, part: Partial<Row>) => setRows(rows.map((row, place) => (place === at ? { ...row, ...part } : row)));
  const tried = (at: string, act: () => Promise<void>) => {
    setTrouble(undefined);
    void act().catch((problem: unknown) => setTrouble({ at, problem }));
  };
  const note = (at: string) => trouble?.at === at && <ProblemNote problem={trouble.problem} />;
  const opened = (chosen: File | null) => chosen && tried('file', async () => {
    setFile(chosen.name);
    // The beginning of a CSV file says enough; the rest is not even read. Of another form a command tells the columns.
    if (chosen.name.endsWith('.parquet')) setRows([]);
    else found(profile(await chosen.slice(0, 1 << 20).text()));
  });
  const found = (columns: Profiled[]) => setRows(before ? merged(columns, rowsOf(before)) : columns.map(fresh));
  const taken = (chosen: File | null) => chosen && tried('sealed', async () => {
    setRecord({ sealed: await sealedRecord(await chosen.text(), { kms, assurance, family, before }), of: described });
    setOfferedAt(stamp());
  });
  const publish = () => tried('publish', async () => {
    if (!ready || !offer || !own) throw keyMissing();
    const header = { 'Idempotency-Key': crypto.randomUUID() };
    await ask(api.POST('/v1/datasets', { params: { header }, body: (await seal(own, ready)) as never }));
    drop(place);
    notifications.show({ message: t('The offer is signed and published.') });
    void client.invalidateQueries({ queryKey: ['datasets'] });
    void navigate(`/datasets/${offer.dataset_id}`);
  });
  const missing = (enough: boolean) => (enough ? undefined : t(MISSING[step] ?? ''));
  const next = (lack: string | undefined) => (
    <div className="row">
      {step > 0 && <Button variant="default" onClick={() => setStep(step - 1)}>{t('Back')}</Button>}
      <Button disabled={lack !== undefined} onClick={() => setStep(step + 1)}>{t('Next')}</Button>
      {lack !== undefined && <span className="dim small">{lack}</span>}
    </div>
  );
  const [source, out] = [quoted(file), `${file.replace(/\.[^.]*$/, '')}.depa`];
  const command = `depa dataset seal dataset.json --csv ${source} --out ${quoted(out)} --url ${quoted(`file:///srv/depa/${encodeURIComponent(out)}`)} --record sealed.json --key tdp.key --trust trust.json`;
  const principal = used.find((row) => row.join)?.name ?? 'PERSON';
  return (
    <Page title={before ? t('A new version of {name}', { name: before.name }) : t('Register a dataset')} lead={t('No row leaves your machine. Your own tool seals the table to your own key service; the registry learns what it looks like.')} crumbs={<><Link to="/datasets">{t('Datasets')}</Link> / {t('new')}</>}>
      <NoKey />
      {old && <div className="note" role="status">{t('What you typed here before is taken up again; it stays in this tab.')} <button type="button" className="quiet" onClick={() => { drop(place); anew(); }}>{t('Begin anew')}</button></div>}
      <Stepper active={step} onStepClick={(to) => to < step && setStep(to)} size="sm" iconSize={32}>
        {['Describe', 'File', 'Schema', 'Terms', 'Protection'].map((title) => <Stepper.Step key={title} label={t(title)} />)}
      </Stepper>
      {step === 0 && (
        <Card title={t('Describe')}>
          <div className="stack tight">
            <TextInput label={t('Name')} required maxLength={200} value={name} onChange={(event) => setName(event.currentTarget.value)} />
            {(Object.keys(CARD) as (keyof typeof CARD)[]).map((field) => (
              <Textarea key={field} label={t(CARD_WORDS[field])} required maxLength={4000} rows={2} value={card[field]} onChange={(event) => setCard({ ...card, [field]: event.currentTarget.value })} />
            ))}
            {next(missing(name.trim() !== '' && Object.values(card).every((words) => words.trim() !== '')))}
          </div>
        </Card>
      )}
      {step === 1 && (
        <Card title={t('File')}>
          <div className="stack tight">
            <p className="dim">{t('Only its beginning is read, here in the browser, to find columns and types. Nothing of it is sent.')}</p>
            {before && <p className="dim">{t('Columns of the version before keep what was said of them; a new one is sealed only if you say so.')}</p>}
            <div><FileButton onChange={opened} accept=".csv,.parquet,text/csv">{(props) => <Button {...props} variant="default">{t('Choose a CSV or Parquet file')}</Button>}</FileButton></div>
            {note('file')}
            {file.endsWith('.parquet') && (
              <>
                <p>{t('This page reads no Parquet. This command, run on your machine, writes two files: columns.json, which you take in here, and dataset.toml, which you may delete: this page saves its own description.')}</p>
                <Terminal command={`depa dataset init ${source} --name ${quoted(name)} --kms ${quoted(kms || 'https://kms.example')} --people ${people || 1} --out dataset.toml --json > columns.json`} open />
                <div><FileButton onChange={(chosen) => chosen && tried('columns', async () => found(told(await chosen.text())))} accept=".json,application/json">{(props) => <Button {...props} variant="default">{t('Choose columns.json')}</Button>}</FileButton></div>
                {note('columns')}
              </>
            )}
            {rows.length > 0 && <div className="note good">{t('{n} columns in {file}', { n: rows.length, file })}</div>}
            {next(missing(rows.length > 0))}
          </div>
        </Card>
      )}
      {step === 2 && (
        <Card title={t('Schema')} aside={<span className="dim small">{t('bounds are public: known beforehand, never taken from the table')}</span>}>
          <div className="stack tight">
            <p className="dim small">{t('Read: a training may learn from it. Join: it tells people apart, and tables meet on it. Predict: a model may be trained to foretell it.')}</p>
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('Column')}</th><th>{t('Sealed')}</th><th>{t('Type')}</th><th>{t('From')}</th><th>{t('To')}</th><th>{t('Read')}</th><th>{t('Join')}</th><th>{t('Predict')}</th></tr></thead>
                <tbody>
                  {rows.map((row, at) => (
                    <tr key={at}>
                      <td><code>{row.name}</code></td>
                      <td><Checkbox aria-label={t('{name} is sealed', { name: row.name })} checked={row.sealed} onChange={(event) => change(at, { sealed: event.currentTarget.checked })} /></td>
                      <td>{typeOf(row)}</td>
                      <td>{typeOf(row) !== 'text' && <TextInput size="xs" w={80} aria-label={t('Lower bound of {name}', { name: row.name })} value={row.lower} onChange={(event) => change(at, { lower: event.currentTarget.value })} />}</td>
                      <td>{typeOf(row) !== 'text' && <TextInput size="xs" w={80} aria-label={t('Upper bound of {name}', { name: row.name })} value={row.upper} onChange={(event) => change(at, { upper: event.currentTarget.value })} />}</td>
                      {(['read', 'join', 'target'] as const).map((use) => (
                        <td key={use}><Checkbox aria-label={`${row.name}: ${t(use)}`} checked={row[use]} disabled={!row.sealed} onChange={(event) => change(at, { [use]: event.currentTarget.checked })} /></td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            {doubts(used).map((one) => <div key={one} className="note wait">{one}</div>)}
            {next(lacks(rows))}
          </div>
        </Card>
      )}
      {step === 3 && (
        <Card title={t('Terms')}>
          <div className="stack tight">
            <TermsForm of={asked} change={(part) => setAsked({ ...asked, ...part })} before={before} kept={kept !== undefined} />
            {next(lacking(asked))}
          </div>
        </Card>
      )}
      {step === 4 && (
        <div className={offer ? 'split' : 'stack'}>
          <Card title={t('Protection')}>
            <div className="stack tight">
              <TextInput label={t('Your key service')} type="url" description={t('Where kms-adapter answers. None yet? kms-adapter init; see the data provider’s tutorial.')} placeholder="https://kms.acme.example" value={kms} onChange={(event) => setKms(event.currentTarget.value.trim())} />
              <Select label={t('Its key opens for')} value={assurance} onChange={(value) => setAssurance(value === 'software' ? 'software' : 'hardware')} data={[{ value: 'hardware', label: t('hardware evidence only') }, { value: 'software', label: t('SIMULATED evidence too') }]} allowDeselect={false} />
              {approved?.some((set) => opens(set, assurance)) === false && <div className="note wait">{t('No approved image set may get such a key: no run could start yet.')}</div>}
              <p>{t('Save the description, then seal on your machine. Only your key service gets the key.')}</p>
              <div><Button variant="default" disabled={!REACHABLE.test(kms)} onClick={() => save('dataset.json', `${JSON.stringify(description(), null, 2)}\n`)}>{t('Save the description')}</Button></div>
              {kms === '' ? <p className="dim small">{t('First say where your key service answers.')}</p> : !REACHABLE.test(kms) && <div className="note wait">{t('A key service is asked over https, or on this machine.')}</div>}
              <Terminal command={command} open />
              <p className="dim small">{t('--url is where rooms fetch it: put {file} there before you publish.', { file: out })}</p>
              <p className="dim small">{t('tdp.key is a key file of yours: see')} <Link to="/keys">{t('Keys')}</Link>.</p>
              <p>{t('Then take in the record that it leaves behind.')}</p>
              <div><FileButton onChange={taken} accept=".json,application/json">{(props) => <Button {...props} variant="default" disabled={kms === ''}>{t('Choose sealed.json')}</Button>}</FileButton></div>
              {note('sealed')}
              {kms !== '' && <KeyTest kms={kms} sealed={sealed} assurance={assurance} />}
              {record && !sealed && <div className="note wait" role="status">{t('What is sealed, or whereto, was changed after the sealing: save the description, seal again, and take in the new record.')}</div>}
              {sealed && <div className="note good" role="status">{t('Sealed: manifest root {root}', { root: `${sealed.manifest_root.slice(0, 16)}…` })}</div>}
              <details>
                <summary>{t('Statistics for everyone, if you like')}</summary>
                <div className="stack tight">
                  <p className="dim small">{t('Noised histograms, made on your machine. Your key service charges their ε to the budget first, as it does for training.')}</p>
                  <Terminal command={`depa dataset profile dataset.json --csv ${source} --epsilon 0.1 --principal ${principal} --record sealed.json --kms ${quoted(kms || 'https://kms.example')} --key tdp.key --trust trust.json --out profile.json`} open />
                  <div><FileButton onChange={(chosen) => chosen && tried('profile', async () => setProfiled(await statistics(chosen, { columns: terms?.columns ?? [] })))} accept=".json,application/json">{(props) => <Button {...props} variant="default">{t('Choose profile.json')}</Button>}</FileButton></div>
                  {note('profile')}
                  {profiled?.ledger === 'uncharged' && <div className="note wait" role="status">{t('These statistics say of themselves that no ledger was charged; the registry refuses them. Charge first: the command above, with --kms, does it.')}</div>}
                  {profiled && profiled.ledger !== 'charged' && profiled.ledger !== 'uncharged' && <div className="note wait" role="status">{t('These statistics do not say that a ledger was charged; the registry refuses them. Charge first: the command above, with --kms, does it.')}</div>}
                  {profiled?.ledger === 'charged' && (terms?.statistics ? <div className="note good" role="status">{t('They go along: ε {epsilon} of every person.', { epsilon: profiled.terms.epsilon })}</div> : <div className="note wait" role="status">{t('They are of other columns, or of another number of people: make them again.')}</div>)}
                </div>
              </details>
              {note('publish')}
              <ProblemNote problem={unmade} />
              <div className="row">
                <Button variant="default" onClick={() => setStep(3)}>{t('Back')}</Button>
                <Button disabled={!own || !ready} onClick={publish}>{t('Sign the offer and publish')}</Button>
              </div>
              {!sealed && <p className="dim small">{t('You sign once the record of the sealing is taken in.')}</p>}
            </div>
          </Card>
          {offer && <Card title={t('What you sign')}><SignedBytes of={own} open /></Card>}
        </div>
      )}
      {terms && name.trim() !== '' && <Preview of={terms} sealed={sealed !== undefined} />}
    </Page>
  );
}

/** The page as catalogues will read it, as it comes about. */
function Preview({ of, sealed }: { of: PublicOffer; sealed: boolean }) {
  const made = useMemo(() => croissant(of, `${location.origin}/v1/datasets/${of.dataset_id}`), [of]);
  return (
    <Card title={t('Croissant, as it would be published')}>
      <details>
        <summary>{sealed ? t('Everything that catalogues will read') : t('So far; sealing adds the file, its size and its root')}</summary>
        <div data-testid="croissant"><Json of={made} /></div>
      </details>
    </Card>
  );
}

/** Whether the key service answers, and to whom: this page may ask this service alone, so commands do. */
function KeyTest({ kms, sealed, assurance }: { kms: string; sealed: Sealed | undefined; assurance: string }) {
  const approved = useApproved() ?? [];
  return (
    <div className="stack tight" role="group" aria-label={t('Test the key reference')}>
      <h3>{t('Test the key reference')}</h3>
      <p className="dim small">{t('This page may ask nobody but this service, so it cannot ask your key service. The first command does: it answers with the budgets kept there, or says why not. The second, on the machine of the key service, says check by check whether a bundled job would get its keys.')}</p>
      <Terminal command={`depa kms budget --kms ${quoted(kms)} --key tdp.key\ndepa kms explain bundle.json --config kms.toml`} open />
      {approved.length > 0 && <h4>{t('Approved image sets')}</h4>}
      <ul className="list small">
        {approved.map((set) => {
          const fits = opens(set, assurance);
          return <li key={set.image_set_id} className="item"><span>{String(set['name'])}</span><span className={`pill ${fits ? 'good' : 'bad'}`}>{fits ? t('may get the key') : t('never gets the key')}</span></li>;
        })}
      </ul>
      {sealed && <p className="small">{t('Key {id}, answers signed by {x}', { id: sealed.key_id, x: `${sealed.kms_jwk.x.slice(0, 12)}…` })}</p>}
    </div>
  );
}
