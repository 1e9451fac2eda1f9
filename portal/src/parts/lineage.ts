/** The versions of a contract, followed by the pin: each names the digest of the version that it takes the place of. */
import type { Schemas } from '../api/client';
import type { Contract } from '../api/documents';
import { type Envelope, type Own, read } from '../keys/document';

export interface Version {
  own: Own<Contract>;
  /** The entry that proposed it. */
  index: number;
  at: string;
  /** Who proposed it. */
  by: string;
  /** Whether the version whose digest it pins is there, has the number before its own, and is of the same contract. */
  follows: boolean;
}

interface Proposed {
  kind: string;
  contract?: Envelope;
}

/** Every version that the log holds of a contract, oldest first, in the page's own bytes. */
export async function lineage(events: Pick<Schemas['ContractEvent'], 'index' | 'at' | 'body'>[]): Promise<Version[]> {
  const all: Version[] = [];
  for (const event of events) {
    const { kind, contract } = event.body as unknown as Proposed;
    if (kind !== 'contract_proposed' || contract === undefined) continue;
    const own = await read<Contract>(contract, 'contract.v1');
    const { supersedes, version, contract_id } = own.value;
    const old = all.find((one) => one.own.digest === supersedes);
    const follows = supersedes == null ? version === 1 && all.length === 0 : old?.own.value.version === version - 1 && old.own.value.contract_id === contract_id;
    all.push({ own, index: event.index, at: event.at, by: contract.signatures[0]?.kid.split('#')[0] ?? '', follows });
  }
  return all;
}
