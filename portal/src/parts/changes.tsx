/** What a version of a contract changes, in words: each member by its name, what it was and what it becomes. */
import type { ReactNode } from 'react';
import type { Contract } from '../api/documents';
import { t } from '../i18n';
import { type Change, changes, moved } from './diff';
import { Json } from './json';
import { Id, money, Name, Time } from './words';

/** What members are called. One that is not here is called as it is written. */
const NAMES: Record<string, string> = {
  parties: 'Parties', role: 'Role', purpose: 'Purpose', jurisdiction: 'Law', effective_from: 'In force from', expires_at: 'In force until',
  datasets: 'Data', allowed_columns: 'Columns that may be read', join_keys: 'Columns to join on', target_columns: 'Columns that may be predicted',
  public_rows: 'People that prices refer to', offer_sha256: 'Offer', manifest_root: 'Sealed bytes', privacy: 'Privacy',
  epsilon: 'ε that may be spent', delta: 'δ', scope: 'Whose budget', level: 'How the budget is kept', unit: 'Unit', adjacency: 'Neighbouring tables',
  accountant: 'Accountant', without_differential_privacy: 'Training without differential privacy', key: 'Key', kms: 'Key service', key_id: 'Key id',
  min_assurance: 'Evidence that opens the key', kbs: 'Stock guests', init_data: 'Init-data', compute: 'Clean room', image_sets: 'Approved image sets',
  evidence: 'Evidence', platform_level: 'Platform level', rooms_max: 'Rooms together', outputs: 'What leaves', kinds: 'Kinds', recipient: 'Recipient',
  release: 'Release', payment: 'Payment', payer: 'Payer', payees: 'Payees', share_ppm: 'Share', currency: 'Currency', amount_minor: 'Sum',
  trigger: 'Falls due', dataset_id: 'Dataset', pricing: 'Pricing', unit_count: 'Units of a price', tiers: 'Steps of the price', cap_minor: 'At most',
  floor_minor: 'At least', due_days: 'Days to pay', period_days: 'Days of a period', rounding: 'Rounding', tax: 'Tax', discount: 'Discount',
  off_ppm: 'Off', after_runs: 'After so many runs', revocation: 'Early end', by: 'Who may', notice_seconds: 'Seconds of notice', running: 'Running work',
  conditions: 'For a cause', obligations: 'Obligations', risk_statement: 'Risk that all parties accept', max_runs: 'At most so many runs',
  rules: 'Rules of the SRO', template: 'Template', version: 'Version', supersedes: 'Replaces the version', registry: 'Registry', family: 'Budget family',
  provider: 'Provider', kind: 'Kind',
};

const SUMS = ['amount_minor', 'cap_minor', 'floor_minor'];

function Where({ path }: { path: string[] }) {
  return (
    <strong>
      {path.map((name, at) => (
        <span key={at}>{at > 0 && ' › '}{NAMES[name] !== undefined ? t(NAMES[name]) : name.startsWith('did:') ? <Name did={name} /> : name.length > 24 ? <Id value={name} short /> : name}</span>
      ))}
    </strong>
  );
}

function Value({ of, change }: { of: unknown; change: Change }): ReactNode {
  const name = change.path.at(-1) ?? '';
  if (of === undefined || of === null) return <span className="dim">{t('nothing')}</span>;
  if (typeof of === 'number' && SUMS.includes(name)) return money(of, String(change.beside['currency'] ?? ''));
  if (typeof of === 'number' && name.endsWith('_ppm')) return `${of / 10_000} %`;
  if (typeof of === 'boolean') return of ? t('yes') : t('no');
  if (typeof of === 'string') {
    if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(of)) return <Time at={of} />;
    if (of.startsWith('did:')) return <Name did={of} />;
    if (/^[0-9a-f]{64}$/.test(of) || /^[a-z]{3}_[0-9a-f-]{36}$/.test(of)) return <Id value={of} short />;
    return <span className="words">{of}</span>;
  }
  if (typeof of === 'number') return String(of);
  if (Array.isArray(of) && of.every((one) => typeof one !== 'object')) return of.join(', ') || t('none');
  return <Json of={of} />;
}

const PLAIN = ['version', 'supersedes'];

export function Changes({ before, after }: { before: Contract; after: Contract }) {
  const all = changes(before, after);
  // That a version follows the one before it goes without saying; that it follows another one does not.
  const follows = after.version === before.version + 1;
  const shown = all.filter((change) => !(follows && change.path.length === 1 && PLAIN.includes(change.path[0] ?? '')));
  if (shown.length === 0) return <p className="dim">{t('Nothing differs.')}</p>;
  return (
    <ul className="list" data-testid="changes">
      {shown.map((change) => {
        const lists = moved(change.before, change.after);
        return (
          <li key={change.path.join(' ')}>
            <Where path={change.path} />
            {lists ? (
              <>
                {lists.added.length > 0 && <p className="small"><span className="pill good">{t('added')}</span> <span className="words">{lists.added.join(', ')}</span></p>}
                {lists.removed.length > 0 && <p className="small"><span className="pill bad">{t('taken out')}</span> <span className="words">{lists.removed.join(', ')}</span></p>}
              </>
            ) : (
              <div className="small"><span className="dim">{t('was')}</span> <Value of={change.before} change={change} /> → <span className="dim">{t('becomes')}</span> <Value of={change.after} change={change} /></div>
            )}
          </li>
        );
      })}
    </ul>
  );
}
