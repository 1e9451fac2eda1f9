/** Merkle checks of RFC 9162, and proofs made of tiles. Sizes go beyond 32 bits, so no bit operator stands here. */
import { type Bytes, fromHex, hex, sha256 } from '../keys/bytes';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export const leafHash = (record: Uint8Array): Promise<Bytes> => sha256(LEAF, record);
export const nodeHash = (left: Uint8Array, right: Uint8Array): Promise<Bytes> => sha256(NODE, left, right);

export class ProofError extends Error {}

const half = (n: number): number => Math.floor(n / 2);
const odd = (n: number): boolean => n % 2 === 1;

/** The root that an inclusion proof leads to (RFC 9162 2.1.3.2). Fails if `index >= size`, also for size 0. */
export async function inclusionRoot(leaf: Uint8Array, index: number, size: number, path: Uint8Array[]): Promise<string> {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) {
    throw new ProofError('index is not below the size');
  }
  let [fn, sn, hash] = [index, size - 1, leaf];
  for (const sibling of path) {
    if (sn === 0) throw new ProofError('path is too long');
    if (odd(fn) || fn === sn) {
      hash = await nodeHash(sibling, hash);
      while (!odd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      hash = await nodeHash(hash, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw new ProofError('path is too short');
  return hex(hash);
}

export interface Head {
  size: number;
  /** Lower-case hex. */
  root: string;
}

/** Checks that `old` is a prefix of `later` (RFC 9162 2.1.4.2); throws otherwise. */
export async function checkConsistency(old: Head, later: Head, proof: Uint8Array[]): Promise<void> {
  if (old.size === 0 || old.size > later.size || proof.length > 128) throw new ProofError('sizes do not fit');
  if (old.size === later.size) {
    if (proof.length === 0 && old.root === later.root) return;
    throw new ProofError('same size, other root');
  }
  const rest = [...proof];
  const next = (): Uint8Array => {
    const one = rest.shift();
    if (one === undefined) throw new ProofError('too short');
    return one;
  };
  const start = Number.isInteger(Math.log2(old.size)) ? fromHex(old.root) : next();
  let [fn, sn] = [old.size - 1, later.size - 1];
  while (odd(fn)) [fn, sn] = [half(fn), half(sn)];
  let [fromOld, fromNew] = [start, start];
  while (sn !== 0) {
    const one = next();
    if (odd(fn) || fn === sn) {
      [fromOld, fromNew] = [await nodeHash(one, fromOld), await nodeHash(one, fromNew)];
      while (!odd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      fromNew = await nodeHash(fromNew, one);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (rest.length > 0) throw new ProofError('too long');
  if (hex(fromOld) !== old.root || hex(fromNew) !== later.root) throw new ProofError('roots differ');
}

/** The largest power of two below `n`, for n above 1. */
function split(n: number): number {
  let k = 1;
  while (2 * k < n) k *= 2;
  return k;
}

/** Gives the hash of the whole subtree at this level and place: `2^level` leaves from `place * 2^level` on. */
export type Subtree = (level: number, place: number) => Promise<Bytes>;

/** The Merkle tree hash over leaves `from` to `until`, of hashes of whole subtrees (RFC 9162 2.1.1). */
export async function rangeHash(from: number, until: number, subtree: Subtree): Promise<Bytes> {
  const width = until - from;
  const level = Math.log2(width);
  if (Number.isInteger(level) && from % width === 0) return subtree(level, from / width);
  const k = split(width);
  return nodeHash(await rangeHash(from, from + k, subtree), await rangeHash(from + k, until, subtree));
}

/** The inclusion path of a leaf, from the leaf to the root (RFC 9162 2.1.3.1). */
export async function inclusionPath(index: number, size: number, subtree: Subtree): Promise<Bytes[]> {
  const path: Bytes[] = [];
  let [from, until] = [0, size];
  while (until - from > 1) {
    const middle = from + split(until - from);
    if (index < middle) {
      path.unshift(await rangeHash(middle, until, subtree));
      until = middle;
    } else {
      path.unshift(await rangeHash(from, middle, subtree));
      from = middle;
    }
  }
  return path;
}
