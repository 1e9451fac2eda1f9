/**
 * The SRO's desk. Every act with legal effect needs two people over the same bytes: the first signs and hands a link
 * over that holds the document; the second reads the same document, and signs it.
 */
import { Button, Modal, Select, Textarea } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { api, ask, type Schemas } from '../api/client';
import type { ImageSet } from '../api/documents';
import { imageSets, me, participants, templates, trust } from '../api/queries';
import { t } from '../i18n';
import { base64url } from '../keys/bytes';
import { type Envelope, own, type Own, peek, read, Refused, sign, stamp } from '../keys/document';
import { Json } from '../parts/json';
import { useSigning } from '../parts/keys';
import { Card, Empty, Facts, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { stepUp } from '../parts/step-up';
import { Id, Name, State, Time } from '../parts/words';

interface Act {
  schema: string;
  registry: string;
  [member: string]: unknown;
}

/** Where an act is handed in, by its schema. */
const DESKS: Record<string, string> = {
  'participant-decision.v1': '/v1/participants/decisions',
  'image-set.v1': '/v1/image-sets',
  'image-set-revocation.v1': '/v1/image-sets/revocations',
  'template.v1': '/v1/templates',
  'data-schema.v1': '/v1/data-schemas',
  'log-key.v1': '/v1/log/keys',
  'erasure.v1': '/v1/erasures',
};

export default function Admin() {
  const [query] = useSearchParams();
  const [act, setAct] = useState<Act>();
  const { data: session } = useQuery(me);
  const admin = session?.roles.includes('sro_admin') ?? false;
  // An act that the first person handed over stands behind `#`: it is sent nowhere.
  const [handed] = useState(() => (location.hash.startsWith('#act=') ? location.hash.slice(5) : undefined));
  const [problem, setProblem] = useState<unknown>();
  useEffect(() => {
    if (handed === undefined) return;
    try {
      const document = peek<Act>({ payload: handed, signatures: [] });
      void read<Act>({ payload: handed, signatures: [] }, document.schema).then(({ value }) => setAct(value), setProblem);
    } catch (caught) {
      setProblem(caught);
    }
    history.replaceState(null, '', location.pathname);
  }, [handed]);
  return (
    <Page title={t('Admin')} lead={t('What two people of the SRO decide together.')}>
      <ProblemNote problem={problem} />
      <Applications wanted={query.get('did')} decide={admin ? setAct : undefined} />
      <ImageSets revoke={admin ? setAct : undefined} />
      <Templates />
      <Modal opened={act !== undefined} onClose={() => setAct(undefined)} title={t('Sign as one of two')} size="lg">
        {act && <Signing act={act} second={handed !== undefined} done={() => setAct(undefined)} />}
      </Modal>
    </Page>
  );
}

/** One person's signature over an act; the second one's enters it. */
function Signing({ act, second, done }: { act: Act; second: boolean; done: () => void }) {
  const client = useQueryClient();
  const { ready, known } = useSigning();
  const { data: pinned } = useQuery(trust);
  const { data: session } = useQuery(me);
  const [mine, setMine] = useState<Own<Act>>();
  const [link, setLink] = useState<string>();
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    void own(act).then(setMine, setProblem);
  }, [act]);
  const put = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      if (!ready || !mine) throw new Refused('KEY_MISSING', t('This browser holds no key that may sign for you.'));
      if (act.registry !== pinned?.registry) throw new Refused('WRONG_REGISTRY', t('this act counts in another registry'));
      const desk = DESKS[act.schema];
      if (desk === undefined) throw new Refused('SCHEMA_MISMATCH', t('this page hands no such act in'));
      await stepUp(session);
      const body: Envelope = { payload: base64url(mine.bytes), signatures: [await sign(mine, ready)] };
      const header = { 'Idempotency-Key': crypto.randomUUID() };
      const post = api.POST as (path: string, options: unknown) => Promise<{ data?: Schemas['TwoPeople']; error?: unknown; response: Response }>;
      const answer = await ask(post(desk, { params: { header }, body }));
      if (answer.receipt) {
        notifications.show({ message: t('Two people have signed: it stands in the log, entry {n}.', { n: answer.receipt.index }) });
        await client.invalidateQueries();
        done();
      } else {
        setLink(`${location.origin}/portal/admin#act=${body.payload}`);
      }
    } catch (caught) {
      setProblem(caught);
    }
    setBusy(false);
  };
  if (link !== undefined) {
    return (
      <div className="stack">
        <div className="note good">{t('You have signed. A second person must sign the same bytes within a week.')}</div>
        <p>{t('Give them this link; it holds the document and no secret.')}</p>
        <Id value={link} short />
        <Button onClick={done}>{t('Done')}</Button>
      </div>
    );
  }
  return (
    <div className="stack">
      {second && <div className="note">{t('A colleague signed this. Read it yourself: your signature says the same.')}</div>}
      <Json of={act} />
      <Facts of={[[t('Digest'), <span key="d" className="digest" data-testid="digest">{mine?.digest}</span>]]} />
      {known && !ready && <div className="note wait">{t('This browser holds no key that may sign for you.')} <Link to="/keys">{t('Set up a key')}</Link></div>}
      <ProblemNote problem={problem} />
      <Button loading={busy} disabled={!ready || !mine} onClick={() => void put()}>{t('Sign')}</Button>
    </div>
  );
}

const DECISIONS = ['verified', 'rejected', 'suspended', 'withdrawn'];

function Applications({ wanted, decide }: { wanted: string | null; decide: ((act: Act) => void) | undefined }) {
  const all = useQuery(participants);
  const { data: pinned } = useQuery(trust);
  const [state, setState] = useState('');
  const [about, setAbout] = useState<Schemas['ParticipantLine']>();
  const [decision, setDecision] = useState('verified');
  const [reason, setReason] = useState('');
  const make = () => {
    if (!about || !pinned) return;
    const made = {
      schema: 'participant-decision.v1', registry: pinned.registry, participant: about.did,
      participant_sha256: about.application_sha256, decision, reason: reason.trim(), decided_at: stamp(),
    };
    setAbout(undefined);
    decide?.(made);
  };
  return (
    <Card title={t('Participants')} aside={<Select size="xs" aria-label={t('State')} value={state} onChange={(value) => setState(value ?? '')} data={[{ value: '', label: t('All') }, ...['applied', ...DECISIONS].map((value) => ({ value, label: t(value) }))]} allowDeselect={false} />}>
      <Read of={all}>
        {(rows) => {
          const shown = rows.filter((row) => (state === '' || row.state === state)).sort((a, b) => Number(b.did === wanted) - Number(a.did === wanted) || Number(b.state === 'applied') - Number(a.state === 'applied'));
          return shown.length === 0 ? <Empty command={`depa party list --registry ${location.origin}`}>{t('Nobody is in this state.')}</Empty> : (
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('Name')}</th><th>{t('Kind')}</th><th>{t('Country')}</th><th>{t('State')}</th><th><span className="sr">{t('Acts')}</span></th></tr></thead>
                <tbody>
                  {shown.map((row) => (
                    <tr key={row.did}>
                      <td><strong>{row.legal_name}</strong><br /><Id value={row.did} short /></td>
                      <td>{row.kind.toUpperCase()}</td>
                      <td>{row.jurisdiction}</td>
                      <td><State word={row.state} /></td>
                      <td className="num">{decide && <Button size="xs" variant={row.state === 'applied' ? 'filled' : 'default'} aria-label={t('Decide about {name}', { name: row.legal_name })} onClick={() => { setAbout(row); setDecision(row.state === 'applied' ? 'verified' : 'suspended'); setReason(''); }}>{t('Decide')}</Button>}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          );
        }}
      </Read>
      <Modal opened={about !== undefined} onClose={() => setAbout(undefined)} title={t('Decide about {name}', { name: about?.legal_name ?? '' })}>
        <form className="stack tight" onSubmit={(event) => { event.preventDefault(); make(); }}>
          <Facts of={[[t('Identifier'), about && <Id key="d" value={about.did} short />], [t('Application'), about && <Id key="a" value={about.application_sha256} short />]]} />
          <Select label={t('Decision')} data={DECISIONS.map((value) => ({ value, label: t(value) }))} value={decision} onChange={(value) => setDecision(value ?? 'verified')} allowDeselect={false} />
          <Textarea label={t('Reason, one sentence')} required maxLength={500} rows={2} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
          <Button type="submit" disabled={reason.trim() === ''}>{t('To the document')}</Button>
        </form>
      </Modal>
    </Card>
  );
}

function ImageSets({ revoke }: { revoke: ((act: Act) => void) | undefined }) {
  const all = useQuery(imageSets);
  const { data: pinned } = useQuery(trust);
  return (
    <Card title={t('Clean-room images')}>
      <Read of={all}>
        {({ image_sets }) => image_sets.length === 0 ? (
          <Empty command={'depa ccr measure --help\ndepa image-set new --help\ndepa image-set sign image-set.json --key sro-a.key'}>{t('No image set is approved: no room may run.')}</Empty>
        ) : (
          <ul className="list">
            {image_sets.map((one) => {
              const set = peek<ImageSet>(one.image_set.envelope);
              return (
                <li key={set.image_set_id} className="item">
                  <div><strong>{String(set['name'])}</strong> {set['profile'] === 'software' && <span className="pill bad">SIMULATED</span>}<p className="small"><Id value={set.image_set_id} short /> · {t('until')} <Time at={String(set['valid_to'])} date /></p></div>
                  <div className="row">
                    <State word={one.state} />
                    {revoke && one.state === 'approved' && pinned && (
                      <Button size="xs" variant="default" onClick={() => revoke({ schema: 'image-set-revocation.v1', registry: pinned.registry, image_set_id: set.image_set_id, reason: t('withdrawn by the SRO'), at: stamp() })}>{t('Revoke')}</Button>
                    )}
                  </div>
                </li>
              );
            })}
          </ul>
        )}
      </Read>
    </Card>
  );
}

function Templates() {
  const all = useQuery(templates);
  const { data: pinned } = useQuery(trust);
  return (
    <div className="cards">
      <Card title={t('Contract templates')}>
        <Read of={all}>
          {({ templates: rows }) => rows.length === 0 ? <p className="dim">{t('Only the built-in one, training-v1.')}</p> : (
            <ul className="list">{rows.map((row) => { const read_ = peek<{ template: string; title: string }>(row.envelope); return <li key={read_.template}><strong>{read_.title}</strong><p className="dim small">{read_.template}</p></li>; })}</ul>
          )}
        </Read>
        <Terminal command={'depa sro template oncology.toml --out template.json --trust trust.json\ndepa sro approve template.json --key sro-a.key'} />
      </Card>
      <Card title={t('People of the SRO')}>
        <ul className="list">{(pinned?.sro ?? []).map((person) => <li key={person.did}><strong><Name did={person.did} /></strong><br /><Id value={person.did} short /></li>)}</ul>
      </Card>
      <Card title={t('The log’s key')}>
        <Facts of={[[t('Origin'), pinned?.origin], [t('Key'), pinned && <Id key="k" value={pinned.registry_jwk.x} short />]]} />
        <Terminal command={'depa sro approve log-key.json --key sro-a.key'} />
      </Card>
    </div>
  );
}
