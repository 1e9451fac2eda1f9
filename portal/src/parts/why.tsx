/** Who did something and why, as who did it signed it into the log. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { entry } from '../api/queries';
import { t } from '../i18n';
import { CAUSES } from '../screens/admin/by-two';
import { Read } from './page';
import { grounds, signers, type Told } from './told';
import { kindOf, Name, Time } from './words';

/** Who signed, and the reason that they gave. */
export function Why({ of: body }: { of: Told }) {
  const [by, { reason, cause }] = [signers(body), grounds(body)];
  const words = cause === undefined ? undefined : CAUSES[cause];
  return (
    <>
      {by.length > 0 && <p className="small">{t('signed by')} {by.map((did, at) => <span key={did}>{at > 0 && ', '}<Name did={did} /></span>)}</p>}
      {(reason !== undefined || words !== undefined) && <p className="words">{t('Reason')}: {words !== undefined && <strong>{t(words)}. </strong>}{reason}</p>}
    </>
  );
}

/** The same of an entry that is only named, with when it was made. */
export function WhyAt({ index }: { index: number }) {
  const found = useQuery(entry(index));
  return (
    <Read of={found}>
      {({ at, body }) => (
        <div data-testid="why">
          <strong>{kindOf((body as Told).kind)}</strong>, <Time at={at} /> · <Link to={`/audit?entry=${index}`}>{t('entry {n} of the log', { n: index })}</Link>
          {(body as Told).kind === 'run_lost' && <p>{t('Nothing was heard of its room any more, so the service ended it.')}</p>}
          <Why of={body as Told} />
        </div>
      )}
    </Read>
  );
}
