/** Terms of an offer as a form has them. The rules are the register's (`policies`): the same cases test both. */
import type { DatasetOffer, PriceTerm } from '../api/documents';
import { t } from '../i18n';
import { text } from '../keys/bytes';
import { canonical } from '../keys/document';
import { BUILT_IN } from './draft';
import { decimals, money } from './words';

/** A decimal as documents write it: without sign or exponent, of at most 40 characters. */
export const REAL = /^(?=.{1,40}$)(0|[1-9]\d*)(\.\d+)?$/;

/** A price of one term that the form can show; of anything else an offer keeps what it has. */
export interface Price {
  kind: string;
  currency: string;
  /** In the currency itself, as people write it. */
  amount: number;
  /** Of a period, where the price is for periods. */
  days: number;
}

export interface Terms {
  purposes: string[];
  people: number;
  epsilon: string;
  /** Empty for {@link usualDelta}. */
  delta: string;
  scope: 'per_tdc' | 'global';
  /** Empty for a family of its own. */
  family: string;
  /** Codes of countries, as they are typed. */
  regions: string;
  price: Price;
}

const FREE: Price = { kind: 'free', currency: 'INR', amount: 0, days: 30 };

/** What a price may be for, here; `{n}` is how many of it one price pays. */
export const PER: Record<string, string> = {
  free: 'free', per_run: 'a run', fixed: 'once a contract', per_epoch: 'for {n} passes over the data', per_record: 'for {n} people',
  per_epsilon: 'for ε {n}', subscription: 'for {n} days',
};
/** The same where it is one. */
const EACH: Record<string, string> = { per_epoch: 'for each pass over the data', per_record: 'for each person', per_epsilon: 'for each ε', subscription: 'for each day' };
/** Units that one price pays for, so that it is a whole number; ε is counted in millionths. */
const UNITS: Record<string, number> = { per_record: 1_000, per_epsilon: 1_000_000 };

/** What a price is for, in a few words; a contract says all of it. */
export function per({ kind, pricing }: Pick<PriceTerm, 'kind' | 'pricing'>): string {
  const n = kind === 'subscription' ? pricing?.period_days : (pricing?.unit_count ?? 1) / (kind === 'per_epsilon' ? 1e6 : 1);
  return t((n === 1 ? EACH[kind] : undefined) ?? PER[kind] ?? kind.replaceAll('_', ' '), { n: n ?? '?' });
}

/** What a dataset costs, in a line. */
export function price({ offer }: { offer: Pick<DatasetOffer, 'payment'> }): string {
  const paid = offer.payment.filter((term) => term.kind !== 'free');
  return paid.length === 0 ? t('free') : paid.map((term) => `${money(term.amount_minor, term.currency)} ${per(term)}`).join(' + ');
}

const minor = ({ amount, currency }: Price): number => Math.round(amount * 10 ** decimals(currency));

/** The price as terms of an offer, paid to its provider when a run completes. */
export function priceTerms(asked: Price, provider: string): PriceTerm[] {
  const { kind, currency, days } = asked;
  if (kind === 'free') return [];
  const unit_count = UNITS[kind];
  const pricing = kind === 'subscription' ? { period_days: days } : unit_count && { unit_count };
  return [{ term_id: kind, kind, payees: [{ did: provider, share_ppm: 1_000_000 }], currency, amount_minor: minor(asked), trigger: 'completed', ...(pricing && { pricing }) }] as PriceTerm[];
}

/** The price of an offer; undefined where its terms say more than the form can. */
export function priceOf(payment: PriceTerm[], provider: string): Price | undefined {
  const [only, ...more] = payment.filter(({ kind }) => kind !== 'free');
  if (only === undefined) return FREE;
  const found = { kind: only.kind, currency: only.currency, amount: only.amount_minor / 10 ** decimals(only.currency), days: only.pricing?.period_days ?? FREE.days };
  const [made] = priceTerms(found, provider);
  const written = (term: object) => text(canonical({ ...term, term_id: '' }));
  return more.length === 0 && only.kind in PER && made && written(made) === written(only) ? found : undefined;
}

/** A tenth of 1 in so many people. */
export const usualDelta = (people: number): string => (people > 0 ? (Math.floor(1e11 / people) / 1e12).toFixed(12).replace(/0+$/, '') : '');

export const regionsOf = (typed: string): string[] => typed.toUpperCase().split(/[\s,]+/).filter(Boolean);

/** In units of 10^-18, rounded up, as the register reckons δ. */
function atto(real: string): bigint {
  const [whole = '', part = ''] = real.split('.');
  return BigInt(whole + part.slice(0, 18).padEnd(18, '0')) + (/[1-9]/.test(part.slice(18)) ? 1n : 0n);
}

const positive = (real: string): boolean => REAL.test(real) && /[1-9]/.test(real);

/** ε above 0 and below 1000, δ above 0 and below 1 in the number of people. */
export const capFits = (people: number, epsilon: string, delta: string): boolean =>
  Number.isSafeInteger(people) && people >= 1 && people <= 1e12 && positive(epsilon) && /^\d{1,3}(\.|$)/.test(epsilon)
  && positive(delta) && atto(delta) * BigInt(people) < 10n ** 18n;

export function priceFits(asked: Price): boolean {
  const { kind, currency, days } = asked;
  const [owed, period] = [minor(asked), kind !== 'subscription' || (Number.isInteger(days) && days >= 1 && days <= 366)];
  return kind === 'free' || (/^[A-Z]{3}$/.test(currency) && Number.isSafeInteger(owed) && owed > 0 && period);
}

export const regionsFit = (codes: string[]): boolean =>
  codes.length <= 32 && new Set(codes).size === codes.length && codes.every((code) => /^[A-Z]{2}$/.test(code));

/** What the terms still lack, in a sentence. */
export function lacking({ purposes, people, epsilon, delta, regions, price: asked }: Terms): string | undefined {
  if (purposes.length === 0) return t('Choose at least one purpose.');
  if (!capFits(people, epsilon, delta || usualDelta(people))) return t('Say how many people are in it, an ε above 0 and below 1000, and a δ above 0 and below 1 in that number.');
  if (!regionsFit(regionsOf(regions))) return t('A country is two letters, like IN; each once, at most 32.');
  if (!priceFits(asked)) return t('A price is above 0, in a currency of three letters; a period has 1 to 366 days.');
  return undefined;
}

/** The terms that a form begins with: those of the version before, or the usual ones. */
export function termsOf(before?: DatasetOffer): Terms {
  return {
    purposes: before?.usage.purposes ?? BUILT_IN.purposes,
    people: before?.public_rows ?? 0,
    epsilon: before?.privacy_cap.epsilon ?? '3.0',
    delta: before?.privacy_cap.delta ?? '',
    scope: before?.privacy_cap.scope === 'global' ? 'global' : 'per_tdc',
    family: before?.family ?? '',
    regions: before?.reference.regions?.join(' ') ?? '',
    price: (before && priceOf(before.payment, before.provider)) ?? FREE,
  };
}
