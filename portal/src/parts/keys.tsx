/** The keys that this browser holds for who is signed in. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'react-router';
import { keysOf, me } from '../api/queries';
import { t } from '../i18n';
import { Refused } from '../keys/document';
import { heldKeys, type HeldKey } from '../keys/held';

/** With so many keys that count, the loss of one leaves its holder able to sign. */
export const ENOUGH_KEYS = 2;

export interface Signing {
  /** The first held key that counts now at the register. */
  ready: HeldKey | undefined;
  held: HeldKey[];
  /** How many keys count for who is signed in, here or elsewhere. */
  active: number;
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
    active: active.size,
    known: held.data !== undefined && !listed.isPending,
    again: () => {
      void client.invalidateQueries({ queryKey: ['held'] });
      void client.invalidateQueries({ queryKey: ['keys'] });
    },
  };
}

const missing = (): string => t('This browser holds no key that may sign for you.');

/** The refusal of an act that nothing here can sign. */
export const keyMissing = (): Refused => new Refused('KEY_MISSING', missing());

/** Says why nothing can be signed here, and where a key is set up; nothing where one is at hand. */
export function NoKey() {
  const { ready, known } = useSigning();
  return known && !ready ? <div className="note wait">{missing()} <Link to="/keys">{t('Set up a key')}</Link></div> : null;
}
