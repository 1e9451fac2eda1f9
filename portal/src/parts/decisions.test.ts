import { expect, it } from 'vitest';
import type { Schemas } from '../api/client';
import { wayOfInstruction } from '../screens/payment';
import { appraisals } from './decisions';
import { receiptOf, verifyReceipt } from './receipts';

const stated = (provider: string, kind: string, checks: string[]) => ({ index: 1, receipt: { provider, kms: `https://${provider}`, checks, statement: { kind } } }) as unknown as Schemas['RunStatement'];

it('of each key service the newest appraisal counts, and statements without one are none', () => {
  const statements = [
    stated('a', 'reserved', ['signature']), stated('b', 'reserved', []), stated('a', 'released', ['signature', 'measurement']),
    stated('a', 'committed', []), stated('c', 'refunded', []),
  ];
  expect(appraisals({ statements }).map(({ provider, checks }) => [provider, checks])).toEqual([['a', ['signature', 'measurement']], ['b', []]]);
  expect(appraisals({ statements: [] })).toEqual([]);
});

it('a receipt is of a completed run alone, and holds what its entry says', () => {
  const view = { completion: { payload: 'p', signatures: [] }, receipt: { index: 7 }, listed: undefined } as unknown as Schemas['RunView'];
  expect(receiptOf(view)).toEqual({ body: { kind: 'run_completed', completion: view.completion, obligations: [] }, receipt: { index: 7 } });
  expect(receiptOf({ ...view, receipt: null })).toBeUndefined();
  expect(receiptOf({ ...view, completion: null })).toBeUndefined();
  expect(verifyReceipt('run_1')).toBe('depa audit verify-receipt run_1.receipt.json --trust trust.json');
});

it('an instruction goes one way, and its two bad ends are told apart', () => {
  for (const standing of ['created', 'submitted', 'accepted', 'settled', 'failed', 'returned']) expect(wayOfInstruction(standing)).toContain(standing);
  expect(wayOfInstruction('failed')).toEqual(['created', 'failed']);
  expect(wayOfInstruction('returned').at(-1)).toBe('returned');
  expect(wayOfInstruction('accepted')).not.toContain('returned');
});
