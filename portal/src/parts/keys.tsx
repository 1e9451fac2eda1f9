/** The keys that this browser holds for who is signed in. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { keysOf, me } from '../api/queries';
import { heldKeys, type HeldKey } from '../keys/held';

export interface Signing {
  /** The first held key that counts now at the register. */
  ready: HeldKey | undefined;
  held: HeldKey[];
  /** Whether the register and the browser were asked already. */
  known: boolean;
  again: () => void;
}

/** What the page signs with. A key counts where the register lists it as active; SRO people's keys stand in the trust. */
export function useSigning(): Signing {
  const { data: session } = useQuery(me);
  const member = session?.member;
  const client = useQueryClient();
  const held = useQuery({
    queryKey: ['held', member, 'keys'],
    queryFn: () => heldKeys(member),
    enabled: member !== undefined,
  });
  const listed = useQuery({ ...keysOf(member ?? ''), enabled: member !== undefined });
  const active = new Set(listed.data?.keys.filter((key) => key.state === 'active').map((key) => key.thumbprint));
  return {
    ready: held.data?.find((key) => active.has(key.thumbprint)),
    held: held.data ?? [],
    known: held.data !== undefined && !listed.isPending,
    again: () => {
      void client.invalidateQueries({ queryKey: ['held'] });
      void client.invalidateQueries({ queryKey: ['keys'] });
    },
  };
}
