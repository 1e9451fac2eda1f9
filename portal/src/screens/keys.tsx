/** Keys that sign for who is signed in: made in this browser or read from a file, and a second one for the day it is lost. */
import { Button, FileButton } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { keysOf, me, pendingActs, trust } from '../api/queries';
import { t } from '../i18n';
import { settle } from '../keys/applied';
import { Refused } from '../keys/document';
import {
  forget, forgetRecovery, fromFile, fromRecovery, type HeldKey, keep, keepRecovery, madeRecoveries, type MadeRecovery, make, makeRecovery, withoutKey,
} from '../keys/held';
import { begun, EndKey, EnterKey, invitation, type KeyEvent, PublicHalf } from '../parts/key-acts';
import { ENOUGH_KEYS, useSigning } from '../parts/keys';
import { Card, Empty, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { People } from '../parts/people';
import { isDue, Recovery, useLater } from '../parts/recovery';
import { SignInWays } from '../parts/sign-in-ways';
import { save } from '../parts/save';
import { useHanded } from '../parts/two-people';
import { Id, State } from '../parts/words';

const SOURCE = { made: 'made in this browser', file: 'from a key file', recovery: 'from a recovery file' };
const HANDED = ['key-event.v1'];
const handOut = ({ file }: MadeRecovery) => save('depa-recovery.json', JSON.stringify(file, null, 2));

export default function Keys() {
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const client = useQueryClient();
  const signing = useSigning();
  const member = session?.member ?? '';
  // No event tells that somebody else entered a key: while one waits for it, the register is asked by itself.
  const listed = useQuery({
    ...keysOf(member),
    enabled: member !== '',
    refetchInterval: ({ state: { data } }) => (data && signing.held.some((key) => !data.keys.some((one) => one.thumbprint === key.thumbprint)) ? 10_000 : false),
  });
  const recoveries = useQuery({ queryKey: ['held', member, 'recoveries'], queryFn: () => madeRecoveries(member), enabled: member !== '' });
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState('');
  const [passphrase, setPassphrase] = useState('');
  const [again, setAgain] = useState('');
  const [persisted, setPersisted] = useState(true);
  const [entering, setEntering] = useState<{ key: HeldKey; made?: MadeRecovery }>();
  const [ending, setEnding] = useState<string>();
  const [asked, setAsked] = useState<{ kid: string; link: string }>();
  const { act, problem: unread } = useHanded(HANDED);
  const [handed, setHanded] = useState<KeyEvent>();
  useEffect(() => setHanded(act as KeyEvent | undefined), [act]);
  useEffect(() => {
    void navigator.storage.persisted().then(setPersisted);
  }, []);
  // Who is in needs no registration any more, whichever way led in.
  useEffect(() => settle(member), [member]);
  // A button that works takes no focus: it has it again afterwards, unless something else has.
  const pressed = useRef<Element>(null);
  useEffect(() => {
    if (busy === '' && document.activeElement === document.body) (pressed.current as HTMLElement | null)?.focus();
  }, [busy]);
  const people = (pinned?.sro ?? []).map(({ did }) => did);
  const isPerson = people.includes(member);
  const { data: acts = [] } = useQuery({ ...pendingActs, enabled: isPerson });

  const tried = async (name: string, act: () => Promise<string | undefined>) => {
    pressed.current = document.activeElement;
    setBusy(name);
    setProblem(undefined);
    try {
      const message = await act();
      if (message !== undefined) notifications.show({ message });
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
  const needed = () => {
    if (!signing.ready || !pinned) throw new Refused('KEY_MISSING', t('a key that counts must sign for the new one'));
  };
  // Kept first, entered second: whatever fails in between, no key counts whose private half is nowhere.
  const made = () => tried('make', async () => {
    const key = await make(member);
    await keep(key);
    setPersisted(await navigator.storage.persist());
    if (!signing.ready) return t('The key is kept here. It counts once a colleague whose key counts has entered it.');
    setEntering({ key });
    return undefined;
  });
  const ask = (key: HeldKey) => tried('ask', async () => {
    if (!pinned) throw new Refused('WRONG_REGISTRY', t('nothing is shown yet'));
    setAsked({ kid: key.kid, link: await invitation(key, pinned.registry) });
    return undefined;
  });
  const second = () => tried('second', async () => {
    needed();
    const key = await makeRecovery(member, passphrase);
    await keepRecovery(key);
    handOut(key);
    setPassphrase('');
    setAgain('');
    setEntering({ key, made: key });
    return undefined;
  });
  const entered = (stands: boolean) => {
    const recovery = entering?.made;
    const colleague = handed !== undefined;
    setEntering(undefined);
    setHanded(undefined);
    void tried('entered', async () => {
      await client.invalidateQueries({ queryKey: ['sro'] });
      if (!stands) return t('You have signed. A second person must sign the same bytes within a week.');
      if (recovery) await keepRecovery(withoutKey(recovery));
      await client.invalidateQueries({ queryKey: ['keys'] });
      if (colleague) return t('The key of your colleague stands in the log and signs from now on.');
      return recovery ? t('The recovery key stands in the log. Keep its file apart from this device.') : t('The new key stands in the log and signs from now on.');
    });
  };
  const stateOf = (print: string) => listed.data?.keys.find((one) => one.thumbprint === print)?.state;

  const active = listed.data?.keys.filter((key) => key.state === 'active').length ?? 0;
  const alone = listed.data !== undefined && active < ENOUGH_KEYS;
  const { later, putOff } = useLater(member);
  const due = listed.data !== undefined && recoveries.data !== undefined && isDue({ ready: signing.ready !== undefined, active, made: recoveries.data.length > 0, later });
  const recovery = <Recovery due={due} ready={signing.ready !== undefined} known={signing.known} busy={busy === 'second'} passphrase={passphrase} again={again} type={setPassphrase} repeat={setAgain} make={() => void second()} putOff={() => putOff(true)} />;
  return (
    <Page title={t('Keys')} lead={t('Your session reads. What you sign, your own key signs, in this browser; the service never sees it.')}>
      <ProblemNote problem={problem ?? unread} />
      {handed && signing.known && !signing.ready && <div className="note wait">{t('A colleague asks you to enter their key. First take in a key that counts, below.')}</div>}
      {due && recovery}
      {signing.ready && alone && !due && <div className="note wait">{t('Only one key signs for you. If this browser loses it, nobody can sign for you until two people of the SRO help. Make a recovery key.')}{later && !recoveries.data?.length && <> <button type="button" className="quiet" onClick={() => putOff(false)}>{t('Do it now')}</button></>}</div>}
      {signing.held.length > 0 && alone && !due && !persisted && <div className="note wait">{t('This browser may delete what pages keep when it runs short of space. Make a recovery key.')}</div>}
      <Card title={t('In this browser')}>
        {signing.held.length === 0 && !recoveries.data?.length ? (
          <Empty command={`depa keys new --out mine.key --did ${member}`}>{t('No key yet. Take in the key file of your organisation, or make a key and have it entered by one that counts.')}</Empty>
        ) : (
          <ul className="list">
            {signing.held.map((key) => {
              const state = stateOf(key.thumbprint);
              return (
                <li key={key.kid} className="item">
                  <div><strong>{t(SOURCE[key.source])}</strong><p className="small">{t('fingerprint')} <Id value={key.thumbprint} /></p>
                    {asked?.kid === key.kid && <Asked link={asked.link} />}
                  </div>
                  <div className="row">
                    <PublicHalf of={key} />
                    {state ? <State word={state} /> : <span className="pill wait">{begun(acts, key) ? t('waits for a colleague') : t('not entered yet')}</span>}
                    {!state && listed.data && signing.ready && !begun(acts, key) && <Button size="xs" onClick={() => setEntering({ key })}>{t('Enter it')}</Button>}
                    {!state && listed.data && signing.known && !signing.ready && <Button size="xs" loading={busy === 'ask'} onClick={() => void ask(key)}>{t('Ask a colleague to enter it')}</Button>}
                    <Button size="xs" variant="default" onClick={() => void tried('forget', async () => { await forget(key); return state ? t('Forgotten here. It still counts until it is retired.') : t('Forgotten. It never counted.'); })}>{t('Forget here')}</Button>
                  </div>
                </li>
              );
            })}
            {recoveries.data?.map((made) => {
              const state = stateOf(made.thumbprint);
              return (
                <li key={made.kid} className="item">
                  <div><strong>{t('recovery key in a file')}</strong><p className="small">{t('fingerprint')} <Id value={made.thumbprint} /></p></div>
                  <div className="row">
                    {state ? <State word={state} /> : <span className="pill wait">{begun(acts, made) ? t('waits for a colleague') : t('not entered yet')}</span>}
                    {!state && listed.data && signing.ready && !begun(acts, made) && made.key && <Button size="xs" onClick={() => setEntering({ key: { ...made, key: made.key as CryptoKey }, made })}>{t('Enter it')}</Button>}
                    <Button size="xs" variant="default" onClick={() => handOut(made)}>{t('Save its file again')}</Button>
                    <Button size="xs" variant="default" onClick={() => void tried('forget', async () => { await forgetRecovery(made); return t('The page has forgotten the recovery file.'); })}>{t('Its file is safe: forget it here')}</Button>
                  </div>
                </li>
              );
            })}
          </ul>
        )}
      </Card>
      <div className="cards">
        <Card title={t('Use a key file')}>
          <div className="stack tight">
            <p className="dim">{t('A file of depa keys new, or a recovery file with the passphrase under Recovery. It is read here and sent nowhere.')}</p>
            <div><FileButton onChange={opened} accept=".key,.json,application/json">{(props) => <Button {...props} variant={signing.known && !signing.ready ? 'filled' : 'default'} loading={busy === 'file'}>{t('Choose a file')}</Button>}</FileButton></div>
            <p className="dim small">{t('For the command line, make a file with the command below, take it in here and enter it; then depa signs with that file.')}</p>
            <Terminal command={`depa keys new --out mine.key --did ${member}`} />
          </div>
        </Card>
        <Card title={t('Create a key')}>
          <div className="stack tight">
            <p className="dim">{t('Made in this browser, never readable, not even by this page. A key that counts signs for it.')}</p>
            {member.startsWith('did:web:') && <p className="dim">{t('Your identifier is a did:web: its document must name the public key first. Create the key, copy its public key above, publish it, then enter it.')}</p>}
            {isPerson && <p className="dim">{t('Keys of the SRO’s people change by two of them: a colleague signs after you.')}</p>}
            <div><Button onClick={() => void made()} loading={busy === 'make'} disabled={!signing.known}>{t('Create a key')}</Button></div>
            {signing.known && !signing.ready && <p className="dim small">{t('No key that counts is here: a colleague who holds one enters yours, by a link that you send.')}</p>}
            <Terminal command={`depa keys new --out mine.key --did ${member}\ndepa keys add mine.key --use document --use api --key KEY_THAT_COUNTS.key --trust trust.json --registry ${location.origin}`} />
          </div>
        </Card>
        {!due && recovery}
      </div>
      <Card title={t('At the register')}>
        <Read of={listed}>
          {({ keys }) => keys.length === 0 ? <p className="dim">{t('The register knows no key of yours yet.')}</p> : (
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('Fingerprint')}</th><th>{t('For')}</th><th>{t('Since entry')}</th><th>{t('State')}</th><th><span className="sr">{t('Acts')}</span></th></tr></thead>
                <tbody>
                  {keys.map((key) => (
                    <tr key={key.thumbprint}><td><Id value={key.thumbprint} /></td><td>{key.uses.join(', ')}</td><td>{key.active_from}</td><td><State word={key.state} /></td><td className="num">{key.state === 'active' && active > 1 && signing.ready && <Button size="xs" variant="default" aria-label={t('End key {print}', { print: key.thumbprint.slice(0, 8) })} onClick={() => setEnding(key.thumbprint)}>{t('End')}</Button>}</td></tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Read>
        <Terminal command={`depa keys list ${member} --registry ${location.origin}`} />
      </Card>
      <SignInWays />
      <People />
      {entering && signing.ready && pinned && (
        <EnterKey added={entering.key} by={signing.ready} registry={pinned.registry} reason={entering.made ? 'a recovery key' : 'a key of a browser'} close={() => setEntering(undefined)} done={entered} />
      )}
      {handed && signing.ready && pinned && (
        <EnterKey handed={handed} holders={isPerson ? people : [member]} by={signing.ready} registry={pinned.registry} reason="" close={() => setHanded(undefined)} done={entered} />
      )}
      {ending !== undefined && signing.ready && pinned && (
        <EndKey thumbprint={ending} by={signing.ready} registry={pinned.registry} close={() => setEnding(undefined)} done={(stands) => { setEnding(undefined); void tried('end', async () => stands ? t('It stands in the log.') : t('You have signed. A second person must sign the same bytes within a week.')); }} />
      )}
    </Page>
  );
}

/** The link by which a colleague enters a key. */
function Asked({ link }: { link: string }) {
  return (
    <div className="stack tight" data-testid="asked">
      <p className="small">{t('Send this link to a colleague whose key counts; it holds no secret. Read them the fingerprint above: they compare it, and sign.')}</p>
      <div><Id value={link} short /></div>
    </div>
  );
}
