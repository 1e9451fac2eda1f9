/** The record that `depa dataset seal` leaves behind, read for the dataset that is described on the page. */
import type { DatasetOffer } from '../api/documents';
import { t } from '../i18n';
import { own as ownBytes, Refused } from '../keys/document';
import { follows } from './next-version';

export interface Sealed {
  dataset_id: string;
  version: number;
  family: string;
  url: string;
  bytes: number;
  manifest_root: string;
  kms: string;
  kms_jwk: { kty: string; crv: string; x: string };
  key_id: string;
  min_assurance: 'software' | 'hardware';
  media_type?: string;
}

/** What was described on the page before the sealing. */
export interface Described {
  kms: string;
  assurance: Sealed['min_assurance'];
  /** A family that the provider chose; empty for one of its own. */
  family: string;
  /** The version that this one takes the place of. */
  before?: DatasetOffer;
}

const refused = (why: string) => new Refused('MANIFEST_INVALID', why);

function formed(found: Partial<Sealed> & { schema?: unknown }): found is Sealed {
  const { dataset_id = '', manifest_root = '', key_id = '', family = '', url = '', kms_jwk, version = 0 } = found;
  // A record names no schema: what names one is another document of ours.
  return found.schema === undefined && /^dst_[0-9a-f-]{36}$/.test(dataset_id) && /^[0-9a-f]{64}$/.test(manifest_root) && /^key_/.test(key_id)
    && /^fam_/.test(family) && url !== '' && Number.isSafeInteger(found.bytes) && Number.isSafeInteger(version) && version >= 1
    && kms_jwk?.kty === 'OKP' && kms_jwk.crv === 'Ed25519';
}

/**
 * Refused unless the record has its form and is of this description, as far as the page can tell: its key service, the
 * evidence for which the key opens, and its place among the versions. The key service keeps what is wrong here for good.
 * And unless its digest is that of its facts: one that was altered by hand, or put together from two, goes into no offer.
 */
export async function sealedRecord(content: string, { kms, assurance, family, before }: Described): Promise<Sealed> {
  let found: unknown;
  try {
    found = JSON.parse(content);
  } catch {
    // Refused below, like all that is no record.
  }
  if (typeof found !== 'object' || found === null || !formed(found)) throw refused(t('this is no record of depa dataset seal'));
  if (found.kms !== kms) throw refused(t('it was sealed to {other}, and {own} is described', { other: found.kms ?? '?', own: kms }));
  if (found.min_assurance !== assurance) {
    throw refused(t('its key opens for {other} evidence, and {own} is chosen here: choose as it was sealed, or seal again', { other: String(found.min_assurance), own: assurance }));
  }
  if (before) follows(found, before);
  else if (family !== '' && found.family !== family) throw refused(t('this is another dataset, or in another family: seal it with the description that this page saves'));
  else if (found.version !== 1) throw refused(t('this is version {n} of a dataset that is described here as new', { n: found.version }));
  const { sha256: told, ...facts } = found as Sealed & { sha256?: unknown };
  if ((await ownBytes(facts)).digest !== told) throw refused(t('it was altered since depa dataset seal wrote it: take the record as it was, or seal again'));
  return facts;
}
