/** Who acted in an entry of the log, and what it is about: by name, and as ways to the pages of what it names. */
import { type ReactNode } from 'react';
import { Link } from 'react-router';
import { t } from '../i18n';
import type { Line } from '../log/story';
import { tail, useDatasetName } from './titles';
import { Id, Name } from './words';

/** Who acted, by the names under which they are registered; in full with what they are registered under. */
export function Who({ line, full }: { line: Line | undefined; full?: boolean }) {
  if (line === undefined) return <span className="dim">{t('It concerns others')}</span>;
  if (line.by.length === 0) return <span className="dim">{t('the service')}</span>;
  return <>{line.by.map((did) => <div key={did}><Name did={did} />{full && <><br /><Id value={did} /></>}</div>)}</>;
}

/** The most things that a row names. */
const FEW = 2;

/** What an entry is about; in a row the first few. */
export function About({ line, full }: { line: Line; full?: boolean }) {
  const dataset = useDatasetName();
  const named = (id: string) => dataset(id) ?? `${t('Dataset')} …${tail(id)}`;
  // Ids of one minute begin alike: their ends tell them apart. Runs are called as their own pages call them.
  const all: [string, ReactNode][] = [
    ...(line.participant ? [[line.participant, <Name key="n" did={line.participant} />] as [string, ReactNode]] : []),
    ...(line.dispute ? [way(`/disputes/${line.dispute}`, line.dispute, `${t('Dispute')} …${tail(line.dispute)}`)] : []),
    ...(line.run_id ? [way(`/runs/${line.run_id}`, line.run_id, `${t('Run')} ${tail(line.run_id)}`)] : []),
    ...line.payments.map((id) => way(`/payments/${id}`, id, `${t('Payment')} ${id.slice(0, 8)}`)),
    ...line.datasets.map((id) => way(`/datasets/${id}`, id, named(id))),
    ...line.contracts.map((id) => way(`/contracts/${id}`, id, `${t('Contract')} …${tail(id)}`)),
  ];
  if (line.read) all.push(['read', <ReadEntries key="r" of={line.read} />]);
  const shown = full ? all : all.slice(0, FEW);
  return (
    <>
      {shown.map(([id, what]) => <div key={id}>{what}{full && id !== 'read' && <><br /><Id value={id} /></>}</div>)}
      {all.length > shown.length && <span className="dim small">{t('and {n} more', { n: all.length - shown.length })}</span>}
    </>
  );
}

const way = (to: string, id: string, name: string): [string, ReactNode] => [id, <Link key={id} to={to} title={id}>{name}</Link>];

/** The entries that an overseer read. */
function ReadEntries({ of: { from, count } }: { of: { from: number; count: number } }) {
  const first = <Link to={`/audit?entry=${from}`}>{t('entry {n} of the log', { n: from })}</Link>;
  return count === 1 ? first : <>{first} {t('and the {n} after it', { n: count - 1 })}</>;
}
