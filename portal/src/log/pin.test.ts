import { expect, it } from 'vitest';
import { type Pin, pinned } from './pin';

const FIRST: Pin = { origin: 'sro.example/log', x: 'first', registry: 'did:web:sro.example' };

function store() {
  let kept: Pin | undefined;
  return { get: () => Promise.resolve(kept), set: (pin: Pin) => Promise.resolve(void (kept = pin)) };
}

it('what an address named first stays pinned, whichever part it names otherwise later', async () => {
  const place = store();
  expect(await pinned(FIRST, place)).toEqual({ pin: FIRST, changed: [] });
  expect(await pinned(FIRST, place)).toEqual({ pin: FIRST, changed: [] });
  for (const part of ['origin', 'x', 'registry'] as const) {
    const other = { ...FIRST, [part]: 'another' };
    for (let visits = 0; visits < 2; visits += 1) {
      expect(await pinned(other, place), part).toEqual({ pin: FIRST, changed: [part] });
    }
  }
  expect((await pinned({ origin: 'a', x: 'b', registry: 'c' }, place)).changed).toEqual(['origin', 'x', 'registry']);
});

it('what was pinned anew counts', async () => {
  const place = store();
  await pinned(FIRST, place);
  const next = { ...FIRST, x: 'next' };
  await place.set(next);
  expect(await pinned(next, place)).toEqual({ pin: next, changed: [] });
});
