import { expect, it } from 'vitest';
import told from '../../../registry/src/told.rs?raw';
import { TOPICS } from './topics';

it('the page offers the topics that the service tells, and no other', () => {
  const list = /pub const TOPICS: &\[&str\] = &\[([^\]]*)\]/.exec(told)?.[1] ?? '';
  const names = [...list.matchAll(/"([a-z_.]+)"/g)].map((found) => found[1]);
  expect(names.length).toBeGreaterThan(20);
  expect(TOPICS).toEqual(names);
});
