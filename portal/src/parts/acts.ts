/** Acts of the SRO in words: what each is, whom it is about by name, and why. */
import { t } from '../i18n';
import { useDatasetName } from './titles';
import { useNames } from './words';

export interface Act {
  schema: string;
  registry: string;
  [member: string]: unknown;
}

/** A text member of an act. */
export const member = (act: Act, name: string): string => (typeof act[name] === 'string' ? act[name] : '');

const SUBJECTS = ['participant', 'image_set_id', 'name', 'template', 'uri', 'dataset_id', 'run_id', 'dispute_id', 'replaces'];

/** What it is about. */
export function subject(act: Act): string {
  const named = SUBJECTS.map((name) => member(act, name)).find((text) => text !== '');
  return named ?? (act['contract'] as { id?: string } | undefined)?.id ?? '';
}

/** The word of what happens, where an act has one. */
const verb = (act: Act): string => {
  const inner = (act['event'] as { act?: string } | undefined)?.act;
  const ruling = (act['ruling'] as { is?: string } | undefined)?.is;
  return member(act, 'decision') || member(act, 'act') || inner || ruling || '';
};

/** What an act does, by its schema, and by its word where it has one. */
const SAID: Record<string, string> = {
  'participant-decision.v1 verified': 'Admit {name}',
  'participant-decision.v1 rejected': 'Reject {name}',
  'participant-decision.v1 suspended': 'Suspend {name}',
  'participant-decision.v1 withdrawn': 'Remove {name} for good',
  'key-event.v1 add': 'Enter a key of {name}',
  'key-event.v1 retire': 'Retire a key of {name}',
  'key-event.v1 revoke': 'Revoke a key of {name}',
  'key-event.v1 compromise': 'Report a key of {name} as compromised',
  'image-set.v1': 'Approve the image set {name}',
  'image-set-revocation.v1': 'Revoke the image set {name}',
  'template.v1': 'Lay down the contract template {name}',
  'data-schema.v1': 'Lay down the data schema {name}',
  'log-key.v1': 'Put the next key of the log in use',
  'erasure.v1': 'Erase entries of the log',
  'dataset-act.v1 suspend': 'Suspend the dataset {name}',
  'dataset-act.v1 resume': 'Resume the dataset {name}',
  'dataset-act.v1 withdraw': 'Withdraw the dataset {name}',
  'contract-decline.v1': 'Refuse to countersign the contract {name}',
  'contract-suspend.v1': 'Suspend the contract {name}',
  'contract-resume.v1': 'End the suspension of the contract {name}',
  'contract-revoke.v1': 'Revoke the contract {name}',
  'abort.v1': 'End the run {name}',
  'dispute-ruling.v1 refund': 'Rule on the dispute {name}: the payer gets it back',
  'dispute-ruling.v1 stand': 'Rule on the dispute {name}: it stays as it is',
  'dispute-ruling.v1 release': 'Rule on the dispute {name}: the money in suspense pays an obligation',
  'dispute-ruling.v1': 'Rule on the dispute {name}',
  'dispute-close.v1': 'Close the dispute {name}',
};

/** An act in one line, its verb first. What has no words here is told by its schema. */
export function said(act: Act, called: (id: string) => string): string {
  const words = SAID[`${act.schema} ${verb(act)}`] ?? SAID[act.schema];
  return words === undefined ? `${act.schema} ${verb(act)}`.trim() : t(words, { name: called(subject(act)) });
}

/** The same with names: of participants, and of datasets where `named` asks for them. */
export function useSaid(named = true): (act: Act) => string {
  const names = useNames();
  const dataset = useDatasetName(named);
  return (act) => said(act, (id) => dataset(id) ?? names(id));
}
