/** A new organisation: a key made here, an application signed by it, the SRO's decision, the first person. */
import { Button, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { api, ask, acting } from '../api/client';
import type { Participant } from '../api/documents';
import { participant, trust } from '../api/queries';
import { t } from '../i18n';
import { seal, stamp } from '../keys/document';
import { heldKeys, type HeldKey, keep, make } from '../keys/held';
import { Card, Facts, Page, ProblemNote, Terminal } from '../parts/page';
import { Top } from '../parts/shell';
import { SignedBytes, useOwn } from '../parts/signed';
import { Id, State } from '../parts/words';

const KINDS = [
  { value: 'tdp', label: 'Data provider (TDP)' },
  { value: 'tdc', label: 'Data consumer (TDC)' },
  { value: 'ccrp', label: 'Clean-room provider' },
  { value: 'auditor', label: 'Auditor' },
];
const ROLES: Record<string, string[]> = {
  tdp: ['tdp_admin', 'signer'], tdc: ['tdc_admin', 'signer'], ccrp: ['ccr_operator'], auditor: ['sro_auditor'],
};

export default function Register() {
  const pinned = useQuery(trust);
  const [key, setKey] = useState<HeldKey>();
  const [name, setName] = useState('');
  const [kind, setKind] = useState<Participant['kind']>('tdp');
  const [place, setPlace] = useState('IN');
  const [person, setPerson] = useState('');
  const [application, setApplication] = useState<Participant>();
  const { own: document_, problem: unmade } = useOwn(application);
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const navigate = useNavigate();
  // A did:key that was made here and applied before: the page goes on where it was left.
  useEffect(() => {
    const applied = localStorage.getItem('depa-applied');
    if (applied) void heldKeys(applied).then(([known]) => setKey(known));
  }, []);
  const state = useQuery({ ...participant(key?.holder ?? ''), enabled: key !== undefined, refetchInterval: 3_000, retry: false });
  const found = state.data?.state;
  const tried = async (act: () => Promise<void>) => {
    setBusy(true);
    setProblem(undefined);
    await act().catch(setProblem);
    setBusy(false);
  };
  const prepare = async () => {
    const made = key ?? (await make());
    // Kept, and remembered, before anything is sent: whatever fails from now on, the same key applies again.
    await keep(made);
    localStorage.setItem('depa-applied', made.holder);
    setKey(made);
    setApplication({
      schema: 'participant.v1', registry: pinned.data?.registry ?? '', did: made.holder, kind, legal_name: name.trim(),
      jurisdiction: place.trim().toUpperCase(), jwk: made.jwk, applied_at: stamp(),
    });
  };
  const apply = async () => {
    if (key === undefined || document_ === undefined) return;
    const header = { 'Idempotency-Key': crypto.randomUUID() };
    await ask(api.POST('/v1/participants', { params: { header }, body: (await seal(document_, key)) as never }));
    void navigator.storage.persist();
    await state.refetch();
  };
  const enter = async () => {
    if (key === undefined) return;
    const roles = ROLES[state.data?.read.value.kind ?? kind] ?? [];
    const body = { display_name: person.trim(), roles: roles as never };
    const link = await ask(api.POST('/v1/people/enrolments', { body, headers: await acting(key) }));
    localStorage.removeItem('depa-applied');
    void navigate(`/enrol#${link.url.split('#')[1] ?? ''}`);
  };
  return (
    <div className="plain">
      <main>
        <Top />
        <Page title={t('Register an organisation')} lead={t('Your key is made here and stays here; the registry learns its public half.')}>
          <ProblemNote problem={problem ?? unmade} />
          {found === undefined && application !== undefined ? (
            <Card title={t('2. Sign your application')}>
              <div className="stack tight">
                <p>{t('The key is kept in this browser. Its signature over these bytes applies for {name}.', { name: application.legal_name })}</p>
                <SignedBytes of={document_} open />
                <div className="row">
                  <Button variant="default" onClick={() => setApplication(undefined)}>{t('Back')}</Button>
                  <Button loading={busy} disabled={document_ === undefined} onClick={() => void tried(apply)}>{t('Sign and apply')}</Button>
                </div>
              </div>
            </Card>
          ) : key === undefined || found === undefined ? (
            <Card title={t('1. Apply')}>
              <form className="stack" onSubmit={(event) => { event.preventDefault(); void tried(prepare); }}>
                {key !== undefined && <div className="note wait" role="status">{t('A key is kept here that is not entered yet: {print}. It applies now.', { print: key.thumbprint.slice(0, 12) })}</div>}
                <TextInput label={t('Legal name')} value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={200} />
                <Select label={t('As what')} data={KINDS.map((one) => ({ ...one, label: t(one.label) }))} value={kind} onChange={(value) => setKind((value ?? 'tdp') as Participant['kind'])} allowDeselect={false} />
                <TextInput label={t('Country code')} value={place} onChange={(event) => setPlace(event.currentTarget.value)} required maxLength={2} />
                <Button type="submit" loading={busy} disabled={name.trim() === '' || !pinned.data}>{key === undefined ? t('Make a key') : t('Go on with this key')}</Button>
              </form>
            </Card>
          ) : (
            <Card title={t('Your application')}>
              <div className="stack">
                <Facts of={[
                  [t('Organisation'), state.data?.read.value.legal_name],
                  [t('Identifier'), <Id key="d" value={key.holder} />],
                  [t('Fingerprint of the key'), <Id key="k" value={key.thumbprint} />],
                  [t('State'), <State key="s" word={found} />],
                ]} />
                {found === 'applied' && <div className="note wait" role="status">{t('Two people of the SRO decide. This page notices by itself.')}</div>}
                {found === 'verified' && (
                  <form className="stack tight" onSubmit={(event) => { event.preventDefault(); void tried(enter); }}>
                    <div className="note good">{t('Your organisation is verified. Become its first person.')}</div>
                    <TextInput label={t('Your name')} value={person} onChange={(event) => setPerson(event.currentTarget.value)} required maxLength={100} />
                    <Button type="submit" loading={busy}>{t('Go on to your passkey')}</Button>
                  </form>
                )}
                <div className="note wait">{t('This browser alone holds the key so far. Make a recovery key as soon as you are in.')}</div>
              </div>
            </Card>
          )}
          <p className="small"><Link to="/">{t('To the sign-in')}</Link></p>
          <Terminal command={`depa keys new --out acme.key\ndepa party apply --role ${kind} --name "Acme Labs" --jurisdiction IN --key acme.key --trust trust.json --registry ${location.origin}`} />
        </Page>
      </main>
    </div>
  );
}
