/**
 * An act with a reason: the document comes about as it is written, its bytes and digest are in sight, and those very bytes
 * are signed.
 */
import { Button, Modal, Textarea } from '@mantine/core';
import { type ReactNode, useEffect, useMemo, useState } from 'react';
import { Problem } from '../api/client';
import { t } from '../i18n';
import { type Envelope, seal, stamp } from '../keys/document';
import { keyMissing, NoKey, useSigning } from './keys';
import { ProblemNote } from './page';
import { SignedBytes, useOwn } from './signed';

interface Document {
  schema: string;
}

export function SignedAct<T extends Document>({ opened, close, title, lead, act, make, send, grave, wordless, children }: {
  opened: boolean;
  close: () => void;
  title: string;
  lead?: ReactNode;
  /** What the button says. */
  act: string;
  /** The document of now; undefined while something is missing. */
  make: (reason: string, at: string) => T | undefined;
  send: (sealed: Envelope) => Promise<void>;
  grave?: boolean;
  /** Whether the document holds no reason. */
  wordless?: boolean;
  children?: ReactNode;
}) {
  const { ready } = useSigning();
  const [reason, setReason] = useState('');
  const [at, setAt] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  useEffect(() => {
    if (!opened) return;
    setAt(stamp());
    setReason('');
    setProblem(undefined);
  }, [opened]);
  const complete = opened && at !== '' && (wordless === true || reason.trim() !== '');
  const written = complete ? JSON.stringify(make(reason.trim(), at)) : undefined;
  const document = useMemo(() => (written === undefined ? undefined : (JSON.parse(written) as T)), [written]);
  const { own, problem: unmade } = useOwn(document);
  const put = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      if (ready === undefined || own === undefined) throw keyMissing();
      await send(await seal(own, ready));
    } catch (caught) {
      setProblem(caught);
      // A refused document may be too old by now: the next try is of a new one. One that got no answer, or that of somebody
      // between here and the service, is tried as it is.
      if (!(caught instanceof Problem && (caught.status === 0 || caught.status >= 500))) setAt(stamp());
    }
    setBusy(false);
  };
  return (
    <Modal opened={opened} onClose={close} title={title} size="lg">
      <form className="stack tight" onSubmit={(event) => { event.preventDefault(); void put(); }}>
        {lead}
        {children}
        {!wordless && <Textarea label={t('Reason, one sentence')} required maxLength={500} value={reason} onChange={(event) => setReason(event.currentTarget.value)} autosize={false} rows={3} />}
        {document !== undefined && <SignedBytes of={own} />}
        <NoKey />
        <ProblemNote problem={problem ?? unmade} />
        <Button type="submit" color={grave ? 'red' : undefined} loading={busy} disabled={!ready || own === undefined}>{act}</Button>
      </form>
    </Modal>
  );
}
