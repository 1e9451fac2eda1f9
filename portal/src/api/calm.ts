/** How often what is shown is read again by itself. */
import type { QueryClient } from '@tanstack/react-query';
import { me, type Session } from './queries';

/** Whether somebody oversees: the log remembers what such a person reads of others. */
export const oversees = (session: Session | null | undefined): boolean =>
  session?.roles.some((role) => role === 'sro_admin' || role === 'sro_auditor') ?? false;

/** Whether who is signed in oversees: then nothing is read again unless the person asks for it. */
export const calm = (client: QueryClient): boolean => oversees(client.getQueryData(me.queryKey));

/** Defaults of everything that is read: fresh for five seconds, and again when the window comes back; for overseers never. */
export const rereading = (client: () => QueryClient) => ({
  staleTime: () => (calm(client()) ? Infinity : 5_000),
  refetchOnWindowFocus: () => !calm(client()),
  refetchOnReconnect: () => !calm(client()),
});
