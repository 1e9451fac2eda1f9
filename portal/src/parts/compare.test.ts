import { expect, it } from 'vitest';
import example from '../../../schemas/examples/dataset-offer.json';
import type { Listed } from '../api/queries';
import { lines } from './compare';

const listed = (change: Record<string, unknown> = {}): Listed => ({ offer: { ...structuredClone(example), ...change } }) as unknown as Listed;
const differing = (...all: Listed[]) => lines(all, ({ offer }) => String(offer.payment.length), () => 'IN').filter((line) => line.differs).map((line) => line.name);

it('what differs is marked, and what is only written in another order is not', () => {
  expect(differing(listed(), listed())).toEqual([]);
  expect(differing(listed(), listed({ public_rows: 7 }), listed())).toEqual(['People']);
  expect(differing(listed(), listed({ payment: [] }))).toEqual(['Price']);
  const { usage } = example;
  expect(differing(listed(), listed({ usage: { ...usage, allowed_columns: usage.allowed_columns.toReversed(), purposes: usage.purposes.toReversed() } }))).toEqual([]);
  expect(differing(listed(), listed({ usage: { ...usage, target_columns: [] } }))).toEqual(['Predicted']);
  expect(differing(listed(), listed({ privacy_cap: { ...example.privacy_cap, scope: 'global', delta: '0.1' } }))).toEqual(['At most', 'Counted']);
});

it('each dataset has a value in every line, in its place', () => {
  const made = lines([listed(), listed({ public_rows: 7 })], () => '', () => 'IN');
  expect(made.every((line) => line.values.length === 2)).toBe(true);
  expect(made.find((line) => line.name === 'People')?.values[1]).toBe('7');
});
