/** The disputes that concern who is signed in. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { disputes, payments } from '../api/queries';
import { t } from '../i18n';
import { toldOf } from './dispute-link';
import { Card, Empty, Read } from './page';
import { Id, money, Name, State, Time, useNames } from './words';

export function Disputes() {
  const all = useQuery(disputes);
  const { data: owed } = useQuery(payments);
  const names = useNames();
  const of = (id: string | null | undefined) => owed?.payments.find((one) => one.instruction_id === id);
  return (
    <Card title={t('Disputes')}>
      <Read of={all}>
        {(rows) => rows.length === 0 ? <Empty folded command={`depa payment dispute list --key YOUR.key --registry ${location.origin}`}>{t('Nothing is disputed. A payment is disputed on its own page.')}</Empty> : (
          <div className="scroll">
            <table className="data">
              <thead><tr><th>{t('Dispute')}</th><th>{t('Payer and payee')}</th><th>{t('Opened by')}</th><th className="num">{t('Sum')}</th><th>{t('Opened')}</th><th>{t('State')}</th></tr></thead>
              <tbody>
                {rows.map((row) => {
                  const payment = of(row.instruction_id);
                  return (
                    <tr key={row.dispute_id}>
                      <td><Link to={`/disputes/${row.dispute_id}`}>{row.suspense ? t('Money in suspense') : toldOf(row, payment, names)}</Link><br /><Id value={row.dispute_id} short /></td>
                      <td>{payment ? <><Name did={payment.payer} /><br /><Name did={payment.payee} /></> : '–'}</td>
                      <td><Name did={row.opener} /></td>
                      <td className="num">{money(row.amount_minor, row.currency)}</td>
                      <td><Time at={row.opened_at} /></td>
                      <td><State word={row.state} /></td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        )}
      </Read>
    </Card>
  );
}
