/** The transparency log, proved in the page: checkpoint, consistency with what this browser saw before, every entry. */
import { Button, Checkbox, Select, TextInput } from '@mantine/core';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { get, set } from 'idb-keyval';
import { useEffect, useRef, useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { api, ask } from '../api/client';
import { oversees } from '../api/calm';
import { contractEvents, contractRows, contracts, dataset as datasetQuery, datasets, me, participants, runs, trust } from '../api/queries';
import { t } from '../i18n';
import { fromBase64url, hex, sha256, text } from '../keys/bytes';
import { canonical } from '../keys/document';
import { ACTS, type Filter, fits, keep, kept, mentions, NONE, type Saved } from '../log/filter';
import { pinAnew, type Proved, proved, watch, type Watched } from '../log/watch';
import { Json } from '../parts/json';
import { Ledger } from '../parts/ledger';
import { mark } from '../parts/marks';
import { Card, Facts, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { save } from '../parts/save';
import { count, Id, Time } from '../parts/words';

export default function Audit() {
  const pinned = useQuery(trust);
  return (
    <Page title={t('Audit')} lead={t('Your browser checks the head of the log, and proves each entry that it lists here. What you have not opened it has not checked.')}>
      <Read of={pinned}>{(found) => <Log trust={found} />}</Read>
    </Page>
  );
}

function Log({ trust: pinned }: { trust: Parameters<typeof watch>[0] }) {
  const [tile, setTile] = useState<number>();
  const [filter, setFilter] = useState<Filter>(NONE);
  const listed = useRef<HTMLDivElement>(null);
  const look = (dataset: string, party: string) => {
    setFilter({ ...NONE, dataset, party });
    listed.current?.scrollIntoView();
  };
  const watched = useQuery({ queryKey: ['log', 'head'], queryFn: () => watch(pinned), staleTime: 10_000 });
  const head = watched.data?.note.head;
  const last = head ? Math.floor(Math.max(0, head.size - 1) / 256) : 0;
  const at = Math.min(tile ?? last, last);
  const entries = useQuery({
    queryKey: ['log', 'tile', at, head?.root],
    queryFn: () => proved(at, head ?? { size: 0, root: '' }),
    enabled: head !== undefined,
    placeholderData: keepPreviousData,
  });
  return (
    <>
      <Read of={watched}>{(found) => <Head of={found} />}</Read>
      <div ref={listed}>
        <Read of={entries}>
          {(all) => <Entries all={all} size={head?.size ?? 0} tile={at} last={last} go={setTile} note={watched.data?.text ?? ''} filter={filter} setFilter={setFilter} />}
        </Read>
      </div>
      <Ledger look={look} />
    </>
  );
}

function Check({ good, children }: { good: boolean; children: string }) {
  return <li className="item"><span>{children}</span><span className={`pill ${good ? 'good' : 'bad'}`}>{good ? t('holds') : t('DOES NOT HOLD')}</span></li>;
}

function Head({ of }: { of: Watched }) {
  const { note, signed, grown, whole, before, changed, witnesses } = of;
  const good = signed && grown === true && whole && changed.length === 0;
  const client = useQueryClient();
  const { data: session } = useQuery(me);
  const member = session?.member;
  useEffect(() => {
    if (good && member !== undefined) void mark(client, 'steps', member, 'proved');
  }, [client, good, member]);
  const verdict = good ? t('Verified in your browser') : changed.length > 0 ? t('Not what this browser pinned') : t('Do not trust this log');
  return (
    <Card title={t('The head of the log')} aside={<span className={`pill ${good ? 'good' : 'bad'}`}>{verdict}</span>}>
      {changed.length > 0 && <Changed of={of} />}
      <div className="split">
        <ul className="list">
          <Check good={signed}>{t('The checkpoint is of the origin and under the key that this browser pinned')}</Check>
          <Check good={whole}>{t('The hashes at the top of the log’s tiles lead to the checkpoint’s root')}</Check>
          <Check good={grown === true}>{before === undefined ? t('This browser sees the log for the first time and remembers it from now on') : t('The log contains what this browser saw before ({n} entries)', { n: count(before.size) })}</Check>
          {grown !== true && <li><ProblemNote problem={new Error(grown)} /></li>}
        </ul>
        <Facts of={[
          [t('Entries'), <span key="n" className="big">{count(note.head.size)}</span>],
          [t('Root'), <Id key="r" value={note.head.root} short />],
          [t('Origin'), note.origin],
          [t('Witnesses'), witnesses.length === 0 ? t('none yet') : witnesses.map((one) => <div key={one.name}>{one.name} {one.at ? <span className="pill good">{t('cosigned')}</span> : <span className="pill">{t('not judged')}</span>}</div>)],
        ]} />
      </div>
    </Card>
  );
}

const PARTS = { origin: 'Origin of the log', x: 'Key of the log', registry: 'Registry' } as const;

/** What the service names otherwise than this browser pinned, and what to do about it. */
function Changed({ of }: { of: Watched }) {
  const client = useQueryClient();
  const [compared, setCompared] = useState(false);
  const pin = async () => {
    await pinAnew(of);
    await client.invalidateQueries({ queryKey: ['log'] });
  };
  return (
    <div className="note bad stack tight" role="alert">
      <strong>{of.changed.includes('x') ? t('The key of the log has changed since this browser pinned it.') : t('The service names another log than this browser pinned.')}</strong>
      <Facts of={of.changed.map((part) => [t(PARTS[part]), <span key={part}>{t('pinned')} <Id value={of.pin[part]} /><br />{t('named now')} <Id value={of.named[part]} /></span>])} />
      <p>{t('A rightful change is signed by two people of the SRO and stands in the log. This page does not check that: depa does, or compare what is named now with what the SRO publishes elsewhere. If they differ, sign nothing here and tell the SRO.')}</p>
      <Terminal command={`depa log keys --trust trust.json --registry ${location.origin}`} />
      <Checkbox checked={compared} onChange={(event) => setCompared(event.currentTarget.checked)} label={t('What is named now is what the SRO publishes')} />
      <div><Button color="red" variant="outline" disabled={!compared} onClick={() => void pin()}>{t('Pin what is named now')}</Button></div>
    </div>
  );
}

const FEW = 30;

function Entries({ all, size, tile, last, go, note, filter, setFilter }: { all: Proved[]; size: number; tile: number; last: number; go: (tile: number) => void; note: string; filter: Filter; setFilter: (next: Filter) => void }) {
  const { data: session } = useQuery(me);
  const [query, setQuery] = useSearchParams();
  const { about, problem: unread } = useAbout(filter, oversees(session), tile);
  const [whole, setWhole] = useState(false);
  const open = query.get('entry') === null ? undefined : Number(query.get('entry'));
  const kinds = [...new Set(all.map((entry) => entry.record.kind))].sort();
  const shown = all.filter((entry) => fits(entry, filter, about) || !entry.included).reverse();
  const elsewhere = about === undefined ? 0 : [...about].filter((index) => Math.floor(index / 256) !== tile).length;
  const roots = filter.kind === ACTS ? all.filter(({ record, included }) => included && record.kind === 'twin_root').length : 0;
  const broken = all.filter((entry) => !entry.included);
  const sees = oversees(session);
  useEffect(() => {
    if (open !== undefined && Math.floor(open / 256) !== tile && open < size) go(Math.floor(open / 256));
  }, [open, tile, size, go]);
  return (
    <Card title={t('Entries')} aside={<span className="dim small">{t('{n} of {all} shown', { n: shown.length, all: count(size) })}</span>}>
      <div className="stack">
        {broken.length > 0 && (
          <div className="note bad" role="alert">
            {t('Entries that are not what the checkpoint says:')} {broken.slice(0, 20).map((entry) => entry.index).join(', ')}
          </div>
        )}
        <Filters of={filter} change={setFilter} kinds={kinds} />
        <ProblemNote problem={unread} />
        <div className="row noprint">
          {last > 0 && (
            <>
              <Button variant="default" disabled={tile === 0} onClick={() => go(tile - 1)}>{t('Older')}</Button>
              <Button variant="default" disabled={tile >= last} onClick={() => go(tile + 1)}>{t('Newer')}</Button>
            </>
          )}
          {roots > 0 && <span className="dim small">{t('{n} tree roots are hidden: they tell of no act', { n: roots })}</span>}
          {elsewhere > 0 && <span className="dim small">{t('{n} more stand on other pages of the log', { n: elsewhere })}</span>}
        </div>
        {sees && <Export />}
        <div className="scroll">
          <table className="data">
            <thead><tr><th className="num">{t('Index')}</th><th>{t('What')}</th><th>{t('When')}</th><th>{t('Leaf')}</th><th>{t('Inclusion')}</th></tr></thead>
            <tbody>
              {(whole ? shown : shown.filter((entry, at) => at < FEW || !entry.included)).map((entry) => (
                <tr key={entry.index} className={entry.included ? '' : 'bad'} data-index={entry.index}>
                  <td className="num">{entry.index}</td>
                  <td><Link to={`/audit?entry=${entry.index}`} replace>{t(entry.record.kind.replaceAll('_', ' '))}</Link></td>
                  <td><Time at={entry.record.at} /></td>
                  <td><Id value={hex(entry.leaf)} short /></td>
                  <td><span className={`pill ${entry.included ? 'good' : 'bad'}`}>{entry.included ? t('index {n} of {all}', { n: entry.index, all: size }) : t('TAMPERED')}</span></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {!whole && shown.length > FEW && <div><Button variant="default" size="xs" onClick={() => setWhole(true)}>{t('Show all {n}', { n: shown.length })}</Button></div>}
        {open !== undefined && <Opened key={open} index={open} entry={all.find((one) => one.index === open)} close={() => setQuery({}, { replace: true })} />}
        <Terminal command={`depa audit monitor ${location.origin} --state watch --trust trust.json`} />
        <details><summary className="dim small">{t('The checkpoint note')}</summary><pre className="json" tabIndex={0}>{note}</pre></details>
      </div>
    </Card>
  );
}

/** What is looked for, and what was looked for before. */
function Filters({ of, change, kinds }: { of: Filter; change: (next: Filter) => void; kinds: string[] }) {
  const { data: session } = useQuery(me);
  const people = useQuery(participants);
  const rows = useQuery(contractRows);
  const offers = useQuery(datasets);
  const place = `audit-queries ${session?.member ?? ''}`;
  const [saved, setSaved] = useState<Saved[]>([]);
  const [name, setName] = useState('');
  useEffect(() => {
    void get(place).then((found) => setSaved(kept(found)));
  }, [place]);
  const store = (next: Saved[]) => {
    setSaved(next);
    void set(place, next);
  };
  const chosen = saved.find((one) => one.name === name);
  const put = (part: Partial<Filter>) => change({ ...of, ...part });
  return (
    <div className="stack tight noprint">
      <div className="filters">
        <Select label={t('Kind')} value={of.kind} onChange={(value) => put({ kind: value ?? '' })} data={[{ value: ACTS, label: t('All acts') }, { value: '', label: t('Every entry') }, ...[...new Set([...kinds, ...(of.kind === ACTS || of.kind === '' ? [] : [of.kind])])].map((value) => ({ value, label: t(value.replaceAll('_', ' ')) }))]} allowDeselect={false} />
        <Select label={t('Party')} placeholder={t('Every party')} searchable clearable value={of.party === '' ? null : of.party} onChange={(value) => put({ party: value ?? '' })} data={(people.data ?? []).map((one) => ({ value: one.did, label: one.legal_name }))} />
        <Select label={t('Dataset')} placeholder={t('Every dataset')} searchable clearable value={of.dataset === '' ? null : of.dataset} onChange={(value) => put({ dataset: value ?? '' })} data={(offers.data ?? []).map(({ offer }) => ({ value: offer.dataset_id, label: offer.name }))} />
        <Select label={t('Contract')} placeholder={t('Every contract')} searchable clearable value={of.contract === '' ? null : of.contract} onChange={(value) => put({ contract: value ?? '' })} data={(rows.data ?? []).map((one) => ({ value: one.contract_id, label: one.contract_id.slice(0, 16) }))} />
        <TextInput type="date" label={t('Since')} value={of.since} onChange={(event) => put({ since: event.currentTarget.value })} />
        <TextInput type="date" label={t('Until')} value={of.until} onChange={(event) => put({ until: event.currentTarget.value })} />
      </div>
      <form className="row" onSubmit={(event) => { event.preventDefault(); if (name.trim() !== '') store(keep(saved, { ...of, name: name.trim() })); }}>
        {saved.length > 0 && <Select aria-label={t('Saved queries')} placeholder={t('Saved queries')} value={chosen?.name ?? null} data={saved.map((one) => one.name)} onChange={(value) => { const found = saved.find((one) => one.name === value); if (found) { setName(found.name); const { name: _, ...query } = found; change(query); } }} />}
        <TextInput aria-label={t('Name of the query')} placeholder={t('Name of the query')} maxLength={60} value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Button type="submit" variant="default" disabled={name.trim() === ''}>{t('Keep this query')}</Button>
        {chosen && <Button variant="default" onClick={() => { store(saved.filter((one) => one !== chosen)); setName(''); }}>{t('Forget it')}</Button>}
        <span className="dim small">{name.trim() === '' ? t('Give the query a name to keep it. It stays in this browser.') : t('Queries stay in this browser.')}</span>
      </form>
    </div>
  );
}

/**
 * The entries of a party, a dataset or a contract, as far as the person may know. A record names nobody: a party learns it from its
 * own contracts and runs, an overseer from the bodies of the page, which is entered in the log.
 */
function useAbout({ party, contract, dataset }: Filter, sees: boolean, tile: number): { about: ReadonlySet<number> | undefined; problem: unknown } {
  const client = useQueryClient();
  const asked = party !== '' || contract !== '' || dataset !== '';
  const found = useQuery({
    queryKey: ['about', party, contract, dataset, sees ? tile : 0],
    enabled: asked,
    retry: false,
    queryFn: async (): Promise<number[]> => {
      const every = (body: unknown) => [party, contract, dataset].filter((one) => one !== '').every((one) => mentions(body, [one]));
      if (sees) {
        const indices: number[] = [];
        for (let from = tile * 256; from < (tile + 1) * 256; from += 128) {
          const page = await ask(api.GET('/v1/audit/export', { params: { query: { from, limit: 128 } } }));
          indices.push(...page.entries.filter((entry) => every(entry.body)).map((entry) => entry.index));
        }
        return indices;
      }
      const own = (await client.ensureQueryData(contracts)).filter(({ row }) => contract === '' || row.contract_id === contract);
      const wanted = own.filter((one) => (party === '' || one.contract.parties.some((other) => other.did === party)) && (dataset === '' || one.contract.datasets.some((other) => other.dataset_id === dataset)));
      const versions = dataset === '' || contract !== '' ? [] : await client.ensureQueryData(datasetQuery(dataset));
      const offered = versions.filter(({ offer }) => party === '' || offer.provider === party).map(({ view }) => view.receipt.index);
      const events = await Promise.all(wanted.map(({ row }) => client.ensureQueryData(contractEvents(row.contract_id))));
      const ran = (await client.ensureQueryData(runs)).runs.filter((run) => run.contracts.some((one) => wanted.some(({ row }) => row.contract_id === one.id)));
      const records = await Promise.all(ran.map((run) => ask(api.GET('/v1/runs/{id}/record', { params: { path: { id: run.run_id } } }))));
      const ofRuns = records.flatMap((one) => [one.ordered, one.checked_in, one.completion, one.delivered, one.aborted, ...one.statements.map((statement) => statement.index)]);
      return [...offered, ...events.flatMap((page) => page.events.map((event) => event.index)), ...ofRuns.filter((index) => index != null)];
    },
  });
  return { about: asked ? new Set(found.data ?? []) : undefined, problem: found.error };
}

/** One entry: its record for everyone, its receipt for those whom it concerns. */
function Opened({ index, entry, close }: { index: number; entry: Proved | undefined; close: () => void }) {
  const receipt = useQuery({
    queryKey: ['receipt', index, 'tlog-proof'],
    // As a tlog-proof, which carries the record that it proves.
    queryFn: async () => String(await ask(api.GET('/v1/log/receipts/{index}', { params: { path: { index: String(index) }, query: { form: 'tlog-proof' } }, parseAs: 'text' }))),
    retry: false,
  });
  // It stands below its list: who opens it is led there.
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    place.current?.focus({ preventScroll: true });
    place.current?.scrollIntoView({ block: 'center' });
  }, []);
  return (
    <section className="note" ref={place} tabIndex={-1} aria-label={t('Entry {n}', { n: index })}>
      <div className="row between"><h3>{t('Entry {n}', { n: index })}</h3><button type="button" className="quiet" onClick={close}>{t('Close')}</button></div>
      {entry ? (
        <Facts of={[
          [t('What'), entry.record.kind.replaceAll('_', ' ')],
          [t('Inclusion'), entry.included ? t('Verified in your browser: index {n}', { n: index }) : t('TAMPERED')],
          [t('Body, salted'), <Id key="b" value={entry.record.body_sha256} short />],
        ]} />
      ) : <p>{t('It lies on another page of the log.')}</p>}
      {receipt.data && <div><Button size="xs" variant="default" onClick={() => save(`receipt-${index}.tlog-proof`, receipt.data, 'text/plain')}>{t('Save the receipt')}</Button><Terminal command={`depa audit verify-receipt receipt-${index}.tlog-proof --trust trust.json`} /></div>}
      {receipt.error !== null && <p className="dim small">{t('Its body concerns others; the record above is public.')}</p>}
      {entry && <details><summary className="small">{t('The public record')}</summary><Json of={entry.record} /></details>}
    </section>
  );
}

/** Exports the log in the form that `depa audit verify` takes, after checking every body against its record. */
function Export() {
  const client = useQueryClient();
  const { data: session } = useQuery(me);
  const [done, setDone] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const made = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      // The form of `depa audit`: a head, then one entry a line, all canonical. The first page fixes the size.
      const lines: string[] = [];
      const line = (value: unknown) => lines.push(text(canonical(value)));
      for (let [from, size] = [0, Infinity]; from < size; ) {
        const page = await ask(api.GET('/v1/audit/export', { params: { query: { from, limit: 200 } } }));
        if (from === 0) {
          size = page.size;
          line({ v: 1, size, checkpoint: page.checkpoint });
        }
        if (page.entries.length === 0) throw new Error(t('the export ends at entry {n} of {all}', { n: from, all: size }));
        for (const entry of page.entries.slice(0, size - from)) {
          const bytes = canonical(entry.body);
          const digest = hex(await sha256(fromBase64url(entry.body_salt), bytes));
          const erased = (entry.body as { kind?: string }).kind === 'erased';
          if (!erased && digest !== entry.record.body_sha256) throw new Error(t('the body of entry {n} is not what its record says', { n: entry.index }));
          line(entry);
        }
        from += page.entries.length;
      }
      save('depa-log.jsonl', `${lines.join('\n')}\n`, 'application/x-ndjson');
      setDone(true);
      await mark(client, 'steps', session?.member ?? '', 'exported');
    } catch (caught) {
      setProblem(caught);
    }
    setBusy(false);
  };
  return (
    <div className="stack tight noprint">
      <div className="row"><Button loading={busy} onClick={() => void made()}>{t('Export with bodies')}</Button><span className="dim small">{t('The whole log, whatever is looked for above.')}</span></div>
      <ProblemNote problem={problem} />
      {done && <div className="note good" role="status">{t('Saved. Now verify it on your own machine: every entry, and all that follows from them.')}</div>}
      <Terminal key={String(done)} open={done} command={'depa audit verify depa-log.jsonl --trust trust.json\ndepa audit report depa-log.jsonl --trust trust.json'} />
    </div>
  );
}
