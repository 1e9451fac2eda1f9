/** The runs that one may read about, the newest first. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { me, runs } from '../api/queries';
import { t } from '../i18n';
import { OrderRun } from '../parts/order-dialog';
import { Card, Empty, Page, Read } from '../parts/page';
import { Id, Name, State, Time } from '../parts/words';

export default function Runs() {
  const all = useQuery(runs);
  const { data: session } = useQuery(me);
  return (
    <Page title={t('Runs')} lead={t('Each run is one execution of a signed job in an attested room.')} actions={session?.roles.includes('tdc_admin') && <OrderRun />}>
      <Card>
        <Read of={all}>
          {({ runs: rows }) => rows.length === 0 ? (
            <Empty command={`depa job bundle job.toml --out job.bundle.json --key tdc.key --trust trust.json --registry ${location.origin}\ndepa run start job.bundle.json --registry ${location.origin}`}>
              {t('No run has checked in yet. A consumer signs a job under a contract and orders it.')}
            </Empty>
          ) : (
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('Run')}</th><th>{t('For')}</th><th>{t('Evidence')}</th><th>{t('Checked in')}</th><th>{t('State')}</th></tr></thead>
                <tbody>
                  {rows.map((run) => (
                    <tr key={run.run_id}>
                      <td><Link to={`/runs/${run.run_id}`}>{t('Run')} {run.run_id.slice(4, 12)}</Link><br /><Id value={run.run_id} short /></td>
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
