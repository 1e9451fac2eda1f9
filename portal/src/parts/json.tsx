/** A document as it is hashed, written for the eye: the same members in the same order. */
import { useMemo } from 'react';
import { canonical } from '../keys/document';
import { text } from '../keys/bytes';

export function Json({ of }: { of: unknown }) {
  // The canonical bytes, read again: so the order shown is the order that is signed.
  const shown = useMemo(() => JSON.stringify(JSON.parse(text(canonical(of))), null, 2), [of]);
  return <pre className="json" tabIndex={0}><code>{shown}</code></pre>;
}
