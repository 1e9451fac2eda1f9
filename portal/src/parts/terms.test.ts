import { expect, it } from 'vitest';
import vectors from '../../tests/vectors/terms.json';
import type { DatasetOffer } from '../api/documents';
import { capFits, lacking, per, price, type Price, priceFits, priceOf, priceTerms, regionsFit, regionsOf, termsOf, usualDelta } from './terms';

const PROVIDER = 'did:web:tdp.example';

it('what the form lets through is what the register takes, and the other way round', () => {
  for (const { epsilon, delta, people, fits } of vectors.caps) expect(capFits(people, epsilon, delta), `${epsilon} ${delta} ${people}`).toBe(fits);
  for (const { price: asked, payment, fits } of vectors.prices) {
    expect(priceFits(asked), JSON.stringify(asked)).toBe(fits);
    expect(priceTerms(asked, PROVIDER)).toEqual(payment);
  }
  for (const { regions, fits } of vectors.regions) expect(regionsFit(regions), regions.join()).toBe(fits);
});

it('the usual δ is allowed for every number of people', () => {
  for (const people of [1, 2, 9, 10, 999, 2_119, 1_400_000_000]) expect(capFits(people, '3.0', usualDelta(people)), String(people)).toBe(true);
});

it('a price that the form can show is read again as it was asked', () => {
  for (const { price: asked, payment, fits } of vectors.prices) {
    if (!fits || asked.kind === 'free') continue;
    expect(priceOf(payment as never, PROVIDER)).toEqual({ ...asked, days: asked.kind === 'subscription' ? asked.days : 30 });
  }
  expect(priceOf([], PROVIDER)?.kind).toBe('free');
});

it('of terms that say more, nothing is changed', () => {
  const [plain] = priceTerms({ kind: 'per_run', currency: 'INR', amount: 7, days: 30 }, PROVIDER);
  if (plain === undefined) throw new Error('no term');
  expect(priceOf([{ ...plain, term_id: 'run' }], PROVIDER)).toBeDefined();
  for (const other of [{ kind: 'escrow' }, { pricing: {} }, { pricing: { due_days: 3 } }, { trigger: 'keys_released' }, { payees: [] }, { payees: [{ did: 'did:web:b.example', share_ppm: 1_000_000 }] }]) {
    expect(priceOf([{ ...plain, ...other } as never], PROVIDER), JSON.stringify(other)).toBeUndefined();
  }
  expect(priceOf([plain, { ...plain, term_id: 'b' }], PROVIDER)).toBeUndefined();
});

it('a price says what it is for', () => {
  const said = (kind: string, part: Partial<Price> = {}) => price({ offer: { payment: priceTerms({ kind, currency: 'INR', amount: 5, days: 30, ...part }, PROVIDER) } });
  expect(said('free')).toBe('free');
  expect(said('per_run')).toMatch(/5\.00 a run$/);
  expect(said('per_record')).toMatch(/for 1000 people$/);
  expect(said('per_epsilon')).toMatch(/for each ε$/);
  expect(said('per_epoch')).toMatch(/for each pass over the data$/);
  expect(said('subscription', { days: 7 })).toMatch(/for 7 days$/);
  expect(said('fixed', { currency: 'JPY' })).toMatch(/5 once a contract$/);
  expect(per({ kind: 'revenue_share', pricing: { share_ppm: 5, period_days: 30 } })).toBe('revenue share');
});

it('what is missing is said', () => {
  const whole = { ...termsOf(), people: 200 };
  expect(lacking(whole)).toBeUndefined();
  for (const [part, word] of [[{ purposes: [] }, /purpose/], [{ people: 0 }, /people/], [{ epsilon: '' }, /ε/], [{ delta: '0.005' }, /δ/], [{ regions: 'India' }, /country/], [{ price: { kind: 'per_run', currency: 'INR', amount: 0, days: 30 } }, /price/]] as const) {
    expect(lacking({ ...whole, ...part } as typeof whole), JSON.stringify(part)).toMatch(word);
  }
  expect(regionsOf(' in, NP  fr')).toEqual(['IN', 'NP', 'FR']);
});

it('a next version begins with the terms of the one before', () => {
  const before = { provider: PROVIDER, family: 'fam_1', public_rows: 9, usage: { purposes: ['TRAINING'] }, privacy_cap: { epsilon: '1.5', delta: '0.01', scope: 'global' }, reference: { regions: ['IN', 'NP'] }, payment: [] } as unknown as DatasetOffer;
  expect(termsOf(before)).toMatchObject({ people: 9, epsilon: '1.5', delta: '0.01', scope: 'global', family: 'fam_1', regions: 'IN NP', price: { kind: 'free' } });
});
