import { expect, it } from 'vitest';
import type { Note } from '../api/live';
import { merged, signers } from './activity';

const note = (index: number, kind = 'contract_signed'): Note => ({ index, kind, at: '2026-05-01T10:00:00Z', contract: null, run_id: null });

it('what was told live and what stood before are one list, the newest first, each entry once', () => {
  expect(merged([note(9), note(7)], [note(7), note(3)]).map(({ index }) => index)).toEqual([9, 7, 3]);
  expect(merged([note(7, 'run_completed')], [note(7)])).toEqual([note(7, 'run_completed')]);
  expect(merged([], Array.from({ length: 40 }, (_, n) => note(n))).length).toBe(12);
});

it('who signed is told from the body, and kept when the entry is told live', () => {
  const kid = (who: string) => ({ kid: `did:web:${who}#k`, sig: 'x' });
  expect(signers({ kind: 'contract_signed', contract: { id: 'c' }, signature: kid('a') })).toEqual(['did:web:a']);
  expect(signers({ kind: 'contract_suspended', suspend: { payload: '', signatures: [kid('a'), kid('b')] } })).toEqual(['did:web:a', 'did:web:b']);
  expect(signers({ kind: 'contract_executed', contract: { payload: '', signatures: [kid('a'), kid('b')] } })).toEqual([]);
  expect(signers({ kind: 'contract_timed', at: null, state: 'lapsed' })).toEqual([]);
  expect(merged([note(7)], [{ ...note(7), by: ['did:web:a'] }])).toEqual([{ ...note(7), by: ['did:web:a'] }]);
});
