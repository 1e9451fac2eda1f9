/** Dialogs of what happens to a key: a further one is entered, one that counts is ended. What is signed stands in sight. */
import { Button, Modal, Select, Textarea } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useEffect, useMemo, useState } from 'react';
import { api, ask } from '../api/client';
import { me, type Pending } from '../api/queries';
import { t } from '../i18n';
import { base64url } from '../keys/bytes';
import { type PublicJwk, thumbprint as printOf } from '../keys/did';
import { envelope, type Envelope, own as made, type Own, peek, Refused, seal, stamp } from '../keys/document';
import type { HeldKey } from '../keys/held';
import { NumberField } from './number-field';
import { Facts, ProblemNote } from './page';
import { save } from './save';
import { SignedBytes, useOwn } from './signed';
import { stepUp } from './step-up';
import { Id, useCopy } from './words';

/** The public half of a key: what others may have of it. */
export function PublicHalf({ of }: { of: Pick<HeldKey, 'jwk' | 'thumbprint'> }) {
  const { kty, crv, x } = of.jwk;
  const written = JSON.stringify({ kty, crv, x });
  const { copied, copy } = useCopy(written);
  return (
    <span className="row">
      <button type="button" className="quiet" title={written} onClick={() => void copy()}>{copied ? t('Copied') : t('Copy the public key')}</button>
      <button type="button" className="quiet" onClick={() => save(`${of.thumbprint.slice(0, 12)}.jwk.json`, `${written}\n`)}>{t('Save the public key')}</button>
    </span>
  );
}

export interface KeyEvent {
  schema: 'key-event.v1';
  registry: string;
  participant: string;
  event: Record<string, unknown>;
  reason: string;
  at: string;
}

interface Asked {
  by: HeldKey;
  registry: string;
  close: () => void;
  /** Told whether it stands in the log; else a second person of the SRO must sign. */
  done: (entered: boolean) => void;
}

/** The event by which a key that counts enters a further one, with the further one's own proof. */
export async function adding(added: HeldKey, registry: string, reason: string): Promise<KeyEvent> {
  const at = stamp();
  const proof = await envelope({ schema: 'key-proof.v1', registry, holder: added.holder, jwk: added.jwk, at }, added);
  return {
    schema: 'key-event.v1', registry, participant: added.holder,
    event: { act: 'add', proof, uses: ['document', 'api'] }, reason, at,
  };
}

/** Whether a first person of the SRO has signed that this key is entered, and a second one has not. */
export const begun = (acts: readonly Pending[], added: Pick<HeldKey, 'jwk'>): boolean => acts.some(({ act }) => {
  const event = act?.schema === 'key-event.v1' ? (act['event'] as KeyEvent['event'] | undefined) : undefined;
  if (event?.['act'] !== 'add') return false;
  try {
    return peek<{ jwk?: PublicJwk }>(event['proof'] as Envelope).jwk?.x === added.jwk.x;
  } catch {
    return false;
  }
});

/** The link by which a colleague enters this key: it holds the event with the key's own proof, and no secret. */
export async function invitation(added: HeldKey, registry: string): Promise<string> {
  const { bytes } = await made(await adding(added, registry, 'a key of a colleague'));
  return `${location.origin}/portal/keys#act=${base64url(bytes)}`;
}

/** The key that a handed event would enter, and refused where it enters none for these holders. */
export function proven(event: KeyEvent, registry: string, holders: readonly string[]): PublicJwk {
  if (event.registry !== registry) throw new Refused('WRONG_REGISTRY', t('this act counts in another registry'));
  if (event.event?.['act'] !== 'add') throw new Refused('SCHEMA_MISMATCH', t('this link enters no key'));
  if (!holders.includes(event.participant)) throw new Refused('SIGNER_NOT_PARTY', t('this link enters a key of somebody else'));
  let proof: { holder?: string; jwk?: PublicJwk } = {};
  try {
    proof = peek(event.event['proof'] as Envelope);
  } catch {
    // Refused below: nothing that can be read names a key.
  }
  if (proof.holder !== event.participant || proof.jwk?.kty !== 'OKP') throw new Refused('KEY_FORM', t('this link enters no key'));
  return proof.jwk;
}

async function handIn(event: Own<KeyEvent>, by: HeldKey): Promise<boolean> {
  const params = { header: { 'Idempotency-Key': crypto.randomUUID() } };
  const answer = await ask(api.POST('/v1/participants/keys', { params, body: (await seal(event, by)) as never }));
  return (answer as { receipt?: unknown }).receipt != null;
}

function useHandIn({ by, done }: Pick<Asked, 'by' | 'done'>, own: Own<KeyEvent> | undefined) {
  const { data: session } = useQuery(me);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const put = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      if (own === undefined) throw new Refused('NOT_CANONICAL', t('nothing is shown yet'));
      // The SRO's own keys are acts of the SRO.
      if (session?.roles.includes('sro_admin')) await stepUp(session);
      done(await handIn(own, by));
    } catch (caught) {
      setProblem(caught);
    }
    setBusy(false);
  };
  return { busy, problem, put };
}

/** Enters a key that this browser keeps already, or the one of a colleague that a link handed over. */
export function EnterKey({ added, handed, reason, by, registry, holders = [], close, done }: Asked & { added?: HeldKey; handed?: KeyEvent; reason: string; holders?: readonly string[] }) {
  const [event, setEvent] = useState<KeyEvent>();
  const [print, setPrint] = useState('');
  const [failed, setFailed] = useState<unknown>();
  const whose = holders.join(' ');
  useEffect(() => {
    const open = async () => {
      const found = handed ?? (added && (await adding(added, registry, reason)));
      if (found === undefined) return;
      setPrint(await printOf(proven(found, registry, added ? [added.holder] : whose.split(' '))));
      setEvent(found);
    };
    open().catch(setFailed);
  }, [added, handed, registry, reason, whose]);
  const { own, problem: unmade } = useOwn(event);
  const { busy, problem, put } = useHandIn({ by, done }, own);
  return (
    <Modal opened onClose={close} title={t('Enter this key')} size="lg">
      <div className="stack tight">
        {handed
          ? <div className="note wait">{t('A colleague asks that this key counts for your organisation: whoever holds it signs in its name. Let them read its fingerprint to you before you sign.')}</div>
          : <p>{t('The key is kept in this browser already. Your present key signs that the new one counts for you.')}</p>}
        <Facts of={[[t('New key'), print === '' ? undefined : <Id key="n" value={print} />], [t('Signed by'), <Id key="b" value={by.thumbprint} />], [t('Reason'), event?.reason]]} />
        <SignedBytes of={own} />
        <ProblemNote problem={problem ?? unmade ?? failed} />
        <Button loading={busy} disabled={own === undefined} onClick={() => void put()}>{t('Sign and enter')}</Button>
      </div>
    </Modal>
  );
}

const ENDS: Record<string, string> = {
  retire: 'Retire: it signs nothing new',
  revoke: 'Revoke: it was lost or wrongly issued',
  compromise: 'Compromised: somebody else may have signed',
};

/** Ends a key that counts. */
export function EndKey({ thumbprint, by, registry, close, done }: Asked & { thumbprint: string }) {
  const [act, setAct] = useState('retire');
  const [since, setSince] = useState(0);
  const [reason, setReason] = useState('');
  const [at] = useState(stamp);
  const event = useMemo<KeyEvent | undefined>(() => {
    if (reason.trim() === '') return undefined;
    const what = { act, thumbprint, ...(act === 'compromise' ? { since_index: since } : {}) };
    return { schema: 'key-event.v1', registry, participant: by.holder, event: what, reason: reason.trim(), at };
  }, [act, since, reason, at, thumbprint, registry, by]);
  const { own, problem: unmade } = useOwn(event);
  const { busy, problem, put } = useHandIn({ by, done }, own);
  const submit = (submitted: FormEvent) => {
    submitted.preventDefault();
    void put();
  };
  return (
    <Modal opened onClose={close} title={t('End this key')} size="lg">
      <form className="stack tight" onSubmit={submit}>
        <Facts of={[[t('Fingerprint'), <Id key="f" value={thumbprint} />]]} />
        <Select label={t('What happens to it')} data={Object.entries(ENDS).map(([value, label]) => ({ value, label: t(label) }))} value={act} onChange={(value) => setAct(value ?? 'retire')} allowDeselect={false} />
        {act === 'compromise' && <NumberField label={t('The first entry of the log whose signature is in doubt')} value={since} onChange={(value) => setSince(Math.max(0, Math.trunc(Number(value) || 0)))} />}
        <Textarea label={t('Reason, one sentence')} required maxLength={500} rows={2} value={reason} onChange={(changed) => setReason(changed.currentTarget.value)} />
        {event && <SignedBytes of={own} />}
        <ProblemNote problem={problem ?? unmade} />
        <Button type="submit" color="red" loading={busy} disabled={own === undefined}>{t('Sign')}</Button>
      </form>
    </Modal>
  );
}
