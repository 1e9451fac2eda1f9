/** Acts of the SRO: where each is handed in, and what is laid down. What an act says in words stands in `parts/acts`. */
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { api, ask } from '../../api/client';
import { t } from '../../i18n';
import type { Envelope } from '../../keys/document';
import { type Act, member } from '../../parts/acts';

const id = (act: Act, name: string): string => encodeURIComponent(member(act, name));
const contract = (act: Act): string => encodeURIComponent((act['contract'] as { id?: string } | undefined)?.id ?? '');

/** Where an act is handed in, by its schema. */
const DESKS: Record<string, (act: Act) => string> = {
  'participant-decision.v1': () => '/v1/participants/decisions',
  'key-event.v1': () => '/v1/participants/keys',
  'image-set.v1': () => '/v1/image-sets',
  'image-set-revocation.v1': () => '/v1/image-sets/revocations',
  'template.v1': () => '/v1/templates',
  'data-schema.v1': () => '/v1/data-schemas',
  'log-key.v1': () => '/v1/log/keys',
  'erasure.v1': () => '/v1/erasures',
  'dataset-act.v1': (act) => `/v1/datasets/${id(act, 'dataset_id')}/acts`,
  'contract-decline.v1': (act) => `/v1/contracts/${contract(act)}/decline`,
  'contract-suspend.v1': (act) => `/v1/contracts/${contract(act)}/suspend`,
  'contract-resume.v1': (act) => `/v1/contracts/${contract(act)}/resume`,
  'contract-revoke.v1': (act) => `/v1/contracts/${contract(act)}/revoke`,
  'abort.v1': (act) => `/v1/runs/${id(act, 'run_id')}/abort`,
  'dispute-ruling.v1': (act) => `/v1/disputes/${id(act, 'dispute_id')}/ruling`,
  'dispute-close.v1': (act) => `/v1/disputes/${id(act, 'dispute_id')}/close`,
};

export const SCHEMAS = Object.keys(DESKS);

/** Hands one person's signature in; the index of the log's entry where two have signed. */
async function handIn(act: Act, sealed: Envelope): Promise<number | undefined> {
  const desk = DESKS[act.schema];
  if (desk === undefined) throw new Error(act.schema);
  const header = { 'Idempotency-Key': crypto.randomUUID() };
  type Answer = { receipt?: { index: number } | null };
  const post = api.POST as (path: string, options: unknown) => Promise<{ data?: Answer; error?: unknown; response: Response }>;
  const { receipt } = await ask(post(desk(act), { params: { header }, body: sealed }));
  return receipt?.index;
}

/** Hands one person's signature in, and says whether both have signed: then whatever any page shows may have changed. */
export function useHandIn(): (act: Act | undefined, sealed: Envelope) => Promise<boolean> {
  const client = useQueryClient();
  return async (act, sealed) => {
    if (act === undefined) return false;
    const index = await handIn(act, sealed);
    await client.invalidateQueries(index === undefined ? { queryKey: ['sro'] } : {});
    if (index !== undefined) notifications.show({ message: t('Two people have signed: it stands in the log, entry {n}.', { n: index }) });
    return index !== undefined;
  };
}

/** What the SRO lays down, by its schema. */
export const TITLES: Record<string, string> = {
  'image-set.v1': 'Approval of an image set',
  'template.v1': 'Contract template',
  'data-schema.v1': 'Data schema',
};
