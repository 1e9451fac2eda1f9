/** What differs between two versions of a document, member by member; nothing that differs is left out. */

export interface Change {
  /** Where, from the outside in: names of members, and what tells the members of a list apart. */
  path: string[];
  /** The value before; undefined where it is new. */
  before: unknown;
  /** The value after; undefined where it is gone. */
  after: unknown;
  /** The object around it, for what a value means beside others, such as a sum beside its currency. */
  beside: Record<string, unknown>;
}

type Members = Record<string, unknown>;

const isObject = (value: unknown): value is Members => value !== null && typeof value === 'object' && !Array.isArray(value);

/** What tells the members of a list of objects apart, in the order in which it is looked for. */
const NAMES = ['dataset_id', 'term_id', 'did', 'cause', 'from'];

/** The name by which each member of a list is known; undefined where two could be meant by one name. */
function named(list: unknown[]): Map<string, unknown> | undefined {
  if (list.length === 0) return new Map();
  if (!list.every(isObject)) return undefined;
  const by = NAMES.find((name) => (list as Members[]).every((one) => typeof one[name] === 'string' || typeof one[name] === 'number'));
  if (by === undefined) return undefined;
  const all = new Map((list as Members[]).map((one) => [String(one[by]), one]));
  return all.size === list.length ? all : undefined;
}

function canon(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canon).join()}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? 'undefined';
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canon(value[name])}`).join()}}`;
}

const same = (a: unknown, b: unknown): boolean => canon(a) === canon(b);

function walk(before: unknown, after: unknown, path: string[], beside: Members, found: Change[]): void {
  if (same(before, after)) return;
  if (isObject(before) && isObject(after)) {
    for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) walk(before[name], after[name], [...path, name], after, found);
    return;
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const [old, next] = [named(before), named(after)];
    // In another order alone: the whole list is the change.
    const kept = old && next && [...next.keys()].filter((key) => old.has(key));
    const order = kept && same([...old.keys()].filter((key) => next.has(key)), kept);
    if (old && next && order) {
      for (const key of new Set([...old.keys(), ...next.keys()])) walk(old.get(key), next.get(key), [...path, key], beside, found);
      return;
    }
  }
  found.push({ path, before, after, beside });
}

/** Every change from one document to the other, in the order of its members. */
export function changes(before: unknown, after: unknown): Change[] {
  const found: Change[] = [];
  walk(before, after, [], {}, found);
  return found;
}

/** Of two lists of plain values: what is new in the second, and what is gone; nothing where only their order differs. */
export function moved(before: unknown, after: unknown): { added: string[]; removed: string[] } | undefined {
  const plain = (value: unknown): value is (string | number)[] => Array.isArray(value) && value.every((one) => typeof one === 'string' || typeof one === 'number');
  const [old, next] = [before ?? [], after ?? []];
  if (!plain(old) || !plain(next)) return undefined;
  const added = next.filter((one) => !old.includes(one)).map(String);
  const removed = old.filter((one) => !next.includes(one)).map(String);
  return added.length + removed.length > 0 ? { added, removed } : undefined;
}
