/** A payment term in words: who pays whom, how the amount comes about, when it falls due. */
import type { Schemas } from '../api/client';
import { t } from '../i18n';
import type { Shape } from './further';
import { count, Id, money, Name } from './words';

type Term = Schemas['PaymentTerm'];
type Pricing = Schemas['Pricing'];

/** What `PaymentTerm` says in words. */
export const TERM: Shape = {
  term_id: true, kind: true, payer: true, payees: { did: true, share_ppm: true }, currency: true, amount_minor: true,
  trigger: true, dataset_id: true,
  pricing: {
    unit_count: true, tiers: { from: true, amount_minor: true }, cap_minor: true, floor_minor: true, due_days: true,
    period_days: true, share_ppm: true, rounding: true,
    tax: { gst_ppm: true, gst_payee: true, tds_ppm: true, tds_payee: true },
  },
  discount: { discount_id: true, off_ppm: true, purpose: true, after_runs: true },
};

/** What the price is for; `{n}` is how many units it pays. */
const KINDS: Record<string, string> = {
  free: 'Free: nothing is owed',
  per_run: 'for every run',
  fixed: 'once under the contract, with the first run that owes it',
  per_epoch: 'for every {n} passes over the data, as the completion attests them',
  per_record: 'for every {n} people of the public count',
  per_epsilon: 'for every {n} millionths of ε that a run is charged',
  per_compute_hour: 'for every {n} seconds between check-in and completion',
  subscription: 'for every period, in advance',
  revenue_share: 'and a share of the revenue that it states for every period',
  escrow: 'for every run, blocked before the room checks in and returned if the run ends before it is owed',
};
const TRIGGERS: Record<string, string> = {
  completed: 'Owed when a run completes',
  keys_released: 'Owed once the room holds every key, whether or not the run completes',
};
const ROUNDINGS: Record<string, string> = {
  down: 'Fractions end down', up: 'Fractions end up', half_up: 'Fractions end at the nearest, halves up',
};

const percent = (ppm: number): string => `${ppm / 10_000} %`;

function Tax({ of }: { of: Schemas['Tax'] }) {
  return (
    <>
      {of.gst_ppm !== undefined && <li>{t('Tax of {share} is added (GST, VAT), paid to', { share: percent(of.gst_ppm) })} {of.gst_payee ? <Name did={of.gst_payee} /> : t('the payee')}</li>}
      {of.gst_ppm === undefined && of.gst_payee && <li>{t('Tax that is added goes to')} <Name did={of.gst_payee} /></li>}
      {of.tds_ppm !== undefined && <li>{t('Tax of {share} is withheld from the payee (TDS)', { share: percent(of.tds_ppm) })}</li>}
      {of.tds_payee && <li>{t('Tax that is withheld goes to')} <Name did={of.tds_payee} /></li>}
    </>
  );
}

function Prices({ of, currency }: { of: Pricing; currency: string }) {
  return (
    <>
      {of.unit_count != null && <li>{t('One price pays for {n} units', { n: count(of.unit_count) })}</li>}
      {(of.tiers ?? []).map((tier, at) => (
        <li key={at}>{t('After {n} units under the contract the price is {sum}', { n: count(tier.from), sum: money(tier.amount_minor, currency) })}</li>
      ))}
      {of.share_ppm != null && <li>{t('The share is {share} of the stated revenue', { share: percent(of.share_ppm) })}</li>}
      {of.period_days != null && <li>{t('A period lasts {n} days, from the beginning of the contract', { n: of.period_days })}</li>}
      {of.floor_minor != null && <li>{t('At least {sum} a run, period or statement, before tax', { sum: money(of.floor_minor, currency) })}</li>}
      {of.cap_minor != null && <li>{t('At most {sum} a run, period or statement, before tax', { sum: money(of.cap_minor, currency) })}</li>}
      {of.due_days != null && <li>{t('To be paid within {n} days of being owed', { n: of.due_days })}</li>}
      {of.tax && <Tax of={of.tax} />}
      {of.rounding != null && <li>{t(ROUNDINGS[of.rounding] ?? of.rounding)}</li>}
    </>
  );
}

export function TermText({ of }: { of: Term }) {
  const { pricing, discount } = of;
  const payees = of.payees.map((payee, at) => (
    <span key={payee.did}>{at > 0 && ', '}<Name did={payee.did} /> ({percent(payee.share_ppm)})</span>
  ));
  const words = t(KINDS[of.kind] ?? of.kind, { n: count(pricing?.unit_count ?? 1) });
  return (
    <li>
      {of.kind === 'free' && <>{words}. </>}
      <Name did={of.payer} /> {t('pays')} <strong>{money(of.amount_minor, of.currency)}</strong>{' '}
      {of.kind !== 'free' && words} {t('to')} {payees} <span className="dim small">({t('term {term}', { term: of.term_id })})</span>
      <ul>
        <li>{t(TRIGGERS[of.trigger] ?? of.trigger)}</li>
        <li>{of.dataset_id ? <>{t('For runs that use dataset')} <Id value={of.dataset_id} short /></> : t('For every run of the contract')}</li>
        {pricing && <Prices of={pricing} currency={of.currency} />}
        {discount && (
          <li>
            {t('Discount {id}: {share} off', { id: discount.discount_id, share: percent(discount.off_ppm) })}
            {discount.purpose && `, ${t('for the purpose {purpose} alone', { purpose: discount.purpose })}`}
            {discount.after_runs != null && `, ${t('after {n} runs that owed it', { n: discount.after_runs })}`}
          </li>
        )}
      </ul>
    </li>
  );
}
