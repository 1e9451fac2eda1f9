import { expect, it } from 'vitest';
import rules from '../../../schemas/src/person.rs?raw';
import { given, ROLES } from './people';

it('every role of the service is of some kind, and nobody is made who decides for the SRO', () => {
  const all = [...new Set(Object.values(ROLES).flat())].map((role) => role.replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase()));
  const known = [...(/fn fits[\s\S]*?\n    }/.exec(rules)?.[0] ?? '').matchAll(/Role::(\w+) =>/g)].map((found) => found[1]);
  expect(all.sort()).toEqual(known.sort());
  expect(given('sro')).toEqual(['sro_auditor']);
  expect(given('tdp')).toEqual(['tdp_admin', 'signer']);
  expect([given('psp'), given(undefined)]).toEqual([[], []]);
});
