/** What waits for who is signed in: told from what the page reads anyway, so that nothing else must be kept in step. */
import { useQuery } from '@tanstack/react-query';
import { oversees } from '../api/calm';
import { budget, contracts, datasets, disputes, me, participants, payments, pendingActs, runs } from '../api/queries';
import { useQueries } from '@tanstack/react-query';
import { t } from '../i18n';
import { epsilon, money } from './words';

export interface Waiting {
  id: string;
  kind: 'sign' | 'approve' | 'pay' | 'dispute' | 'budget' | 'run';
  title: string;
  about: string;
  to: string;
}

/** Everything that waits, the most pressing first. */
export function useInbox(): Waiting[] {
  const { data: session } = useQuery(me);
  const [member, sro] = [session?.member, oversees(session)];
  const own = useQuery({ ...contracts, enabled: member !== undefined && !sro });
  const owed = useQuery({ ...payments, enabled: member !== undefined && !sro });
  const disputed = useQuery({ ...disputes, enabled: member !== undefined && !sro });
  const all = useQuery({ ...runs, enabled: member !== undefined && !sro });
  const people = useQuery({ ...participants, enabled: member !== undefined });
  const begun = useQuery({ ...pendingActs, enabled: session?.roles.includes('sro_admin') ?? false });
  const listed = useQuery({ ...datasets, enabled: member !== undefined && !sro });
  const mine = (listed.data ?? []).filter(({ offer }) => offer.provider === member);
  const budgets = useQueries({ queries: mine.map(({ offer }) => budget(offer.dataset_id)) });
  const waiting: Waiting[] = [];
  for (const { row, view, contract } of own.data ?? []) {
    const signed = view.contract.signatures.some((signature) => signature.kid.startsWith(`${member}#`));
    if (!signed && (row.state === 'proposed' || row.state === 'partially_signed')) {
      const about = t('{n} of {all} have signed', { n: view.contract.signatures.length, all: contract.parties.length });
      waiting.push({ id: row.contract_id, kind: 'sign', title: t('A contract waits for your signature'), about, to: `/contracts/${row.contract_id}` });
    }
  }
  for (const one of begun.data ?? []) {
    if (one.act === undefined || one.signers.includes(member ?? '')) continue;
    const about = t('A colleague has signed; the second signature is yours to give.');
    waiting.push({ id: one.digest ?? one.since, kind: 'approve', title: t('An act of the SRO waits for a second person'), about, to: '/admin' });
  }
  if (session?.roles.includes('sro_admin')) {
    for (const one of people.data ?? []) {
      if (one.state !== 'applied') continue;
      waiting.push({ id: one.did, kind: 'approve', title: t('{name} applies for registration', { name: one.legal_name }), about: one.did, to: `/admin?did=${encodeURIComponent(one.did)}` });
    }
  }
  for (const payment of owed.data?.payments ?? []) {
    if (payment.payer !== member || payment.state !== 'due') continue;
    const about = t('for run {run}', { run: payment.run_id?.slice(0, 12) ?? payment.term_id });
    waiting.push({ id: payment.instruction_id, kind: 'pay', title: t('{sum} is due', { sum: money(payment.amount_minor, payment.currency) }), about, to: '/payments' });
  }
  for (const one of disputed.data ?? []) {
    const payment = owed.data?.payments.find((row) => row.instruction_id === one.instruction_id);
    const side = member !== one.opener && (member === payment?.payer || member === payment?.payee);
    const sum = money(one.amount_minor, one.currency);
    const [answer, close] = [one.state === 'open' && side, one.state === 'ruled' && member === one.opener];
    if (!answer && !close) continue;
    const title = answer ? t('A payment of yours is disputed') : t('Your dispute is ruled');
    waiting.push({ id: one.dispute_id, kind: 'dispute', title, about: sum, to: `/disputes/${one.dispute_id}` });
  }
  budgets.forEach(({ data }, at) => {
    for (const line of data?.lines ?? []) {
      if (line.spent_micro < 0.8 * (data?.cap_micro ?? Infinity)) continue;
      const about = t('ε {left} of {cap} is left', { left: epsilon(line.left_micro, 'left'), cap: epsilon(data?.cap_micro ?? 0, 'left') });
      waiting.push({ id: `${data?.dataset_id}-${line.tdc}`, kind: 'budget', title: t('The budget of {name} runs low', { name: mine[at]?.offer.name ?? '' }), about, to: `/datasets/${data?.dataset_id}` });
    }
  });
  for (const run of all.data?.runs ?? []) {
    if (run.state !== 'aborted' || run.tdc !== member) continue;
    waiting.push({ id: run.run_id, kind: 'run', title: t('A run ended without a model'), about: run.run_id, to: `/runs/${run.run_id}` });
  }
  return waiting;
}
