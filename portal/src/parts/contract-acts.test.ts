import { expect, it } from 'vitest';
import { type Looking, may } from './contract-acts';

const nobody: Looking = { state: 'active', sro: false, signed: false, proposed: false, revokers: ['tdp'], vouched: true };
const acts = (of: Partial<Looking>) => Object.entries(may({ ...nobody, ...of })).filter(([name, given]) => given && name !== 'asked').map(([name]) => name);

it('parties sign while a contract is open, and the SRO once all of them have', () => {
  for (const state of ['proposed', 'partially_signed']) {
    expect(acts({ state, role: 'tdp' })).toEqual(['sign', 'decline', 'next']);
    expect(acts({ state, role: 'tdp', signed: true })).toEqual(['next']);
    expect(acts({ state, role: 'tdc', signed: true, proposed: true })).toEqual(['next', 'withdraw']);
    expect(acts({ state, sro: true })).toEqual([]);
  }
  expect(acts({ state: 'awaiting_sro', sro: true })).toEqual(['sign', 'refuse']);
  expect(acts({ state: 'awaiting_sro', sro: true, signed: true })).toEqual(['refuse']);
  expect(acts({ state: 'awaiting_sro', role: 'tdp', signed: true })).toEqual([]);
});

it('a contract that stands is revoked by whom it names, ordered under by its consumer, and stopped by the SRO', () => {
  expect(acts({ role: 'tdp', signed: true })).toEqual(['next', 'revoke']);
  expect(acts({ role: 'tdc', signed: true })).toEqual(['next', 'order']);
  expect(acts({ role: 'tdc', signed: true, state: 'scheduled' })).toEqual(['next']);
  expect(acts({ role: 'ccrp', signed: true })).toEqual(['next']);
  expect(acts({ sro: true })).toEqual(['suspend']);
  expect(acts({ sro: true, state: 'scheduled' })).toEqual(['suspend']);
  expect(acts({ sro: true, state: 'suspended' })).toEqual(['resume']);
});

it('nobody does anything with a contract that has ended, and who is no party and not of the SRO with none', () => {
  for (const state of ['declined', 'withdrawn', 'lapsed', 'superseded', 'completed', 'revoked', 'expired']) {
    for (const who of [{ role: 'tdp' }, { role: 'tdc', signed: true, proposed: true }, { sro: true }]) expect(acts({ state, ...who }), state).toEqual([]);
  }
  for (const state of ['proposed', 'awaiting_sro', 'active', 'suspended']) expect(acts({ state }), state).toEqual([]);
});

it('nobody is offered to sign what the signatures there do not vouch for; it can still be declined', () => {
  const doubted = { state: 'proposed', role: 'tdp', vouched: false };
  expect(acts(doubted)).toEqual(['decline', 'next']);
  expect(may({ ...nobody, ...doubted }).asked).toBe(true);
  expect(acts({ state: 'awaiting_sro', sro: true, vouched: false })).toEqual(['refuse']);
  expect(may({ ...nobody, state: 'proposed', role: 'tdp', signed: true, vouched: false }).asked).toBe(false);
});
