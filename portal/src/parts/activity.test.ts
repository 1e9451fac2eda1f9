import { expect, it } from 'vitest';
import type { Note } from '../api/live';
import { merged } from './activity';

const note = (index: number, kind = 'contract_signed'): Note => ({ index, kind, at: '2026-05-01T10:00:00Z', contract: null, run_id: null });

it('what was told live and what stood before are one list, the newest first, each entry once', () => {
  expect(merged([note(9), note(7)], [note(7), note(3)]).map(({ index }) => index)).toEqual([9, 7, 3]);
  expect(merged([note(7, 'run_completed')], [note(7)])).toEqual([note(7, 'run_completed')]);
  expect(merged([], Array.from({ length: 40 }, (_, n) => note(n))).length).toBe(12);
});

it('who signed an entry is kept when the entry is told live', () => {
  expect(merged([note(7)], [{ ...note(7), by: ['did:web:a'] }])).toEqual([{ ...note(7), by: ['did:web:a'] }]);
});
