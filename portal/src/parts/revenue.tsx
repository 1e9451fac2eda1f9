/** Statements of revenue: what a consumer earned in a period of a contract with a revenue share, signed and owed at once. */
import { Button, Select } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, ask, type Schemas } from '../api/client';
import { contracts, type ListedContract, me, payments, trust } from '../api/queries';
import { t } from '../i18n';
import { NumberField } from './number-field';
import { Card } from './page';
import { SignedAct } from './signed-act';
import { tail } from './titles';
import { decimals, money, Time } from './words';

const DAY = 86_400_000;

export interface Period {
  n: number;
  from: string;
  until: string;
}

/** The periods of a term that have ended by `now`, the newest first. */
export function periods(contract: { effective_from: string; expires_at: string }, days: number, now: number): Period[] {
  const [start, end] = [Date.parse(contract.effective_from), Date.parse(contract.expires_at)];
  const all: Period[] = [];
  for (let n = 0; days > 0 && n < 1_000; n += 1) {
    const from = start + n * days * DAY;
    const until = Math.min(from + days * DAY, end);
    if (from >= end || until > now) break;
    all.unshift({ n, from: new Date(from).toISOString(), until: new Date(until).toISOString() });
  }
  return all;
}

interface Owing {
  listed: ListedContract;
  term: Schemas['PaymentTerm'];
}

const STANDING = ['active', 'suspended', 'expired', 'revoked', 'completed'];

export function Revenue() {
  const client = useQueryClient();
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const own = useQuery(contracts);
  const owed = useQuery(payments);
  const [opened, setOpened] = useState(false);
  const [picked, setPicked] = useState('');
  const [period, setPeriod] = useState('');
  const [sum, setSum] = useState<number | ''>('');
  const shares: Owing[] = (own.data ?? [])
    .filter(({ row, contract }) => STANDING.includes(row.state) && contract.parties.some((party) => party.role === 'tdc' && party.did === session?.member))
    .flatMap((listed) => listed.contract.payment.filter((term) => term.kind === 'revenue_share' && term.payer === session?.member).map((term) => ({ listed, term })));
  if (shares.length === 0) return null;
  const name = ({ listed, term }: Owing) => `${listed.row.contract_id}|${term.term_id}`;
  const chosen = shares.find((one) => name(one) === picked) ?? shares[0];
  if (chosen === undefined) return null;
  const { listed, term } = chosen;
  const reference = { id: listed.row.contract_id, sha256: listed.row.sha256 };
  const stated = (n: number) => (owed.data?.payments ?? []).some((one) => one.contract.id === reference.id && one.term_id === term.term_id && one.period === n);
  const over = periods(listed.contract, term.pricing?.period_days ?? 0, Date.now());
  const minor = sum === '' ? undefined : Math.round(Number(sum) * 10 ** decimals(term.currency));
  return (
    <Card title={t('Revenue to state')} aside={<Button size="xs" disabled={over.length === 0} onClick={() => { setPeriod(String(over.find((one) => !stated(one.n))?.n ?? over[0]?.n ?? '')); setSum(''); setOpened(true); }}>{t('State revenue')}</Button>}>
      <p>{t('{n} of your contracts share the revenue. What you state is signed, stands in the log and is open to audit.', { n: shares.length })}</p>
      {over.length === 0 ? <p className="dim">{t('No period of this contract has ended yet.')}</p> : (
        <ul className="list">
          {over.slice(0, 6).map((one) => (
            <li key={one.n} className="item">
              <span>{t('Period {n}', { n: one.n })}: <Time at={one.from} date /> – <Time at={one.until} date /></span>
              <span className={`pill ${stated(one.n) ? 'good' : 'wait'}`}>{stated(one.n) ? t('stated') : t('to be stated')}</span>
            </li>
          ))}
        </ul>
      )}
      <SignedAct
        opened={opened} close={() => setOpened(false)} title={t('State revenue')} act={t('Sign the statement')} wordless
        make={(_, at) => pinned && period !== '' && minor !== undefined && Number.isSafeInteger(minor) && minor >= 0
          ? { schema: 'revenue-statement.v1', registry: pinned.registry, contract: reference, term_id: term.term_id, period: Number(period), revenue_minor: minor, currency: term.currency, at }
          : undefined}
        send={async (sealed) => {
          await ask(api.POST('/v1/revenue-statements', { params: { header: { 'Idempotency-Key': crypto.randomUUID() } }, body: sealed as never }));
          setOpened(false);
          notifications.show({ message: t('The statement stands in the log; what it owes falls due.') });
          await client.invalidateQueries({ queryKey: ['payments'] });
        }}
      >
        {shares.length > 1 && <Select label={t('Contract and term')} data={shares.map((one) => ({ value: name(one), label: `…${tail(one.listed.row.contract_id)} · ${one.term.term_id}` }))} value={name(chosen)} onChange={(value) => setPicked(value ?? '')} allowDeselect={false} />}
        <Select label={t('Period')} data={over.map((one) => ({ value: String(one.n), label: `${one.n}: ${one.from.slice(0, 10)} – ${one.until.slice(0, 10)}` }))} value={period} onChange={(value) => setPeriod(value ?? '')} allowDeselect={false} />
        <NumberField label={t('Revenue of the period, in {currency}', { currency: term.currency })} required digits={decimals(term.currency)} value={sum} onChange={setSum} />
        {minor !== undefined && term.pricing?.share_ppm != null && <p className="dim small">{t('{share} % of {sum} falls due, within the floor and the cap of the term.', { share: term.pricing.share_ppm / 10_000, sum: money(minor, term.currency) })}</p>}
      </SignedAct>
    </Card>
  );
}
