import { describe, expect, it } from 'vitest';
import { type Bytes, hex } from '../keys/bytes';
import { checkConsistency, inclusionPath, inclusionRoot, leafHash, nodeHash, rangeHash, type Subtree } from './merkle';

const leaves = (n: number): Promise<Bytes[]> =>
  Promise.all(Array.from({ length: n }, (_, at) => leafHash(Uint8Array.of(at))));

/** The recursive definition of RFC 9162 2.1.1, as the oracle. */
async function root(all: Bytes[]): Promise<Bytes> {
  if (all.length === 1 && all[0] !== undefined) return all[0];
  let k = 1;
  while (2 * k < all.length) k *= 2;
  return nodeHash(await root(all.slice(0, k)), await root(all.slice(k)));
}

const over = (all: Bytes[]): Subtree => (level, place) => root(all.slice(place * 2 ** level, (place + 1) * 2 ** level));

/** Consistency proof by RFC 9162 2.1.4.1. */
async function proof(m: number, all: Bytes[], whole = true): Promise<Bytes[]> {
  if (m === all.length) return whole ? [] : [await root(all)];
  let k = 1;
  while (2 * k < all.length) k *= 2;
  if (m <= k) return [...(await proof(m, all.slice(0, k), whole)), await root(all.slice(k))];
  return [...(await proof(m - k, all.slice(k), false)), await root(all.slice(0, k))];
}

describe('inclusion', () => {
  it('holds for every leaf in its place and for no other place', async () => {
    for (let n = 1; n <= 20; n += 1) {
      const all = await leaves(n);
      const whole = hex(await root(all));
      expect(hex(await rangeHash(0, n, over(all)))).toBe(whole);
      for (let m = 0; m < n; m += 1) {
        const path = await inclusionPath(m, n, over(all));
        const leaf = all[m] as Bytes;
        expect(await inclusionRoot(leaf, m, n, path)).toBe(whole);
        for (let other = 0; other < 2 * n + 4; other += 1) {
          const same = await inclusionRoot(leaf, other, n, path).then((r) => r === whole, () => false);
          expect(same).toBe(other === m);
        }
      }
    }
  });

  it('refuses index 8, 16 and 24 for the proof of leaf 0 in a tree of 8, every index above 0 in a tree of 1, and size 0', async () => {
    const all = await leaves(8);
    const path = await inclusionPath(0, 8, over(all));
    for (const index of [8, 16, 24]) await expect(inclusionRoot(all[0] as Bytes, index, 8, path)).rejects.toThrow();
    for (const index of [1, 2, 7]) await expect(inclusionRoot(all[0] as Bytes, index, 1, [])).rejects.toThrow();
    await expect(inclusionRoot(all[0] as Bytes, 0, 0, [])).rejects.toThrow();
  });

  it('refuses an altered leaf', async () => {
    const all = await leaves(13);
    const path = await inclusionPath(5, 13, over(all));
    const altered = Uint8Array.from(all[5] as Bytes);
    altered[0] = (altered[0] as number) ^ 1;
    expect(await inclusionRoot(altered, 5, 13, path)).not.toBe(hex(await root(all)));
  });
});

describe('consistency', () => {
  it('holds for prefixes, and not for a fork or a longer proof', async () => {
    for (let n = 1; n <= 16; n += 1) {
      const all = await leaves(n);
      const later = { size: n, root: hex(await root(all)) };
      for (let m = 1; m <= n; m += 1) {
        const old = { size: m, root: hex(await root(all.slice(0, m))) };
        const path = await proof(m, all);
        await checkConsistency(old, later, path);
        const fork = { size: m, root: hex(await leafHash(Uint8Array.of(9, 9))) };
        await expect(checkConsistency(fork, later, path)).rejects.toThrow();
        await expect(checkConsistency(old, later, [...path, all[0] as Bytes])).rejects.toThrow();
      }
      await expect(checkConsistency({ size: 0, root: later.root }, later, [])).rejects.toThrow();
      await expect(checkConsistency({ size: n + 1, root: later.root }, later, [])).rejects.toThrow();
    }
  });
});
