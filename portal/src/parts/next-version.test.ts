import { expect, it } from 'vitest';
import example from '../../../schemas/examples/dataset-offer.json';
import type { DatasetOffer } from '../api/documents';
import { follows, lacks, merged, type Row, rowsOf, sealedOf, typeOf } from './next-version';

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

it('what was sealed must follow the version before, in its family', () => {
  const next = { dataset_id: offer.dataset_id, family: offer.family, version: offer.version + 1 };
  expect(() => follows(next, offer)).not.toThrow();
  for (const wrong of [{ dataset_id: 'dst_other' }, { family: 'fam_other' }, { version: offer.version }, { version: 0.5 }]) {
    expect(() => follows({ ...next, ...wrong }, offer)).toThrow();
  }
});

it('a number that is read or predicted has both bounds, and nobody invents them', () => {
  const [age] = merged([{ name: 'age', type: 'number' }], []);
  if (age === undefined) throw new Error('no column');
  expect([age.lower, age.upper]).toEqual(['', '']);
  const person: Row = { name: 'person', type: 'text', lower: '', upper: '', sealed: true, read: false, join: true, target: false };
  const bounds = (lower: string, upper: string, part: Partial<Row> = {}) => lacks([person, { ...age, lower, upper, ...part }]);
  expect(bounds('0', '120')).toBeUndefined();
  expect(bounds('2.5', '10')).toBeUndefined();
  for (const [lower, upper] of [['', ''], ['0', ''], ['', '1'], ['1', '1'], ['2', '10e1'], ['10', '2'], ['a', '2'], ['0', '1,5'], ['01', '2'], ['-1', '2'], ['0', `1${'0'.repeat(40)}`]] as const) expect(bounds(lower, upper), `${lower} ${upper}`).toContain('age');
  // A column that is only joined on needs none; half of them is a slip.
  const key = { ...age, name: 'mobile', read: false, join: true };
  expect([typeOf(key), typeOf({ ...key, read: true }), typeOf({ ...key, lower: '0', upper: '1' }), typeOf(age)]).toEqual(['text', 'number', 'number', 'number']);
  expect(lacks([{ ...key, join: false, target: false }, { ...age, lower: '0', upper: '1' }])).toMatch(/tells people apart/);
  const fine = { ...age, lower: '0', upper: '1' };
  expect(lacks([fine, key])).toBeUndefined();
  expect(lacks([fine, { ...key, lower: '0' }])).toContain('mobile');
  expect(lacks([fine, { ...key, target: true }])).toContain('mobile');
  // What is not sealed says nothing, and a text has none.
  expect(lacks([fine, { ...age, name: 'other', sealed: false }, { ...key, name: 'city', type: 'text', read: true }])).toBeUndefined();
  expect(lacks([{ ...fine, read: false }])).toMatch(/readable/);
  expect(lacks([{ ...fine, sealed: false }])).toMatch(/readable/);
  expect(lacks([fine, key, { ...key, name: 'age' }])).toMatch(/would be called age/);
  expect(lacks([fine, key, { ...key, name: 'age', sealed: false }])).toBeUndefined();
});

it('a sealing stands for the columns, the key service and the assurance that it was made for', () => {
  const rows = rowsOf(offer);
  const one = sealedOf(rows, 'https://kms.example', 'hardware', '');
  expect(sealedOf(rows.map((row) => ({ ...row, read: !row.read, lower: '0' })), 'https://kms.example', 'hardware', '')).toBe(one);
  for (const other of [
    sealedOf(rows.slice(1), 'https://kms.example', 'hardware', ''), sealedOf(rows, 'https://kms.other', 'hardware', ''), sealedOf(rows, 'https://kms.example', 'software', ''),
    sealedOf(rows.map((row, at) => ({ ...row, sealed: at > 0 })), 'https://kms.example', 'hardware', ''), sealedOf(rows, 'https://kms.example', 'hardware', 'fam_other'),
  ]) expect(other).not.toBe(one);
});
