import { describe, expect, it } from 'vitest';
import { profile } from './profile';

describe('a CSV file', () => {
  it('is profiled by its beginning', () => {
    const found = profile('a.csv', '\ufeffid,age,"a ""b"", c",note\r\n1x,31,2.5,\r\n2y,,-1e3,"a,\nb"\r\n');
    expect(found.columns).toEqual([
      { name: 'id', type: 'text' }, { name: 'age', type: 'number' }, { name: 'a "b", c', type: 'number' }, { name: 'note', type: 'text' },
    ]);
  });

  it('that is cut off in the middle of a row is judged by the whole rows', () => {
    expect(profile('a.csv', 'a,b\n1,2\n3,x').columns.map((column) => column.type)).toEqual(['number', 'number']);
  });
});
