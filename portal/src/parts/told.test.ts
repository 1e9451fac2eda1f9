import { expect, it } from 'vitest';
import { base64url, utf8 } from '../keys/bytes';
import { grounds, signers, stopping } from './told';

const kid = (who: string) => ({ kid: `did:web:${who}#k`, sig: 'x' });
const envelope = (value: unknown, ...who: string[]) => ({ payload: base64url(utf8(JSON.stringify(value))), signatures: who.map(kid) });

it('who signed is told from the body', () => {
  expect(signers({ kind: 'contract_signed', contract: { id: 'c' }, signature: kid('a') })).toEqual(['did:web:a']);
  expect(signers({ kind: 'contract_suspended', suspend: envelope({}, 'a', 'b') })).toEqual(['did:web:a', 'did:web:b']);
  expect(signers({ kind: 'contract_executed', contract: envelope({}, 'a', 'b') })).toEqual([]);
  expect(signers({ kind: 'contract_timed', at: null, state: 'lapsed' })).toEqual([]);
});

it('why is told in the words that were signed, and nothing is made up where none were', () => {
  expect(grounds({ kind: 'contract_declined', decline: envelope({ reason: 'The period is too long' }, 'a') })).toEqual({ reason: 'The period is too long' });
  expect(grounds({ kind: 'contract_suspended', suspend: envelope({ reason: 'See the report', cause: 'breach' }, 'a', 'b') })).toEqual({ reason: 'See the report', cause: 'breach' });
  expect(grounds({ kind: 'run_aborted', abort: envelope({ reason: 'Consent was withdrawn' }, 'a') })).toEqual({ reason: 'Consent was withdrawn' });
  expect(grounds({ kind: 'dataset_changed', act: envelope({ act: 'suspend', reason: 'A look at consent' }, 'a') })).toEqual({ reason: 'A look at consent' });
  expect(grounds({ kind: 'contract_signed', contract: { id: 'c' }, signature: kid('a') })).toEqual({});
  expect(grounds({ kind: 'contract_proposed', contract: envelope({ schema: 'contract.v1' }, 'a') })).toEqual({});
  expect(grounds({ kind: 'contract_declined', decline: envelope({ reason: { html: 'x' } }, 'a') })).toEqual({});
  expect(grounds({ kind: 'contract_declined', decline: { payload: 'bm90IEpTT04', signatures: [] } })).toEqual({});
});

it('a contract that is stopped is told by the newest act that stopped it so', () => {
  const event = (index: number, kind: string) => ({ index, body: { kind } });
  const all = [event(1, 'contract_proposed'), event(2, 'contract_suspended'), event(3, 'contract_resumed'), event(4, 'contract_suspended'), event(5, 'contract_revoked')];
  expect(stopping(all, 'suspended')?.index).toBe(4);
  expect(stopping(all, 'revoked')?.index).toBe(5);
  expect(stopping(all, 'declined')).toBe(undefined);
  expect(stopping(all, 'active')).toBe(undefined);
});
