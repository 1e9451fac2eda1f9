/** Registering a dataset: described and profiled here, sealed by the provider's own tool, offered under a signature. */
import { Button, Checkbox, FileButton, NumberInput, Select, Stepper, Textarea, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { api, ask } from '../api/client';
import type { DatasetOffer, PublicOffer } from '../api/documents';
import { me, signedOffer, trust } from '../api/queries';
import { t } from '../i18n';
import { Refused, seal, stamp } from '../keys/document';
import { croissant } from '../parts/croissant';
import { Json } from '../parts/json';
import { keyMissing, NoKey, useSigning } from '../parts/keys';
import { follows, fresh, lacks, merged, plainPrice, type Row, rowsOf, sealedOf } from '../parts/next-version';
import { Card, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { profile } from '../parts/profile';
import { save } from '../parts/save';
import { SignedBytes, useOwn } from '../parts/signed';
import { decimals, useNames } from '../parts/words';

/** What `depa dataset seal` leaves behind. */
interface Sealed {
  dataset_id: string;
  version: number;
  family: string;
  url: string;
  bytes: number;
  manifest_root: string;
  kms: string;
  kms_jwk: { kty: string; crv: string; x: string };
  key_id: string;
  min_assurance: 'software' | 'hardware';
  media_type?: string;
}

const CARD = { description: '', collection: '', limitations: '', personal_data: '', licence: 'By contract only' };
const CARD_WORDS: Record<keyof typeof CARD, string> = {
  description: 'What it is', collection: 'How it was collected', limitations: 'What it is not good for',
  personal_data: 'Personal data in it', licence: 'Licence',
};

/** What a step still lacks, in the order of the steps; of the columns, {@link lacks} says it. */
const MISSING = ['Fill in every field: catalogues show them, and contracts refer to them.', 'Choose a file first.', '', 'Say how many people are in it, and an ε.'];

/** The record of a sealing, as far as the page can tell: its form, and that it is of the key service described. */
function sealedRecord(content: string, kms: string): Sealed {
  let found: Partial<Sealed>;
  try {
    found = JSON.parse(content) as Partial<Sealed>;
  } catch {
    throw new Refused('MANIFEST_INVALID', t('this is no record of depa dataset seal'));
  }
  const { dataset_id = '', manifest_root = '', key_id = '', family = '', url = '', kms_jwk } = found;
  const formed = /^dst_[0-9a-f-]{36}$/.test(dataset_id) && /^[0-9a-f]{64}$/.test(manifest_root) && /^key_/.test(key_id)
    && /^fam_/.test(family) && url !== '' && Number.isSafeInteger(found.bytes) && kms_jwk?.crv === 'Ed25519';
  if (!formed) throw new Refused('MANIFEST_INVALID', t('this is no record of depa dataset seal'));
  if (found.kms !== kms) throw new Refused('MANIFEST_INVALID', t('it was sealed to {other}, and {own} is described', { other: found.kms ?? '?', own: kms }));
  return found as Sealed;
}

/** A new dataset, or with `?from=` the next version of one, which begins as the version before. */
export default function Wizard() {
  const from = useSearchParams()[0].get('from');
  return from === null ? <Form /> : <Next id={from} />;
}

function Next({ id }: { id: string }) {
  // Read anew at each visit, and then never under the hands of who fills the form.
  const signed = signedOffer(id);
  const before = useQuery({ ...signed, queryKey: [...signed.queryKey, 'next'] as never, staleTime: Infinity, gcTime: 0 });
  return <Read of={before}>{({ offer, sha256 }) => <Form key={sha256} before={offer} />}</Read>;
}

function Form({ before }: { before?: DatasetOffer }) {
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const { ready } = useSigning();
  const names = useNames();
  const navigate = useNavigate();
  const client = useQueryClient();
  const [step, setStep] = useState(0);
  const [name, setName] = useState(before?.name ?? '');
  const [card, setCard] = useState(before?.data_card ?? CARD);
  const [file, setFile] = useState('table.csv');
  const [rows, setRows] = useState<Row[]>(before ? rowsOf(before) : []);
  const [kms, setKms] = useState(before?.key.kms ?? '');
  const [assurance, setAssurance] = useState<'hardware' | 'software'>(before?.key.min_assurance ?? 'hardware');
  const [people, setPeople] = useState(before?.public_rows ?? 0);
  const [epsilon, setEpsilon] = useState(before?.privacy_cap.epsilon ?? '3.0');
  const [scope, setScope] = useState<'per_tdc' | 'global'>(before?.privacy_cap.scope === 'global' ? 'global' : 'per_tdc');
  const kept = before && plainPrice(before.payment, before.provider) === undefined ? before.payment : undefined;
  const [price, setPrice] = useState(before ? (plainPrice(before.payment, before.provider) ?? 0) : 0);
  const [record, setRecord] = useState<{ sealed: Sealed; of: string }>();
  const [problem, setProblem] = useState<unknown>();
  const used = rows.filter((row) => row.sealed);
  const described = sealedOf(rows, kms, assurance);
  const sealed = record?.of === described ? record.sealed : undefined;
  const sameCount = before !== undefined && people === before.public_rows;
  const delta = sameCount ? before.privacy_cap.delta : people > 0 ? (Math.floor(1e11 / people) / 1e12).toFixed(12).replace(/0+$/, '') : '';
  const bound = (row: Row) => (row.type === 'text' || row.lower === '' || row.upper === '' ? { lower: null, upper: null } : { lower: row.lower, upper: row.upper });
  const usage = {
    ...(before?.usage ?? { purposes: ['TRAINING'] }),
    allowed_columns: used.filter((row) => row.read).map((row) => row.name),
    join_keys: used.filter((row) => row.join).map((row) => row.name),
    target_columns: used.filter((row) => row.target).map((row) => row.name),
  };
  const description = useMemo(() => ({
    name, kms, min_assurance: assurance, public_rows: people,
    ...(before ? { dataset_id: before.dataset_id, family: before.family, version: before.version + 1 } : {}),
    columns: used.map((row) => ({ name: row.name, type: row.type, ...(bound(row).lower === null ? {} : { lower: row.lower, upper: row.upper }) })),
    usage, cap: { epsilon, delta, scope },
    price: price > 0 ? [{ term_id: 'run', currency: 'INR', amount_minor: price }] : [],
    card,
  }), [before, name, kms, assurance, people, rows, epsilon, delta, scope, price, card]);
  const [offeredAt, setOfferedAt] = useState(stamp);
  const creator = session ? names(session.member) : '';
  // What everyone will read of it; where it is sealed, and its key, are not known before the sealing.
  const terms = useMemo<PublicOffer | undefined>(() => pinned && session ? {
    ...rest(before),
    registry: pinned.registry, dataset_id: sealed?.dataset_id ?? before?.dataset_id ?? 'dst_…', version: sealed?.version ?? (before?.version ?? 0) + 1, offer_version: 1,
    family: sealed?.family ?? before?.family ?? 'fam_…', provider: session.member, name,
    reference: before?.reference ?? { data_schema: 'urn:depa:schema:table-v1', creators: [creator], keywords: [], sample: null, consent_basis_sha256: null },
    columns: used.map((row) => ({ name: row.name, type: row.type, ...bound(row) })),
    objects: sealed ? [{ url: sealed.url, bytes: sealed.bytes, media_type: sealed.media_type ?? 'text/csv' }] : [],
    manifest_root: sealed?.manifest_root ?? '', key: { min_assurance: sealed?.min_assurance ?? assurance },
    public_rows: people, usage,
    privacy_cap: { ...(before?.privacy_cap ?? { unit: 'principal', adjacency: 'add_remove', accountant: 'rdp', level: 1 }), epsilon, delta, scope },
    payment: kept ?? (price > 0 ? [{ term_id: 'run', kind: 'per_run', payees: [{ did: session.member, share_ppm: 1_000_000 }], currency: 'INR', amount_minor: price, trigger: 'completed' }] : []),
    data_card: card, offered_at: offeredAt,
  } : undefined, [before, pinned, session?.member, creator, sealed, name, rows, assurance, people, epsilon, delta, scope, price, card, offeredAt]);
  const offer = useMemo<DatasetOffer | undefined>(() => sealed && terms && {
    schema: 'dataset-offer.v1', ...terms,
    key: { kms: sealed.kms, kms_jwk: sealed.kms_jwk, key_id: sealed.key_id, min_assurance: sealed.min_assurance },
  }, [sealed, terms]);
  const { own, problem: unmade } = useOwn(offer);
  const change = (at: number, part: Partial<Row>) => setRows(rows.map((row, place) => (place === at ? { ...row, ...part } : row)));
  const tried = (act: () => Promise<void>) => {
    setProblem(undefined);
    void act().catch(setProblem);
  };
  const opened = (chosen: File | null) => chosen && tried(async () => {
    // The beginning says enough; the rest is not even read.
    const found = profile(chosen.name, await chosen.slice(0, 1 << 20).text());
    setFile(chosen.name);
    setRows(before ? merged(found.columns, rowsOf(before)) : found.columns.map(fresh));
  });
  const taken = (chosen: File | null) => chosen && tried(async () => {
    const found = sealedRecord(await chosen.text(), kms);
    if (before) follows(found, before);
    setRecord({ sealed: found, of: described });
    setOfferedAt(stamp());
  });
  const publish = () => tried(async () => {
    if (!ready || !offer || !own) throw keyMissing();
    const header = { 'Idempotency-Key': crypto.randomUUID() };
    await ask(api.POST('/v1/datasets', { params: { header }, body: (await seal(own, ready)) as never }));
    void client.invalidateQueries({ queryKey: ['datasets'] });
    void navigate(`/datasets/${offer.dataset_id}`);
  });
  const next = (enough: boolean, lack = t(MISSING[step] ?? '')) => (
    <div className="row">
      {step > 0 && <Button variant="default" onClick={() => setStep(step - 1)}>{t('Back')}</Button>}
      <Button disabled={!enough} onClick={() => setStep(step + 1)}>{t('Next')}</Button>
      {!enough && <span className="dim small">{lack}</span>}
    </div>
  );
  const command = `depa dataset seal dataset.json --csv ${file} --out ${file.replace(/\.[^.]*$/, '')}.depa --url file:///srv/depa/${file.replace(/\.[^.]*$/, '')}.depa --record sealed.json --key tdp.key --trust trust.json`;
  return (
    <Page title={before ? t('A new version of {name}', { name: before.name }) : t('Register a dataset')} lead={t('No row leaves your machine. Your own tool seals the table to your own key service; the registry learns what it looks like.')} crumbs={<><Link to="/datasets">{t('Datasets')}</Link> / {t('new')}</>}>
      <NoKey />
      <Stepper active={step} onStepClick={(to) => to < step && setStep(to)} size="sm" iconSize={32}>
        {['Describe', 'File', 'Schema', 'Terms', 'Protection'].map((title) => <Stepper.Step key={title} label={t(title)} />)}
      </Stepper>
      <ProblemNote problem={problem ?? unmade} />
      {step === 0 && (
        <Card title={t('Describe')}>
          <div className="stack tight">
            <TextInput label={t('Name')} required value={name} onChange={(event) => setName(event.currentTarget.value)} />
            {(Object.keys(CARD) as (keyof typeof CARD)[]).map((field) => (
              <Textarea key={field} label={t(CARD_WORDS[field])} required rows={2} value={card[field]} onChange={(event) => setCard({ ...card, [field]: event.currentTarget.value })} />
            ))}
            {next(name.trim() !== '' && Object.values(card).every((words) => words.trim() !== ''))}
          </div>
        </Card>
      )}
      {step === 1 && (
        <Card title={t('File')}>
          <div className="stack tight">
            <p className="dim">{t('Only its beginning is read, here in the browser, to find columns and types. Nothing of it is sent.')}</p>
            {before && <p className="dim">{t('Columns of the version before keep what was said of them; a new one is sealed only if you say so.')}</p>}
            <div><FileButton onChange={opened} accept=".csv,text/csv">{(props) => <Button {...props} variant="default">{t('Choose a CSV file')}</Button>}</FileButton></div>
            {rows.length > 0 && <div className="note good">{t('{n} columns in {file}', { n: rows.length, file })}</div>}
            {next(rows.length > 0)}
          </div>
        </Card>
      )}
      {step === 2 && (
        <Card title={t('Schema')} aside={<span className="dim small">{t('bounds are public: known beforehand, never taken from the table')}</span>}>
          <div className="stack tight">
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('Column')}</th><th>{t('Sealed')}</th><th>{t('Type')}</th><th>{t('From')}</th><th>{t('To')}</th><th>{t('Read')}</th><th>{t('Join')}</th><th>{t('Predict')}</th></tr></thead>
                <tbody>
                  {rows.map((row, at) => (
                    <tr key={row.name}>
                      <td><code>{row.name}</code></td>
                      <td><Checkbox aria-label={t('{name} is sealed', { name: row.name })} checked={row.sealed} onChange={(event) => change(at, { sealed: event.currentTarget.checked })} /></td>
                      <td>{row.type}</td>
                      <td>{row.type !== 'text' && <TextInput size="xs" w={80} aria-label={t('Lower bound of {name}', { name: row.name })} value={row.lower} onChange={(event) => change(at, { lower: event.currentTarget.value })} />}</td>
                      <td>{row.type !== 'text' && <TextInput size="xs" w={80} aria-label={t('Upper bound of {name}', { name: row.name })} value={row.upper} onChange={(event) => change(at, { upper: event.currentTarget.value })} />}</td>
                      {(['read', 'join', 'target'] as const).map((use) => (
                        <td key={use}><Checkbox aria-label={`${row.name}: ${t(use)}`} checked={row[use]} disabled={!row.sealed} onChange={(event) => change(at, { [use]: event.currentTarget.checked })} /></td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            {next(lacks(rows) === undefined, lacks(rows))}
          </div>
        </Card>
      )}
      {step === 3 && (
        <Card title={t('Terms')}>
          <div className="stack tight">
            <NumberInput label={t('People in it')} description={t('A public count, known beforehand, never counted from the table')} min={0} value={people} onChange={(value) => setPeople(Number(value) || 0)} />
            <TextInput label={t('ε that all runs together may reveal')} value={epsilon} onChange={(event) => setEpsilon(event.currentTarget.value)} />
            {people > 0 && <p className="dim small">{sameCount ? t('δ is {delta}, as before.', { delta }) : t('δ is {delta}: a tenth of 1 in {n}.', { delta, n: people })}</p>}
            <Select label={t('The budget counts')} value={scope} onChange={(value) => setScope(value === 'global' ? 'global' : 'per_tdc')} data={[{ value: 'per_tdc', label: t('for each consumer alone') }, { value: 'global', label: t('for all consumers together') }]} allowDeselect={false} />
            {kept ? <p className="dim small">{t('Its prices are more than one price for a run: they stay as they are.')}</p> : <NumberInput label={t('Price of a run in INR')} min={0} decimalScale={decimals('INR')} value={price / 10 ** decimals('INR')} onChange={(value) => setPrice(Math.round(Number(value) * 10 ** decimals('INR')))} />}
            {next(people > 1 && /^\d+(\.\d+)?$/.test(epsilon))}
          </div>
        </Card>
      )}
      {step === 4 && (
        <div className="split">
          <Card title={t('Protection')}>
            <div className="stack tight">
              <TextInput label={t('Your key service')} type="url" description={t('Where kms-adapter answers. None yet? kms-adapter init; see the data provider’s tutorial.')} placeholder="https://kms.acme.example" value={kms} onChange={(event) => setKms(event.currentTarget.value.trim())} />
              <Select label={t('Its key opens for')} value={assurance} onChange={(value) => setAssurance(value === 'software' ? 'software' : 'hardware')} data={[{ value: 'hardware', label: t('hardware evidence only') }, { value: 'software', label: t('SIMULATED evidence too') }]} allowDeselect={false} />
              <p>{t('Save the description, then seal on your machine. Only your key service gets the key.')}</p>
              <div><Button variant="default" disabled={kms === ''} onClick={() => save('dataset.json', `${JSON.stringify(description, null, 2)}\n`)}>{t('Save the description')}</Button></div>
              {kms === '' && <p className="dim small">{t('First say where your key service answers.')}</p>}
              <Terminal command={command} open />
              <p className="dim small">{t('tdp.key is a key file of yours: see')} <Link to="/keys">{t('Keys')}</Link>.</p>
              <p>{t('Then take in the record that it leaves behind.')}</p>
              <div><FileButton onChange={taken} accept=".json,application/json">{(props) => <Button {...props} variant="default" disabled={kms === ''}>{t('Choose sealed.json')}</Button>}</FileButton></div>
              {kms !== '' && <KeyTest kms={kms} sealed={sealed} />}
              {record && !sealed && <div className="note wait" role="status">{t('What is sealed, or whereto, was changed after the sealing: save the description, seal again, and take in the new record.')}</div>}
              {sealed && <div className="note good" role="status">{t('Sealed: manifest root {root}', { root: `${sealed.manifest_root.slice(0, 16)}…` })}</div>}
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

/** What an offer holds beside what this page asks for; a sealed object, its root and its key are of one version alone. */
function rest(before: DatasetOffer | undefined): Partial<PublicOffer> {
  if (before === undefined) return {};
  const { schema: _, key: __, objects: ___, manifest_root: ____, ...others } = before;
  return others;
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

/** Whether the key service answers: this page may ask this service alone, so a command does. */
function KeyTest({ kms, sealed }: { kms: string; sealed: Sealed | undefined }) {
  return (
    <div className="stack tight" role="group" aria-label={t('Test the key reference')}>
      <h3>{t('Test the key reference')}</h3>
      <p className="dim small">{t('This page may ask nobody but this service, so it cannot ask your key service. This command does: it answers with the budgets kept there, or says why not.')}</p>
      {!/^https:\/\//.test(kms) && !/^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:|\/|$)/.test(kms) && <div className="note wait">{t('A key service is asked over https, or on this machine.')}</div>}
      <Terminal command={`depa kms budget --kms ${kms} --key tdp.key`} open />
      {sealed && <p className="small">{t('Key {id}, answers signed by {x}', { id: sealed.key_id, x: `${sealed.kms_jwk.x.slice(0, 12)}…` })}</p>}
    </div>
  );
}
