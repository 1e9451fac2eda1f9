import { expect, it } from 'vitest';
import { ticks } from './chart';

it('the marks of an axis are round, begin at nothing and stay within it', () => {
  expect(ticks(1, 4)).toEqual([0, 0.25, 0.5, 0.75, 1]);
  expect(ticks(3000, 5)).toEqual([0, 1000, 2000, 3000]);
  expect(ticks(198, 5)).toEqual([0, 50, 100, 150]);
  expect(ticks(1, 5)).toEqual([0, 0.2, 0.4, 0.6000000000000001, 0.8, 1]);
  for (const most of [0, -1, Number.NaN]) expect(ticks(most, 4)).toEqual([0]);
  for (const most of [1e-6, 0.0317, 7, 64, 1_000_000]) expect(ticks(most, 4).every((tick) => tick <= most * 1.00001), String(most)).toBe(true);
});
