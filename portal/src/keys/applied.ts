/** A registration under way: who applied in this browser. Its key is kept beside it (`held.ts`). */
const PLACE = 'depa-applied';

export const applied = (): string | undefined => localStorage.getItem(PLACE) ?? undefined;
export const remember = (did: string): void => localStorage.setItem(PLACE, did);

/** Nothing is left to do for this one. A registration of another one goes on. */
export function settle(did: string): void {
  if (applied() === did) localStorage.removeItem(PLACE);
}
