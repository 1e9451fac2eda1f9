/** Offline checks of the transparency log: inclusion (RFC 9162), signed checkpoints, receipts of entries. */
import { type Bytes, base64url, concat, fromBase64url, fromHex, hex, Refusal, same, sha256, utf8 } from './bytes.js';
import { canonical } from './canonical.js';
import { verifyBytes } from './keys.js';
import type { components } from './schema.js';

export type Receipt = components['schemas']['Receipt'];

/** What you pin: the registry's key. Compare it once, out of band. */
export interface Trust {
  registry: string;
  registry_jwk: { x: string };
  origin: string;
}

export interface Checkpoint {
  size: number;
  /** Lower-case hex. */
  root: string;
}

const half = (n: number): number => Math.floor(n / 2);
const odd = (n: number): boolean => n % 2 === 1;

/** The root that an inclusion proof leads to (RFC 9162 2.1.3.2). Fails if `index >= size`, also for size 0. */
export async function inclusionRoot(leaf: Uint8Array, index: number, size: number, path: Uint8Array[]): Promise<string> {
  const bad = (why: string) => new Refusal('INCLUSION_INVALID', `proof: ${why}`);
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) {
    throw bad('index is not below the size');
  }
  let [fn, sn, hash] = [index, size - 1, leaf];
  for (const sibling of path) {
    if (sn === 0) throw bad('path is too long');
    if (odd(fn) || fn === sn) {
      hash = await sha256(Uint8Array.of(1), sibling, hash);
      while (!odd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      hash = await sha256(Uint8Array.of(1), hash, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw bad('path is too short');
  return hex(hash);
}

const standard = (text: string): Bytes =>
  fromBase64url(text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''));

/** Reads a checkpoint note and verifies the pinned key's signature. */
export async function checkpoint(text: string, trust: Trust): Promise<Checkpoint> {
  const bad = (why: string) => new Refusal('CHECKPOINT_INVALID', `checkpoint: ${why}`);
  const cut = text.indexOf('\n\n');
  if (text.length > 16 * 1024 || cut < 0) throw bad('not a note');
  const body = text.slice(0, cut + 1);
  const [origin = '', size = '', root = ''] = body.split('\n');
  if (origin !== trust.origin) throw bad('of another log');
  if (!/^(0|[1-9][0-9]*)$/.test(size)) throw bad('size');
  const x = fromBase64url(trust.registry_jwk.x);
  const id = (await sha256(utf8(`${origin}\n`), Uint8Array.of(1), x)).slice(0, 4);
  for (const line of text.slice(cut + 2).split('\n').slice(0, 16)) {
    const at = line.lastIndexOf(' ');
    if (line.slice(0, at) !== `\u2014 ${origin}`) continue;
    const blob = standard(line.slice(at + 1));
    if (!same(blob.slice(0, 4), id)) continue;
    await verifyBytes(base64url(x), utf8(body), blob.slice(4));
    return { size: Number(size), root: hex(standard(root)) };
  }
  throw bad('not signed by the pinned key of the log');
}

/** Verifies offline that a body stands in the log: salted digest, leaf, inclusion, signed checkpoint. */
export async function verifyReceipt(receipt: Receipt, body: { kind: string }, trust: Trust): Promise<Checkpoint> {
  const { record } = receipt;
  const salt = fromBase64url(receipt.body_salt);
  const told = hex(await sha256(salt, canonical(body)));
  if (record.v !== 1 || record.kind !== body.kind || salt.length !== 32 || told !== record.body_sha256) {
    throw new Refusal('RECEIPT_MISMATCH', 'receipt: of another document');
  }
  const note = await checkpoint(receipt.checkpoint, trust);
  const leaf = await sha256(concat(Uint8Array.of(0), canonical(record)));
  const root = await inclusionRoot(leaf, receipt.index, note.size, receipt.path.map(fromHex));
  if (root !== note.root) throw new Refusal('INCLUSION_INVALID', 'proof: the path leads to another root');
  return note;
}
