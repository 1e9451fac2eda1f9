import { afterEach, expect, it, vi } from 'vitest';
import { drop, leftAt } from './half-done';

afterEach(() => vi.unstubAllGlobals());

it('what was left half done is found again, until it is dropped; what cannot be read is none', () => {
  const kept = new Map<string, string>([['one', '{"name":"Ages"}'], ['torn', '{"na']]);
  vi.stubGlobal('sessionStorage', { getItem: (place: string) => kept.get(place) ?? null, removeItem: (place: string) => kept.delete(place) });
  expect(leftAt('one')).toEqual({ name: 'Ages' });
  drop('one');
  for (const place of ['one', 'torn', 'never']) expect(leftAt(place)).toBeUndefined();
});
