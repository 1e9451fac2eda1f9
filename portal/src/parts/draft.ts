/** A contract of a form and the offers that it is about: what an offer pins is copied, as `depa contract new` does. */
import type { Contract, ImageSet, PriceTerm } from '../api/documents';
import type { Listed } from '../api/queries';
import { hex } from '../keys/bytes';
import type { DatasetOffer } from '../api/documents';

export interface Form {
  ccrp: string;
  imageSets: string[];
  /** Minor units per completed run; 0 for none. */
  roomPrice: number;
  currency: string;
  jurisdiction: string;
  from: string;
  until: string;
  /** 0 for as many as the budget pays. */
  maxRuns: number;
  byTdp: boolean;
  notice: number;
  running: 'abort' | 'let_finish';
  risk: string;
  grants: Record<string, { epsilon: string; delta: string }>;
}

/** A UUID of version 7 (RFC 9562 5.7). */
export function uuidV7(now = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let at = 0; at < 6; at += 1) bytes[at] = Math.floor(now / 2 ** (8 * (5 - at))) % 256;
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const digits = hex(bytes);
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join('-');
}

interface From {
  id: string;
  registry: string;
  tdc: string;
  form: Form;
  chosen: Listed[];
  approved: ImageSet[];
}

export function draft({ id, registry, tdc, form, chosen, approved }: From): Contract {
  const providers = [...new Set(chosen.map(({ offer }) => offer.provider))];
  const inside = chosen.some(({ offer }) => offer.privacy_cap.level === 2);
  const evidence = new Set(approved.filter((set) => form.imageSets.includes(set.image_set_id)).map((set) => String(set['profile'])));
  const payment = payments(chosen.map(({ offer }) => offer), tdc);
  const room = {
    term_id: 'room', kind: 'per_run', payer: tdc, payees: [{ did: form.ccrp, share_ppm: 1_000_000 }],
    currency: form.currency, amount_minor: form.roomPrice, trigger: 'completed',
  };
  const contract = {
    schema: 'contract.v1',
    registry,
    contract_id: id,
    version: 1,
    supersedes: null,
    template: 'training-v1',
    parties: [
      ...providers.map((did) => ({ did, role: 'tdp' })),
      { did: tdc, role: 'tdc' },
      { did: form.ccrp, role: 'ccrp' },
    ],
    purpose: 'TRAINING',
    jurisdiction: form.jurisdiction,
    effective_from: form.from,
    expires_at: form.until,
    datasets: chosen.map(({ offer, sha256 }) => dataset(offer, sha256, form.grants[offer.dataset_id])),
    compute: { image_sets: form.imageSets.slice().sort(), evidence: [...evidence], platform_level: 'baseline' },
    outputs: { kinds: [inside ? 'metrics' : 'model'], recipient: tdc, release: 'encrypted_to_recipient' },
    payment: form.roomPrice > 0 ? [...payment, room] : payment,
    revocation: { by: form.byTdp ? ['tdp', 'sro'] : ['sro'], notice_seconds: form.notice, running: form.running },
    obligations: { risk_statement: form.risk },
    ...(form.maxRuns > 0 ? { max_runs: form.maxRuns } : {}),
  };
  return contract as unknown as Contract;
}

/**
 * Every price of every offer with the consumer as payer. What is more than a price per run names its dataset, so that runs
 * without it owe nothing for it; so does what principals are paid of.
 */
export function payments(offers: DatasetOffer[], tdc: string): (PriceTerm & { payer: string })[] {
  const prices = offers.flatMap((offer) => offer.payment.map((price) => ({ offer, price })));
  return prices.map(({ offer, price }, at) => {
    const plain = (price.kind === 'free' || price.kind === 'per_run') && price.pricing == null;
    const named = !plain || offer.principal_pool != null;
    return { ...price, term_id: `p${at + 1}`, payer: tdc, ...(named ? { dataset_id: offer.dataset_id } : {}) };
  });
}

function dataset(offer: DatasetOffer, sha256: string, grant?: { epsilon: string; delta: string }) {
  const { kms, key_id, min_assurance } = offer.key;
  const { allowed_columns, join_keys, target_columns } = offer.usage;
  const privacy = { ...offer.privacy_cap, ...grant };
  delete privacy.without_differential_privacy;
  return {
    dataset_id: offer.dataset_id, version: offer.version, family: offer.family, provider: offer.provider,
    offer_sha256: sha256, manifest_root: offer.manifest_root, key: { kms, key_id, min_assurance },
    public_rows: offer.public_rows, allowed_columns, join_keys, target_columns, privacy,
  };
}

