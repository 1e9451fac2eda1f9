/** What this browser remembers for somebody: short lists of ids. Nothing of it counts anywhere else. */
import { type QueryClient, queryOptions } from '@tanstack/react-query';
import { get, update } from 'idb-keyval';

/**
 * `orders`: jobs that were ordered and have no run yet. `ended`: runs without a model that were looked at. `countersigned`:
 * versions of contracts, by digest. `steps`: first steps that nothing else tells done.
 */
export type Marks = 'orders' | 'ended' | 'countersigned' | 'steps';

/** The most that is remembered of each; the oldest is forgotten first. */
const MOST = 100;

const place = (of: Marks, member: string): string => `${of} ${member}`;

/** What lies there may be of another version of the page. */
export const readable = (found: unknown): string[] => (Array.isArray(found) ? found.filter((one) => typeof one === 'string') : []);

/** The list with this id as its newest, each once. */
export const added = (all: string[], id: string): string[] => [...all.filter((one) => one !== id), id].slice(-MOST);

export const marks = (of: Marks, member: string) =>
  queryOptions({ queryKey: ['held', 'marks', of, member], queryFn: async () => readable(await get(place(of, member))), enabled: member !== '' });

async function change(client: QueryClient, of: Marks, member: string, by: (all: string[]) => string[]): Promise<void> {
  await update(place(of, member), (found) => by(readable(found)));
  await client.invalidateQueries({ queryKey: marks(of, member).queryKey });
}

export const mark = (client: QueryClient, of: Marks, member: string, id: string): Promise<void> => change(client, of, member, (all) => added(all, id));
export const unmark = (client: QueryClient, of: Marks, member: string, id: string): Promise<void> => change(client, of, member, (all) => all.filter((one) => one !== id));
