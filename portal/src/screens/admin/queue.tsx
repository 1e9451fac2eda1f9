/** The queue of the SRO's desk: what one person has begun, for the second one to read and to sign. */
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { me, pendingActs, type Pending, trust } from '../../api/queries';
import { t } from '../../i18n';
import { DisputeLink } from '../../parts/dispute-link';
import { Card, Empty, Read } from '../../parts/page';
import { Name, Time } from '../../parts/words';
import { type Act, member, subject, useSaid } from '../../parts/acts';

export function Queue({ sign }: { sign: ((act: Act) => void) | undefined }) {
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const person = pinned?.sro.some(({ did }) => did === session?.member) ?? false;
  const all = useQuery({ ...pendingActs, enabled: person });
  const tell = useSaid();
  // An auditor is no person of the SRO.
  if (!person) return null;
  return (
    <Card title={t('Waiting for a second person')}>
      <Read of={all}>
        {(acts) => acts.length === 0 ? (
          <Empty command={`depa sro pending --out waiting --key sro-b.key --registry ${location.origin}\ndepa sro show waiting/DRAFT.json\ndepa sro approve waiting/DRAFT.json --key sro-b.key --registry ${location.origin}`}>{t('Nothing that a colleague has begun waits for a signature.')}</Empty>
        ) : (
          <ul className="list">
            {acts.map((one) => <Line key={one.digest ?? one.since} one={one} mine={session?.member} tell={tell} sign={sign} />)}
          </ul>
        )}
      </Read>
    </Card>
  );
}

function Line({ one, mine, tell, sign }: { one: Pending; mine: string | undefined; tell: (act: Act) => string; sign: ((act: Act) => void) | undefined }) {
  if (one.act === undefined) return <li className="item"><span className="pill bad">{t('The bytes of this act are not canonical: it is not offered for signing here.')}</span></li>;
  const { act } = one;
  const reason = member(act, 'reason');
  const own = one.signers.some((holder) => holder === mine);
  return (
    <li className="item">
      <div>
        <strong>{tell(act)}</strong>
        {reason !== '' && <p>{reason}</p>}
        <p className="small">{subject(act)}</p>
        {member(act, 'dispute_id') !== '' && <p><DisputeLink id={member(act, 'dispute_id')} /></p>}
        <p className="small">{t('signed by')} {one.signers.map((holder) => <Name key={holder} did={holder} />)} · <Time at={one.since} /> · {t('forgotten')} <Time at={one.until} /></p>
      </div>
      {own ? <span className="pill wait">{t('waits for a colleague')}</span> : sign && <Button size="xs" aria-label={`${t('Read and sign')}: ${subject(act)}`} onClick={() => sign(act)}>{t('Read and sign')}</Button>}
    </li>
  );
}
