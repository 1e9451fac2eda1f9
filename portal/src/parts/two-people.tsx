/**
 * What two people of the SRO decide: the first signs and hands a link over that holds the document; the second reads the
 * same document, and signs the same bytes. The document stands behind `#` in the link: it is sent nowhere.
 */
import { Button, Modal } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useQuery } from '@tanstack/react-query';
import { me, trust } from '../api/queries';
import { t } from '../i18n';
import { type Envelope, peek, read, Refused, seal } from '../keys/document';
import { type Act, member, subject, useSaid } from './acts';
import { DisputeLink } from './dispute-link';
import { keyMissing, NoKey, useSigning } from './keys';
import { Facts, ProblemNote } from './page';
import { SignedBytes, useOwn } from './signed';
import { stepUp } from './step-up';
import { Id, useCopy } from './words';

/** The act that a colleague handed over with the address of this page, once. */
export function useHanded(schemas: string[]): { act?: Act; problem?: unknown } {
  const [handed] = useState(() => (location.hash.startsWith('#act=') ? location.hash.slice(5) : undefined));
  const [found, setFound] = useState<{ act?: Act; problem?: unknown }>({});
  useEffect(() => {
    if (handed === undefined) return;
    history.replaceState(history.state, '', location.pathname);
    const envelope = { payload: handed, signatures: [] };
    const open = async () => {
      const { schema } = peek<Act>(envelope);
      if (!schemas.includes(schema)) throw new Refused('SCHEMA_MISMATCH', t('this page hands no such act in'));
      return (await read<Act>(envelope, schema)).value;
    };
    open().then((act) => setFound({ act }), (problem: unknown) => setFound({ problem }));
    // A link is read once, when the page opens.
  }, [handed]);
  return found;
}

/** One person's signature. `hand` hands it in and says whether both have signed. */
export function TwoPeople({ act, second, path, hand, done }: {
  act: Act | undefined;
  second: boolean;
  /** Where the second person goes on. */
  path: string;
  hand: (sealed: Envelope) => Promise<boolean>;
  done: () => void;
}) {
  const { ready } = useSigning();
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const { own, problem: unmade } = useOwn(act);
  const tell = useSaid(act !== undefined);
  const [link, setLink] = useState<string>();
  const { copied, copy } = useCopy(link ?? '');
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    setLink(undefined);
    setProblem(undefined);
  }, [act]);
  const put = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      if (!ready || !own) throw keyMissing();
      if (act?.registry !== pinned?.registry) throw new Refused('WRONG_REGISTRY', t('this act counts in another registry'));
      await stepUp(session);
      const sealed = await seal(own, ready);
      if (await hand(sealed)) done();
      else setLink(`${location.origin}/portal${path}#act=${sealed.payload}`);
    } catch (caught) {
      setProblem(caught);
    }
    setBusy(false);
  };
  return (
    <Modal opened={act !== undefined} onClose={done} title={t('Sign as one of two')} size="lg">
      {link !== undefined ? (
        <div className="stack">
          <div className="note good">{t('You have signed. A second person must sign the same bytes within a week.')}</div>
          <p>{t('Give them this link; it holds the document and no secret.')}</p>
          <Id value={link} short />
          <div className="row">
            <Button variant="default" onClick={() => void copy()}>{copied ? t('Copied') : t('Copy the link')}</Button>
            <Button onClick={done}>{t('Done')}</Button>
          </div>
        </div>
      ) : (
        <div className="stack">
          {second && <div className="note">{t('A colleague signed this. Read it yourself: your signature says the same.')}</div>}
          {act && <Facts of={[
            [t('What you sign'), <strong key="w">{tell(act)}</strong>],
            [t('About'), subject(act) === '' ? undefined : <Id key="a" value={subject(act)} />],
            [t('Dispute'), member(act, 'dispute_id') === '' ? undefined : <DisputeLink key="d" id={member(act, 'dispute_id')} ask />],
            [t('Reason'), member(act, 'reason') || undefined],
          ]} />}
          <SignedBytes of={own} open />
          <NoKey />
          <ProblemNote problem={problem ?? unmade} />
          <Button loading={busy} disabled={!ready || !own} onClick={() => void put()}>{t('Sign')}</Button>
        </div>
      )}
    </Modal>
  );
}
