/** The next version of a dataset begins as the one before it: what its provider does not change stays. */
import type { DatasetOffer, PublicOffer } from '../api/documents';
import { t } from '../i18n';
import { Refused } from '../keys/document';
import type { Profiled } from './profile';
import { REAL } from './terms';

/** A column as its provider describes it. */
export interface Row extends Profiled {
  lower: string;
  upper: string;
  sealed: boolean;
  read: boolean;
  join: boolean;
  target: boolean;
}

export const fresh = (column: Profiled): Row => ({
  ...column, lower: '', upper: '', sealed: true, read: column.type === 'number', join: false, target: false,
});

/** The columns of an offer, as they were described. */
export const rowsOf = ({ columns, usage }: DatasetOffer): Row[] =>
  columns.map(({ name, type, lower, upper }) => ({
    name, type: type as Row['type'], lower: lower ?? '', upper: upper ?? '', sealed: true,
    read: usage.allowed_columns.includes(name), join: usage.join_keys.includes(name), target: usage.target_columns.includes(name),
  }));

/** The columns of a file: one that was described before keeps what was said of it, a new one is sealed only if its provider says so. */
export const merged = (found: Profiled[], before: Row[]): Row[] =>
  found.map((column) => {
    const known = before.find(({ name }) => name === column.name);
    return known ? { ...known, source: column.source } : { ...fresh(column), ...(before.length > 0 ? { sealed: false, read: false } : {}) };
  });

/** What a column is sealed as: a key is compared as it is spelt, also one that looks like a number. */
export const typeOf = ({ type, join, read, target, lower, upper }: Row): Row['type'] =>
  type === 'number' && join && !read && !target && lower === '' && upper === '' ? 'text' : type;

/**
 * What the columns still lack, in a sentence. A number that is read or predicted needs both bounds: what lies outside is
 * clamped to them, so bounds nobody meant would spoil the training unseen. Other columns have both or none.
 */
export function lacks(rows: readonly Row[]): string | undefined {
  const used = rows.filter((row) => row.sealed);
  if (!used.some((row) => row.read)) return t('At least one sealed column must be readable.');
  const twice = used.find(({ name }, at) => used.findIndex((row) => row.name === name) < at);
  if (twice) return t('Two columns would be called {name}: rename one of them, or seal one alone.', { name: twice.name });
  const open = used.find((row) => row.type !== 'text' && !bounded(row));
  if (open) return t('{name}: say a lower bound and a higher upper bound, as plain numbers from 0 on. They are public: known beforehand, never taken from the table.', { name: open.name });
  return used.some((row) => row.join) ? undefined : t('Mark the column that tells people apart as one to join on.');
}

function bounded({ type, lower, upper, read, target }: Row): boolean {
  if (lower === '' && upper === '') return type !== 'number' || !(read || target);
  return REAL.test(lower) && REAL.test(upper) && Number(lower) < Number(upper);
}

/** What a sealing depends on: of a description that differs in it, the record says nothing any more. */
export const sealedOf = (rows: readonly Row[], kms: string, assurance: string, family: string): string =>
  JSON.stringify([rows.filter((row) => row.sealed).map((row) => row.name), kms, assurance, family]);

/** Refused unless what was sealed is a later version of this very dataset, in its family. */
export function follows(sealed: { dataset_id: string; version: number; family: string }, before: DatasetOffer): void {
  const same = sealed.dataset_id === before.dataset_id && sealed.family === before.family;
  if (!same) throw new Refused('MANIFEST_INVALID', t('this is another dataset, or in another family: seal it with the description that this page saves'));
  if (!Number.isSafeInteger(sealed.version) || sealed.version <= before.version) {
    throw new Refused('MANIFEST_INVALID', t('this is version {n}, and version {before} is registered', { n: sealed.version, before: before.version }));
  }
}

/** Sealed columns of which too little or too much is said; none of it stands in the way. */
export function doubts(used: readonly Row[]): string[] {
  const names = (of: (row: Row) => boolean) => used.filter(of).map((row) => row.name).join(', ');
  const [idle, both] = [names((row) => !row.read && !row.join && !row.target), names((row) => row.read && row.target)];
  return [
    ...(idle === '' ? [] : [t('{names}: usable for nothing. Untick Sealed, or say what for.', { names: idle })]),
    ...(both === '' ? [] : [t('{names}: both read and predicted. Mostly one of the two is meant.', { names: both })]),
  ];
}

/** What an offer holds beside what this page asks for; a sealed object, its root, its key and statistics are of one version alone. */
export function rest(before: DatasetOffer | undefined): Partial<PublicOffer> {
  if (before === undefined) return {};
  const { schema: _, key: __, objects: ___, manifest_root: ____, statistics: _____, ...others } = before;
  return others;
}
