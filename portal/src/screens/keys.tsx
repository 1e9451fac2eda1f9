/** Keys that sign for who is signed in: made in this browser or read from a file, and a second one for the day it is lost. */
import { Button, FileButton, PasswordInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { api, ask } from '../api/client';
import { keysOf, me, trust } from '../api/queries';
import { t } from '../i18n';
import { envelope, Refused, stamp } from '../keys/document';
import { forget, fromFile, fromRecovery, type HeldKey, keep, make, makeRecovery } from '../keys/held';
import { useSigning } from '../parts/keys';
import { Card, Empty, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { save } from '../parts/save';
import { Id, State } from '../parts/words';

/** Enters a further key of a participant: its own proof, in an event that a key which counts has signed. */
export async function enter(added: HeldKey, by: HeldKey, registry: string, reason: string): Promise<void> {
  const proof = await envelope(
    { schema: 'key-proof.v1', registry, holder: added.holder, jwk: added.jwk, at: stamp() },
    added,
  );
  const event = {
    schema: 'key-event.v1',
    registry,
    participant: added.holder,
    event: { act: 'add', proof, uses: ['document', 'api'] },
    reason,
    at: stamp(),
  };
  const header = { 'Idempotency-Key': crypto.randomUUID() };
  await ask(api.POST('/v1/participants/keys', { params: { header }, body: (await envelope(event, by)) as never }));
}

const SOURCE = { made: 'made in this browser', file: 'from a key file', recovery: 'from a recovery file' };

export default function Keys() {
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const signing = useSigning();
  const member = session?.member ?? '';
  const listed = useQuery({ ...keysOf(member), enabled: member !== '' });
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState('');
  const [passphrase, setPassphrase] = useState('');
  const [persisted, setPersisted] = useState(true);
  useEffect(() => {
    void navigator.storage.persisted().then(setPersisted);
  }, []);
  const isPerson = pinned?.sro.some((person) => person.did === member) ?? false;

  const tried = async (name: string, act: () => Promise<string>) => {
    setBusy(name);
    setProblem(undefined);
    try {
      notifications.show({ message: await act() });
    } catch (caught) {
      setProblem(caught);
    }
    signing.again();
    setBusy('');
  };
  const taken = async (key: HeldKey) => {
    if (key.holder !== member) {
      throw new Refused('SIGNER_NOT_PARTY', t('this key signs for {other}, and you are signed in for {own}', { other: key.holder, own: member }));
    }
    await keep(key);
    return t('The key is kept in this browser and cannot be read out of it again.');
  };
  const opened = (file: File | null) => file && void tried('file', async () => {
    const content = await file.text();
    return taken(content.includes('depa-recovery.v1') ? await fromRecovery(content, passphrase) : await fromFile(content));
  });
  const made = () => tried('make', async () => {
    if (!signing.ready || !pinned) throw new Refused('KEY_MISSING', t('a key that counts must sign for the new one'));
    const key = await make(member);
    await enter(key, signing.ready, pinned.registry, 'a key of a browser');
    await keep(key);
    setPersisted(await navigator.storage.persist());
    return t('The new key stands in the log and signs from now on.');
  });
  const second = () => tried('second', async () => {
    if (!signing.ready || !pinned) throw new Refused('KEY_MISSING', t('a key that counts must sign for the new one'));
    const { key, file } = await makeRecovery(member, passphrase);
    await enter(key, signing.ready, pinned.registry, 'a recovery key');
    save('depa-recovery.json', JSON.stringify(file, null, 2));
    setPassphrase('');
    return t('The recovery key stands in the log. Keep its file apart from this device.');
  });

  const active = listed.data?.keys.filter((key) => key.state === 'active').length ?? 0;
  return (
    <Page title={t('Keys')} lead={t('Your session reads. What you sign, your own key signs, in this browser; the service never sees it.')}>
      <ProblemNote problem={problem} />
      {signing.ready && active < 2 && <div className="note wait">{t('Only one key signs for you. If this browser loses it, nobody can sign for you until two people of the SRO help. Make a recovery key.')}</div>}
      {signing.held.length > 0 && !persisted && <div className="note wait">{t('This browser may delete what pages keep when it runs short of space. Make a recovery key.')}</div>}
      <Card title={t('In this browser')}>
        {signing.held.length === 0 ? (
          <Empty>{t('No key yet. Take in the key file of your organisation, or make a key and have it entered by one that counts.')}</Empty>
        ) : (
          <ul className="list">
            {signing.held.map((key) => (
              <li key={key.kid} className="item">
                <div><strong>{t(SOURCE[key.source])}</strong><p className="small">{t('fingerprint')} <Id value={key.thumbprint} /></p></div>
                <div className="row">
                  <State word={listed.data?.keys.find((one) => one.thumbprint === key.thumbprint)?.state ?? 'unknown'} />
                  <Button size="xs" variant="default" onClick={() => void tried('forget', async () => { await forget(key); return t('Forgotten here. It still counts until it is retired.'); })}>{t('Forget here')}</Button>
                </div>
              </li>
            ))}
          </ul>
        )}
      </Card>
      <div className="cards">
        <Card title={t('Use a key file')}>
          <div className="stack tight">
            <p className="dim">{t('A file of depa keys new, or a recovery file with its passphrase below. It is read here and sent nowhere.')}</p>
            <div><FileButton onChange={opened} accept=".key,.json,application/json">{(props) => <Button {...props} variant="default" loading={busy === 'file'}>{t('Choose a file')}</Button>}</FileButton></div>
            <Terminal command="depa keys new --out acme.key" />
          </div>
        </Card>
        {!isPerson && (
          <Card title={t('Create a key')}>
            <div className="stack tight">
              <p className="dim">{t('Made in this browser, never readable, not even by this page. A key that counts signs for it.')}</p>
              <div><Button onClick={() => void made()} loading={busy === 'make'} disabled={!signing.ready}>{t('Create a key')}</Button></div>
            </div>
          </Card>
        )}
        <Card title={t('Recovery')}>
          <div className="stack tight">
            <p className="dim">{t('A second key in a file under a passphrase, for the day this browser is lost.')}</p>
            <PasswordInput label={t('Passphrase')} description={t('At least 12 characters')} value={passphrase} onChange={(event) => setPassphrase(event.currentTarget.value)} autoComplete="new-password" />
            {!isPerson && <div><Button variant="default" onClick={() => void second()} loading={busy === 'second'} disabled={!signing.ready || passphrase.length < 12}>{t('Make a recovery key')}</Button></div>}
          </div>
        </Card>
      </div>
      <Card title={t('At the register')}>
        <Read of={listed}>
          {({ keys }) => (
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('Fingerprint')}</th><th>{t('For')}</th><th>{t('Since entry')}</th><th>{t('State')}</th></tr></thead>
                <tbody>
                  {keys.map((key) => (
                    <tr key={key.thumbprint}><td><Id value={key.thumbprint} /></td><td>{key.uses.join(', ')}</td><td>{key.active_from}</td><td><State word={key.state} /></td></tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Read>
        <Terminal command={`depa keys list ${member} --registry ${location.origin}`} />
      </Card>
    </Page>
  );
}
