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
  ...column, lower: '0', upper: '1', sealed: true, read: column.type === 'number', join: false, target: false,
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

/** The price of a run in minor units of INR; undefined where the terms are more than one plain price, and stay as they are. */
export function plainPrice(payment: PriceTerm[]): number | undefined {
  const paid = payment.filter((term) => term.kind !== 'free');
  const [only] = paid;
  if (only === undefined) return 0;
  const plain = paid.length === 1 && only.kind === 'per_run' && only.currency === 'INR' && only.pricing == null && only.trigger === 'completed' && only.payees.length === 1;
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
