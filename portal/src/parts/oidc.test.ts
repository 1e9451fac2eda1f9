import { expect, it } from 'vitest';
import codes from '../../../schemas/src/problem.rs?raw';
import { hi } from '../i18n/hi';
import own from './oidc?raw';
import { notLetIn } from './oidc';

it('a refused way back is said in the page’s own words, by a code of its list', () => {
  const refused = notLetIn('?refused=SIGN_IN_REFUSED');
  expect(refused?.code).toBe('SIGN_IN_REFUSED');
  expect(refused?.message).toMatch(/Try again/);
});

it('whatever else an address holds is not shown', () => {
  for (const other of ['', '?refused=', '?refused=SIGN_IN_REFUSED%20call%20me', '?refused=constructor', '?code=x&error=CALL_ME', '?refused=EPSILON_OUT_OF_RANGE']) {
    expect(notLetIn(other), other).toBeUndefined();
  }
});

it('every code of the list is one of the service, and its sentence is in Hindi', () => {
  const listed = [...own.matchAll(/\['([A-Z_]+)', (?:LATER|'([^']+)')\]/g)];
  expect(listed.length).toBe(8);
  for (const [, code, sentence] of listed) {
    expect(codes).toContain(`"${code}"`);
    if (sentence !== undefined) expect(hi[sentence], sentence).toBeDefined();
  }
});
