/** Signed documents: JWS (Ed25519) over canonical bytes, one signature per party. */
import { base64url, fromBase64url, hex, Refusal, same, sha256, utf8 } from './bytes.js';
import { canonical } from './canonical.js';
import { type Key, keyOfDid, thumbprint, verifyBytes } from './keys.js';
import type { components } from './schema.js';

export type Envelope = components['schemas']['Envelope'];
export type PartySignature = components['schemas']['PartySignature'];
export interface Document {
  schema: string;
  [member: string]: unknown;
}

/** `contract.v1` is signed as `application/vnd.depa.contract.v1+json`: a signature counts for its act only. */
export const payloadType = (schema: string): string => `application/vnd.depa.${schema}+json`;

/** A time as documents write it. */
export const stamp = (at = new Date()): string => `${at.toISOString().slice(0, 19)}Z`;

/** The bytes that everybody signs; nobody has yet. */
export const draft = (document: Document): Envelope => ({ payload: base64url(canonical(document)), signatures: [] });

/** The document in an envelope; its bytes must be canonical. No signature is checked. */
export function readUnverified(envelope: Envelope): Document {
  const bytes = fromBase64url(envelope.payload);
  let value: Document;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Document;
  } catch {
    throw new Refusal('MALFORMED_JSON', 'not a JSON document');
  }
  if (!same(canonical(value), bytes)) {
    throw new Refusal('NOT_CANONICAL', 'the bytes are not the canonical ones of the document');
  }
  if (typeof value?.schema !== 'string') throw new Refusal('SCHEMA_MISMATCH', 'a document names its schema');
  return value;
}

/** One party's signature over an envelope's bytes, which are read first. */
export async function countersign(envelope: Envelope, key: Key, at = new Date()): Promise<PartySignature> {
  const { schema } = readUnverified(envelope);
  const header = { alg: 'EdDSA', cty: payloadType(schema), iat: Math.floor(at.getTime() / 1000), kid: key.kid };
  const guarded = base64url(canonical(header));
  const sig = base64url(await key.signBytes(utf8(`${guarded}.${envelope.payload}`)));
  return { form: 'jws', protected: guarded, kid: key.kid, sig };
}

/** Signs a document alone. */
export async function sign(document: Document, key: Key, at = new Date()): Promise<Envelope> {
  const envelope = draft(document);
  return { ...envelope, signatures: [await countersign(envelope, key, at)] };
}

/** SHA-256 of the signed bytes. */
export const digest = async (envelope: Envelope): Promise<string> => hex(await sha256(fromBase64url(envelope.payload)));

/** Gives the public key (`x`) of a key id, or none. */
export type Book = (kid: string) => string | undefined;

/** Verifies every signature of a document; did:keys spell their keys, others come from the book. COSE is verified by `depa`. */
export async function verify(
  envelope: Envelope,
  schema: string,
  registry: string,
  book: Book = () => undefined,
): Promise<{ document: Document; signers: string[] }> {
  const document = readUnverified(envelope);
  if (document.schema !== schema) throw new Refusal('SCHEMA_MISMATCH', `a document of ${schema} is expected`);
  if (document.registry !== registry) throw new Refusal('WRONG_REGISTRY', 'the document belongs to another registry');
  if (envelope.signatures.length === 0) throw new Refusal('SIGNATURE_MISSING', 'the document carries no signature');
  if (envelope.signatures.length > 64) throw new Refusal('LIMIT_EXCEEDED', 'more than 64 signatures');
  const signers: string[] = [];
  const holders = new Set<string>();
  for (const signature of envelope.signatures) {
    const holder = await verifyOne(envelope.payload, signature, schema, book);
    if (holders.has(holder)) throw new Refusal('SIGNER_TWICE', `${holder} signed twice`);
    holders.add(holder);
    signers.push(signature.kid);
  }
  return { document, signers };
}

async function verifyOne(payload: string, signature: PartySignature, schema: string, book: Book): Promise<string> {
  if (signature.form !== 'jws') throw new Refusal('ALGORITHM_REFUSED', 'COSE signatures are verified by depa');
  const bytes = fromBase64url(signature.protected);
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch {
    throw new Refusal('SIGNATURE_FORM', 'protected header: no JSON');
  }
  if (!same(canonical(header), bytes) || Object.keys(header).join() !== 'alg,cty,iat,kid') {
    throw new Refusal('SIGNATURE_FORM', 'protected header: alg, cty, iat and kid are expected');
  }
  if (header.alg !== 'EdDSA' && header.alg !== 'Ed25519') {
    throw new Refusal('ALGORITHM_REFUSED', `${String(header.alg)} is verified by depa`);
  }
  if (header.cty !== payloadType(schema)) throw new Refusal('SIGNATURE_CONTEXT', 'the signature is for another act');
  if (header.kid !== signature.kid) throw new Refusal('SIGNATURE_FORM', "kid differs from the envelope's");
  const at = signature.kid.lastIndexOf('#');
  const holder = signature.kid.slice(0, at);
  const x = keyOfDid(holder) ?? book(signature.kid);
  if (x === undefined || (await thumbprint(x)) !== signature.kid.slice(at + 1)) {
    throw new Refusal('SIGNER_UNKNOWN', `no key ${signature.kid} is known for this act`);
  }
  await verifyBytes(x, utf8(`${signature.protected}.${payload}`), fromBase64url(signature.sig));
  return holder;
}
