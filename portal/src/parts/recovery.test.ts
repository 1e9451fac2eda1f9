import { expect, it } from 'vitest';
import { isDue, type Standing } from './recovery';

const first: Standing = { ready: true, active: 1, made: false, later: false };

it('a recovery key is the next step once the first key counts, and until it is made, put off, or needless', () => {
  expect(isDue(first)).toBe(true);
  for (const [why, not] of Object.entries<Partial<Standing>>({
    'no key counts yet': { ready: false, active: 0 }, 'two keys count': { active: 2 }, 'it waits to be entered': { made: true }, 'it was put off': { later: true },
  })) {
    expect(isDue({ ...first, ...not }), why).toBe(false);
  }
});
