import { expect, it } from 'vitest';
import { type Begun, open, steps } from './first-steps';

const nothing: Begun = { key: false, recovery: false, offers: false, contract: false, signed: false, run: false, decided: false, proved: false, exported: false };
const all: Begun = { key: true, recovery: true, offers: true, contract: true, signed: true, run: true, decided: true, proved: true, exported: true };
const paths = (roles: string[]) => steps(roles, nothing).map(({ to }) => to);

it('each role has its own first steps, and who only reads signs nothing', () => {
  expect(paths(['tdp_admin', 'signer'])).toEqual(['/keys', '/keys', '/datasets/new', '/contracts']);
  expect(paths(['tdc_admin', 'signer'])).toEqual(['/keys', '/keys', '/datasets', '/runs']);
  expect(paths(['sro_admin', 'sro_auditor'])).toEqual(['/keys', '/keys', '/admin', '/audit']);
  expect(paths(['ccr_operator'])).toEqual(['/keys', '/keys', '/contracts']);
  expect(paths(['sro_auditor'])).toEqual(['/audit', '/audit']);
});

it('they are gone once they are done', () => {
  for (const role of ['tdp_admin', 'tdc_admin', 'sro_admin', 'sro_auditor', 'ccr_operator', 'signer']) {
    expect(open(steps([role], nothing)), role).toBe(true);
    expect(open(steps([role], all)), role).toBe(false);
  }
  expect(open([])).toBe(false);
});

it('whoever signs is reminded of a recovery key until two keys count, whatever else is done', () => {
  for (const role of ['tdp_admin', 'tdc_admin', 'sro_admin', 'ccr_operator', 'signer']) {
    const left = steps([role], { ...all, recovery: false });
    expect(open(left), role).toBe(true);
    expect(left.filter((one) => !one.done).map((one) => one.title), role).toEqual(['Make a recovery key']);
    expect(left[1]?.title, 'right after the first key').toBe('Make a recovery key');
  }
  expect(open(steps(['sro_auditor'], { ...all, recovery: false }))).toBe(false);
});
