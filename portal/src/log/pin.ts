/** Which log counts at this address: origin, key and registry as the first visit found them, in one record. */
import type { Trust } from '../api/queries';

export interface Pin {
  origin: string;
  /** The log's Ed25519 key. */
  x: string;
  registry: string;
}

/** A part that the service names otherwise than it was pinned. */
export type Part = keyof Pin;

/** Where the record lies: one for an address, whatever the service there says of itself. */
export interface PinStore {
  get: () => Promise<Pin | undefined>;
  set: (pin: Pin) => Promise<void>;
}

export const named = (trust: Trust): Pin => ({ origin: trust.origin, x: trust.registry_jwk.x, registry: trust.registry });

/** The pinned record and what the service names otherwise now; the first visit pins what is named. */
export async function pinned(now: Pin, store: PinStore): Promise<{ pin: Pin; changed: Part[] }> {
  const pin = await store.get();
  if (pin === undefined) {
    await store.set(now);
    return { pin: now, changed: [] };
  }
  const parts: Part[] = ['origin', 'x', 'registry'];
  return { pin, changed: parts.filter((part) => pin[part] !== now[part]) };
}
