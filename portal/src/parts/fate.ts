/** What became of the money of obligations: paid, still owed, or back with who paid. */
import type { Schemas } from '../api/client';

type Owed = Pick<Schemas['ObligationView'], 'state' | 'standing'>;
type Row = Owed & Pick<Schemas['ObligationView'], 'payer' | 'payee' | 'currency' | 'amount_minor'>;

export type Fate = 'paid' | 'open' | 'blocked' | 'being given back' | 'given back' | 'no longer owed';

/** Of one. What is refunded moved back only where an instruction moved it; else a ruling wrote it off. */
export function fate({ state, standing }: Owed): Fate {
  if (state === 'settled') return 'paid';
  if (state === 'refunding') return 'being given back';
  if (state === 'refunded') return standing === 'settled' || standing === 'returned' ? 'given back' : 'no longer owed';
  if (state === 'void') return 'no longer owed';
  return state === 'asked' || state === 'blocked' ? 'blocked' : 'open';
}

/** Of all that a run owes, in one word; nothing where it owes nothing. */
export function fateOf(all: Owed[]): string | undefined {
  if (all.length === 0) return undefined;
  const found = new Set(all.map(fate));
  if (found.has('open') || found.has('blocked')) return 'not paid yet';
  if (found.has('being given back')) return 'being given back';
  if (found.has('given back')) return found.has('paid') ? 'paid, in part given back' : 'given back';
  return found.has('paid') ? 'paid' : 'no longer owed';
}

export interface Sum {
  side: 'You paid' | 'You received' | 'Between others';
  fate: Fate;
  currency: string;
  minor: number;
}

/** The sums of payments by this member's side, by what became of them, and by currency; what nobody owes any more is in none. */
export function sums(rows: Row[], member: string): Sum[] {
  const all = new Map<string, Sum>();
  for (const row of rows) {
    const side = row.payer === member ? 'You paid' : row.payee === member ? 'You received' : 'Between others';
    const became = fate(row);
    if (became === 'no longer owed') continue;
    const key = `${side} ${became} ${row.currency}`;
    all.set(key, { side, fate: became, currency: row.currency, minor: (all.get(key)?.minor ?? 0) + row.amount_minor });
  }
  return [...all.values()];
}
