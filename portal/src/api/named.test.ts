import { expect, it } from 'vitest';
import { byContract } from './named';

it('a contract is named by every filter that finds it, and by no other', () => {
  const found = byContract([['did:a', ['c1', 'c2']], ['did:b', ['c1']], ['did:c', []]], [['ds1', ['c2']]]);
  expect(found.get('c1')).toEqual({ parties: ['did:a', 'did:b'], datasets: [] });
  expect(found.get('c2')).toEqual({ parties: ['did:a'], datasets: ['ds1'] });
  expect(found.get('c3')).toBe(undefined);
});
