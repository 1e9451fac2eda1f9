/** What an entry of the log says of an act: who signed it, and why. */
import { peek } from '../keys/document';

/** What was entered; its other members go by its kind. */
export interface Told {
  kind: string;
  [part: string]: unknown;
}

/** Who signed what a body holds; nobody where all have. */
export function signers(body: Told): string[] {
  if (body.kind === 'contract_executed') return [];
  const kids = Object.values(body).flatMap((part) => {
    const { kid, signatures } = (part ?? {}) as { kid?: unknown; signatures?: { kid?: unknown }[] };
    return [kid, ...(Array.isArray(signatures) ? signatures.map((one) => one?.kid) : [])];
  });
  return [...new Set(kids.flatMap((kid) => (typeof kid === 'string' ? kid.split('#')[0] ?? [] : [])))];
}

/** Why, in the words of who signed it, and under which cause; neither where the act names none. */
export function grounds(body: Told): { reason?: string; cause?: string } {
  for (const part of Object.values(body)) {
    const { payload } = (part ?? {}) as { payload?: unknown };
    if (typeof payload !== 'string') continue;
    try {
      const { reason, cause } = peek<{ reason?: unknown; cause?: unknown }>({ payload, signatures: [] });
      if (typeof reason === 'string') return { reason, ...(typeof cause === 'string' && { cause }) };
    } catch {
      // Bytes that are no JSON give no reason.
    }
  }
  return {};
}

/** The act that brought a contract into a state in which nothing runs under it. */
const STOPS: Record<string, string> = {
  declined: 'contract_declined', withdrawn: 'contract_withdrawn', revoked: 'contract_revoked', suspended: 'contract_suspended', terminated: 'contract_terminated',
};

/** The entry that says why a contract is in this state; the newest of them. */
export const stopping = <T extends { body: unknown }>(events: T[], state: string): T | undefined => events.findLast(({ body }) => (body as Told).kind === STOPS[state]);
