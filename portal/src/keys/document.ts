/**
 * Signed documents in the page: canonical bytes (RFC 8785), digests, JWS over them.
 *
 * The page signs only bytes that it canonicalised itself from the object that it shows. Bytes of the service whose
 * canonical form differs are refused: somebody would sign something else than is read.
 */
import canonicalize from 'canonicalize';
import { base64url, type Bytes, fromBase64url, hex, same, sha256, text, utf8 } from './bytes';
import { toBeSigned } from './cose';
import type { HeldKey } from './held';

export interface PartySignature {
  form: 'jws' | 'cose';
  protected: string;
  kid: string;
  sig: string;
}

export interface Envelope {
  payload: string;
  signatures: PartySignature[];
}

/** A document whose bytes the page has made its own. */
export interface Own<T> {
  value: T;
  bytes: Bytes;
  /** SHA-256 of the bytes, lower-case hex. */
  digest: string;
}

/** Why the page will not show or sign something. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

function exact(value: unknown): void {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new Refused('NOT_CANONICAL', 'the document holds a number that is no safe integer');
  }
  if (value !== null && typeof value === 'object') Object.values(value).forEach(exact);
}

/** The canonical bytes of a document; only safe integers may stand in it. */
export function canonical(value: unknown): Bytes {
  exact(value);
  const written = canonicalize(value);
  if (written === undefined) throw new Refused('NOT_CANONICAL', 'the document cannot be written canonically');
  return utf8(written);
}

/** The page's own bytes of a document. */
export async function own<T>(value: T): Promise<Own<T>> {
  const bytes = canonical(value);
  return { value, bytes, digest: hex(await sha256(bytes)) };
}

/**
 * Reads what the service says was signed. Refused unless the bytes are canonical: the page's own bytes of what it reads
 * must be the very same, and have the digest that was told.
 */
export async function read<T extends { schema: string }>(
  envelope: Envelope,
  schema: string,
  told?: string,
): Promise<Own<T>> {
  let value: T;
  const bytes = fromBase64url(envelope.payload);
  try {
    value = JSON.parse(text(bytes)) as T;
  } catch {
    throw new Refused('MALFORMED_JSON', 'the service sent bytes that are no JSON document');
  }
  const mine = await own(value);
  if (!same(mine.bytes, bytes)) {
    throw new Refused('NOT_CANONICAL', 'the bytes of the service are not the canonical bytes of the document shown');
  }
  if (value.schema !== schema) throw new Refused('SCHEMA_MISMATCH', `a document of ${schema} is expected`);
  if (told !== undefined && told !== mine.digest) {
    throw new Refused('DIGEST_MISMATCH', 'the digest that the service told is not that of the document shown');
  }
  return mine;
}

/** Reads a document for display only; nothing is signed by it. */
export function peek<T>(envelope: Envelope): T {
  return JSON.parse(text(fromBase64url(envelope.payload))) as T;
}

/** Now, in whole seconds, as documents write it. */
export const stamp = (at = new Date()): string => `${at.toISOString().slice(0, 19)}Z`;

/** The payload type of a document, by its schema: `contract.v1` is signed as `application/vnd.depa.contract.v1+json`. */
export const payloadType = (schema: string): string => `application/vnd.depa.${schema}+json`;

const input = (header: string, payload: string): Bytes => utf8(`${header}.${payload}`);

/** One party's signature over the page's own bytes. */
export async function sign<T extends { schema: string }>(document: Own<T>, key: HeldKey): Promise<PartySignature> {
  const head = { alg: 'EdDSA', cty: payloadType(document.value.schema), iat: Math.floor(Date.now() / 1000), kid: key.kid };
  const header = base64url(canonical(head));
  const signature = await crypto.subtle.sign('Ed25519', key.key, input(header, base64url(document.bytes)));
  return { form: 'jws', protected: header, kid: key.kid, sig: base64url(new Uint8Array(signature)) };
}

/** The very bytes that were shown, signed alone. */
export async function seal<T extends { schema: string }>(document: Own<T>, key: HeldKey): Promise<Envelope> {
  return { payload: base64url(document.bytes), signatures: [await sign(document, key)] };
}

/** A document of the page's own, signed alone. */
export const envelope = async <T extends { schema: string }>(value: T, key: HeldKey): Promise<Envelope> =>
  seal(await own(value), key);

/** What a signature is over, and whether its own header says another document, key or algorithm. */
function signedBytes(document: { bytes: Uint8Array; schema: string }, { form, protected: header, kid }: PartySignature): Bytes | undefined {
  // A payload tells its type itself; the key decides the algorithm.
  if (form === 'cose') return toBeSigned(fromBase64url(header), document.bytes);
  const { alg, cty, kid: named } = JSON.parse(text(fromBase64url(header))) as { alg?: string; cty?: string; kid?: string };
  if ((alg !== 'EdDSA' && alg !== 'Ed25519') || cty !== payloadType(document.schema) || named !== kid) return undefined;
  return input(header, base64url(document.bytes));
}

/** Whether a signature of a document is right under this Ed25519 key. Without one it is not judged: undefined. */
export async function verified(
  document: { bytes: Uint8Array; schema: string },
  signature: PartySignature,
  x: string | undefined,
): Promise<boolean | undefined> {
  if (x === undefined) return undefined;
  let message: Bytes | undefined;
  try {
    message = signedBytes(document, signature);
  } catch {
    return false;
  }
  if (message === undefined) return false;
  const key = await crypto.subtle.importKey('raw', fromBase64url(x), 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', key, fromBase64url(signature.sig), message);
}
