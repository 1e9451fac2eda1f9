/** What was checked of a room, by whom, check by check; and what each key service decided, as it signed it into the log. */
import { Link } from 'react-router';
import type { Schemas } from '../api/client';
import { t } from '../i18n';
import { Id, Name, State, Time } from './words';

type Record_ = Schemas['RunRecord'];
type Receipt = Schemas['KmsReceipt'];

/** Whether a statement rests on an appraisal of its own. */
const appraised = ({ statement }: Receipt): boolean => statement.kind === 'reserved' || statement.kind === 'released';

/** The newest appraisal of each key service that stated one. */
export function appraisals({ statements }: Pick<Record_, 'statements'>): Receipt[] {
  const all = statements.map((one) => one.receipt).filter(appraised);
  return [...new Map(all.map((one) => [`${one.provider} ${one.kms}`, one])).values()];
}

/** Every check by name. What the service of the registry judged and a key service does not name, that one did not judge. */
function Checks({ passed, of = [] }: { passed: string[]; of?: string[] }) {
  return (
    <ul className="checks">
      {[...new Set([...of, ...passed])].map((check) => (
        <li key={check}>{check.replaceAll('_', ' ')}<span className={`pill ${passed.includes(check) ? 'good' : ''}`}>{passed.includes(check) ? t('passed') : t('not judged')}</span></li>
      ))}
    </ul>
  );
}

/** Receipts of before checks were kept say that the evidence was accepted, and no more. */
function Verdict({ passed = [], of }: { passed?: string[] | null | undefined; of?: string[] }) {
  if (passed == null || passed.length === 0) return <span className="pill">{t('accepted, no check is named')}</span>;
  return (
    <details>
      <summary><span className="pill good">{t('{n} checks passed', { n: passed.length })}</span></summary>
      <Checks passed={passed} of={of ?? []} />
    </details>
  );
}

/** Each who appraised the room, with the verdict check by check. */
export function Verdicts({ record }: { record: Record_ }) {
  return (
    <ul className="list" data-testid="verdicts">
      <li><div>{t('Service of the registry')}</div><Verdict passed={record.checks} /></li>
      {appraisals(record).map((one) => <li key={`${one.provider} ${one.kms}`}><div><Name did={one.provider} /></div><Verdict passed={one.checks} of={record.checks} /></li>)}
    </ul>
  );
}

/** Why a room gave up. What a key service refuses it tells the room alone, so that the code is the room's word. */
export function GaveUp({ record }: { record: Record_ }) {
  if (record.aborted_code == null) return null;
  return <p>{t('Its room gave up:')} <strong data-testid="code">{record.aborted_code}</strong>. {t('A key service tells its refusal to the room alone; this code is what the room signed.')}</p>;
}

/** Statement by statement, what key services decided. */
export function Decisions({ record }: { record: Record_ }) {
  return (
    <div className="stack tight">
      <GaveUp record={record} />
      {record.statements.length === 0 ? <p className="dim">{t('No key service has stated anything yet.')}</p> : (
        <div className="scroll">
          <table className="data" data-testid="decisions">
            <thead><tr><th>{t('When')}</th><th>{t('Key service of')}</th><th>{t('Decided')}</th><th>{t('Checks')}</th><th>{t('Log entry')}</th></tr></thead>
            <tbody>
              {record.statements.map(({ index, receipt }) => (
                <tr key={index}>
                  <td><Time at={receipt.at} /></td>
                  <td><Name did={receipt.provider} /></td>
                  <td><State word={receipt.statement.kind} /></td>
                  <td>
                    {appraised(receipt) ? <Verdict passed={receipt.checks} of={record.checks} /> : <span className="dim">{t('asks for no evidence')}</span>}
                    {(receipt.rules ?? []).map((rule) => <p key={rule} className="small">{t('allowed by the rules')} <Id value={rule} short /></p>)}
                  </td>
                  <td><Link to={`/audit?entry=${index}`}>{index}</Link></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
