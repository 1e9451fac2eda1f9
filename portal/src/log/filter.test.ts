import { expect, it } from 'vitest';
import { base64url, utf8 } from '../keys/bytes';
import { fits, keep, kept, mentions, MOST_SAVED, NONE, type Saved } from './filter';

const entry = (kind: string, at = '2026-05-01T10:00:00Z', index = 3) => ({ index, record: { kind, at } });
const saved = (name: string): Saved => ({ ...NONE, name });

it('an entry is found by kind, day and whom it is about', () => {
  expect(fits(entry('key_added'), NONE, undefined)).toBe(true);
  expect(fits(entry('twin_root'), NONE, undefined)).toBe(false);
  expect(fits(entry('twin_root'), { ...NONE, kind: '' }, undefined)).toBe(true);
  expect(fits(entry('key_added'), { ...NONE, kind: 'run_completed' }, undefined)).toBe(false);
  expect(fits(entry('key_added'), { ...NONE, since: '2026-05-01', until: '2026-05-01' }, undefined)).toBe(true);
  expect(fits(entry('key_added'), { ...NONE, since: '2026-05-02' }, undefined)).toBe(false);
  expect(fits(entry('key_added'), { ...NONE, until: '2026-04-30' }, undefined)).toBe(false);
  expect(fits(entry('key_added'), NONE, new Set([3]))).toBe(true);
  expect(fits(entry('key_added'), NONE, new Set([4]))).toBe(false);
});

it('a body speaks of a party also inside of what was signed, and never by a part of its name', () => {
  const payload = base64url(utf8('{"parties":[{"did":"did:web:a.example"}],"contract_id":"ctr_1"}'));
  const body = { kind: 'contract_proposed', contract: { payload, signatures: [{ kid: 'did:web:b.example#k' }] } };
  for (const one of ['did:web:a.example', 'did:web:b.example', 'ctr_1']) expect(mentions(body, [one]), one).toBe(true);
  for (const one of ['did:web:a', 'did:web:b', 'did:web:c.example', 'ctr_']) expect(mentions(body, [one]), one).toBe(false);
  expect(mentions({ payload: '!!' }, ['x'])).toBe(false);
});

it('queries are kept by name, so many and no more, and what cannot be read is not', () => {
  expect(keep([saved('b')], saved('a')).map((one) => one.name)).toEqual(['a', 'b']);
  expect(keep([{ ...saved('a'), kind: 'x' }], saved('a'))).toEqual([saved('a')]);
  const many = Array.from({ length: 80 }, (_, n) => saved(`q${n}`)).reduce<Saved[]>(keep, []);
  expect(many.length).toBe(MOST_SAVED);
  expect(kept([saved('a'), { name: 1 }, null, 'x', { ...saved('b'), kind: undefined }])).toEqual([saved('a')]);
  const { dataset: _, ...old } = saved('c');
  expect(kept([old]), 'a query of before datasets were asked for').toEqual([saved('c')]);
  expect(kept('x')).toEqual([]);
});
