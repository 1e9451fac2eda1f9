/**
 * Ordering runs: a job of a file, or once more the job of a run, with everything that room and key services need to judge
 * it; and what a run of it costs, before it is ordered.
 */
import type { Schemas } from '../api/client';
import { type Contract, type JobSpec, trainingOf } from '../api/documents';
import { t } from '../i18n';
import { type Envelope, type Own, peek, read, Refused, stamp } from '../keys/document';
import { uuidV7 } from './draft';

type Around = Schemas['ContractBundle'];

/** After so long no run of a job starts, as `depa job bundle` has it. */
const JOB_SECONDS = 86_400;
/** The service takes no larger body. */
const LARGEST = 1 << 20;

/** The same job as a new one: an order is of one job, and one job has one run. Its plan, and so its charge, is the same. */
export const again = (job: JobSpec, now = Date.now()): JobSpec => ({
  ...job, job_id: `job_${uuidV7(now)}`, expires_at: stamp(new Date(now + JOB_SECONDS * 1000)),
});

/** Each once; documents are the same where all of their members are. */
function once<T>(all: T[]): T[] {
  const known = new Map(all.map((one) => [JSON.stringify(one), one]));
  return [...known.values()];
}

/** The job of the file with everything around it, as its contracts stand at the register. Refused where one is not the contract that the job pins. */
export async function bundled(job: JobSpec, signed: Envelope, around: Around[]): Promise<Schemas['JobBundle']> {
  const contracts = around.flatMap((one) => one.contracts);
  const digests = await Promise.all(contracts.map(async ({ envelope }) => (await read<Contract>(envelope, 'contract.v1')).digest));
  for (const { id, sha256 } of job.contracts) {
    if (!digests.includes(sha256)) throw new Refused('CONTRACT_MISMATCH', t('contract {id} stands in another version by now; make a new job from it', { id }));
  }
  const image = around.flatMap((one) => one.image_sets).find(({ envelope }) => peek<{ image_set_id: string }>(envelope).image_set_id === job.image_set_id);
  if (image === undefined) throw new Refused('IMAGE_SET_UNKNOWN', t('no contract of the job names its image set any more'));
  const renewals = once(around.flatMap((one) => one.renewals ?? []));
  const keys = around.map((one) => one.log_keys).findLast((one) => one != null);
  return {
    job: signed,
    contracts,
    offers: once(around.flatMap((one) => one.offers)),
    participants: once(around.flatMap((one) => one.participants)),
    image_set: image,
    ...(renewals.length > 0 ? { renewals } : {}),
    ...(keys == null ? {} : { log_keys: keys }),
  } as Schemas['JobBundle'];
}

/** A bundle of `depa job bundle`, with its job in the page's own bytes. */
export async function opened(file: Blob): Promise<{ bundle: Schemas['JobBundle']; job: Own<JobSpec> }> {
  const refused = () => new Refused('MALFORMED_JSON', t('this is no bundle of depa job bundle'));
  if (file.size > LARGEST) throw refused();
  let bundle: Schemas['JobBundle'];
  try {
    bundle = JSON.parse(await file.text()) as typeof bundle;
    if (typeof bundle.job.payload !== 'string') throw refused();
    bundle.contracts.forEach(({ envelope }) => peek<Contract>(envelope));
  } catch {
    throw refused();
  }
  return { bundle, job: await read<JobSpec>(bundle.job as Envelope, 'job.v1') };
}

/** What each dataset is charged at most, in millionths of ε: what a run of the same plan was charged, else what is asked. Undefined where nothing bounds it. */
export function privacyCost(job: JobSpec, before: Schemas['DatasetCharge'][] = []): Map<string, number | undefined> {
  const training = trainingOf(job);
  const asked = training?.epsilon === undefined || training.private === false ? undefined : Math.ceil(Number(training.epsilon) * 1e6);
  const bounded = before.filter((charge) => charge.epsilon_micro < Number.MAX_SAFE_INTEGER);
  const known = new Map(bounded.map((charge) => [charge.dataset_id, charge.epsilon_micro]));
  return new Map(job.datasets.map((one) => [one.dataset_id, asked === undefined ? undefined : known.get(one.dataset_id) ?? asked]));
}

/** What the contract of a dataset grants for all of its runs together, in millionths of ε; nothing where none names it. */
export const grantOf = (id: string, contracts: Contract[]): number =>
  Math.floor(Number(contracts.flatMap((one) => one.datasets).find((one) => one.dataset_id === id)?.privacy.epsilon ?? 0) * 1e6);

/** What is left of a budget to this consumer, in millionths of ε; undefined while it is unread. */
export const leftOf = (of: Schemas['BudgetView'] | undefined, tdc: string | undefined): number | undefined =>
  of?.lines.find((line) => line.tdc === tdc)?.left_micro ?? of?.cap_micro;

/** The ε to begin with: what is granted, or what is left where that is less; a budget that is used up says so later. */
export const within = (granted: string, left: number | undefined): string =>
  left !== undefined && left > 0 && left < Number(granted) * 1e6 ? String(left / 1e6) : granted;

/** Whether a run costs more than its contract grants or its budget has left; at level 0 law alone bounds it. */
export function exceeds(id: string, cost: number | undefined, left: number | undefined, contracts: Contract[]): boolean {
  const free = contracts.flatMap((one) => one.datasets).find((one) => one.dataset_id === id)?.privacy.level === 0;
  return cost !== undefined && !free && (cost > grantOf(id, contracts) || (left !== undefined && cost > left));
}

/** The terms of the contracts that a run of this job may owe, and the sums that are fixed for each run, by currency. */
export function moneyCost(job: JobSpec, contracts: Contract[]): { terms: Schemas['PaymentTerm'][]; sums: Map<string, number>; whole: boolean } {
  const used = new Set(job.datasets.map((one) => one.dataset_id));
  const terms = contracts.flatMap((one) => one.payment).filter((term) => term.kind !== 'free' && (term.dataset_id == null || used.has(term.dataset_id)));
  const fixed = (term: Schemas['PaymentTerm']) => (term.kind === 'per_run' || term.kind === 'escrow') && term.pricing == null && term.discount == null;
  const sums = new Map<string, number>();
  for (const term of terms.filter(fixed)) sums.set(term.currency, (sums.get(term.currency) ?? 0) + term.amount_minor);
  return { terms, sums, whole: terms.every(fixed) };
}

/** The form of a job under a contract with its ids filled in; what only its consumer knows stands in capitals. It asks for no more ε than is left. */
export function jobForm(contract: Contract, left: (id: string) => number | undefined = () => undefined): string {
  const tables = contract.datasets.map((one, at) => ({ of: one, name: `t${at + 1}`, key: one.join_keys[0] ?? 'KEY' }));
  const [first] = tables;
  const named = tables.find(({ of }) => of.target_columns.length > 0) ?? first;
  const joins = tables.slice(1).map(({ name, key }) => ` INNER JOIN ${name} ON ${first?.name}.${first?.key} = ${name}.${key}`);
  const least = (of: (one: Schemas['ContractDataset']) => string) => contract.datasets.map(of).sort((a, b) => Number(a) - Number(b))[0];
  const rows = Math.max(1, Math.min(...contract.datasets.map((one) => one.public_rows)));
  const form = {
    contracts: [contract.contract_id],
    image_set_id: contract.compute.image_sets[0],
    purpose: contract.purpose,
    sql: `SELECT * FROM ${first?.name}${joins.join('')}`,
    tables: Object.fromEntries(tables.map(({ name, of }) => [name, of.dataset_id])),
    training: {
      model: { kind: 'logistic_regression' }, target: `${named?.name}.${named?.of.target_columns[0] ?? 'COLUMN'}`, positive: '1',
      principal: `${first?.name}.${first?.key}`, epsilon: least((one) => within(one.privacy.epsilon, left(one.dataset_id))), delta: least((one) => one.privacy.delta),
      steps: 1000, sample_rate: Math.min(1, 128 / rows).toFixed(7), clipping_norm: '1.0', learning_rate: '0.5',
    },
    output: { recipient_jwk: 'JWK', upload: 'WHERE' },
  };
  return `${JSON.stringify(form, null, 2)}\n`;
}
