/** The way to a dispute, by what it is about: its sum and its two sides. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import type { Schemas } from '../api/client';
import { dispute, disputes, payments } from '../api/queries';
import { t } from '../i18n';
import { money, useNames } from './words';

type Payment = Pick<Schemas['ObligationView'], 'payer' | 'payee'>;

/** The sum, and who pays whom where that is known. */
export function toldOf(of: Pick<Schemas['DisputeView'], 'amount_minor' | 'currency'>, payment: Payment | undefined, names: (did: string) => string): string {
  const sum = money(of.amount_minor, of.currency);
  return payment === undefined ? sum : `${sum} · ${t('{payer} to {payee}', { payer: names(payment.payer), payee: names(payment.payee) })}`;
}

/** `ask`: who is about to sign reads it for that. Else only what was read anyway is told: what an overseer reads is entered in the log. */
export function DisputeLink({ id, ask = false }: { id: string; ask?: boolean }) {
  const { data: read } = useQuery({ ...dispute(id), enabled: ask });
  const { data: listed } = useQuery({ ...disputes, enabled: false });
  const { data: owed } = useQuery({ ...payments, enabled: ask });
  const names = useNames();
  const found = read ?? listed?.find((one) => one.dispute_id === id);
  const payment = owed?.payments.find((one) => one.instruction_id === found?.instruction_id);
  return <Link to={`/disputes/${id}`}>{t('Read the dispute')}{found && `: ${toldOf(found, payment, names)}`}</Link>;
}
