import { expect, it } from 'vitest';
import { fate, fateOf, sums } from './fate';

const [ACME, OTHER] = ['did:web:acme.example', 'did:web:other.example'];
const row = (state: string, amount_minor: number, payer = ACME, payee = OTHER, standing?: string) => ({ state, standing, payer, payee, currency: 'INR', amount_minor });

it('what is refunded or void is neither paid nor open', () => {
  const told = sums([row('settled', 1), row('settled', 2), row('due', 4), row('instructed', 8), row('refunded', 16, ACME, OTHER, 'settled'), row('refunding', 32), row('void', 64), row('refunded', 128), row('blocked', 256)], ACME);
  expect(told.map((one) => `${one.side} ${one.fate} ${one.minor}`)).toEqual([
    'You paid paid 3', 'You paid open 12', 'You paid given back 16', 'You paid being given back 32', 'You paid blocked 256',
  ]);
});

it('sums go by side and currency', () => {
  const told = sums([row('settled', 1), row('settled', 2, OTHER, ACME), { ...row('settled', 4), currency: 'EUR' }, row('settled', 8, OTHER, OTHER)], ACME);
  expect(told.map((one) => `${one.side} ${one.currency} ${one.minor}`)).toEqual(['You paid INR 1', 'You received INR 2', 'You paid EUR 4', 'Between others INR 8']);
});

it('what never was paid is written off, and what was is given back', () => {
  expect(fate(row('refunded', 1, ACME, OTHER, 'settled'))).toBe('given back');
  expect(fate(row('refunded', 1, ACME, OTHER, 'failed'))).toBe('no longer owed');
  expect(fate(row('refunded', 1))).toBe('no longer owed');
});

it('a run whose payment is refunded is not one that is not paid yet', () => {
  const of = (...states: string[]) => fateOf(states.map((state) => row(state, 1, ACME, OTHER, 'settled')));
  expect(of()).toBe(undefined);
  expect(of('settled', 'settled')).toBe('paid');
  expect(of('settled', 'due')).toBe('not paid yet');
  expect(of('settled', 'refunding')).toBe('being given back');
  expect(of('refunded')).toBe('given back');
  expect(of('settled', 'refunded')).toBe('paid, in part given back');
  expect(of('settled', 'void')).toBe('paid');
  expect(of('void')).toBe('no longer owed');
});
