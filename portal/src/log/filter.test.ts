import { expect, it } from 'vitest';
import { asked, asking, fits, keep, kept, MOST_SAVED, NONE, numbered, type Saved, SHOWN } from './filter';

const entry = (kind: string, at = '2026-05-01T10:00:00Z', index = 3) => ({ index, record: { kind, at } });
const saved = (name: string): Saved => ({ ...NONE, name });
const address = (text: string) => new URLSearchParams(text);

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

it('what overseers read is left out of the acts until it is asked for', () => {
  expect(fits(entry('bodies_read'), NONE, undefined)).toBe(false);
  expect(fits(entry('bodies_read'), { ...NONE, readings: SHOWN }, undefined)).toBe(true);
  expect(fits(entry('bodies_read'), { ...NONE, kind: '' }, undefined)).toBe(true);
  expect(fits(entry('bodies_read'), { ...NONE, kind: 'bodies_read' }, undefined)).toBe(true);
  expect(fits(entry('twin_root'), { ...NONE, readings: SHOWN }, undefined)).toBe(false);
});

it('an address holds what is looked for, and nothing that is not', () => {
  const of = { ...NONE, kind: 'run_completed', party: 'did:web:a.example', since: '2026-05-01', readings: SHOWN };
  expect(asked(asking(address(''), of))).toEqual(of);
  expect(asking(address(''), NONE).toString()).toBe('');
  expect(asked(address(''))).toEqual(NONE);
  expect(asked(asking(address('kind=run_completed'), { ...NONE, kind: '' })).kind, 'every entry is no default').toBe('');
  expect(asked(address('since=yesterday&until=<script>&readings=1'))).toEqual(NONE);
});

it('the open entry stays when the filter changes, and the page of the log while it is about the same', () => {
  const before = address('entry=7&page=2&contract=ctr_1');
  const kind = asking(before, { ...asked(before), kind: 'run_completed' });
  expect([kind.get('entry'), kind.get('page')]).toEqual(['7', '2']);
  const other = asking(before, { ...asked(before), contract: 'ctr_2' });
  expect([other.get('entry'), other.get('page')]).toEqual(['7', null]);
});

it('a number in an address is a number or nothing', () => {
  expect(numbered(address('entry=12'), 'entry')).toBe(12);
  for (const bad of ['', 'entry=', 'entry=-1', 'entry=1.5', 'entry=1e3', 'entry=<script>', 'entry=99999999999999999999']) expect(numbered(address(bad), 'entry'), bad).toBeUndefined();
});

it('queries are kept by name, so many and no more, and what cannot be read is not', () => {
  expect(keep([saved('b')], saved('a')).map((one) => one.name)).toEqual(['a', 'b']);
  expect(keep([{ ...saved('a'), kind: 'x' }], saved('a'))).toEqual([saved('a')]);
  const many = Array.from({ length: 80 }, (_, n) => saved(`q${n}`)).reduce<Saved[]>(keep, []);
  expect(many.length).toBe(MOST_SAVED);
  expect(kept([saved('a'), { name: 1 }, null, 'x', { ...saved('b'), kind: undefined }])).toEqual([saved('a')]);
  const { dataset: _, readings: __, ...old } = saved('c');
  expect(kept([old]), 'a query of before datasets and readings were asked for').toEqual([saved('c')]);
  expect(kept('x')).toEqual([]);
});
