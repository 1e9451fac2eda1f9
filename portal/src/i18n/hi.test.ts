import { expect, it } from 'vitest';
import log from '../../../schemas/src/event.rs?raw';
import { t } from '.';
import { hi } from './hi';

const sources = Object.values(import.meta.glob('../**/*.{ts,tsx}', { query: '?raw', import: 'default', eager: true }) as Record<string, string>);

/** States stand in the service's answers, in lower_snake; so do kinds of entries of the log. */
const STATES = [
  'active', 'proposed', 'partially signed', 'awaiting sro', 'scheduled', 'suspended', 'declined', 'withdrawn', 'lapsed', 'superseded', 'completed',
  'revoked', 'expired', 'settled', 'attested', 'delivered', 'aborted', 'asked', 'blocked', 'due', 'instructed', 'refunding', 'void', 'answered',
  'ruled', 'closed', 'disabled', 'paused', 'pending', 'dead', 'applied', 'verified', 'rejected', 'retired', 'compromised', 'registered', 'deprecated',
  'approved', 'requested', 'leased', 'started',
  ...[...log.matchAll(/=> "([a-z_]+)"/g)].map((found) => (found[1] ?? '').replaceAll('_', ' ')),
];

it('every screen of contracts, runs, money and the log is in Hindi', () => {
  const own = import.meta.glob(
    ['../screens/{compose,contract,contracts,run,runs,evidence,audit,payments,payment,dispute}.tsx', '../parts/{contract-text,payment-text,forecast,timeline,progress,revenue,disputes,signed-act,two-people,signed,changes,signatures,verdicts,words,order,order-dialog,decisions,receipts,ledger,log-entries,log-entry,log-filters,entry-about,disputed,told,why,history}.{ts,tsx}'],
    { query: '?raw', import: 'default', eager: true },
  ) as Record<string, string>;
  const missing = Object.entries(own).flatMap(([file, text]) =>
    [...text.matchAll(/\bt\(\s*'((?:[^'\\]|\\.)+)'/g)].map((found) => found[1] ?? '').filter((one) => /[a-z]{2}/i.test(one) && hi[one] === undefined).map((one) => `${file}: ${one}`),
  );
  expect(missing).toEqual([]);
});

it('every Hindi text belongs to an English sentence of the page, with the same parts', () => {
  for (const [sentence, words] of Object.entries(hi)) {
    const used = STATES.includes(sentence) || sources.some((text) => text.includes(`'${sentence}'`) || (/^\w+$/.test(sentence) && text.includes(`  ${sentence}: `)));
    expect(used, sentence).toBe(true);
    const parts = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();
    expect(parts(words), sentence).toEqual(parts(sentence));
  }
});

it('every screen of people, keys, data and the SRO is in Hindi, and what stands in the frame of every page', () => {
  const own = import.meta.glob(
    ['../app.tsx', '../screens/{home,keys,register,enrol,sign-in,datasets,dataset,wizard,admin}.tsx', '../screens/admin/*.{ts,tsx}', '../parts/{shell,page,inbox,first-steps,key-acts,recovery,people,sign-in-ways,titles,acts,boundary,oidc,compare,statistics,sealed-record,next-version,profile,terms,terms-form}.{ts,tsx}', '../keys/{held,passkey}.ts', '../api/{client,problem}.ts'],
    { query: '?raw', import: 'default', eager: true },
  ) as Record<string, string>;
  const missing = Object.entries(own).flatMap(([file, text]) =>
    [...text.matchAll(/\bt\(\s*'((?:[^'\\]|\\.)+)'/g)].map((found) => found[1] ?? '').filter((one) => /[a-z]{2}/i.test(one) && hi[one] === undefined).map((one) => `${file}: ${one}`),
  );
  expect(missing).toEqual([]);
  expect(Object.keys(own).length).toBeGreaterThan(15);
});

it('a sentence that comes from an address is a text, whatever objects are called by', () => {
  for (const name of ['constructor', 'toString', '__proto__']) expect(t(name)).toBe(name);
  expect(t('{toString}', {})).toBe('{toString}');
});
