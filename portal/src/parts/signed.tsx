/** What is about to be signed: the document as the page made it canonical, and the digest of those bytes. */
import { useEffect, useState } from 'react';
import { t } from '../i18n';
import { own, type Own } from '../keys/document';
import { Json } from './json';

/** The page's own bytes of a document. Make the document once, when it is shown: another time in it is another digest. */
export function useOwn<T extends { schema: string }>(document: T | undefined): { own?: Own<T>; problem?: unknown } {
  const [made, setMade] = useState<{ own?: Own<T>; problem?: unknown }>({});
  useEffect(() => {
    let gone = false;
    setMade({});
    if (document === undefined) return undefined;
    own(document).then((found) => !gone && setMade({ own: found }), (problem: unknown) => !gone && setMade({ problem }));
    return () => {
      gone = true;
    };
  }, [document]);
  // Of the document of now alone: what was made of the one before is signed by nobody.
  return made.own !== undefined && made.own.value !== document ? {} : made;
}

/** The document and its digest; the same `Own` is then sealed. */
export function SignedBytes({ of, open }: { of: Own<{ schema: string }> | undefined; open?: boolean }) {
  if (of === undefined) return <div className="bone" />;
  return (
    <div className="stack tight">
      <details className="terminal" open={open}>
        <summary>{t('The bytes that are signed')}</summary>
        <Json of={of.value} />
      </details>
      <div>
        <div className="digest" data-testid="signed-digest">{of.digest}</div>
        <p className="dim small">{t('SHA-256 of {n} canonical bytes, made in your browser of what is shown here.', { n: of.bytes.length })}</p>
      </div>
    </div>
  );
}
