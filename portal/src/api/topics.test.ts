import { expect, it } from 'vitest';
import told from '../../../registry/src/topics.rs?raw';
import { TOPICS } from './topics';

it('the page offers the topics that the service tells, and no other', () => {
  const names = [...told.matchAll(/\btopic\(\s*"([a-z_.]+)"/g)].map((found) => found[1]);
  expect(names.length).toBeGreaterThan(20);
  expect(TOPICS).toEqual(names);
});
