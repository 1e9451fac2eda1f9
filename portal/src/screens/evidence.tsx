/** What a room showed at its check-in, and what the SRO approved that it must show. */
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';
import type { ImageSet } from '../api/documents';
import { imageSets, run as query } from '../api/queries';
import { t } from '../i18n';
import { peek } from '../keys/document';
import { Json } from '../parts/json';
import { Card, Facts, Page, Read, Terminal } from '../parts/page';
import { Id, State, Time } from '../parts/words';

export default function Evidence() {
  const { id = '' } = useParams();
  const record = useQuery(query(id));
  const sets = useQuery(imageSets);
  return (
    <Read of={record}>
      {({ run, checks, evidence_sha256, checked_in, statements }) => {
        const approved = sets.data?.image_sets.find((one) => peek<ImageSet>(one.image_set.envelope).image_set_id === run.image_set_id);
        const same = statements.every((one) => one.receipt.assurance === run.assurance && one.receipt.image_set_id === run.image_set_id);
        return (
          <Page title={t('Evidence')} lead={t('Every check of the appraisal, by name; the evidence itself is private to those who judged it.')} crumbs={<><Link to="/runs">{t('Runs')}</Link> / <Link to={`/runs/${id}`}>{id.slice(0, 12)}…</Link> / {t('Evidence')}</>}>
            {run.assurance === 'software' && <div className="simulated" role="note">{t('SIMULATED evidence: the software attester showed this room. No hardware vouches for it.')}</div>}
            <div className="split">
              <Card title={t('Checks')}>
                <ul className="checks">{checks.map((check) => <li key={check}>{check.replaceAll('_', ' ')}<span className="pill good">{t('passed')}</span></li>)}</ul>
              </Card>
              <div className="stack">
                <Card title={t('Bound to')}>
                  <Facts of={[
                    [t('Run'), <Id key="r" value={id} short />],
                    [t('Evidence SHA-256'), <Id key="e" value={evidence_sha256} short />],
                    [t('Image set'), <Id key="i" value={run.image_set_id} short />],
                    [t('Checked in'), <Time key="t" at={run.checked_in_at} />],
                    [t('Log entry'), <Link key="l" to={`/audit?entry=${checked_in}`}>{checked_in}</Link>],
                    [t('Key services'), statements.length === 0 ? t('none asked yet') : same ? t('each appraised it anew and agrees') : t('THEY DISAGREE with the check-in')],
                  ]} />
                </Card>
                <Card title={t('Verify again')}><Terminal command={'depa attest verify evidence.json --trust trust.json'} open /></Card>
              </div>
            </div>
            <Card title={t('What the SRO approved')} aside={approved && <State word={approved.state} />}>
              {approved ? <Json of={peek(approved.image_set.envelope)} /> : <p className="dim">{t('This image set is not listed.')}</p>}
            </Card>
          </Page>
        );
      }}
    </Read>
  );
}
