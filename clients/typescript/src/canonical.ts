/** Canonical JSON (RFC 8785) of documents without floating-point numbers. */
import canonicalizeModule from 'canonicalize';
import { type Bytes, Refusal, utf8 } from './bytes.js';

const canonicalize = canonicalizeModule as unknown as (value: unknown) => string | undefined;

function exact(value: unknown): void {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new Refusal('MALFORMED_NUMBER', 'a signed document holds whole numbers below 2^53 only; others are text');
  }
  if (value !== null && typeof value === 'object') Object.values(value).forEach(exact);
}

/** The canonical bytes of a document. */
export function canonical(value: unknown): Bytes {
  exact(value);
  const written = canonicalize(value);
  if (written === undefined) throw new Refusal('NOT_CANONICAL', 'the document cannot be written canonically');
  return utf8(written);
}
