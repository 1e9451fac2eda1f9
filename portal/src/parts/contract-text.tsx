/**
 * A contract in plain language, for whoever has to sign it: every member stands in it, in words where the page has some,
 * else as it was written, under "Further terms".
 */
import { useQuery } from '@tanstack/react-query';
import type { Contract, ContractDataset, ImageSet } from '../api/documents';
import { imageSets } from '../api/queries';
import { t } from '../i18n';
import { peek } from '../keys/document';
import { rest, type Shape } from './further';
import { Json } from './json';
import { TERM, TermText } from './payment-text';
import { useDatasetName } from './titles';
import { count, Id, Name, Time } from './words';

const ROLES: Record<string, string> = {
  tdp: 'data provider', tdc: 'data consumer', ccrp: 'clean-room provider', sro: 'two people of the SRO',
  psp: 'payment provider', auditor: 'auditor',
};
export const role = (kind: string): string => t(ROLES[kind] ?? kind);

/** What the page puts into words. Whatever else a contract holds is shown as it was written. */
const SHOWN: Shape = {
  schema: true, registry: true, contract_id: true, version: true, supersedes: true, template: true,
  parties: { did: true, role: true },
  purpose: true, jurisdiction: true, effective_from: true, expires_at: true, max_runs: true, rules: true,
  datasets: {
    dataset_id: true, version: true, family: true, provider: true, offer_sha256: true, manifest_root: true,
    key: { kms: true, key_id: true, min_assurance: true },
    public_rows: true, allowed_columns: true, join_keys: true, target_columns: true,
    privacy: {
      unit: true, adjacency: true, epsilon: true, delta: true, accountant: true, scope: true, level: true,
      without_differential_privacy: true,
    },
    kbs: { init_data: true },
  },
  compute: { image_sets: true, evidence: true, platform_level: true, rooms_max: true },
  outputs: { kinds: true, recipient: true, release: true },
  payment: TERM,
  revocation: { by: true, notice_seconds: true, running: true, conditions: { cause: true, by: true, notice_seconds: true } },
  obligations: { risk_statement: true },
};

const LEVELS = ['legal only: nothing but law keeps the budget', 'the budget is kept by machine', 'the budget is kept by machine, and no model leaves the room'];
const SCOPES: Record<string, string> = { global: 'shared with all other consumers', per_tdc: 'counted for this consumer alone' };
const UNITS: Record<string, string> = { principal: 'any one person' };
const NEIGHBOURS: Record<string, string> = { add_remove: 'one person more or less' };
const ACCOUNTANTS: Record<string, string> = { rdp: 'Rényi differential privacy' };
const ASSURANCES: Record<string, string> = {
  software: 'SIMULATED evidence opens its key: no hardware protects this data',
  hardware: 'Only hardware evidence opens its key',
};
const RELEASES: Record<string, string> = { encrypted_to_recipient: 'encrypted for' };
const RUNNING: Record<string, string> = { abort: 'Running work is aborted', let_finish: 'Running work may finish' };
const EVIDENCE: Record<string, string> = {
  software: 'SIMULATED evidence of the software attester, which nobody vouches for',
  azure_snp: 'AMD SEV-SNP with a vTPM on Azure',
  'azure-snp': 'AMD SEV-SNP with a vTPM on Azure',
  snp: 'AMD SEV-SNP',
};

/** Seconds between notice and effect, exactly. */
function notice(seconds: number): string {
  if (seconds === 0) return t('at once');
  if (seconds % 3600 === 0) return t('{n} hours after notice', { n: seconds / 3600 });
  return t('{n} seconds after notice', { n: seconds });
}

/** A contract names by ids: what the register calls them stands beside, and binds nobody. */
function Called({ id, name }: { id: string; name: string | undefined }) {
  return <>{name !== undefined && <><bdi>{name}</bdi> </>}<Id value={id} short /></>;
}

function Dataset({ of }: { of: ContractDataset }) {
  const dataset = useDatasetName();
  const privacy = of.privacy;
  return (
    <li>
      <strong><Name did={of.provider} /></strong>, {t('version {n}', { n: of.version })} <Called id={of.dataset_id} name={dataset(of.dataset_id)} />
      <ul>
        <li>{t('Columns that may be read')}: {of.allowed_columns.join(', ') || t('none')}</li>
        <li>{t('Joined on')}: {of.join_keys.join(', ') || t('nothing')}; {t('may be predicted')}: {of.target_columns.join(', ') || t('nothing')}</li>
        <li>
          {t('All runs together may reveal at most ε = {epsilon} at δ = {delta} about', { epsilon: privacy.epsilon, delta: privacy.delta })}{' '}
          {t(UNITS[privacy.unit] ?? privacy.unit)}, {t(SCOPES[privacy.scope] ?? privacy.scope)}
          {'; '}{LEVELS[privacy.level] ? t(LEVELS[privacy.level] ?? '') : t('level {level}', { level: privacy.level })}
        </li>
        <li>
          {t('Measured between tables with')} {t(NEIGHBOURS[privacy.adjacency] ?? privacy.adjacency)}{', '}
          {t('added up by')} {t(ACCOUNTANTS[privacy.accountant] ?? privacy.accountant)}; {t('budget of the family')} <Id value={of.family} short />
        </li>
        {privacy.without_differential_privacy && (
          <li><strong>{t('Training WITHOUT DIFFERENTIAL PRIVACY is allowed: a model may repeat any row.')}</strong></li>
        )}
        <li>{t('Prices and rates refer to {n} people', { n: count(of.public_rows) })}</li>
        <li>
          {t(ASSURANCES[of.key.min_assurance] ?? of.key.min_assurance)}
          {' '}({t('key')} <Id value={of.key.key_id} short /> {t('of the key service')} {of.key.kms})
        </li>
        <li>{t('As offered in')} <Id value={of.offer_sha256} short />; {t('sealed bytes')} <Id value={of.manifest_root} short /></li>
        {of.kbs && (
          <li>
            {t('Stock guests may fetch its key too, at the price of all that is left of the budget')}:{' '}
            {of.kbs.init_data.length === 0 ? t('only those without init-data') : of.kbs.init_data.map((id) => <Id key={id} value={id} short />)}
          </li>
        )}
      </ul>
    </li>
  );
}

export function ContractText({ of }: { of: Contract }) {
  const { revocation } = of;
  const further = rest(of, SHOWN);
  const rooms = of.compute.rooms_max;
  // Where the page has read them anyway.
  const { data: sets } = useQuery({ ...imageSets, enabled: false });
  const named = new Map((sets?.image_sets ?? []).map(({ image_set }) => peek<ImageSet>(image_set.envelope)).map((set) => [set.image_set_id, String(set['name'] ?? '')]));
  return (
    <div className="prose">
      <div>
        <h3>{t('Parties')}</h3>
        <ul>{of.parties.map((party) => <li key={party.did}><Name did={party.did} />, {role(party.role)}</li>)}</ul>
      </div>
      <p>
        {t('Purpose')} <strong>{of.purpose}</strong>, {t('under the law of {place}', { place: of.jurisdiction })}.{' '}
        {t('In force from')} <Time at={of.effective_from} /> {t('until')} <Time at={of.expires_at} /> ({t('exclusive')}).{' '}
        {of.max_runs != null ? t('At most {n} runs may complete under it.', { n: of.max_runs }) : t('As many runs may complete under it as the budget pays.')}
      </p>
      <p>
        {t('Version {n}', { n: of.version })}, <Id value={of.contract_id} short />, {t('template')} {of.template} ({of.schema}),{' '}
        {t('counts in the registry of')} <Name did={of.registry} />.{' '}
        {of.supersedes && <>{t('It replaces the version')} <Id value={of.supersedes} short />.</>}
      </p>
      <div><h3>{t('Data')}</h3><ul>{of.datasets.map((one) => <Dataset key={one.dataset_id} of={one} />)}</ul></div>
      <div>
        <h3>{t('Clean room')}</h3>
        <ul>
          <li>{t('Only rooms of')} {of.compute.image_sets.map((id) => <Called key={id} id={id} name={named.get(id)} />)}, {t('platform level {level}', { level: of.compute.platform_level })}</li>
          <li>{t('Shown by')} {of.compute.evidence.map((kind) => t(EVIDENCE[kind] ?? kind)).join(` ${t('or')} `)}</li>
          <li>{rooms == null ? t('One room for each run') : t('At most {n} rooms together for one run, each of which holds the data', { n: rooms })}</li>
          <li>{t('What leaves')}: {of.outputs.kinds.join(', ')}, {t(RELEASES[of.outputs.release] ?? of.outputs.release)} <Name did={of.outputs.recipient} /> {t('alone')}</li>
          {(of.rules ?? []).length > 0 && <li>{t('Every key service also asks these rules of the SRO, which can only refuse or tighten')}: {of.rules?.map((id) => <Id key={id} value={id} short />)}</li>}
        </ul>
      </div>
      <div><h3>{t('Payment')}</h3><ul>{of.payment.length ? of.payment.map((term) => <TermText key={term.term_id} of={term} />) : <li>{t('Nothing is owed')}</li>}</ul></div>
      <div>
        <h3>{t('Early end')}</h3>
        <ul>
          <li>
            {t('May be revoked by')} {revocation.by.map(role).join(', ') || t('no party')}, {notice(revocation.notice_seconds)}
            {!(revocation.by.includes('sro') && revocation.notice_seconds === 0) && <>{'; '}{t('always by two people of the SRO')}</>}
          </li>
          {(revocation.conditions ?? []).map((one) => (
            <li key={one.cause}>{t('For cause')} {one.cause.replaceAll('_', ' ')}: {one.by.map(role).join(', ')}, {notice(one.notice_seconds)}</li>
          ))}
          <li>{t(RUNNING[revocation.running] ?? revocation.running)}</li>
        </ul>
      </div>
      <div><h3>{t('Risk that all parties accept')}</h3><p>{of.obligations.risk_statement}</p></div>
      {further !== undefined && (
        <div>
          <h3>{t('Further terms')}</h3>
          <p>{t('This page has no words for these members. They bind as they are written.')}</p>
          <Json of={further} />
        </div>
      )}
    </div>
  );
}
