/** A dataset: its data card, its public schema, its terms in plain words, its budget, its versions. */
import { Button, FileButton } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { api, ask } from '../api/client';
import { budget, dataset, type Listed, me, signedOffer, trust } from '../api/queries';
import { t } from '../i18n';
import { useBasket } from '../parts/basket';
import { LEVELS } from '../parts/compare';
import { changes } from '../parts/diff';
import { Card, Empty, Facts, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { save } from '../parts/save';
import { ender, SUSPENDED_BY } from '../parts/suspension';
import { SignedAct } from '../parts/signed-act';
import { bars, type Histogram, statistics, type Statistics } from '../parts/statistics';
import { price } from '../parts/terms';
import { WhyAt } from '../parts/why';
import { count, epsilon, Gauge, Id, Name, State, Time } from '../parts/words';

export default function DatasetPage() {
  const { id = '' } = useParams();
  const versions = useQuery(dataset(id));
  return <Read of={versions} title={t('Dataset')}>{(all) => (all[0] ? <Shown newest={all[0]} all={all} /> : <Page title={t('No such dataset.')} crumbs={<Link to="/datasets">{t('Datasets')}</Link>}><Empty command={`depa dataset list --registry ${location.origin}`} action={<Link to="/datasets">{t('To the catalogue')}</Link>}>{t('No dataset is registered under this address.')}</Empty></Page>)}</Read>;
}

function Shown({ newest, all }: { newest: Listed; all: Listed[] }) {
  const { offer, view } = newest;
  const { data: session } = useQuery(me);
  const navigate = useNavigate();
  const { put } = useBasket();
  const owner = session?.member === offer.provider;
  const composes = session?.roles.includes('tdc_admin') && view.state === 'registered';
  const croissant = async () => {
    const document = await ask(api.GET('/v1/datasets/{id}/croissant', { params: { path: { id: offer.dataset_id } }, parseAs: 'text' }));
    save(`${offer.dataset_id}.croissant.json`, String(document), 'application/ld+json');
  };
  return (
    <Page
      title={offer.name}
      lead={<span className="row"><State word={view.state} /><Name did={offer.provider} />{['suspended', 'withdrawn'].includes(view.state) && <Changed of={view} />}</span>}
      crumbs={<><Link to="/datasets">{t('Datasets')}</Link> / {offer.name}</>}
      actions={
        <>
          <Button variant="default" onClick={() => void croissant()}>Croissant</Button>
          {composes && <Button onClick={() => { put(offer.dataset_id, true); void navigate('/contracts/new'); }}>{t('Ask for a contract')}</Button>}
        </>
      }
    >
      {['suspended', 'withdrawn'].includes(view.state) && view.changed_by != null && <div className="note wait"><WhyAt index={view.changed_by} /></div>}
      <div className="split">
        <div className="stack">
          <Card title={t('Data card')}>
            <Facts of={[
              [t('What it is'), offer.data_card.description],
              [t('How it was collected'), offer.data_card.collection],
              [t('What it is not good for'), offer.data_card.limitations],
              [t('Personal data'), offer.data_card.personal_data],
              [t('Licence'), offer.data_card.licence],
              [t('Made by'), offer.reference.creators.join(', ')],
              [t('Keywords'), offer.reference.keywords.join(', ') || undefined],
              [t('Sample'), offer.reference.sample ? <span key="s"><span className="pill">{t(offer.reference.sample.kind)}</span> <Sample url={offer.reference.sample.url} /> <Id value={offer.reference.sample.sha256} short /></span> : t('none')],
            ]} />
          </Card>
          <Card title={t('Columns')} aside={<span className="dim small">{t('bounds are public; values outside are clamped')}</span>}>
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('Name')}</th><th>{t('Type')}</th><th className="num">{t('From')}</th><th className="num">{t('To')}</th><th>{t('May be')}</th></tr></thead>
                <tbody>
                  {offer.columns.map((column) => {
                    const uses = [
                      offer.usage.allowed_columns.includes(column.name) && t('read'),
                      offer.usage.join_keys.includes(column.name) && t('joined on'),
                      offer.usage.target_columns.includes(column.name) && t('predicted'),
                    ].filter(Boolean);
                    return (
                      <tr key={column.name}>
                        <td><code>{column.name}</code></td><td>{column.type}</td>
                        <td className="num">{column.lower ?? '–'}</td><td className="num">{column.upper ?? '–'}</td>
                        <td>{uses.join(', ') || <span className="dim">{t('nothing')}</span>}</td>
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </div>
          </Card>
          <PrivateStatistics of={newest} owner={owner} />
          <Versions all={all} />
        </div>
        <div className="stack">
          <Budget id={offer.dataset_id} />
          <Card title={t('Terms')}>
            <Facts of={[
              [t('Price'), price(newest)],
              [t('Purposes'), offer.usage.purposes.join(', ')],
              [t('People'), t('{n}, a public count', { n: count(offer.public_rows) })],
              [t('Region'), offer.reference.regions?.join(', ')],
              [t('At most'), t('ε {epsilon} at δ {delta} about any one person', { epsilon: offer.privacy_cap.epsilon, delta: offer.privacy_cap.delta })],
              [t('The budget is'), t(LEVELS[offer.privacy_cap.level] ?? '')],
              [t('Counted'), offer.privacy_cap.scope === 'global' ? t('for all consumers together') : t('for each consumer alone')],
              [t('Opens for'), offer.key.min_assurance === 'software' ? t('SIMULATED evidence too') : t('hardware evidence only')],
            ]} />
          </Card>
          <Card title={t('Proof')}>
            <Facts of={[
              [t('Dataset'), <Id key="d" value={offer.dataset_id} short />],
              [t('Manifest root'), <Id key="m" value={offer.manifest_root} short />],
              [t('Family'), <Id key="f" value={offer.family} short />],
              [t('Offer'), <Id key="o" value={newest.sha256} short />],
              [t('Log entry'), <Link key="e" to={`/audit?entry=${view.receipt.index}`}>{view.receipt.index}</Link>],
            ]} />
            {owner && <KeyReference id={offer.dataset_id} />}
          </Card>
          {owner && <Yours of={newest} />}
        </div>
      </div>
    </Page>
  );
}

/** Where a sample lies: an address of https can be opened, any other is told. */
function Sample({ url }: { url: string }) {
  return url.startsWith('https://') ? <a className="words" href={url} target="_blank" rel="noreferrer">{url}</a> : <code className="words">{url}</code>;
}

/** Statistics that the offer carries; where it carries none, a profile that its provider hands over as a file. */
function PrivateStatistics({ of: { offer }, owner }: { of: Listed; owner: boolean }) {
  const [found, setFound] = useState<Statistics>();
  const shown = offer.statistics ?? found;
  const [problem, setProblem] = useState<unknown>();
  const opened = (file: File | null) => {
    setProblem(undefined);
    setFound(undefined);
    if (file !== null) void statistics(file, offer).then(setFound, setProblem);
  };
  return (
    <Card title={t('Private statistics')} aside={offer.statistics ? undefined : <FileButton onChange={opened} accept=".json,application/json">{(props) => <Button {...props} size="xs" variant="default">{t('Open a profile')}</Button>}</FileButton>}>
      <div className="stack tight">
        <ProblemNote problem={problem} />
        {shown === undefined ? (
          <p className="dim">{t('The offer carries none. Its provider makes a profile, with noise drawn before it leaves, and hands it over as a file; opened here, it stays in your browser.')}</p>
        ) : (
          <>
            <div className="scroll">
              <table className="data" data-testid="statistics">
                <thead><tr><th>{t('Name')}</th><th>{t('How it is spread')}</th><th className="num">{t('Mean')}</th><th className="num">{t('Empty')}</th></tr></thead>
                <tbody>
                  {shown.columns.map((column) => (
                    <tr key={column.name}>
                      <td><code>{column.name}</code></td>
                      <td><Spread of={column} /></td>
                      <td className="num">{column.mean ?? '–'}</td>
                      <td className="num">{count(Math.max(0, column.missing))}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            <p className="dim small">
              {t('Every count is noised: ε {epsilon} of each person for all of it.', { epsilon: shown.terms.epsilon })}{' '}
              {shown.ledger === 'charged' && t('Its provider says that the budget was charged with it.')}
              {shown.ledger === 'uncharged' && t('It says that no budget was charged when it was made.')}
              {shown.ledger !== 'charged' && shown.ledger !== 'uncharged' && t('It does not say that the budget was charged with it.')}{' '}
              {offer.statistics ? t('Its provider signed it with the offer.') : t('Nobody signed this file; it is its sender’s word.')}
            </p>
          </>
        )}
        {owner && <Terminal command={'depa dataset profile dataset.json --csv table.csv --epsilon 0.1 --principal PERSON --offer offer.json --kms https://kms.example --key tdp.key --out profile.json'} />}
      </div>
    </Card>
  );
}

/** A noised histogram; the counts stand in words beside it. */
function Spread({ of }: { of: Histogram }) {
  if (of.counts.length === 1) return <>{t('{n} cells are there', { n: count(Math.max(0, of.counts[0] ?? 0)) })}</>;
  const heights = bars(of);
  const width = 100 / heights.length;
  const said = t('noised counts from {lower} to {upper}: {counts}', { lower: of.lower ?? '', upper: of.upper ?? '', counts: of.counts.join(', ') });
  return (
    <svg className="spread" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={said}>
      {heights.map((height, at) => <rect key={at} x={at * width} y={24 - 24 * height} width={width * 0.9} height={24 * height} />)}
    </svg>
  );
}

/** Columns are told apart by their names; noise in statistics says nothing. */
const compared = ({ offer }: Listed) => ({ ...offer, statistics: offer.statistics && `ε ${offer.statistics.terms.epsilon}`, columns: Object.fromEntries(offer.columns.map((column) => [column.name, column])) });
const written = (value: unknown): string => (value === undefined ? t('nothing') : typeof value === 'string' ? value : JSON.stringify(value));
/** What every version has of its own. */
const OWN = ['version', 'offer_version', 'offered_at'];

/** Every version and every change of terms, each with what it changed. */
function Versions({ all }: { all: Listed[] }) {
  return (
    <Card title={t('Versions')}>
      <ul className="list">
        {all.map((one, at) => {
          const before = all[at + 1];
          const found = before ? changes(compared(before), compared(one)).filter(({ path }) => !OWN.includes(path[0] ?? '')) : [];
          return (
            <li key={`${one.offer.version}-${one.offer.offer_version}`}>
              <div className="item">
                <div>{t('Version {n}, terms {m}', { n: one.offer.version, m: one.offer.offer_version })}<p className="small"><Time at={one.offer.offered_at} /></p></div>
                <State word={one.view.state} />
              </div>
              {before && found.length === 0 && <p className="dim small">{t('Nothing that everyone may read has changed.')}</p>}
              {found.length > 0 && (
                <details>
                  <summary className="small">{t('{n} changes from the version before', { n: found.length })}</summary>
                  <ul className="list small" data-testid="version-changes">
                    {found.map((change) => (
                      <li key={change.path.join(' ')}><code>{change.path.join(' › ')}</code><br /><span className="dim">{t('was')}</span> {written(change.before)} → <span className="dim">{t('becomes')}</span> {written(change.after)}</li>
                    ))}
                  </ul>
                </details>
              )}
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

const ACTS = {
  suspend: { name: 'Pause', says: 'No new contract and no new run until you resume it.' },
  resume: { name: 'Resume', says: 'It may be contracted and used again. What the SRO suspended, the SRO alone resumes.' },
  withdraw: { name: 'Withdraw for good', says: 'This version is never contracted or used again. What was charged and owed before stands.' },
} as const;
type Acting = keyof typeof ACTS;
/** What a provider can do with a version in this state. */
const ALLOWED: Record<string, Acting[]> = { registered: ['suspend', 'withdraw'], deprecated: ['suspend', 'withdraw'], suspended: ['resume', 'withdraw'] };

/** Where it stands why a version is not simply registered. */
function Changed({ of: { suspended_by: by, changed_by: index } }: { of: Listed['view'] }) {
  if (index == null) return null;
  return <span className="small" data-testid="dataset-changed">{by != null && <>{t(SUSPENDED_BY[by] ?? by)}: </>}<Link to={`/audit?entry=${index}`}>{t('entry {n} of the log', { n: index })}</Link></span>;
}

/** What its provider does with it. */
function Yours({ of: { offer, view } }: { of: Listed }) {
  const client = useQueryClient();
  const { data: pinned } = useQuery(trust);
  const [acting, setActing] = useState<Acting>();
  const [last, setLast] = useState<Acting>('suspend');
  const shown = ACTS[acting ?? last];
  const begin = (act: Acting) => {
    setLast(act);
    setActing(act);
  };
  return (
    <Card title={t('Yours')}>
      <div className="stack tight">
        <Button component={Link} to={`/datasets/new?from=${offer.dataset_id}`}>{t('New version')}</Button>
        {(ALLOWED[view.state] ?? []).filter((act) => act !== 'resume' || view.suspended_by === 'provider').map((act) => <Button key={act} variant={act === 'withdraw' ? 'outline' : 'default'} color={act === 'withdraw' ? 'red' : undefined} onClick={() => begin(act)}>{t(ACTS[act].name)}</Button>)}
        {view.state === 'suspended' && <p className="dim small">{ender(view)}</p>}
        <Terminal command={`depa dataset show ${offer.dataset_id} --key YOUR.key --trust trust.json --registry ${location.origin}`} />
      </div>
      <SignedAct
        opened={acting !== undefined}
        close={() => setActing(undefined)}
        title={t(shown.name)}
        lead={<p>{t(shown.says)}</p>}
        act={t(shown.name)}
        grave={(acting ?? last) === 'withdraw'}
        make={(reason, at) => pinned && acting && { schema: 'dataset-act.v1', registry: pinned.registry, dataset_id: offer.dataset_id, version: offer.version, act: acting, reason, at }}
        send={async (sealed) => {
          const params = { path: { id: offer.dataset_id }, header: { 'Idempotency-Key': crypto.randomUUID() } };
          await ask(api.POST('/v1/datasets/{id}/acts', { params, body: sealed as never }));
          setActing(undefined);
          notifications.show({ message: t('It stands in the log.') });
          await client.invalidateQueries({ queryKey: ['datasets'] });
        }}
      />
    </Card>
  );
}

/** Where its key lies: the service tells it to its provider and to those who contract. */
function KeyReference({ id }: { id: string }) {
  const signed = useQuery(signedOffer(id));
  return (
    <Read of={signed}>
      {({ offer: { key } }) => <Facts of={[[t('Key'), <Id key="k" value={key.key_id} short />], [t('Key service'), key.kms]]} />}
    </Read>
  );
}

function Budget({ id }: { id: string }) {
  const found = useQuery(budget(id));
  return (
    <Card title={t('Privacy budget')}>
      <Read of={found}>
        {({ cap_micro, lines, cap }) => lines.length === 0 ? (
          <div className="stack tight">
            <div className="big">ε {epsilon(cap_micro, 'left')}</div>
            <Gauge spent={0} cap={cap_micro} label={t('ε spent')} />
            <p className="dim small">{t('Nothing that you may see was spent of it.')}</p>
          </div>
        ) : (
          <ul className="list">
            {lines.map((line) => (
              <li key={line.tdc} className="stack tight">
                <div className="row between"><Name did={line.tdc} /><span className="num">{t('ε {left} left', { left: epsilon(line.left_micro, 'left') })}</span></div>
                <Gauge spent={line.spent_micro} cap={cap_micro} label={t('ε spent')} />
                <p className="dim small">{line.runs === 1 ? t('{spent} of {cap} spent in one run, at δ {delta}', { spent: epsilon(line.spent_micro), cap: epsilon(cap_micro, 'left'), delta: cap.delta }) : t('{spent} of {cap} spent in {n} runs, at δ {delta}', { spent: epsilon(line.spent_micro), cap: epsilon(cap_micro, 'left'), n: line.runs, delta: cap.delta })}</p>
              </li>
            ))}
          </ul>
        )}
      </Read>
      <p className="dim small">{t('As the log shows it; the key service keeps the ledger that counts.')}</p>
    </Card>
  );
}
