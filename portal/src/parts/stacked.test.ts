import { expect, it } from 'vitest';
import { named } from './stacked';

it('each cell bears the name of the column that it begins in, also beside cells that take several', () => {
  const heads = [{ name: 'Run', span: 1 }, { name: 'ε', span: 2 }, { name: '', span: 1 }];
  expect(named(heads, [1, 1, 1, 1])).toEqual(['Run', 'ε', 'ε', '']);
  expect(named(heads, [1, 2, 1])).toEqual(['Run', 'ε', '']);
  expect(named(heads, [3, 1])).toEqual(['Run', '']);
  expect(named(heads, [1, 1, 1, 1, 1]), 'a cell more than there are heads').toEqual(['Run', 'ε', 'ε', '', '']);
  expect(named([], [1, 1]), 'a table without heads').toEqual(['', '']);
});
