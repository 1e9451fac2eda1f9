/** What the page reads, under the names by which live events refresh it. */
import { queryOptions } from '@tanstack/react-query';
import { peek, read } from '../keys/document';
import { api, ask, Problem, rememberCsrf, type Schemas } from './client';
import type { Contract, DatasetOffer, Participant, PublicOffer } from './documents';

export type Session = Schemas['SessionView'];

/** Who is signed in; null where nobody is. */
export const me = queryOptions({
  queryKey: ['me'],
  queryFn: async (): Promise<Session | null> => {
    try {
      const session = await ask(api.GET('/v1/people/me'));
      rememberCsrf(session.csrf_token);
      return session;
    } catch (problem) {
      if (problem instanceof Problem && problem.status === 401) return null;
      throw problem;
    }
  },
  staleTime: 60_000,
});

export interface Trust {
  registry: string;
  registry_jwk: { kty: string; crv: string; x: string };
  origin: string;
  sro: { did: string; name: string; jwk: { x: string } }[];
  witnesses?: { name: string; jwk: { x: string } }[];
  quorum?: number;
}

export const trust = queryOptions({
  queryKey: ['trust'],
  queryFn: async () => (await ask(api.GET('/v1/trust'))) as unknown as Trust,
  staleTime: Infinity,
});

/** All participants by DID, for names beside DIDs. */
export const participants = queryOptions({
  queryKey: ['participants'],
  queryFn: async () => {
    const all: Schemas['ParticipantLine'][] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await ask(api.GET('/v1/participants', { params: { query: { limit: 200, cursor } } }));
      all.push(...page.participants);
      if (!page.next || all.length >= 2000) return all;
      cursor = page.next;
    }
  },
  staleTime: 60_000,
});

export const participant = (did: string) =>
  queryOptions({
    queryKey: ['participants', did],
    queryFn: async () => {
      const view = await ask(api.GET('/v1/participants/{did}', { params: { path: { did } } }));
      return { ...view, read: await read<Participant>(view.application, 'participant.v1') };
    },
  });

export const keysOf = (did: string) =>
  queryOptions({
    queryKey: ['keys', did],
    queryFn: () => ask(api.GET('/v1/participants/{did}/keys', { params: { path: { did } } })),
    staleTime: 30_000,
  });

/** The most contracts that are listed; the service lists the oldest first, so all of them are read. */
export const MOST_CONTRACTS = 10_000;
/** The most contracts that are read with their documents, the newest ones. */
export const MOST_WHOLE = 60;

/** Every page of a list, at most this many items. */
export async function pages<T>(page: (cursor?: string) => Promise<{ items: T[]; next?: string | null }>, most: number): Promise<T[]> {
  const all: T[] = [];
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await page(cursor);
    all.push(...items);
    if (!next || next === cursor || all.length >= most) return all.slice(0, most);
    cursor = next;
  }
}

/** The caller's contracts, the newest first. */
async function rowsOfContracts(): Promise<Schemas['ContractRow'][]> {
  const all = await pages(async (cursor) => {
    const page = await ask(api.GET('/v1/contracts', { params: { query: { limit: 200, cursor } } }));
    return { items: page.contracts, next: page.next };
  }, MOST_CONTRACTS);
  return all.reverse();
}

export const contractRows = queryOptions({ queryKey: ['contracts', 'rows'], queryFn: rowsOfContracts });

/** Contracts that all parties have signed and the SRO has not. That a list is read is entered nowhere, so it is read again by itself. */
export const awaitingSro = queryOptions({
  queryKey: ['contracts', 'awaiting'],
  queryFn: async () => (await ask(api.GET('/v1/contracts', { params: { query: { state: 'awaiting_sro', limit: 200 } } }))).contracts,
  staleTime: 0,
  refetchInterval: 20_000,
});

/** With their documents: for parties. Reading those of others is entered in the log, so overseers open them one by one. */
export const contracts = queryOptions({
  queryKey: ['contracts', 'own'],
  queryFn: async () => {
    const rows = await rowsOfContracts();
    // The documents say who has still to sign: what waits for somebody cannot be told from states alone.
    const whole = rows.slice(0, MOST_WHOLE).map(async (row) => {
      const view = await ask(api.GET('/v1/contracts/{id}', { params: { path: { id: row.contract_id } } }));
      return { row, view, contract: peek<Contract>(view.contract) };
    });
    return Promise.all(whole);
  },
});

export type ListedContract = { row: Schemas['ContractRow']; view: Schemas['ContractView']; contract: Contract };

export const contract = (id: string) =>
  queryOptions({
    queryKey: ['contracts', id],
    queryFn: () => ask(api.GET('/v1/contracts/{id}', { params: { path: { id } } })),
  });

/** The most entries of one contract's history. */
const MOST_EVENTS = 2_000;

export const contractEvents = (id: string) =>
  queryOptions({
    queryKey: ['contracts', id, 'events'],
    queryFn: async () => ({
      events: await pages(async (cursor) => {
        const page = await ask(api.GET('/v1/contracts/{id}/events', { params: { path: { id }, query: { limit: 200, cursor } } }));
        return { items: page.events, next: page.next };
      }, MOST_EVENTS),
    }),
  });

/** An act of the log with what it says; it never changes. */
export const entry = (index: number) =>
  queryOptions({
    queryKey: ['entries', index],
    queryFn: () => ask(api.GET('/v1/log/entries/{index}', { params: { path: { index: String(index) } } })),
    staleTime: Infinity,
  });

export interface Listed {
  view: Schemas['DatasetView'];
  /** Without the reference of its key: that is for those who contract, see {@link signedOffer}. */
  offer: PublicOffer;
  /** SHA-256 of the signed bytes: what a contract pins. */
  sha256: string;
}

const listed = (view: Schemas['DatasetView']): Listed => ({ view, offer: view.offer as unknown as PublicOffer, sha256: view.sha256 });

/** An offer as its provider signed it, in the page's own bytes. */
export interface SignedOffer {
  offer: DatasetOffer;
  sha256: string;
}

/** For its provider, consumers and parties of a contract over it. What an overseer reads of it is entered in the log. */
export const signedOffer = (id: string) =>
  queryOptions({
    queryKey: ['datasets', id, 'signed'],
    queryFn: async (): Promise<SignedOffer> => {
      const { envelope } = await ask(api.GET('/v1/datasets/{id}/offer', { params: { path: { id } } }));
      const { value, digest } = await read<DatasetOffer>(envelope, 'dataset-offer.v1');
      return { offer: value, sha256: digest };
    },
  });

export const datasets = queryOptions({
  queryKey: ['datasets'],
  queryFn: async () => {
    const all: Listed[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await ask(api.GET('/v1/datasets', { params: { query: { limit: 200, cursor } } }));
      all.push(...page.datasets.map(listed));
      if (!page.next || all.length >= 1000) return all;
      cursor = page.next;
    }
  },
});

export const dataset = (id: string) =>
  queryOptions({
    queryKey: ['datasets', id],
    queryFn: async () => {
      const { versions } = await ask(api.GET('/v1/datasets/{id}/versions', { params: { path: { id } } }));
      return versions.map(listed).reverse();
    },
  });

export const budget = (id: string) =>
  queryOptions({
    queryKey: ['budgets', id],
    queryFn: () => ask(api.GET('/v1/datasets/{id}/budget', { params: { path: { id } } })),
  });

/** The newest runs that are listed. */
export const MOST_RUNS = 1_000;

export const runs = queryOptions({
  queryKey: ['runs'],
  queryFn: async () => ({
    runs: await pages(async (cursor) => {
      const page = await ask(api.GET('/v1/runs', { params: { query: { limit: 200, cursor } } }));
      return { items: page.runs, next: page.next };
    }, MOST_RUNS),
  }),
});

/** The newest runs under a contract. */
export const runsUnder = (contractId: string) =>
  queryOptions({
    queryKey: ['runs', 'under', contractId],
    queryFn: () => ask(api.GET('/v1/runs', { params: { query: { contract: contractId, limit: 200 } } })),
  });

export const run = (id: string) =>
  queryOptions({
    queryKey: ['runs', id],
    queryFn: () => ask(api.GET('/v1/runs/{id}/record', { params: { path: { id } } })),
  });

export const runView = (id: string) =>
  queryOptions({
    queryKey: ['runs', id, 'view'],
    queryFn: () => ask(api.GET('/v1/runs/{id}', { params: { path: { id } } })),
  });

/** How an order stands; read again by itself until a run has taken it. */
export const order = (jobSha256: string) =>
  queryOptions({
    queryKey: ['runs', 'order', jobSha256],
    queryFn: () => ask(api.GET('/v1/run-orders/{job_sha256}', { params: { path: { job_sha256: jobSha256 } } })),
    refetchInterval: ({ state }) => (state.data?.run_id == null && !['lapsed', 'cancelled'].includes(state.data?.state ?? '') ? 2_000 : false),
  });

/** The contracts that a job names, each with everything around it. */
export const jobContracts = (ids: string[]) =>
  queryOptions({
    queryKey: ['contracts', 'bundles', ids],
    queryFn: () => Promise.all(ids.map((id) => ask(api.GET('/v1/contracts/{id}/bundle', { params: { path: { id } } })))),
  });

/** The most payments and disputes that are listed. */
const MOST_OWED = 10_000;

/** The query of the page that begins there. A list that has no pages is asked for without one. */
const after = (cursor: string | undefined): { contract?: string; cursor?: string } => (cursor === undefined ? {} : { cursor });

/** Where the next page of a list begins that has pages or not. */
const nextOf = (page: object): string | null | undefined => (page as { next?: string | null }).next;

/** Those of the newest runs first: a run's id begins with its time. The service lists them by their own ids. */
export const payments = queryOptions({
  queryKey: ['payments'],
  queryFn: async () => {
    const all = await pages(async (cursor) => {
      const page = await ask(api.GET('/v1/payments', { params: { query: after(cursor) } }));
      return { items: page.payments, next: nextOf(page) };
    }, MOST_OWED);
    return { payments: all.sort((a, b) => (b.run_id ?? '').localeCompare(a.run_id ?? '')) };
  },
});

export const endpoints = queryOptions({
  queryKey: ['webhooks', 'endpoints'],
  queryFn: () => ask(api.GET('/v1/webhooks/endpoints')),
});

export const deliveries = queryOptions({
  queryKey: ['webhooks', 'deliveries'],
  queryFn: () => ask(api.GET('/v1/webhooks/deliveries', { params: { query: { limit: 100 } } })),
});

/** The most image sets that are listed. */
const MOST_IMAGE_SETS = 1_000;

export const imageSets = queryOptions({
  queryKey: ['image-sets'],
  queryFn: async () => ({
    image_sets: await pages(async (cursor) => {
      const page = await ask(api.GET('/v1/image-sets', { params: { query: { limit: 200, cursor } } }));
      return { items: page.image_sets, next: page.next };
    }, MOST_IMAGE_SETS),
  }),
});

export const templates = queryOptions({
  queryKey: ['templates'],
  queryFn: () => ask(api.GET('/v1/templates')),
});

/** The newest transfers of the books that are read for one payment. */
const MOST_TRANSFERS = 2_000;

/** The transfers of one contract's payments, in the order of the log. */
export const journal = (contractId: string) =>
  queryOptions({
    queryKey: ['payments', 'journal', contractId],
    queryFn: () =>
      pages(async (cursor) => {
        const query = { contract: contractId, limit: 200, cursor };
        const page = await ask(api.GET('/v1/payments/journal', { params: { query } }));
        return { items: page.transfers, next: page.next };
      }, MOST_TRANSFERS),
  });

/** The newest first. */
export const disputes = queryOptions({
  queryKey: ['disputes'],
  queryFn: async () => {
    const all = await pages(async (cursor) => {
      const page = await ask(api.GET('/v1/disputes', { params: { query: after(cursor) } }));
      return { items: page.disputes, next: nextOf(page) };
    }, MOST_OWED);
    return all.sort((a, b) => b.opened_at.localeCompare(a.opened_at));
  },
});

export const dispute = (id: string) =>
  queryOptions({
    queryKey: ['disputes', id],
    queryFn: () => ask(api.GET('/v1/disputes/{id}', { params: { path: { id } } })),
  });

/** One version of a contract, by the digest of its bytes. */
export const contractVersion = (id: string, sha256: string) =>
  queryOptions({
    queryKey: ['contracts', id, 'version', sha256],
    queryFn: () => ask(api.GET('/v1/contracts/{id}', { params: { path: { id }, query: { version: sha256 } } })),
  });

export const dataSchemas = queryOptions({
  queryKey: ['data-schemas'],
  queryFn: () => ask(api.GET('/v1/data-schemas')),
});

/** What one person of the SRO has begun; `act` is missing where its bytes are not canonical. */
export interface Pending {
  act?: { schema: string; registry: string; [member: string]: unknown };
  digest?: string;
  signers: string[];
  since: string;
  until: string;
}

/** Reading it is entered nowhere, so it is read again by itself. */
export const pendingActs = queryOptions({
  queryKey: ['sro', 'pending'],
  queryFn: async (): Promise<Pending[]> => {
    const { acts } = await ask(api.GET('/v1/sro/pending'));
    return Promise.all(acts.map(async (one) => {
      const schema = /^application\/vnd\.depa\.(.+)\+json$/.exec(one.payload_type)?.[1] ?? '';
      const shown = await read<NonNullable<Pending['act']>>({ payload: one.payload, signatures: [] }, schema).catch(() => undefined);
      const signers = one.signatures.map(({ kid }) => kid.split('#')[0] ?? '');
      return { act: shown?.value, digest: shown?.digest, signers, since: one.since, until: one.until };
    }));
  },
  staleTime: 0,
  refetchInterval: 10_000,
});

/** What a service says of itself, as far as the page reads it. */
export interface Configuration {
  profile?: 'demo' | 'production';
  bound_tokens_only?: boolean;
  /** `passkey`, `oidc`. */
  people_sign_in_by?: string[];
  /** What offers may be for. */
  purposes_supported?: string[];
}

export const configuration = queryOptions({
  queryKey: ['trust', 'configuration'],
  queryFn: async () => (await ask(api.GET('/.well-known/depa-configuration'))) as Configuration,
  staleTime: Infinity,
});

/** Whether the service is ready, in its own lines; everybody may read it. */
export const health = queryOptions({
  queryKey: ['health'],
  queryFn: async () => String(await ask(api.GET('/readyz', { parseAs: 'text' }))),
  staleTime: 0,
  retry: false,
  refetchInterval: 15_000,
});

export const version = queryOptions({
  queryKey: ['trust', 'version'],
  queryFn: async () => String(((await ask(api.GET('/version'))) as { version?: string }).version ?? ''),
  staleTime: Infinity,
});
