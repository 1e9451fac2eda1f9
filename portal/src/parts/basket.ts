/** Datasets that were picked for a contract, kept by member until the tab is closed. */
import { useQuery } from '@tanstack/react-query';
import { useMemo, useSyncExternalStore } from 'react';
import { me } from '../api/queries';
import { readable } from './marks';

const listeners = new Set<() => void>();

const place = (member: string): string => `depa-basket ${member}`;

function opened(kept: string | null): string[] {
  try {
    return readable(JSON.parse(kept ?? '[]'));
  } catch {
    return [];
  }
}

/** What this member has picked, and how one is put in or taken out. */
export function useBasket(): { picked: string[]; put: (id: string, inside: boolean) => void } {
  const member = useQuery(me).data?.member ?? '';
  const kept = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => sessionStorage.getItem(place(member)),
  );
  const picked = useMemo(() => opened(kept), [kept]);
  const put = (id: string, inside: boolean) => {
    const others = opened(sessionStorage.getItem(place(member))).filter((one) => one !== id);
    sessionStorage.setItem(place(member), JSON.stringify(inside ? [...others, id] : others));
    for (const listener of listeners) listener();
  };
  return { picked, put };
}
