import { describe, expect, it } from 'vitest';
import { profile, told } from './profile';

describe('a CSV file', () => {
  it('is profiled by its beginning', () => {
    const found = profile('\ufeffid,age,"a ""b"", c",note\r\n1x,31,2.5,\r\n2y,,-1e3,"a,\nb"\r\n');
    expect(found).toEqual([
      { name: 'id', type: 'text' }, { name: 'age', type: 'number' }, { name: 'a__b___c', source: 'a "b", c', type: 'number' }, { name: 'note', type: 'text' },
    ]);
  });

  it('that is cut off in the middle of a row is judged by the whole rows', () => {
    expect(profile('a,b\n1,2\n3,x').map((column) => column.type)).toEqual(['number', 'number']);
  });

  it('has names in the form that offers have, as the command line gives them', () => {
    expect(profile('2nd,ct value,,ä\n').map(({ name, source }) => [name, source])).toEqual([['_2nd', '2nd'], ['ct_value', 'ct value'], ['_', ''], ['_', 'ä']]);
    expect(profile(`${'a'.repeat(70)}\n`)[0]?.name).toBe('a'.repeat(64));
  });
});

describe('a table of another form', () => {
  it('has the columns that depa dataset init found', () => {
    const said = { out: 'dataset.toml', columns: [{ source: 'ct value', name: 'ct_value', type: 'number' }, { source: 'scan', name: 'scan', type: 'image' }], left_out: [] };
    expect(told(JSON.stringify(said))).toEqual([{ name: 'ct_value', source: 'ct value', type: 'number' }, { name: 'scan', type: 'image' }]);
  });

  it('is not taken from anything else', () => {
    for (const spoilt of ['', 'null', '[]', '{}', '{"columns":[]}', '{"columns":[null]}', '{"columns":[{"source":1,"type":"text"}]}', '{"columns":[{"source":"a","type":"date"}]}']) {
      expect(() => told(spoilt), spoilt).toThrow(expect.objectContaining({ code: 'SCHEMA_MISMATCH' }) as Error);
    }
  });
});
