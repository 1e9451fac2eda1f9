import { expect, it } from 'vitest';
import { wayOf } from '../screens/payment';
import { periods } from './revenue';

it('a period is stated once it has ended', () => {
  const contract = { effective_from: '2026-01-01T00:00:00Z', expires_at: '2026-03-15T00:00:00Z' };
  const at = (text: string) => periods(contract, 30, Date.parse(text)).map((one) => one.n);
  expect(at('2026-01-30T23:59:59Z')).toEqual([]);
  expect(at('2026-01-31T00:00:00Z')).toEqual([0]);
  // The last one ends with the contract.
  expect(at('2027-01-01T00:00:00Z')).toEqual([2, 1, 0]);
  expect(periods(contract, 30, Date.parse('2027-01-01T00:00:00Z'))[0]?.until).toBe('2026-03-15T00:00:00.000Z');
  expect(periods(contract, 0, Date.now())).toEqual([]);
});

it('a payment is shown on the way that it takes', () => {
  for (const [state, job, way] of [
    ['instructed', undefined, ['instructed', 'settled']],
    ['due', undefined, ['instructed', 'due', 'settled']],
    ['refunded', undefined, ['instructed', 'refunded']],
    ['blocked', 'aa', ['asked', 'blocked', 'instructed', 'settled']],
    ['refunded', 'aa', ['asked', 'blocked', 'refunding', 'refunded']],
    ['void', 'aa', ['asked', 'void']],
  ] as const) {
    expect(wayOf({ state, job_sha256: job })).toEqual(way);
    expect(way).toContain(state);
  }
});
