/**
 * The SRO's desk. Every act with legal effect needs two people over the same bytes: the first signs, and it waits in the
 * queue (a link holds it too); the second reads the same document, and signs it.
 */
import { Button, Modal, Select, Textarea } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useSearchParams } from 'react-router';
import type { Schemas } from '../api/client';
import type { ImageSet } from '../api/documents';
import { imageSets, me, participant, participants, trust } from '../api/queries';
import { t } from '../i18n';
import { thumbprint } from '../keys/did';
import { peek, Refused, stamp } from '../keys/document';
import { NoKey } from '../parts/keys';
import { Card, Empty, Facts, Page, ProblemNote, Read } from '../parts/page';
import type { Act } from '../parts/acts';
import { TwoPeople, useHanded } from '../parts/two-people';
import { Id, Name, State, Time } from '../parts/words';
import { SCHEMAS, useHandIn } from './admin/desk';
import { Queue } from './admin/queue';
import { ServiceHealth, Switches } from './admin/service';
import { Versions } from './admin/versions';
import { DatasetActs, DataSchemas, FromFile, LogKeyCard, MEASURED, Templates } from './admin/rules';

export default function Admin() {
  const [query] = useSearchParams();
  const hand = useHandIn();
  const [act, setAct] = useState<Act>();
  const [second, setSecond] = useState(false);
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const admin = session?.roles.includes('sro_admin') ?? false;
  const { act: handed, problem } = useHanded(SCHEMAS);
  useEffect(() => {
    if (handed === undefined) return;
    setSecond(true);
    setAct(handed);
  }, [handed]);
  const open = (asSecond: boolean) => (made: Act) => {
    setSecond(asSecond);
    setAct(made);
  };
  const begin = admin ? open(false) : undefined;
  return (
    <Page title={t('Admin')} lead={t('What two people of the SRO decide together.')}>
      <ProblemNote problem={problem} />
      {admin && <NoKey />}
      <Queue sign={admin ? open(true) : undefined} />
      <Applications wanted={query.get('did')} decide={begin} />
      <ImageSets revoke={begin} />
      <Versions />
      <div className="cards">
        <Templates begin={begin} />
        <DataSchemas begin={begin} />
        <DatasetActs begin={begin} />
        <LogKeyCard begin={begin} />
        <FromFile begin={begin} />
        <ServiceHealth />
        <Switches />
        <Card title={t('People of the SRO')}>
          <ul className="list">{(pinned?.sro ?? []).map((person) => <li key={person.did}><strong><Name did={person.did} /></strong><br /><Id value={person.did} short /></li>)}</ul>
        </Card>
      </div>
      <TwoPeople act={act} second={second} path="/admin" hand={(sealed) => hand(act, sealed)} done={() => setAct(undefined)} />
    </Page>
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
          <Facts of={[[t('Identifier'), about && <Id key="d" value={about.did} short />], [t('Application'), about && <Id key="a" value={about.application_sha256} short />], [t('Fingerprint of the key'), about && <Fingerprint key="f" of={about} />]]} />
          {about?.state === 'applied' && <p className="small">{t('Ask the applicant to read you the fingerprint: it says that this is their key.')}</p>}
          <Select label={t('Decision')} data={DECISIONS.map((value) => ({ value, label: t(value) }))} value={decision} onChange={(value) => setDecision(value ?? 'verified')} allowDeselect={false} />
          <Textarea label={t('Reason, one sentence')} required maxLength={500} rows={2} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
          <Button type="submit" disabled={reason.trim() === ''}>{t('To the document')}</Button>
        </form>
      </Modal>
    </Card>
  );
}

/** The fingerprint of the applicant's key, as the registration page shows it: of the very application that is decided about. */
function Fingerprint({ of: { did, application_sha256 } }: { of: Schemas['ParticipantLine'] }) {
  const client = useQueryClient();
  const found = useQuery({
    queryKey: ['participants', did, application_sha256],
    queryFn: async () => {
      const { value, digest } = (await client.fetchQuery(participant(did))).read;
      if (digest !== application_sha256) throw new Refused('DIGEST_MISMATCH', t('the application has changed: look again'));
      return thumbprint(value.jwk);
    },
  });
  return <Read of={found}>{(print) => <Id value={print} />}</Read>;
}

function ImageSets({ revoke }: { revoke: ((act: Act) => void) | undefined }) {
  const all = useQuery(imageSets);
  const { data: pinned } = useQuery(trust);
  return (
    <Card title={t('Image sets')}>
      <Read of={all}>
        {({ image_sets }) => image_sets.length === 0 ? (
          <Empty command={MEASURED}>{t('No image set is approved: no room may run.')}</Empty>
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
                      <Button size="xs" variant="default" onClick={() => revoke({ schema: 'image-set-revocation.v1', registry: pinned.registry, image_set_id: set.image_set_id, reason: 'withdrawn by the SRO', at: stamp() })}>{t('Revoke')}</Button>
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
