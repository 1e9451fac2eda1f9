/** What somebody who is new does first, by role; gone once all of it is done. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { oversees } from '../api/calm';
import { contracts, datasets, me, participants, runs } from '../api/queries';
import { t } from '../i18n';
import { ENOUGH_KEYS, useSigning } from './keys';
import { marks } from './marks';
import { Card } from './page';

export interface Step {
  title: string;
  why: string;
  to: string;
  done: boolean;
}

/** What is known of somebody's beginnings. */
export interface Begun {
  key: boolean;
  /** Whether so many keys count that the loss of one leaves them able to sign, also where they put it off. */
  recovery: boolean;
  offers: boolean;
  contract: boolean;
  signed: boolean;
  run: boolean;
  decided: boolean;
  /** Whether this browser has proved the head of the log, and exported the log. */
  proved: boolean;
  exported: boolean;
}

/** The steps of these roles, in their order. */
export function steps(roles: readonly string[], begun: Begun): Step[] {
  const key = { title: t('Set up your signing key'), why: t('What you agree to, your own key signs, in this browser.'), to: '/keys', done: begun.key };
  const recovery = { title: t('Make a recovery key'), why: t('Your only key can be lost with this browser: a second one in a file brings you back.'), to: '/keys', done: begun.recovery };
  const prove = { title: t('See the log proved'), why: t('Your browser checks the log itself; nobody need be believed.'), to: '/audit', done: begun.proved };
  if (roles.includes('sro_admin')) {
    return [
      key,
      recovery,
      { title: t('Decide who may take part'), why: t('You sign first, a colleague signs after you.'), to: '/admin', done: begun.decided },
      prove,
    ];
  }
  // Who audits reads, and signs nothing.
  if (roles.includes('sro_auditor')) {
    return [prove, { title: t('Export it and verify it offline'), why: t('The file holds every entry; depa recomputes all of it on your own machine.'), to: '/audit', done: begun.exported }];
  }
  const sign = { title: t('Read and sign a contract'), why: t('Plain words beside the very bytes that you sign.'), to: '/contracts', done: begun.signed };
  if (roles.includes('tdp_admin')) {
    return [key, recovery, { title: t('Register a dataset'), why: t('It is described here and sealed on your machine: no row leaves it.'), to: '/datasets/new', done: begun.offers }, sign];
  }
  if (roles.includes('tdc_admin')) {
    return [
      key,
      recovery,
      { title: t('Choose datasets and propose a contract'), why: t('The composer says what a training would cost in privacy and money.'), to: '/datasets', done: begun.contract },
      { title: t('Watch your first run'), why: t('Order it under a contract in force, and follow it here step by step.'), to: '/runs', done: begun.run },
    ];
  }
  return [key, recovery, sign];
}

/** Whether the steps are shown: until all are done. */
export const open = (all: Step[]): boolean => all.some((one) => !one.done);

export function FirstSteps() {
  const { data: session } = useQuery(me);
  const signing = useSigning();
  const party = session != null && !oversees(session);
  const offers = useQuery({ ...datasets, enabled: party });
  const own = useQuery({ ...contracts, enabled: party });
  const ran = useQuery({ ...runs, enabled: party });
  const people = useQuery(participants);
  const { data: told } = useQuery(marks('steps', session?.member ?? ''));
  const waited = !signing.known || people.data === undefined || told === undefined || (party && (!offers.data || !own.data || !ran.data));
  if (!session || waited) return null;
  const all = steps(session.roles, {
    key: signing.ready !== undefined,
    recovery: signing.active >= ENOUGH_KEYS,
    offers: (offers.data ?? []).some(({ offer }) => offer.provider === session.member),
    contract: (own.data ?? []).length > 0,
    signed: (own.data ?? []).some(({ view }) => view.contract.signatures.some(({ kid }) => kid.startsWith(`${session.member}#`))),
    run: (ran.data?.runs ?? []).length > 0,
    decided: (people.data ?? []).some((one) => one.state === 'verified'),
    proved: told.includes('proved'),
    exported: told.includes('exported'),
  });
  if (!open(all)) return null;
  return (
    <Card title={t('First steps')}>
      <ol className="todo">
        {all.map((one) => (
          <li key={one.title} className={one.done ? 'done' : ''}>
            <Link to={one.to}>{one.title}</Link>{one.done && <span className="sr">, {t('done')}</span>}
            <p>{one.why}</p>
          </li>
        ))}
      </ol>
    </Card>
  );
}
