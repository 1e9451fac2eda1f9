/** Signed documents as the page reads them; the published JSON Schemas (`schemas/json`) say all of it. */
import type { Statistics } from '../parts/statistics';
import type { Schemas } from './client';

export type Contract = Schemas['Contract'];
export type ContractDataset = Schemas['ContractDataset'];
export type Column = Schemas['Column'];

export interface DatasetOffer {
  schema: 'dataset-offer.v1';
  registry: string;
  dataset_id: string;
  version: number;
  offer_version: number;
  family: string;
  provider: string;
  name: string;
  reference: {
    data_schema: string;
    creators: string[];
    keywords: string[];
    sample: null | { url: string; sha256: string; bytes: number; media_type: string; kind: 'synthetic' | 'consented' };
    consent_basis_sha256: string | null;
    /** ISO 3166 codes; missing where the provider does not say. */
    regions?: string[];
  };
  columns: Column[];
  objects: { url: string; bytes: number; media_type: string }[];
  manifest_root: string;
  key: { kms: string; kms_jwk: Record<string, string>; key_id: string; min_assurance: 'software' | 'hardware' };
  public_rows: number;
  usage: { purposes: string[]; allowed_columns: string[]; join_keys: string[]; target_columns: string[]; rules?: string[] };
  privacy_cap: Schemas['Clause'];
  renewable_to?: string;
  payment: PriceTerm[];
  principal_pool?: Record<string, unknown>;
  /** Lists leave them out. */
  statistics?: Statistics;
  data_card: { description: string; collection: string; limitations: string; personal_data: string; licence: string };
  offered_at: string;
}

/** An offer as everyone reads it: all of it but where its key lies. */
export type PublicOffer = Omit<DatasetOffer, 'schema' | 'key'> & { key: Pick<DatasetOffer['key'], 'min_assurance'> };

export type PriceTerm = Omit<Schemas['PaymentTerm'], 'payer'>;

export interface Participant {
  schema: 'participant.v1';
  registry: string;
  did: string;
  kind: Schemas['Kind'];
  legal_name: string;
  jurisdiction: string;
  jwk: Schemas['Jwk'];
  applied_at: string;
}

export interface ImageSet {
  schema: 'image-set.v1';
  image_set_id: string;
  [member: string]: unknown;
}

export interface JobSpec {
  schema: 'job.v1';
  registry: string;
  job_id: string;
  tdc: string;
  ccrp: string;
  contracts: Schemas['ContractRef'][];
  image_set_id: string;
  purpose: string;
  datasets: { handle: string; dataset_id: string; version: number }[];
  stages: Record<string, unknown>[];
  rooms?: number;
  expires_at: string;
}

export interface Training {
  private: boolean;
  model: Record<string, unknown> | string;
  epsilon?: string;
  delta?: string;
  steps: number;
  sample_rate: string;
  clipping_norm: string;
  learning_rate: string;
}

/** The training of a job, wherever it stands among the stages. */
export function trainingOf(job: JobSpec): Training | undefined {
  for (const stage of job.stages) {
    const inner = (stage['train'] ?? stage) as Partial<Training>;
    if (typeof inner.steps === 'number' && typeof inner.sample_rate === 'string') return inner as Training;
  }
  return undefined;
}
