/** Small things that stand for values: states, ids, names, times, money, ε. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { me, participants, trust } from '../api/queries';
import { languageNow, t } from '../i18n';

type Tone = 'good' | 'wait' | 'bad' | 'accent' | '';

const TONES: Record<string, Tone> = {
  active: 'good', completed: 'good', delivered: 'good', settled: 'good', verified: 'good', registered: 'good',
  approved: 'good', accepted: 'good', closed: 'good', refunded: 'good', blocked: 'accent', asked: 'wait', answered: 'wait',
  open: 'wait', ruled: 'accent', refunding: 'wait',
  proposed: 'wait', partially_signed: 'wait', awaiting_sro: 'wait', scheduled: 'wait', applied: 'wait', due: 'wait',
  pending: 'wait', instructed: 'wait', submitted: 'wait', attested: 'accent', reserved: 'accent',
  keys_released: 'accent', training: 'accent', committed: 'accent',
  suspended: 'bad', revoked: 'bad', declined: 'bad', aborted: 'bad', failed: 'bad', rejected: 'bad', dead: 'bad',
  withdrawn: 'bad', returned: 'bad', disputed: 'bad', compromised: 'bad',
};

/** A state in its own word. */
export function State({ word }: { word: string }) {
  return <span className={`pill ${TONES[word] ?? ''}`}>{t(word.replaceAll('_', ' '))}</span>;
}

/** Kinds of entries whose own word says too little. */
const KINDS: Record<string, string> = {
  bodies_read: 'read by an overseer', genesis: 'the log begins', kms_stated: 'key service stated',
  run_reported: 'run told its progress', twin_root: 'second tree’s root',
};

/** What an entry of the log is, in words. */
export const kindOf = (kind: string): string => t(KINDS[kind] ?? kind.replaceAll('_', ' '));

/** The state of what is owed, and where its instruction stands at the payment system where that says more. */
export function Paid({ of: { state, standing } }: { of: { state: string; standing?: string | null } }) {
  return <span className="row"><State word={state} />{standing != null && ![state, standing].includes('settled') && <span className="dim small">{t(standing)}</span>}</span>;
}

/** Copying a text, and whether it was copied just now. */
export function useCopy(text: string): { copied: boolean; copy: () => Promise<void> } {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return { copied, copy };
}

/** An id or digest, copied by a click; shortened for the eye where asked. */
export function Id({ value, short }: { value: string; short?: boolean }) {
  const { copied, copy } = useCopy(value);
  const shown = short && value.length > 24 ? `${value.slice(0, 14)}…${value.slice(-6)}` : value;
  return (
    <button type="button" className="id" title={value} onClick={() => void copy()}>
      {copied ? t('Copied') : shown}<span className="sr">, {t('copy')}</span>
    </button>
  );
}

/** Copies a digest that stands beside it in full. */
export function CopyDigest({ of }: { of: string }) {
  const { copied, copy } = useCopy(of);
  return <button type="button" className="quiet noprint" onClick={() => void copy()}>{copied ? t('Copied') : t('Copy the digest')}</button>;
}

/** The name under which a DID is registered; the DID itself where it has none. */
export function useNames(): (did: string) => string {
  const { data: all } = useQuery(participants);
  const { data: pinned } = useQuery(trust);
  return (did) => {
    const found = all?.find((one) => one.did === did)?.legal_name ?? pinned?.sro.find((one) => one.did === did)?.name;
    return found ?? (did.length > 30 ? `${did.slice(0, 22)}…` : did);
  };
}

export function Name({ did }: { did: string }) {
  const name = useNames();
  const { data: session } = useQuery(me);
  return <span title={did}>{name(did)}{session?.member === did ? ` (${t('you')})` : ''}</span>;
}

const locale = () => (languageNow() === 'hi' ? 'hi-IN' : 'en-IN');

/** A time with its zone; the exact one as the document has it stands in the title. */
export function Time({ at, date }: { at: string; date?: boolean }) {
  const form: Intl.DateTimeFormatOptions = date
    ? { day: 'numeric', month: 'short', year: 'numeric', timeZoneName: 'short' }
    : { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', timeZoneName: 'short' };
  return <time dateTime={at} title={at}>{new Intl.DateTimeFormat(locale(), form).format(new Date(at))}</time>;
}

function currencyForm(currency: string): Intl.NumberFormat | undefined {
  try {
    return new Intl.NumberFormat(locale(), { style: 'currency', currency });
  } catch {
    // No code of a currency: a document may say anything.
    return undefined;
  }
}

/** Decimals of a currency; none where the code is unknown. */
export const decimals = (currency: string): number => currencyForm(currency)?.resolvedOptions().maximumFractionDigits ?? 0;

/** A sum of minor units; where the currency is none, the number and the word as they stand. */
export function money(minor: number, currency: string): string {
  const form = currencyForm(currency);
  return form ? form.format(minor / 10 ** decimals(currency)) : t('{n} minor units of {currency}', { n: count(minor), currency });
}

export const count = (n: number): string => new Intl.NumberFormat(locale()).format(n);

/**
 * ε from millionths, for people, at four decimals: what is spent or asked is rounded up, what is `left` or granted is
 * rounded down, so that nobody reads more privacy than there is.
 */
export function epsilon(micro: number, is: 'spent' | 'left' = 'spent'): string {
  if (micro >= Number.MAX_SAFE_INTEGER) return t('without bound');
  const hundreds = is === 'left' ? Math.floor(micro / 100) : Math.ceil(micro / 100);
  return (hundreds / 10_000).toFixed(4).replace(/0{1,3}$/, '');
}

/** How much of a budget is spent: the bar, and the same in words. */
export function Gauge({ spent, cap, label, calm, said }: { spent: number; cap: number; label: string; calm?: boolean; said?: string }) {
  const share = cap > 0 ? Math.min(1, spent / cap) : 1;
  const tone = calm ? '' : share >= 0.999 ? 'out' : share > 0.8 ? 'low' : '';
  return (
    <span
      className={`gauge ${tone}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={cap}
      aria-valuenow={Math.min(spent, cap)}
      aria-valuetext={said ?? t('ε {spent} of {cap}', { spent: epsilon(spent), cap: epsilon(cap, 'left') })}
    >
      <span ref={(bar) => void bar?.style.setProperty('width', `${(share * 100).toFixed(1)}%`)} />
    </span>
  );
}
