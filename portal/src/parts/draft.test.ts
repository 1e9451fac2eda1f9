import { expect, it } from 'vitest';
import example from '../../../schemas/examples/dataset-offer.json';
import type { DatasetOffer } from '../api/documents';
import { leastGrant, payments } from './draft';

const TDC = 'did:web:consumer.example';

function offer(change: Record<string, unknown>, id = 'a'): DatasetOffer {
  const { payment, ...others } = structuredClone(example);
  const { pool, ...of } = change;
  return {
    ...others, dataset_id: id, payment: payment.map((price) => ({ ...price, ...of })), ...(pool ? { principal_pool: pool } : {}),
  } as unknown as DatasetOffer;
}

const named = (change: Record<string, unknown>) => payments([offer(change)], TDC).map((term) => term.dataset_id);

it('a price names its dataset unless it is a plain one per run, or free', () => {
  expect(named({ kind: 'per_run' })).toEqual([undefined]);
  expect(named({ kind: 'free' })).toEqual([undefined]);
  for (const kind of ['fixed', 'per_epoch', 'per_record', 'per_epsilon', 'per_compute_hour', 'subscription', 'revenue_share', 'escrow']) {
    expect(named({ kind }), kind).toEqual(['a']);
  }
  expect(named({ kind: 'per_run', pricing: { due_days: 30 } })).toEqual(['a']);
  expect(named({ kind: 'free', pricing: {} })).toEqual(['a']);
});

it('a price of an offer that pays its principals names its dataset', () => {
  expect(named({ kind: 'per_run', pool: { share_ppm: 1 } })).toEqual(['a']);
});

it('prices are numbered over all offers, and the consumer pays each', () => {
  const terms = payments([offer({ kind: 'per_run' }, 'a'), offer({ kind: 'fixed' }, 'b')], TDC);
  expect(terms.map(({ term_id, payer, dataset_id }) => ({ term_id, payer, dataset_id }))).toEqual([
    { term_id: 'p1', payer: TDC, dataset_id: undefined }, { term_id: 'p2', payer: TDC, dataset_id: 'b' },
  ]);
});

it('a run over several datasets keeps to the least ε and the least δ granted, and to caps where nothing is', () => {
  const cap = (epsilon: string, delta: string, id: string) => ({ dataset_id: id, privacy_cap: { ...offer({}).privacy_cap, epsilon, delta } });
  const offers = [cap('3.0', '0.00001', 'a'), cap('2.0', '0.0001', 'b')];
  expect(leastGrant(offers, {})).toEqual({ epsilon: '2.0', delta: '0.00001' });
  // A smaller δ of either one lowers it, whichever table is the smaller.
  expect(leastGrant(offers, { a: { epsilon: '3.0', delta: '0.000001' } })).toEqual({ epsilon: '2.0', delta: '0.000001' });
  expect(leastGrant(offers, { b: { epsilon: '0.5', delta: '0.0000001' } })).toEqual({ epsilon: '0.5', delta: '0.0000001' });
  // Numbers are compared, not spellings.
  expect(leastGrant(offers, { a: { epsilon: '10', delta: '0.0001' }, b: { epsilon: '9', delta: '0.00010' } }).epsilon).toBe('9');
  for (const written of ['', '.', '1e-9', '0', 'x']) expect(leastGrant(offers, { a: { epsilon: written, delta: written } })).toEqual({ epsilon: '2.0', delta: '0.00001' });
  expect(leastGrant([], {})).toEqual({ epsilon: '1', delta: '0.00001' });
});
