/**
 * A new organisation: a key made here or taken in, an application signed by it, the SRO's decision, the first person. Who
 * holds a key that counts already, a person of the SRO too, comes in here for the first time.
 */
import { Button, FileButton, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { api, ask, acting, Problem } from '../api/client';
import type { Participant } from '../api/documents';
import { participant, trust } from '../api/queries';
import { t } from '../i18n';
import { applied, remember, settle } from '../keys/applied';
import { seal, stamp } from '../keys/document';
import { fromFile, heldKeys, type HeldKey, keep, make } from '../keys/held';
import { PublicHalf } from '../parts/key-acts';
import { Card, Facts, Page, ProblemNote, Terminal } from '../parts/page';
import { ROLES } from '../parts/people';
import { Top } from '../parts/shell';
import { SignedBytes, useOwn } from '../parts/signed';
import { Id, State } from '../parts/words';

const KINDS = [
  { value: 'tdp', label: 'Data provider (TDP)' },
  { value: 'tdc', label: 'Data consumer (TDC)' },
  { value: 'ccrp', label: 'Clean-room provider' },
  { value: 'auditor', label: 'Auditor' },
];

/** Why nothing goes on in this state; nothing where it does. */
const ENDED: Record<string, string> = {
  rejected: 'Two people of the SRO decided against it. Ask them why; a new application begins with a new key.',
  withdrawn: 'This organisation has left the registry for good. A new application begins with a new key.',
};

export default function Register() {
  const pinned = useQuery(trust);
  const [key, setKey] = useState<HeldKey>();
  const [name, setName] = useState('');
  const [kind, setKind] = useState<Participant['kind']>('tdp');
  const [place, setPlace] = useState('IN');
  const [own, setOwn] = useState('');
  const [application, setApplication] = useState<Participant>();
  const { own: document_, problem: unmade } = useOwn(application);
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const navigate = useNavigate();
  // A did:key that was made here and applied before: the page goes on where it was left.
  useEffect(() => {
    const did = applied();
    if (did !== undefined) void heldKeys(did).then(([known]) => setKey(known));
  }, []);
  const person = pinned.data?.sro.find(({ did }) => did === key?.holder);
  // Who has not applied is asked about once: that there is nobody of this identifier stays so until they do.
  const state = useQuery({ ...participant(key?.holder ?? ''), enabled: key !== undefined && pinned.data !== undefined && !person, refetchInterval: ({ state: { data, error } }) => (data === undefined && error instanceof Problem && error.status === 404 ? false : 3_000), retry: false });
  const found = person ? 'verified' : state.data?.state;
  const pays = state.data?.read.value.kind === 'psp';
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
    remember(made.holder);
    setKey(made);
    setApplication({
      schema: 'participant.v1', registry: pinned.data?.registry ?? '', did: made.holder, kind, legal_name: name.trim(),
      jurisdiction: place.trim().toUpperCase(), jwk: made.jwk, applied_at: stamp(),
    });
  };
  const opened = (file: File | null) => file && void tried(async () => {
    const taken = await fromFile(await file.text());
    await keep(taken);
    remember(taken.holder);
    setKey(taken);
  });
  const anew = () => {
    if (key !== undefined) settle(key.holder);
    setKey(undefined);
    setApplication(undefined);
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
    const roles = ROLES[person ? 'sro' : (state.data?.read.value.kind ?? kind)] ?? [];
    const body = { display_name: own.trim(), roles };
    const link = await ask(api.POST('/v1/people/enrolments', { body, headers: await acting(key) }));
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
                {key !== undefined && <div className="note wait" role="status">{t('A key is kept here that is not entered yet: {print}. It applies now.', { print: key.thumbprint.slice(0, 12) })} <button type="button" className="quiet" onClick={anew}>{t('Use another key')}</button></div>}
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
                  [t('Organisation'), person?.name ?? state.data?.read.value.legal_name],
                  [t('Identifier'), <Id key="d" value={key.holder} />],
                  [t('Fingerprint of the key'), <Id key="k" value={key.thumbprint} />],
                  [t('Public key'), <PublicHalf key="p" of={key} />],
                  [t('State'), <State key="s" word={found} />],
                ]} />
                {found === 'applied' && <div className="note wait" role="status">{t('Two people of the SRO decide. This page notices by itself.')}</div>}
                {ENDED[found] !== undefined && (
                  <div className="stack tight">
                    <div className="note bad" role="status">{t(ENDED[found])}</div>
                    <div><Button onClick={anew}>{t('Begin a new application')}</Button></div>
                  </div>
                )}
                {found === 'suspended' && <div className="note wait" role="status">{t('The SRO has suspended this organisation. Ask its people why; nothing is lost, and this page notices when it is over.')}</div>}
                {found === 'verified' && pays && (
                  <div className="stack tight">
                    <div className="note good" role="status">{t('Your payment system is verified. It has no people here: it works through webhooks.')}</div>
                    <Terminal open command={`depa webhook endpoint add --url https://pay.example/depa --event payment.instructed --out endpoint.json --key psp.key --registry ${location.origin}`} />
                  </div>
                )}
                {found === 'verified' && !pays && (
                  <form className="stack tight" onSubmit={(event) => { event.preventDefault(); void tried(enter); }}>
                    <div className="note good">{person ? t('This is your key as a person of the SRO. Make yourself a passkey.') : t('Your organisation is verified. Become its first person.')}</div>
                    <TextInput label={t('Your name')} value={own} onChange={(event) => setOwn(event.currentTarget.value)} required maxLength={100} />
                    <Button type="submit" loading={busy}>{t('Go on to your passkey')}</Button>
                  </form>
                )}
                {key.source === 'made' && !pays && <div className="note wait">{t('This browser alone holds the key so far. Make a recovery key as soon as you are in.')}</div>}
              </div>
            </Card>
          )}
          {key === undefined && application === undefined && (
            <Card title={t('You have a key already?')}>
              <div className="stack tight">
                <p className="dim">{t('The file of depa keys new with which you applied from the terminal, or your key as a person of the SRO. It is read here and sent nowhere; with it you apply, or make your first way to sign in.')}</p>
                <div><FileButton onChange={opened} accept=".key,.json,application/json">{(props) => <Button {...props} variant="default">{t('Choose a key file')}</Button>}</FileButton></div>
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
