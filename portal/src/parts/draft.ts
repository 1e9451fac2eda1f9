/** A contract of a form and the offers that it is about: what an offer pins is copied, as `depa contract new` does. */
import type { Contract, ImageSet, PriceTerm } from '../api/documents';
import type { SignedOffer } from '../api/queries';
import { hex } from '../keys/bytes';
import type { DatasetOffer } from '../api/documents';

export interface Form {
  /** The form of contract that the SRO laid down; `training-v1` is built in. */
  template: string;
  purpose: string;
  /** Rego documents that the template asks for. */
  rules: string[];
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
  /** Columns that may be read, by dataset; all that are offered where nothing is said. */
  columns: Record<string, string[]>;
}

/**
 * The least ε and the least δ that are granted of these offers, as they were written: a run over all of them keeps to both.
 * What is no number yet counts as the offer's cap.
 */
export function leastGrant(offers: readonly Pick<DatasetOffer, 'dataset_id' | 'privacy_cap'>[], grants: Form['grants']): { epsilon: string; delta: string } {
  const least = (member: 'epsilon' | 'delta', otherwise: string): string => {
    const granted = offers.map(({ dataset_id, privacy_cap }) => {
      const written = grants[dataset_id]?.[member] ?? '';
      return /^\d+(\.\d+)?$/.test(written) && Number(written) > 0 ? written : privacy_cap[member];
    });
    return granted.toSorted((a, b) => Number(a) - Number(b))[0] ?? otherwise;
  };
  return { epsilon: least('epsilon', '1'), delta: least('delta', '0.00001') };
}

/** What everybody may use without the SRO laying anything down. */
export const BUILT_IN = { template: 'training-v1', title: 'Training', purposes: ['TRAINING'], jurisdictions: [] as string[], rules: [] as string[] };

/** A template of the SRO, as far as a form needs it. */
export interface Template {
  schema: 'template.v1';
  template: string;
  title: string;
  text_url: string;
  text_sha256: string;
  purposes: string[];
  jurisdictions: string[];
  max_days: number;
  lapse_days: number;
  sro_countersigns: boolean;
  risk_statement: boolean;
  rules?: string[];
}

const DAY = 86_400_000;
const stamp = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`;

/** The form with what a template asks for: its rules, a purpose and a law of its own, and no longer than it lets. */
export function templated(form: Form, of: Template | typeof BUILT_IN): Form {
  const purpose = of.purposes.includes(form.purpose) ? form.purpose : (of.purposes[0] ?? form.purpose);
  const anywhere = of.jurisdictions.length === 0 || of.jurisdictions.includes(form.jurisdiction);
  const jurisdiction = anywhere ? form.jurisdiction : (of.jurisdictions[0] ?? form.jurisdiction);
  const latest = 'max_days' in of ? Date.parse(form.from) + of.max_days * DAY : Infinity;
  const until = Date.parse(form.until) > latest ? stamp(latest) : form.until;
  return { ...form, template: of.template, purpose, jurisdiction, until, rules: of.rules?.slice() ?? [] };
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
  chosen: SignedOffer[];
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
    template: form.template,
    parties: [
      ...providers.map((did) => ({ did, role: 'tdp' })),
      { did: tdc, role: 'tdc' },
      { did: form.ccrp, role: 'ccrp' },
    ],
    purpose: form.purpose,
    jurisdiction: form.jurisdiction,
    effective_from: form.from,
    expires_at: form.until,
    datasets: chosen.map(({ offer, sha256 }) => dataset(offer, sha256, form)),
    compute: { image_sets: form.imageSets.slice().sort(), evidence: [...evidence], platform_level: 'baseline' },
    outputs: { kinds: [inside ? 'metrics' : 'model'], recipient: tdc, release: 'encrypted_to_recipient' },
    payment: form.roomPrice > 0 ? [...payment, room] : payment,
    revocation: { by: form.byTdp ? ['tdp', 'sro'] : ['sro'], notice_seconds: form.notice, running: form.running },
    obligations: { risk_statement: form.risk },
    ...(form.maxRuns > 0 ? { max_runs: form.maxRuns } : {}),
    ...(form.rules.length > 0 ? { rules: form.rules } : {}),
  };
  return contract as unknown as Contract;
}

/** The form that a contract was written from, for the next version of it. */
export function formOf(of: Contract): Form {
  const { revocation } = of;
  return {
    template: of.template, purpose: of.purpose, rules: of.rules ?? [], ccrp: of.parties.find((party) => party.role === 'ccrp')?.did ?? '',
    imageSets: of.compute.image_sets, roomPrice: 0, currency: of.payment[0]?.currency ?? 'INR', jurisdiction: of.jurisdiction,
    from: of.effective_from, until: of.expires_at, maxRuns: of.max_runs ?? 0, byTdp: revocation.by.includes('tdp'),
    notice: revocation.notice_seconds, running: revocation.running, risk: of.obligations.risk_statement,
    grants: Object.fromEntries(of.datasets.map((one) => [one.dataset_id, { epsilon: one.privacy.epsilon, delta: one.privacy.delta }])),
    columns: Object.fromEntries(of.datasets.map((one) => [one.dataset_id, one.allowed_columns])),
  };
}

/**
 * The next version of a contract, pinned to the version before it by the digest of its bytes: the same parties, datasets
 * and prices. Members that the form does not speak of stay as they are.
 */
export function counter({ value: old, digest }: { value: Contract; digest: string }, form: Form, approved: ImageSet[]): Contract {
  const sets = form.imageSets.slice().sort();
  const same = JSON.stringify(sets) === JSON.stringify(old.compute.image_sets);
  const evidence = new Set(approved.filter((set) => sets.includes(set.image_set_id)).map((set) => String(set['profile'])));
  const others = old.revocation.by.filter((kind) => kind !== 'tdp');
  const by = form.byTdp === old.revocation.by.includes('tdp') ? old.revocation.by : form.byTdp ? ['tdp', ...others] : others;
  const { max_runs: _, ...kept } = old;
  const next = {
    ...kept,
    version: old.version + 1,
    supersedes: digest,
    purpose: form.purpose,
    jurisdiction: form.jurisdiction,
    effective_from: form.from,
    expires_at: form.until,
    datasets: old.datasets.map((one) => ({
      ...one, allowed_columns: form.columns[one.dataset_id] ?? one.allowed_columns, privacy: { ...one.privacy, ...form.grants[one.dataset_id] },
    })),
    compute: same ? old.compute : { ...old.compute, image_sets: sets, evidence: [...evidence] },
    revocation: { ...old.revocation, by, notice_seconds: form.notice, running: form.running },
    obligations: { ...old.obligations, risk_statement: form.risk },
    ...(form.maxRuns > 0 ? { max_runs: form.maxRuns } : {}),
  };
  return next as unknown as Contract;
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

function dataset(offer: DatasetOffer, sha256: string, form: Form) {
  const { kms, key_id, min_assurance } = offer.key;
  const { join_keys, target_columns } = offer.usage;
  // In the order in which they are offered.
  const wanted = form.columns[offer.dataset_id];
  const allowed_columns = offer.usage.allowed_columns.filter((name) => wanted === undefined || wanted.includes(name));
  const privacy = { ...offer.privacy_cap, ...form.grants[offer.dataset_id] };
  delete privacy.without_differential_privacy;
  return {
    dataset_id: offer.dataset_id, version: offer.version, family: offer.family, provider: offer.provider,
    offer_sha256: sha256, manifest_root: offer.manifest_root, key: { kms, key_id, min_assurance },
    public_rows: offer.public_rows, allowed_columns, join_keys, target_columns, privacy,
  };
}

