import { expect, it } from 'vitest';
import { added, readable } from './marks';

it('an id is remembered once, as the newest, and the oldest is forgotten', () => {
  expect(added(['a', 'b'], 'a')).toEqual(['b', 'a']);
  const many = Array.from({ length: 150 }, (_, at) => `id ${at}`).reduce(added, []);
  expect(many).toHaveLength(100);
  expect([many[0], many.at(-1)]).toEqual(['id 50', 'id 149']);
});

it('what is no list of ids is read as none', () => {
  for (const found of [undefined, null, 'a', 7, {}]) expect(readable(found)).toEqual([]);
  expect(readable(['a', 7, null, 'b'])).toEqual(['a', 'b']);
});
