/** What waits for who is signed in: told from what the page reads anyway, so that nothing else must be kept in step. */
import { useQueries, useQuery } from '@tanstack/react-query';
import { useLocation } from 'react-router';
import { oversees } from '../api/calm';
import type { Schemas } from '../api/client';
import type { Contract } from '../api/documents';
import { awaitingSro, budget, contracts, contractVersion, dataset, datasets, disputes, type Listed, type ListedContract, me, participants, payments, type Pending, pendingActs, runs } from '../api/queries';
import { t } from '../i18n';
import { peek } from '../keys/document';
import { member as text, useSaid } from './acts';
import { isOpen, STANDING } from './contract-acts';
import { toldOf } from './dispute-link';
import { waitingOn } from './disputed';
import { marks } from './marks';
import { ender } from './suspension';
import { tail, useContractName, useTitle } from './titles';
import { epsilon, money, useNames } from './words';

/** What a contract that waits is about, and who is in it besides this member: what one needs to know which one it is. */
export function named(contract: Pick<Contract, 'parties'>, title: string, member: string | undefined, names: (did: string) => string): string {
  const others = contract.parties.filter(({ did }) => did !== member).map(({ did }) => names(did));
  return others.length === 0 ? title : t('{title}, with {others}', { title, others: others.join(', ') });
}

export interface Waiting {
  id: string;
  kind: 'sign' | 'approve' | 'pay' | 'dispute' | 'budget' | 'run' | 'data';
  title: string;
  about: string;
  to: string;
}

/** Runs of this consumer that ended without a model, as long as they neither looked at them nor ran anything after them under the same contract. */
export function unanswered(all: Schemas['RunLine'][], member: string | undefined, seen: string[]): Schemas['RunLine'][] {
  const follows = (later: Schemas['RunLine'], run: Schemas['RunLine']) =>
    Date.parse(later.checked_in_at) > Date.parse(run.checked_in_at) && later.contracts.some((one) => run.contracts.some((other) => other.id === one.id));
  return all.filter((run) => run.state === 'aborted' && run.tdc === member && !seen.includes(run.run_id) && !all.some((later) => follows(later, run)));
}

/** What parties may sign and this one has not. */
export const unsigned = <T extends Pick<Schemas['ContractView'], 'state' | 'contract'>>(all: T[], member: string | undefined): T[] =>
  all.filter(({ state, contract }) => isOpen(state) && !contract.signatures.some(({ kid }) => kid.startsWith(`${member}#`)));

interface Pinned {
  contract: string;
  dataset: string;
  /** The digest of the offer that the contract pins. */
  offer: string;
}

/** The offers that contracts in force pin. */
export const pins = (own: Pick<ListedContract, 'row' | 'contract'>[]): Pinned[] =>
  own.filter(({ row }) => STANDING.includes(row.state)).flatMap(({ row, contract }) =>
    contract.datasets.map((one) => ({ contract: row.contract_id, dataset: one.dataset_id, offer: one.offer_sha256 })));

/** Whether this offer is the one that is pinned, and no run is kept from it. */
export const whole = (pin: Pinned, { sha256, view }: Pick<Listed, 'sha256' | 'view'>): boolean => sha256 === pin.offer && view.state === 'registered';

/** What is pinned and may not be used now, by the versions of its dataset. */
export function stopped(all: Pinned[], versions: Listed[]): { pin: Pinned; offer: Listed }[] {
  return all.flatMap((pin) => {
    const offer = versions.find((one) => one.sha256 === pin.offer);
    return offer && ['withdrawn', 'suspended'].includes(offer.view.state) ? [{ pin, offer }] : [];
  });
}

/** Own contracts that are signed here and not by everybody yet. */
export const unfinished = (own: ListedContract[], member: string | undefined): ListedContract[] =>
  own.filter(({ row, view }) => (isOpen(row.state) || row.state === 'awaiting_sro') && unsigned([view], member).length === 0);

/** Own datasets over which no run begins until their suspension ends. */
export const suspended = (all: Listed[], member: string | undefined): Listed[] => all.filter(({ view, offer }) => offer.provider === member && view.state === 'suspended');

/** Who applies, and is not decided about already by a first person of the SRO. */
export const undecided = (people: Schemas['ParticipantLine'][], begun: Pending[]): Schemas['ParticipantLine'][] =>
  people.filter((one) => one.state === 'applied' && !begun.some(({ act }) => act?.schema === 'participant-decision.v1' && act['participant'] === one.did));

/** What the SRO may rule on, answered or out of time, and no person of it has ruled on already. */
export const unruled = <T extends Pick<Schemas['DisputeView'], 'dispute_id' | 'state' | 'answer_by'>>(all: T[], begun: Pending[], now = Date.now()): T[] =>
  all.filter((one) => (one.state === 'answered' || (one.state === 'open' && Date.parse(one.answer_by) <= now)) && waitingOn(one.dispute_id, begun).length === 0);

/** Everything that waits, the most pressing first. */
export function useInbox(): Waiting[] {
  const { data: session } = useQuery(me);
  const [member, sro] = [session?.member, oversees(session)];
  const own = useQuery({ ...contracts, enabled: member !== undefined && !sro });
  // What an overseer reads is entered in the log: disputes are read for them on Home alone, whose list shows them.
  const reads = useLocation().pathname === '/' && (session?.roles.includes('sro_admin') ?? false);
  const disputed = useQuery({ ...disputes, enabled: member !== undefined && (!sro || reads) });
  const all = useQuery({ ...runs, enabled: member !== undefined && !sro });
  const admin = session?.roles.includes('sro_admin') ?? false;
  const people = useQuery({ ...participants, enabled: member !== undefined });
  const begun = useQuery({ ...pendingActs, enabled: admin });
  // Payments name the sides of what is to be ruled on, and are read for an overseer where something is.
  const toRule = admin && begun.data !== undefined ? unruled(disputed.data ?? [], begun.data) : [];
  const owed = useQuery({ ...payments, enabled: member !== undefined && (!sro || (reads && (toRule.length > 0 || begun.data?.some(({ act }) => act !== undefined && text(act, 'dispute_id') !== '')))) });
  const tell = useSaid(admin);
  const signedByAll = useQuery({ ...awaitingSro, enabled: admin });
  const { data: countersigned } = useQuery(marks('countersigned', member ?? ''));
  const { data: seen } = useQuery(marks('ended', member ?? ''));
  const listed = useQuery({ ...datasets, enabled: member !== undefined && !sro });
  const mine = (listed.data ?? []).filter(({ offer }) => offer.provider === member);
  const budgets = useQueries({ queries: mine.map(({ offer }) => budget(offer.dataset_id)) });
  // Most contracts pin the newest offers, which are read anyway; of the others every version is asked for.
  const pinned = pins(own.data ?? []);
  const doubtful = listed.data === undefined ? [] : pinned.filter((pin) => !listed.data.some((one) => whole(pin, one)));
  const versions = useQueries({
    queries: [...new Set(doubtful.map((pin) => pin.dataset))].map((id) => dataset(id)),
    combine: (found) => found.flatMap(({ data }) => data ?? []),
  });
  // A version that would take the place of one in force stands in no list: it is told by the one that it follows.
  const next = useQueries({
    queries: (own.data ?? []).flatMap(({ row, view }) => (view.amendment == null ? [] : [contractVersion(row.contract_id, view.amendment)])),
    combine: (found) => found.flatMap(({ data }) => data ?? []),
  });
  const titleOf = useTitle();
  const contractName = useContractName();
  const names = useNames();
  const paymentOf = (one: Schemas['DisputeView']) => owed.data?.payments.find((row) => row.instruction_id === one.instruction_id);
  const waiting: Waiting[] = [];
  for (const view of unsigned([...(own.data ?? []).map((one) => one.view), ...next], member)) {
    const contract = peek<Contract>(view.contract);
    const { contract_id: id, parties, supersedes } = contract;
    const about = `${named(contract, titleOf(contract), member, names)} · ${t('{n} of {all} have signed', { n: view.contract.signatures.length, all: parties.length })}`;
    const title = supersedes == null ? t('A contract waits for your signature') : t('A next version of a contract waits for your signature');
    waiting.push({ id: view.sha256, kind: 'sign', title, about, to: `/contracts/${id}?version=${view.sha256}` });
  }
  for (const one of begun.data ?? []) {
    if (one.act === undefined || one.signers.includes(member ?? '')) continue;
    // What is ruled on is read first; its page leads on to the desk.
    const dispute = text(one.act, 'dispute_id');
    const found = disputed.data?.find((other) => other.dispute_id === dispute);
    const about = [found ? toldOf(found, paymentOf(found), names) : '', text(one.act, 'reason'), t('A colleague has signed; the second signature is yours to give.')].filter((part) => part !== '').join(' · ');
    waiting.push({ id: one.digest ?? one.since, kind: 'approve', title: t('Second signature: {act}', { act: tell(one.act) }), about, to: dispute === '' ? '/admin' : `/disputes/${dispute}` });
  }
  for (const row of signedByAll.data ?? []) {
    if (countersigned === undefined || countersigned.includes(row.sha256)) continue;
    const about = `…${tail(row.contract_id)} · ${t('Every party has signed. Two people of the SRO countersign before it stands.')}`;
    waiting.push({ id: row.sha256, kind: 'sign', title: t('A contract waits for the SRO to countersign'), about, to: `/contracts/${row.contract_id}?version=${row.sha256}` });
  }
  if (admin && !begun.isPending) {
    for (const one of undecided(people.data ?? [], begun.data ?? [])) {
      waiting.push({ id: one.did, kind: 'approve', title: t('{name} applies for registration', { name: one.legal_name }), about: one.did, to: `/admin?did=${encodeURIComponent(one.did)}` });
    }
  }
  for (const payment of owed.data?.payments ?? []) {
    if (payment.payer !== member || payment.state !== 'due') continue;
    // The last attempt failed; what is told for the first time is `instructed`.
    const about = `${t('To')} ${names(payment.payee)} · ${t('It is tried again by itself: see that your payment provider can pay.')}`;
    waiting.push({ id: payment.instruction_id, kind: 'pay', title: t('A payment of {sum} failed', { sum: money(payment.amount_minor, payment.currency) }), about, to: `/payments/${payment.instruction_id}` });
  }
  for (const one of disputed.data ?? []) {
    const payment = paymentOf(one);
    const sum = toldOf(one, payment, names);
    if (admin) {
      if (toRule.includes(one)) waiting.push({ id: one.dispute_id, kind: 'dispute', title: t('A dispute waits for a ruling'), about: sum, to: `/disputes/${one.dispute_id}` });
      continue;
    }
    const side = member !== one.opener && (member === payment?.payer || member === payment?.payee);
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
  for (const { offer, view } of suspended(listed.data ?? [], member)) {
    const about = [t('No run begins over it until the suspension ends.'), ender(view)].filter(Boolean).join(' ');
    waiting.push({ id: offer.dataset_id, kind: 'data', title: t('{name} is suspended', { name: offer.name }), about, to: `/datasets/${offer.dataset_id}` });
  }
  for (const { pin, offer: { offer, view } } of stopped(doubtful, versions)) {
    const title = view.state === 'withdrawn' ? t('{name} is withdrawn', { name: offer.name }) : t('{name} is suspended', { name: offer.name });
    const about = view.state === 'withdrawn' ? t('No run begins over it. A next version of your contract may name what replaces it.') : t('No run begins over it until the suspension ends.');
    waiting.push({ id: `${pin.contract}-${pin.dataset}`, kind: 'data', title, about: `${about} · ${contractName(pin.contract)}`, to: `/contracts/${pin.contract}` });
  }
  for (const run of unanswered(all.data?.runs ?? [], member, seen ?? [])) {
    waiting.push({ id: run.run_id, kind: 'run', title: t('A run ended without a model'), about: `${run.contracts.map((one) => contractName(one.id)).join('; ')} · …${tail(run.run_id)}`, to: `/runs/${run.run_id}` });
  }
  return waiting;
}
