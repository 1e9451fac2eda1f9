import { expect, it } from 'vitest';
import example from '../../../schemas/examples/dataset-offer.json';
import type { PublicOffer } from '../api/documents';
import { bars, statistics, unlike } from './statistics';

const offer = example as unknown as PublicOffer;
const column = offer.columns.find((one) => one.type === 'number');
const good = {
  schema: 'dataset-profile.v1', terms: { epsilon: '0.1', bins: 3 }, epsilon_per_column: '0.05', charge: {}, ledger: 'charged', public_rows: 300,
  columns: [{ name: column?.name, type: 'number', lower: column?.lower, upper: column?.upper, counts: [10, -3, 20], missing: 1, mean: '21.5000' }],
};
const read = (value: unknown) => statistics(new Blob([typeof value === 'string' ? value : JSON.stringify(value)]), offer);

it('a profile of the dataset is read', async () => {
  const found = await read(good);
  expect(found.columns[0]?.counts).toEqual([10, -3, 20]);
  expect(bars(found.columns[0] as never)).toEqual([0.5, 0, 1]);
  expect(bars({ name: 'a', type: 'text', counts: [-2], missing: 0 })).toEqual([0]);
});

it('what is no profile is not read', async () => {
  const [first] = good.columns;
  const spoils: unknown[] = ['', 'null', '[]', { ...good, schema: 'dataset-offer.v1' }, { ...good, terms: {} }, { ...good, columns: undefined },
    { ...good, columns: [{ ...first, counts: [1.5] }] }, { ...good, columns: [{ ...first, counts: [] }] }, { ...good, columns: [{ ...first, counts: Array(101).fill(1) }] },
    { ...good, columns: [{ ...first, missing: null }] }, { ...good, columns: [{ ...first, mean: '<b>' }] }, { ...good, columns: [null] }];
  for (const spoilt of spoils) await expect(read(spoilt), JSON.stringify(spoilt)).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
});

it('statistics of another table are told apart', async () => {
  expect(unlike(good as never, offer)).toBeUndefined();
  expect(unlike(good as never, { columns: [] })?.name).toBe(column?.name);
  const [first] = good.columns;
  for (const other of [{ name: 'other' }, { type: 'text' }, { upper: '999' }, { lower: undefined }]) {
    await expect(read({ ...good, columns: [{ ...first, ...other }] })).rejects.toMatchObject({ code: 'DATASET_MISMATCH' });
  }
});
