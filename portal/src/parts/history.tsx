/** What happened to a contract, entry by entry, with who signed each and why. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { contractEvents } from '../api/queries';
import { t } from '../i18n';
import { Card, Read } from './page';
import { stopping, type Told } from './told';
import { Why } from './why';
import { kindOf, State, Time } from './words';

export function History({ id }: { id: string }) {
  const events = useQuery(contractEvents(id));
  return (
    <Card title={t('History')}>
      <Read of={events}>
        {({ events: all }) => (
          <ul className="list" data-testid="history">
            {all.map((event) => (
              <li key={event.index} className="item">
                <div>
                  {kindOf((event.body as Told).kind)}
                  <Why of={event.body as Told} />
                  <p className="small"><Link to={`/audit?entry=${event.index}`}>{t('entry {n} of the log', { n: event.index })}</Link></p>
                </div>
                <span className="dim small"><Time at={event.at} /></span>
              </li>
            ))}
          </ul>
        )}
      </Read>
    </Card>
  );
}

/** Why nothing runs under a contract, where somebody stopped it. */
export function Stopped({ id, state }: { id: string; state: string }) {
  const { data } = useQuery(contractEvents(id));
  const event = stopping(data?.events ?? [], state);
  if (event === undefined) return null;
  return (
    <div className="note wait" data-testid="why">
      <State word={state} /> <Time at={event.at} />
      <Why of={event.body as Told} />
    </div>
  );
}
