import { expect, it } from 'vitest';
import { around, type Line, pageOf, readingsOf } from './story';

const line = (index: number, read?: { from: number; count: number }): Line => ({ index, by: [], contracts: [], datasets: [], payments: [], ...(read ? { read } : {}) });

it('a reading belongs to a story where it read one of its entries', () => {
  const told = [line(4), line(20, { from: 0, count: 3 }), line(21, { from: 3, count: 1 }), line(22, { from: 4, count: 5 }), line(23, { from: 10, count: 5 }), line(24, { from: 0, count: 20 })];
  expect(readingsOf(told, [3, 9])).toEqual([21, 24]);
  expect(readingsOf(told, [8])).toEqual([22, 24]);
  expect(readingsOf(told, [])).toEqual([]);
});

it('older and newer lead to the next pages, past those without an entry that is looked for', () => {
  expect(pageOf(255)).toBe(0);
  expect(pageOf(256)).toBe(1);
  expect(around(1, 3, undefined)).toEqual({ older: 0, newer: 2 });
  expect(around(0, 0, undefined)).toEqual({ older: undefined, newer: undefined });
  const entries = [3, 300, 301, 2000];
  expect(around(3, 7, entries)).toEqual({ older: 1, newer: 7 });
  expect(around(0, 7, entries)).toEqual({ older: undefined, newer: 1 });
  expect(around(7, 7, entries)).toEqual({ older: 1, newer: undefined });
  expect(around(1, 5, entries), 'none beyond the head that was checked').toEqual({ older: 0, newer: undefined });
  expect(around(2, 7, [])).toEqual({ older: undefined, newer: undefined });
});
