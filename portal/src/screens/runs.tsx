/** The runs that one may read about, the newest first. */
import { useQueries, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { Link } from 'react-router';
import { me, order, runs } from '../api/queries';
import { t } from '../i18n';
import { marks, unmark } from '../parts/marks';
import { OrderRun } from '../parts/order-dialog';
import { Card, Empty, Page, ProblemNote, Read } from '../parts/page';
import { tail, useContractName } from '../parts/titles';
import { Id, Name, State, Time } from '../parts/words';

export default function Runs() {
  const all = useQuery(runs);
  const { data: session } = useQuery(me);
  const contractName = useContractName();
  return (
    <Page title={t('Runs')} lead={t('Each run is one execution of a signed job in an attested room.')} actions={session?.roles.includes('tdc_admin') && <OrderRun />}>
      {session && <Ordered member={session.member} />}
      <Card>
        <Read of={all}>
          {({ runs: rows }) => rows.length === 0 ? (
            <Empty command={`depa job bundle job.toml --out job.bundle.json --key tdc.key --trust trust.json --registry ${location.origin}\ndepa run start job.bundle.json --registry ${location.origin}`}>
              {t('No run has checked in yet. A consumer signs a job under a contract and orders it.')}
            </Empty>
          ) : (
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('Run')}</th><th>{t('Contract')}</th><th>{t('For')}</th><th>{t('Evidence')}</th><th>{t('Checked in')}</th><th>{t('State')}</th></tr></thead>
                <tbody>
                  {rows.map((run) => (
                    <tr key={run.run_id}>
                      <td><Link to={`/runs/${run.run_id}`}>{t('Run')} {tail(run.run_id)}</Link><br /><Id value={run.run_id} short /></td>
                      <td>{run.contracts.map((one) => <div key={one.id}><Link to={`/contracts/${one.id}`}>{contractName(one.id)}</Link></div>)}</td>
                      <td><Name did={run.tdc} /><br /><span className="dim small">{t('in a room of')} <Name did={run.ccrp} /></span></td>
                      <td>{run.assurance === 'software' ? <span className="pill bad">SIMULATED</span> : <span className="pill good">{t('hardware')}</span>}</td>
                      <td><Time at={run.checked_in_at} /></td>
                      <td><State word={run.state} /></td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Read>
      </Card>
    </Page>
  );
}

/** What was ordered in this browser and is no run yet: the list below begins with the check-in. */
function Ordered({ member }: { member: string }) {
  const client = useQueryClient();
  const { data: jobs = [] } = useQuery(marks('orders', member));
  const found = useQueries({ queries: jobs.map((job) => order(job)) });
  const lines = jobs.map((job, at) => ({ job, order: found[at]?.data, problem: found[at]?.error }));
  const taken = lines.filter((line) => line.order?.run_id != null).map((line) => line.job).join(' ');
  useEffect(() => {
    if (taken !== '') for (const job of taken.split(' ')) void unmark(client, 'orders', member, job);
  }, [client, member, taken]);
  const waiting = lines.filter((line) => line.order?.run_id == null);
  if (waiting.length === 0) return null;
  return (
    <Card title={t('Ordered, no room yet')} aside={<span className="dim small">{t('as this browser remembers')}</span>}>
      <ul className="list">
        {waiting.toReversed().map(({ job, order: stands, problem }) => (
          <li key={job} className="item">
            <div>{t('Job')} <Id value={job} short /><ProblemNote problem={problem} /></div>
            <div className="row">
              {stands && <State word={stands.state} />}
              {(problem || ['lapsed', 'cancelled'].includes(stands?.state ?? '')) && <button type="button" className="quiet" onClick={() => void unmark(client, 'orders', member, job)}>{t('Forget it')}</button>}
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}
