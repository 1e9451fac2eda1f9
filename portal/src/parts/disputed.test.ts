import { expect, it } from 'vitest';
import type { Schemas } from '../api/client';
import type { Pending } from '../api/queries';
import { about, at, disputable, waitingOn } from './disputed';

type View = Schemas['DisputeView'];
const [PAYER, PAYEE] = ['did:web:consumer.example', 'did:web:provider.example'];
const owed = (state = 'settled') => ({ instruction_id: 'A', payer: PAYER, payee: PAYEE, state });
const dispute = (state: string, instruction_id = 'A', suspense = false) => ({ dispute_id: `dsp_${state}`, instruction_id, state, suspense }) as View;

it('a payment is disputed by its sides, one dispute at a time', () => {
  expect(disputable(owed(), [], PAYER)).toBe(true);
  expect(disputable(owed(), [], PAYEE)).toBe(true);
  expect(disputable(owed(), [], 'did:web:other.example')).toBe(false);
  expect(disputable(owed(), [], undefined)).toBe(false);
  for (const state of ['open', 'answered', 'ruled']) expect(disputable(owed(), [dispute(state)], PAYER), state).toBe(false);
  // The service takes the next one once the one before is closed; one about another payment, and money in suspense, stand in nobody's way.
  expect(disputable(owed(), [dispute('closed'), dispute('open', 'B'), dispute('open', 'A', true)], PAYER)).toBe(true);
});

it('what no ruling can change is offered to nobody for a dispute', () => {
  for (const state of ['blocked', 'due', 'instructed', 'settled']) expect(disputable(owed(state), [], PAYER), state).toBe(true);
  for (const state of ['asked', 'void', 'refunding', 'refunded']) expect(disputable(owed(state), [], PAYER), state).toBe(false);
});

it('a payment names every dispute about it, also those that are over', () => {
  expect(about(owed(), [dispute('open'), dispute('closed'), dispute('ruled', 'B')]).map(({ state }) => state)).toEqual(['open', 'closed']);
});

it('a ruling that one person has signed waits on the page of its dispute alone', () => {
  const begun = (schema: string, dispute_id: string) => ({ act: { schema, registry: '', dispute_id }, signers: [], since: '', until: '' }) as Pending;
  const all = [begun('dispute-ruling.v1', 'dsp_1'), begun('dispute-close.v1', 'dsp_1'), begun('dispute-ruling.v1', 'dsp_2'), begun('abort.v1', 'dsp_1'), { signers: [], since: '', until: '' }];
  expect(waitingOn('dsp_1', all).map(({ act }) => act.schema)).toEqual(['dispute-ruling.v1', 'dispute-close.v1']);
  expect(waitingOn('dsp_3', all)).toEqual([]);
});

it('an entry of the log leads to the dispute that it is about', () => {
  const logged = (index: number) => ({ receipt: { index } }) as View['dispute'];
  const all = [{ dispute_id: 'dsp_1', dispute: logged(5), answer: logged(8) }, { dispute_id: 'dsp_2', dispute: null, ruled: logged(9) }] as unknown as View[];
  expect([5, 8, 9, 6].map((index) => at(index, all))).toEqual(['dsp_1', 'dsp_1', 'dsp_2', undefined]);
});
