/** A page of the log: its entries, each proved; what is looked for among them, as the page's address says, and one opened. */
import { Button, Checkbox } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, type RefObject, useEffect, useRef, useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { t } from '../i18n';
import { ACTS, asked, asking, asksAbout, type Filter, fits, NONE, numbered, READING, SHOWN } from '../log/filter';
import { around, lines, PAGE, pageOf, readingsOf, story } from '../log/story';
import type { Proved } from '../log/watch';
import { About, Who } from './entry-about';
import { Opened } from './log-entry';
import { Filters } from './log-filters';
import { Card, ProblemNote, Terminal } from './page';
import { count, kindOf, Time } from './words';

const FEW = 30;

/** What the address asks of the log: which page of it, and which of its entries. */
export function useLook(last: number): { page: number; filter: Filter; open: number | undefined; entries: number[] | undefined; problem: unknown; pending: boolean } {
  const [query] = useSearchParams();
  const filter = asked(query);
  const found = useQuery(story(filter));
  const entries = asksAbout(filter) ? (found.data ?? []) : undefined;
  const open = numbered(query, 'entry');
  const newest = entries?.at(-1);
  const wanted = numbered(query, 'page') ?? (open !== undefined ? pageOf(open) : newest !== undefined ? pageOf(newest) : last);
  return { page: Math.min(wanted, last), filter, open, entries, problem: found.error, pending: entries !== undefined && found.isPending };
}

export function Entries({ all, size, note, look, place, children }: {
  all: Proved[];
  size: number;
  note: string;
  look: ReturnType<typeof useLook>;
  place: RefObject<HTMLDivElement | null>;
  children: ReactNode;
}) {
  const { page, filter, open, entries, problem, pending } = look;
  const [query, setQuery] = useSearchParams();
  const [whole, setWhole] = useState(false);
  const last = pageOf(Math.max(0, size - 1));
  const told = useQuery(lines(page, Math.min(PAGE, size - page * PAGE)));
  const line = new Map((told.data ?? []).map((one) => [one.index, one]));
  const about = entries && new Set([...entries, ...readingsOf(told.data ?? [], entries)]);
  const shown = all.filter((entry) => fits(entry, filter, about) || !entry.included).reverse();
  const listed = whole ? shown : shown.filter((entry, at) => at < FEW || !entry.included);
  const broken = all.filter((entry) => !entry.included);
  const elsewhere = (entries ?? []).filter((index) => pageOf(index) !== page).length;
  const hidden = (kind: string) => (filter.kind === ACTS ? all.filter((entry) => entry.included && fits(entry, { ...filter, kind }, about) && entry.record.kind === kind).length : 0);
  const [roots, readings] = [hidden('twin_root'), hidden(READING)];
  const { older, newer } = around(page, last, entries);
  const filtered = asking(new URLSearchParams(), filter).size > 0;
  const to = (change: (next: URLSearchParams) => void) => {
    const next = new URLSearchParams(query);
    change(next);
    return next;
  };
  // A day is typed in steps: they are no places to go back to.
  const change = (next: Filter) => setQuery(asking(query, next), { replace: next.since !== filter.since || next.until !== filter.until });
  const go = (wanted: number | undefined) => wanted !== undefined && setQuery(to((next) => next.set('page', String(wanted))));
  const close = () => setQuery(to((next) => next.delete('entry')), { replace: true });
  // Who closes an entry, or goes back from it, is led to the row that opened it.
  const before = useRef(open);
  useEffect(() => {
    const closed = open === undefined ? before.current : undefined;
    before.current = open;
    if (closed !== undefined) (place.current?.querySelector<HTMLElement>(`tr[data-index="${closed}"] a`) ?? place.current)?.focus();
  }, [open, place]);
  return (
    <Card title={t('Entries')} aside={<span className="dim small" role="status">{t('{n} of {all} shown', { n: listed.length, all: count(size) })}</span>}>
      <div className="stack">
        {broken.length > 0 && (
          <div className="note bad" role="alert">
            {t('Entries that are not what the checkpoint says:')} {broken.slice(0, 20).map((entry) => entry.index).join(', ')}
          </div>
        )}
        <Filters of={filter} change={change} kinds={[...new Set(all.map((entry) => entry.record.kind))].sort()} />
        <ProblemNote problem={problem ?? told.error} />
        <div className="row noprint">
          {last > 0 && (
            <>
              <Button variant="default" disabled={older === undefined} onClick={() => go(older)}>{t('Older')}</Button>
              <Button variant="default" disabled={newer === undefined} onClick={() => go(newer)}>{t('Newer')}</Button>
            </>
          )}
          {(readings > 0 || filter.readings === SHOWN) && (
            <Checkbox checked={filter.readings === SHOWN} onChange={(event) => change({ ...filter, readings: event.currentTarget.checked ? SHOWN : '' })} label={t('Show readings by overseers ({n} on this page)', { n: readings })} />
          )}
          {roots > 0 && <span className="dim small">{t('{n} tree roots are hidden: they tell of no act', { n: roots })}</span>}
          {elsewhere > 0 && <span className="dim small">{t('{n} more stand on other pages of the log', { n: count(elsewhere) })}</span>}
        </div>
        {children}
        {shown.length === 0 ? (
          <div className="empty" role="status">
            <p>{pending ? t('Looking for its entries.') : entries === undefined ? t('No entry on this page of the log fits.') : entries.length === 0 ? t('No entry of the log tells you of this.') : t('None of its entries stands on this page of the log, or what else you look for leaves them out.')}</p>
            {!pending && filtered && <Button variant="default" onClick={() => change(NONE)}>{t('Look for everything')}</Button>}
          </div>
        ) : (
          <div className="scroll">
            <table className="data">
              <thead><tr><th className="num">{t('Index')}</th><th>{t('What')}</th><th>{t('Who')}</th><th>{t('Concerns')}</th><th>{t('When')}</th><th>{t('Inclusion')}</th></tr></thead>
              <tbody>
                {listed.map((entry) => {
                  const known = line.get(entry.index);
                  return (
                    <tr key={entry.index} className={entry.included ? '' : 'bad'} data-index={entry.index}>
                      <td className="num">{entry.index}</td>
                      <td><Link to={`/audit?${to((next) => next.set('entry', String(entry.index)))}`} aria-current={entry.index === open || undefined}>{kindOf(entry.record.kind)}</Link></td>
                      <td>{told.data && <Who line={known} />}</td>
                      <td>{known && <About line={known} />}</td>
                      <td><Time at={entry.record.at} /></td>
                      <td><span className={`pill ${entry.included ? 'good' : 'bad'}`}>{entry.included ? t('index {n} of {all}', { n: entry.index, all: size }) : t('TAMPERED')}</span></td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        )}
        {shown.length > listed.length && <div><Button variant="default" size="xs" onClick={() => setWhole(true)}>{t('Show all {n}', { n: shown.length })}</Button></div>}
        {open !== undefined && <Opened key={open} index={open} size={size} entry={all.find((one) => one.index === open)} line={line.get(open)} close={close} />}
        <Terminal command={`depa audit monitor ${location.origin} --state watch --trust trust.json`} />
        <details><summary className="dim small">{t('The checkpoint note')}</summary><pre className="json" tabIndex={0}>{note}</pre></details>
      </div>
    </Card>
  );
}
