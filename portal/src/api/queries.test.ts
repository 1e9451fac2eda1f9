import { expect, it } from 'vitest';
import { pages } from './queries';

const list = Array.from({ length: 450 }, (_, at) => at);
const page = (cursor?: string) => {
  const from = Number(cursor ?? 0);
  return Promise.resolve({ items: list.slice(from, from + 200), next: from + 200 < list.length ? String(from + 200) : null });
};

it('a list is read to its last page', async () => {
  expect(await pages(page, 10_000)).toEqual(list);
});

it('a list is read to its bound, and one that leads nowhere ends', async () => {
  expect(await pages(page, 300)).toEqual(list.slice(0, 300));
  expect(await pages(() => Promise.resolve({ items: [1], next: 'x' }), 10_000)).toEqual([1, 1]);
});
