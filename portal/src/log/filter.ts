/** Which entries of the log somebody looks for, in the page's address, and looking for the same again. */

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
  /** `shown` where what overseers read stands among the acts; empty where it is left out. */
  readings: string;
}

export interface Saved extends Filter {
  name: string;
}

export const ACTS = 'acts';
/** The kind of what tells that an overseer read bodies. */
export const READING = 'bodies_read';
export const SHOWN = 'shown';
export const NONE: Filter = { kind: ACTS, since: '', until: '', party: '', contract: '', dataset: '', readings: '' };
/** The most queries that are kept. */
export const MOST_SAVED = 50;

const PARTS = ['kind', 'since', 'until', 'party', 'contract', 'dataset', 'readings'] as const;

interface Looked {
  index: number;
  record: { kind: string; at: string };
}

/** Whether an entry is looked for. `about` are the entries of the party, contract or dataset; undefined where none is asked for. */
export function fits(entry: Looked, of: Filter, about: ReadonlySet<number> | undefined): boolean {
  const { kind, at } = entry.record;
  // The second tree's roots, one after each batch, tell people nothing; readings hide what was done.
  const act = kind !== 'twin_root' && (kind !== READING || of.readings === SHOWN);
  const wanted = of.kind === '' || (of.kind === ACTS ? act : kind === of.kind);
  const timely = (of.since === '' || at.slice(0, 10) >= of.since) && (of.until === '' || at.slice(0, 10) <= of.until);
  return wanted && timely && (about === undefined || about.has(entry.index));
}

/** Whether the entries of somebody or something are looked for. */
export const asksAbout = (of: Filter): boolean => of.party !== '' || of.contract !== '' || of.dataset !== '';

/** What an address asks for. What it does not say, or says in no form that there is, is as in {@link NONE}. */
export function asked(query: URLSearchParams): Filter {
  const of = Object.fromEntries(PARTS.map((part) => [part, query.get(part) ?? NONE[part]])) as unknown as Filter;
  const day = (text: string) => (/^\d{4}-\d{2}-\d{2}$/.test(text) ? text : '');
  return { ...of, since: day(of.since), until: day(of.until), readings: of.readings === SHOWN ? SHOWN : '' };
}

/** The address that asks for this instead. Somebody or something else begins at its own page of the log. */
export function asking(query: URLSearchParams, of: Filter): URLSearchParams {
  const [before, next] = [asked(query), new URLSearchParams(query)];
  for (const part of PARTS) {
    if (of[part] === NONE[part]) next.delete(part);
    else next.set(part, of[part]);
  }
  if (before.party !== of.party || before.contract !== of.contract || before.dataset !== of.dataset) next.delete('page');
  return next;
}

/** A number in an address: of an entry, or of a page of the log. */
export function numbered(query: URLSearchParams, name: 'entry' | 'page'): number | undefined {
  const text = query.get(name) ?? '';
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

/** What was kept, as far as it can be read. */
export function kept(found: unknown): Saved[] {
  if (!Array.isArray(found)) return [];
  const read = (one: unknown): one is Saved => one !== null && typeof one === 'object' && ['name', ...PARTS].every((word) => typeof (one as Record<string, unknown>)[word] === 'string');
  // Queries of before datasets and readings were asked for ask for every dataset and no reading.
  const whole = (one: unknown): unknown => (one !== null && typeof one === 'object' ? { dataset: '', readings: '', ...one } : one);
  return found.map(whole).filter(read).slice(0, MOST_SAVED);
}

/** The list with this query under its name, in place of one of the same name, in the order of names. */
export function keep(all: Saved[], one: Saved): Saved[] {
  const others = all.filter(({ name }) => name !== one.name).slice(0, MOST_SAVED - 1);
  return [...others, one].sort((a, b) => a.name.localeCompare(b.name));
}
