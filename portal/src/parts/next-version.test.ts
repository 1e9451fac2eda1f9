import { expect, it } from 'vitest';
import example from '../../../schemas/examples/dataset-offer.json';
import type { DatasetOffer } from '../api/documents';
import { follows, merged, plainPrice, rowsOf } from './next-version';

const offer = example as unknown as DatasetOffer;

it('columns of the version before keep what was said of them, and a new one is not sealed unasked', () => {
  const before = rowsOf(offer);
  expect(before.map((row) => row.name)).toEqual(offer.columns.map((column) => column.name));
  expect(before.filter((row) => row.target).map((row) => row.name)).toEqual(offer.usage.target_columns);
  const [first] = before;
  const next = merged([{ name: 'new', type: 'number' }, { name: first?.name ?? '', type: 'text' }], before);
  expect(next[0]).toMatchObject({ name: 'new', sealed: false, read: false });
  expect(next[1]).toEqual(first);
  expect(merged([{ name: 'new', type: 'number' }], [])[0]).toMatchObject({ sealed: true, read: true });
});

it('one plain price can be changed here; other terms stay as they are', () => {
  const plain = { term_id: 'run', kind: 'per_run', payees: [{ did: 'a', share_ppm: 1_000_000 }], currency: 'INR', amount_minor: 700, trigger: 'completed' };
  const price = (...terms: object[]) => plainPrice(terms as never);
  expect(price()).toBe(0);
  expect(price({ ...plain, kind: 'free' })).toBe(0);
  expect(price(plain)).toBe(700);
  for (const other of [{ kind: 'fixed' }, { currency: 'EUR' }, { pricing: {} }, { trigger: 'keys_released' }, { payees: [] }]) expect(price({ ...plain, ...other })).toBeUndefined();
  expect(price(plain, plain)).toBeUndefined();
});

it('what was sealed must follow the version before, in its family', () => {
  const next = { dataset_id: offer.dataset_id, family: offer.family, version: offer.version + 1 };
  expect(() => follows(next, offer)).not.toThrow();
  for (const wrong of [{ dataset_id: 'dst_other' }, { family: 'fam_other' }, { version: offer.version }, { version: 0.5 }]) {
    expect(() => follows({ ...next, ...wrong }, offer)).toThrow();
  }
});
