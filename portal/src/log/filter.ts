/** Which entries of the log somebody looks for, and looking for the same again. */
import { fromBase64url, text } from '../keys/bytes';

export interface Filter {
  /** A kind of entry; `acts` for all that people and services did, empty for every one. */
  kind: string;
  /** Days, inclusive; empty for none. */
  since: string;
  until: string;
  /** A DID; empty for everyone. */
  party: string;
  /** The id of a contract; empty for all. */
  contract: string;
  /** The id of a dataset; empty for all. */
  dataset: string;
}

export interface Saved extends Filter {
  name: string;
}

export const ACTS = 'acts';
export const NONE: Filter = { kind: ACTS, since: '', until: '', party: '', contract: '', dataset: '' };
/** The most queries that are kept. */
export const MOST_SAVED = 50;

interface Looked {
  index: number;
  record: { kind: string; at: string };
}

/** Whether an entry is looked for. `about` are the entries of the party, contract or dataset; undefined where none is asked for. */
export function fits(entry: Looked, of: Filter, about: ReadonlySet<number> | undefined): boolean {
  const { kind, at } = entry.record;
  // The second tree's roots, one after each batch, tell people nothing.
  const wanted = of.kind === '' || (of.kind === ACTS ? kind !== 'twin_root' : kind === of.kind);
  const timely = (of.since === '' || at.slice(0, 10) >= of.since) && (of.until === '' || at.slice(0, 10) <= of.until);
  return wanted && timely && (about === undefined || about.has(entry.index));
}

/** Whether a body speaks of any of these: a DID, also as the holder of a key, or an id. Signed documents in it are read. */
export function mentions(body: unknown, wanted: readonly string[], depth = 0): boolean {
  if (depth > 24) return false;
  if (typeof body === 'string') return wanted.some((one) => body === one || body.startsWith(`${one}#`));
  if (Array.isArray(body)) return body.some((one) => mentions(one, wanted, depth + 1));
  if (body === null || typeof body !== 'object') return false;
  return Object.entries(body).some(([name, value]) => {
    if (name !== 'payload' || typeof value !== 'string') return mentions(value, wanted, depth + 1);
    try {
      return mentions(JSON.parse(text(fromBase64url(value))), wanted, depth + 1);
    } catch {
      return false;
    }
  });
}

const WORDS = ['name', 'kind', 'since', 'until', 'party', 'contract', 'dataset'] as const;

/** What was kept, as far as it can be read. */
export function kept(found: unknown): Saved[] {
  if (!Array.isArray(found)) return [];
  const read = (one: unknown): one is Saved => one !== null && typeof one === 'object' && WORDS.every((word) => typeof (one as Record<string, unknown>)[word] === 'string');
  // Queries of before datasets were asked for ask for every one.
  const whole = (one: unknown): unknown => (one !== null && typeof one === 'object' ? { dataset: '', ...one } : one);
  return found.map(whole).filter(read).slice(0, MOST_SAVED);
}

/** The list with this query under its name, in place of one of the same name, in the order of names. */
export function keep(all: Saved[], one: Saved): Saved[] {
  const others = all.filter(({ name }) => name !== one.name).slice(0, MOST_SAVED - 1);
  return [...others, one].sort((a, b) => a.name.localeCompare(b.name));
}
