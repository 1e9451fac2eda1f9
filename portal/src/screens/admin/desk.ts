/** Acts of the SRO: where each is handed in, and what it is about in words. */
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { api, ask } from '../../api/client';
import { t } from '../../i18n';
import type { Envelope } from '../../keys/document';
import type { Act } from '../../parts/two-people';

/** A text member of an act. */
export const member = (act: Act, name: string): string => (typeof act[name] === 'string' ? act[name] : '');

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

/** What an act is, for a list. */
export const TITLES: Record<string, string> = {
  'participant-decision.v1': 'Decision about a participant',
  'key-event.v1': 'Change of a key',
  'image-set.v1': 'Approval of an image set',
  'image-set-revocation.v1': 'Revocation of an image set',
  'template.v1': 'Contract template',
  'data-schema.v1': 'Data schema',
  'log-key.v1': 'Next key of the log',
  'erasure.v1': 'Erasure',
  'dataset-act.v1': 'Change of a dataset',
  'contract-decline.v1': 'Refusal to countersign a contract',
  'contract-suspend.v1': 'Suspension of a contract',
  'contract-resume.v1': 'End of a suspension',
  'contract-revoke.v1': 'Revocation of a contract',
  'abort.v1': 'End of a run',
  'dispute-ruling.v1': 'Ruling on a dispute',
  'dispute-close.v1': 'Closing of a dispute',
};

const SUBJECTS = ['participant', 'image_set_id', 'name', 'template', 'uri', 'dataset_id', 'run_id', 'dispute_id', 'replaces'];

/** What it is about. */
export function subject(act: Act): string {
  const named = SUBJECTS.map((name) => member(act, name)).find((text) => text !== '');
  return named ?? (act['contract'] as { id?: string } | undefined)?.id ?? '';
}

/** The word of what happens, where an act has one. */
export const verb = (act: Act): string => {
  const inner = (act['event'] as { act?: string } | undefined)?.act;
  return member(act, 'decision') || member(act, 'act') || inner || '';
};
