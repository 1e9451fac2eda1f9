/** What somebody may do with a contract, by its state and by what they are to it. */

/** Who looks at a contract, as far as it decides what they may do. */
export interface Looking {
  /** As the service says it. */
  state: string;
  /** Their role in the contract; none for others. */
  role?: string;
  /** Whether they are a person of the SRO who acts. */
  sro: boolean;
  /** Whether a signature of theirs is there. */
  signed: boolean;
  /** Whether they proposed it. */
  proposed: boolean;
  /** The roles that may revoke it. */
  revokers: readonly string[];
  /** Whether every signature there is was judged, and none of them stands against signing. */
  vouched: boolean;
}

export interface May {
  /** Whether it is theirs to sign, whatever the page found of it. */
  asked: boolean;
  sign: boolean;
  decline: boolean;
  /** A counter-offer, or a next version. */
  next: boolean;
  withdraw: boolean;
  revoke: boolean;
  order: boolean;
  /** Acts of two people of the SRO. */
  refuse: boolean;
  suspend: boolean;
  resume: boolean;
}

/** Whether a contract can still be signed by its parties. */
export const isOpen = (state: string): boolean => state === 'proposed' || state === 'partially_signed';

/** States of a contract that all have signed and that has not ended. */
export const STANDING: readonly string[] = ['active', 'scheduled', 'suspended'];

/** A person of the SRO signs in place of nobody: after all parties, where the template asks for it. */
export function may({ state, role, sro, signed, proposed, revokers, vouched }: Looking): May {
  const [party, open, standing, awaiting] = [role !== undefined, isOpen(state), STANDING.includes(state), state === 'awaiting_sro'];
  const asked = !signed && ((party && open) || (sro && awaiting));
  return {
    asked,
    sign: asked && vouched,
    decline: party && open && !signed,
    next: party && (open || standing),
    withdraw: proposed && open,
    revoke: role !== undefined && standing && revokers.includes(role),
    order: role === 'tdc' && state === 'active',
    refuse: sro && awaiting,
    suspend: sro && (state === 'active' || state === 'scheduled'),
    resume: sro && state === 'suspended',
  };
}
