/** Statistics that `depa dataset profile` made: private before they left their owner, and read here for the dataset they are of. */
import type { PublicOffer } from '../api/documents';
import { t } from '../i18n';
import { Refused } from '../keys/document';

export interface Histogram {
  name: string;
  type: string;
  lower?: string;
  upper?: string;
  /** Noised counts; noise can make one negative. */
  counts: number[];
  missing: number;
  mean?: string;
}

export interface Statistics {
  schema: 'dataset-profile.v1';
  terms: { epsilon: string; bins: number };
  epsilon_per_column: string;
  /** Whether the ledger of the family was charged; older files do not say. */
  ledger?: 'charged' | 'uncharged';
  public_rows: number;
  columns: Histogram[];
}

const LARGEST = 1 << 20;
const MOST_BINS = 100;

const whole = (value: unknown): boolean => Number.isSafeInteger(value);
const real = (value: unknown): boolean => typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value);

/** The first column that the statistics have otherwise than the offer: of another type, or between other public bounds. */
export const unlike = ({ columns }: Statistics, offer: Pick<PublicOffer, 'columns'>): Histogram | undefined =>
  columns.find((column) => {
    const own = offer.columns.find(({ name }) => name === column.name);
    return own?.type !== column.type || (own.lower ?? undefined) !== (column.lower ?? undefined) || (own.upper ?? undefined) !== (column.upper ?? undefined);
  });

/** Of a file; refused unless it is a profile whose columns are those of the offer, between the same public bounds. */
export async function statistics(file: Blob, offer: Pick<PublicOffer, 'columns'>): Promise<Statistics> {
  const unread = () => new Refused('SCHEMA_MISMATCH', t('this is no profile of depa dataset profile'));
  if (file.size > LARGEST) throw unread();
  let found: Partial<Statistics> | null;
  try {
    found = JSON.parse(await file.text()) as typeof found;
  } catch {
    throw unread();
  }
  const formed = found?.schema === 'dataset-profile.v1' && real(found.terms?.epsilon) && real(found.epsilon_per_column) && whole(found.public_rows) && Array.isArray(found.columns);
  if (!formed) throw unread();
  for (const column of found?.columns ?? []) {
    const counted = Array.isArray(column?.counts) && column.counts.length >= 1 && column.counts.length <= MOST_BINS && column.counts.every(whole) && whole(column.missing);
    if (!counted || (column.mean != null && !real(column.mean))) throw unread();
  }
  const other = unlike(found as Statistics, offer);
  if (other !== undefined) throw new Refused('DATASET_MISMATCH', t('these statistics are of another table: column {name} is not described so here', { name: String(other.name) }));
  return found as Statistics;
}

/** Heights of the bars of a histogram, from 0 to 1. */
export function bars({ counts }: Histogram): number[] {
  const most = Math.max(1, ...counts);
  return counts.map((count) => Math.max(0, count) / most);
}
