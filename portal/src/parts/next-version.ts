/** The next version of a dataset begins as the one before it: what its provider does not change stays. */
import type { DatasetOffer, PriceTerm } from '../api/documents';
import { t } from '../i18n';
import { Refused } from '../keys/document';

/** A column as its provider describes it. */
export interface Row {
  name: string;
  type: 'text' | 'number' | 'image';
  lower: string;
  upper: string;
  sealed: boolean;
  read: boolean;
  join: boolean;
  target: boolean;
}

export const fresh = (column: { name: string; type: Row['type'] }): Row => ({
  ...column, lower: '', upper: '', sealed: true, read: column.type === 'number', join: false, target: false,
});

/** The columns of an offer, as they were described. */
export const rowsOf = ({ columns, usage }: DatasetOffer): Row[] =>
  columns.map(({ name, type, lower, upper }) => ({
    name, type: type as Row['type'], lower: lower ?? '', upper: upper ?? '', sealed: true,
    read: usage.allowed_columns.includes(name), join: usage.join_keys.includes(name), target: usage.target_columns.includes(name),
  }));

/** The columns of a file: one that was described before keeps what was said of it, a new one is sealed only if its provider says so. */
export const merged = (found: { name: string; type: Row['type'] }[], before: Row[]): Row[] =>
  found.map((column) => before.find(({ name }) => name === column.name) ?? { ...fresh(column), ...(before.length > 0 ? { sealed: false, read: false } : {}) });

/** A bound as documents write it: a decimal without sign or exponent, of at most 40 characters. */
const NUMBER = /^(?=.{1,40}$)(0|[1-9]\d*)(\.\d+)?$/;

/**
 * What the columns still lack, in a sentence. A number that is read or predicted needs both bounds: what lies outside is
 * clamped to them, so bounds nobody meant would spoil the training unseen. Other columns have both or none.
 */
export function lacks(rows: readonly Row[]): string | undefined {
  const used = rows.filter((row) => row.sealed);
  if (!used.some((row) => row.read)) return t('At least one sealed column must be readable.');
  const open = used.find((row) => row.type !== 'text' && !bounded(row));
  return open && t('{name}: say a lower bound and a higher upper bound, as plain numbers from 0 on. They are public: known beforehand, never taken from the table.', { name: open.name });
}

function bounded({ type, lower, upper, read, target }: Row): boolean {
  if (lower === '' && upper === '') return type !== 'number' || !(read || target);
  return NUMBER.test(lower) && NUMBER.test(upper) && Number(lower) < Number(upper);
}

/** What a sealing depends on: of a description that differs in it, the record says nothing any more. */
export const sealedOf = (rows: readonly Row[], kms: string, assurance: string): string =>
  JSON.stringify([rows.filter((row) => row.sealed).map((row) => row.name), kms, assurance]);

/** The price of a run in minor units of INR, paid to this provider; undefined where the terms say more than that, and stay as they are. */
export function plainPrice(payment: PriceTerm[], provider: string): number | undefined {
  const paid = payment.filter((term) => term.kind !== 'free');
  const [only] = paid;
  if (only === undefined) return 0;
  const plain = paid.length === 1 && only.kind === 'per_run' && only.currency === 'INR' && only.pricing == null && only.trigger === 'completed' && only.payees.length === 1 && only.payees[0]?.did === provider;
  return plain ? only.amount_minor : undefined;
}

/** Refused unless what was sealed is a later version of this very dataset, in its family. */
export function follows(sealed: { dataset_id: string; version: number; family: string }, before: DatasetOffer): void {
  const same = sealed.dataset_id === before.dataset_id && sealed.family === before.family;
  if (!same) throw new Refused('MANIFEST_INVALID', t('this is another dataset, or in another family: seal it with the description that this page saves'));
  if (!Number.isSafeInteger(sealed.version) || sealed.version <= before.version) {
    throw new Refused('MANIFEST_INVALID', t('this is version {n}, and version {before} is registered', { n: sealed.version, before: before.version }));
  }
}
