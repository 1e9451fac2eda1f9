/** The way of a run, and of each provider's budget in it. */
import type { Schemas } from '../api/client';
import { t } from '../i18n';

const WAY = ['queued', 'attested', 'reserved', 'keys_released', 'training', 'committed', 'completed', 'delivered'] as const;
const NAMES: Record<string, string> = {
  queued: 'queued', attested: 'checked in', reserved: 'budget held', keys_released: 'keys released', training: 'training',
  committed: 'output fixed', completed: 'completed', delivered: 'model fetched',
};

/** `money`: what became of all that the run owes; undefined where it owes nothing. */
export function Timeline({ state, reached, money }: { state: string; reached?: string; money?: string }) {
  const aborted = state === 'aborted';
  const at = WAY.indexOf((aborted ? (reached ?? 'attested') : state) as (typeof WAY)[number]);
  return (
    <ol className="steps" aria-label={t('The way of this run')}>
      {WAY.map((name, place) => (
        <li
          key={name}
          className={aborted && place === at + 1 ? 'bad' : place < at || (!aborted && at === WAY.length - 1) ? 'done' : place === at ? (aborted ? 'done' : 'now') : ''}
          aria-current={place === at && !aborted ? 'step' : undefined}
        >
          {aborted && place === at + 1 ? t('ended without output') : t(NAMES[name] ?? name)}
        </li>
      ))}
      {money !== undefined && <li className={money === 'not paid yet' || money === 'being given back' ? 'now' : 'done'}>{t(money)}</li>}
    </ol>
  );
}

const KMS = ['reserved', 'released', 'committed'] as const;

/** What each key service stated. */
export function Statements({ of, name }: { of: Schemas['RunStatement'][]; name: (did: string) => string }) {
  const providers = [...new Set(of.map((one) => one.receipt.provider))];
  if (providers.length === 0) return <p className="dim">{t('No key service has stated anything yet.')}</p>;
  return (
    <ul className="list">
      {providers.map((provider) => {
        const stated = of.filter((one) => one.receipt.provider === provider).map((one) => one.receipt.statement.kind);
        const last = stated.includes('refunded') ? -1 : KMS.reduce((found, kind, at) => (stated.includes(kind) ? at : found), 0);
        return (
          <li key={provider}>
            <div className="stack tight">
              <strong>{name(provider)}{stated.includes('refunded') && <span className="pill bad">{t('refunded')}</span>}</strong>
              <ol className="steps">
                {KMS.map((kind, at) => <li key={kind} className={at < last || last === KMS.length - 1 ? 'done' : at === last ? 'now' : ''}>{t(kind)}</li>)}
              </ol>
            </div>
          </li>
        );
      })}
    </ul>
  );
}
