/** Datasets that were picked for a contract, kept while the page is open. */
import { useSyncExternalStore } from 'react';

let picked: string[] = [];
const listeners = new Set<() => void>();

export function basket(id: string, inside: boolean): void {
  picked = inside ? [...picked.filter((one) => one !== id), id] : picked.filter((one) => one !== id);
  for (const listener of listeners) listener();
}

export const useBasket = (): string[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => picked,
  );
