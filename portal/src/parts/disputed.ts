/** Disputes about a payment: which there are, and whether the service takes another one. */
import type { Schemas } from '../api/client';
import type { Pending } from '../api/queries';
import { type Act, member as text } from './acts';

type View = Schemas['DisputeView'];
type Obligation = Pick<Schemas['ObligationView'], 'instruction_id' | 'payer' | 'payee' | 'state'>;

/** What a ruling does, by its word. */
export const RULINGS: Record<string, string> = {
  refund: 'The payer gets it back',
  stand: 'It stays as it is',
  release: 'The money in suspense pays an obligation',
};

/** The disputes about a payment, in the order of the list. */
export const about = <T extends Pick<View, 'instruction_id'>>({ instruction_id: id }: Pick<Obligation, 'instruction_id'>, all: T[]): T[] => all.filter((one) => one.instruction_id === id);

/** States of a payment in which a ruling can still change something: what is neither blocked nor owed nor paid is refunded by nobody. */
const RULABLE = ['blocked', 'due', 'instructed', 'settled'];

/** Whether this member may dispute a payment now: payer or payee, one dispute at a time, as the service has it, and where a ruling would change something. */
export function disputable(of: Obligation, all: Pick<View, 'instruction_id' | 'state' | 'suspense'>[], member: string | undefined): boolean {
  const open = about(of, all).some((one) => one.state !== 'closed' && !one.suspense);
  return (member === of.payer || member === of.payee) && !open && RULABLE.includes(of.state);
}

/** What one person of the SRO has signed about a dispute and a second one has not. */
export const waitingOn = (id: string, all: Pending[]): (Pending & { act: Act })[] =>
  all.flatMap((one) => (one.act?.schema.startsWith('dispute-') && text(one.act, 'dispute_id') === id ? [{ ...one, act: one.act }] : []));

/** The dispute that an entry of the log is about, where it is among these. */
export function at(index: number, all: Pick<View, 'dispute_id' | 'dispute' | 'answer' | 'ruled' | 'closed'>[]): string | undefined {
  const entered = (one: (typeof all)[number]) => [one.dispute, one.answer, one.ruled, one.closed].some((logged) => logged?.receipt.index === index);
  return all.find(entered)?.dispute_id;
}
