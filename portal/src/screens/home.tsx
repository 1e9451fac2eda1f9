/** What waits for me, and what happened. */
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { contracts, disputes, me, runs } from '../api/queries';
import { t } from '../i18n';
import { unfinished, useInbox } from '../parts/inbox';
import { useSigning } from '../parts/keys';
import { oversees } from '../api/calm';
import type { Note } from '../api/live';
import { useActivity } from '../parts/activity';
import { at } from '../parts/disputed';
import { FirstSteps } from '../parts/first-steps';
import { Card, Empty, Page, Read } from '../parts/page';
import { useContractName, useTitle } from '../parts/titles';
import { Id, kindOf, Name, State, Time } from '../parts/words';

const WHAT: Record<string, string> = { sign: 'Sign', approve: 'Decide', pay: 'Payment', dispute: 'Dispute', budget: 'Budget', run: 'Run', data: 'Dataset' };

export function Home() {
  const { data: session } = useQuery(me);
  const inbox = useInbox();
  const { notes, read, markRead } = useActivity();
  const signing = useSigning();
  const all = useQuery(runs);
  const title = useTitle();
  const listed = useQuery({ ...contracts, enabled: session != null && !oversees(session) });
  const own = listed.data ?? [];
  // Nothing is there only once it was looked for; an overseer's list is not read here.
  const nothing = (empty: ReactNode) => (oversees(session) ? empty : <Read of={listed}>{() => empty}</Read>);
  const others = unfinished(own, session?.member);
  const contractName = useContractName();
  const { data: disputed = [] } = useQuery({ ...disputes, enabled: session != null && !oversees(session) });
  // What happened to a dispute is read on its own page, whose entry of the log it is.
  const leads = ({ index, contract, run_id: run }: Note): string | undefined => {
    const dispute = at(index, disputed);
    return dispute ? `/disputes/${dispute}` : contract ? `/contracts/${contract.id}` : run ? `/runs/${run}` : undefined;
  };
  const about = ({ contract, run_id: id }: Note): string[] => {
    const under = contract ? [contract] : all.data?.runs.find((run) => run.run_id === id)?.contracts ?? [];
    return under.map((one) => contractName(one.id));
  };
  // Who audits reads, and signs nothing.
  const signs = session?.roles.some((role) => role !== 'sro_auditor') ?? false;
  return (
    <Page title={t('Home')} lead={session && <>{session.display_name}, <Name did={session.member} /></>}>
      {signs && signing.known && signing.ready === undefined && (
        <div className="note wait">
          {t('This browser holds no key that may sign for you. You can read everything; to sign, set up a key.')}{' '}
          <Link to="/keys">{t('Set up a key')}</Link>
        </div>
      )}
      <FirstSteps />
      <Card title={t('Waiting for you')}>
        {inbox.length === 0 ? (
          nothing(<Empty command={session?.roles.includes('sro_admin') ? `depa sro pending --out waiting --key YOUR.key --registry ${location.origin}` : `depa contract list --key YOUR.key --registry ${location.origin}`}>{t('Nothing waits for you.')} {t('What asks for your signature, your decision or your answer stands here.')}</Empty>)
        ) : (
          <ul className="list">
            {inbox.map((one) => (
              <li key={`${one.kind}-${one.id}`} className="item">
                <div><Link to={one.to}>{one.title}</Link><p>{one.about}</p></div>
                {/* The same way for a hand; a reader has it in the line's own link. */}
                <Link className="pill accent" to={one.to} tabIndex={-1} aria-hidden="true">{t(WHAT[one.kind] ?? one.kind)}</Link>
              </li>
            ))}
          </ul>
        )}
      </Card>
      {others.length > 0 && (
        <Card title={t('Waiting for others')}>
          <ul className="list">
            {others.map(({ row, view, contract }) => (
              <li key={row.contract_id} className="item">
                <div><Link to={`/contracts/${row.contract_id}`}>{title(contract)}</Link><p>{t('{n} of {all} have signed', { n: view.contract.signatures.length, all: contract.parties.length })}</p></div>
                <State word={row.state} />
              </li>
            ))}
          </ul>
        </Card>
      )}
      <Card title={t('Recent activity')} aside={notes.some((note) => note.index > read) ? <button type="button" className="quiet" onClick={markRead}>{t('Mark all as read')}</button> : oversees(session) && <span className="dim small">{t('since you opened this page')}</span>}>
        {notes.length === 0 ? (
          nothing(<Empty folded command={`depa audit monitor ${location.origin} --state mirror --trust trust.json`}>{t('Nothing yet. What the others do appears here by itself.')}</Empty>)
        ) : (
          <ul className="list" aria-live="polite">
            {notes.map((note) => (
              <li key={note.index} className="item">
                <div className={note.index > read ? 'unread' : ''}>
                  {note.index > read && <span className="sr">{t('new')}: </span>}
                  {leads(note) ? <Link to={leads(note) ?? ''}>{kindOf(note.kind)}</Link> : kindOf(note.kind)}
                  {about(note).map((name) => <span key={name}>: {name}</span>)}
                  <p className="small">{note.by?.map((did) => <span key={did}><Name did={did} /> · </span>)}{t('entry {n} of the log', { n: note.index })}</p>
                </div>
                <span className="dim small"><Time at={note.at} /></span>
              </li>
            ))}
          </ul>
        )}
      </Card>
      <Card title={t('Latest runs')} aside={<Link to="/runs">{t('All runs')}</Link>}>
        <Read of={all}>
          {({ runs: rows }) => rows.length === 0 ? (
            <Empty folded command={`depa run start job.bundle.json --registry ${location.origin}`}>{t('No run has checked in yet.')}</Empty>
          ) : (
            <ul className="list">
              {rows.slice(0, 5).map((run) => (
                <li key={run.run_id} className="item">
                  <div><Link to={`/runs/${run.run_id}`}>{run.contracts.map((one) => contractName(one.id)).join('; ')}</Link><p className="small"><Name did={run.tdc} /> · <Id value={run.run_id} short /></p></div>
                  <div className="row"><State word={run.state} /><span className="dim small"><Time at={run.checked_in_at} /></span></div>
                </li>
              ))}
            </ul>
          )}
        </Read>
      </Card>
    </Page>
  );
}
