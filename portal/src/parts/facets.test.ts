import { expect, it } from 'vitest';
import { counts, fits } from './facets';

const rows = [{ of: 'a', at: 1 }, { of: 'a', at: 2 }, { of: 'b', at: 1 }];
const facets = { Of: (row: { of: string }) => [row.of], At: (row: { at: number }) => [String(row.at)] };

it('a facet counts within what the others leave, and not within its own choice', () => {
  expect(counts(rows, facets, {}, 'Of')).toEqual([['a', 2], ['b', 1]]);
  expect(counts(rows, facets, { At: ['2'] }, 'Of')).toEqual([['a', 1]]);
  expect(counts(rows, facets, { Of: ['b'] }, 'Of')).toEqual([['a', 2], ['b', 1]]);
});

it('a row fits that has one chosen value of every facet', () => {
  expect(rows.filter((row) => fits(row, facets, { Of: ['a'], At: ['1'] }))).toEqual([rows[0]]);
  expect(rows.filter((row) => fits(row, facets, { Of: ['a', 'b'] }))).toEqual(rows);
  expect(rows.filter((row) => fits(row, facets, { Of: [] }))).toEqual(rows);
  expect(rows.filter((row) => fits(row, facets, { Of: ['c'] }))).toEqual([]);
});
