/** The transparency log, proved in the page: checkpoint, consistency with what this browser saw before, every entry. */
import { Button, Checkbox } from '@mantine/core';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { api, ask } from '../api/client';
import { oversees } from '../api/calm';
import { me, trust } from '../api/queries';
import { t } from '../i18n';
import { fromBase64url, hex, sha256, text } from '../keys/bytes';
import { canonical } from '../keys/document';
import { pageOf } from '../log/story';
import { pinAnew, proved, watch, type Watched } from '../log/watch';
import { Ledger } from '../parts/ledger';
import { Entries, useLook } from '../parts/log-entries';
import { mark } from '../parts/marks';
import { Card, Facts, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { save } from '../parts/save';
import { count, Id } from '../parts/words';

export default function Audit() {
  const pinned = useQuery(trust);
  return (
    <Page title={t('Audit')} lead={t('Your browser checks the head of the log, and proves each entry that it lists here. What you have not opened it has not checked.')}>
      <Read of={pinned}>{(found) => <Log trust={found} />}</Read>
    </Page>
  );
}

function Log({ trust: pinned }: { trust: Parameters<typeof watch>[0] }) {
  const { data: session } = useQuery(me);
  const watched = useQuery({ queryKey: ['log', 'head'], queryFn: () => watch(pinned), staleTime: 10_000 });
  const head = watched.data?.note.head;
  const look = useLook(head ? pageOf(Math.max(0, head.size - 1)) : 0);
  const entries = useQuery({
    queryKey: ['log', 'tile', look.page, head?.root],
    queryFn: () => proved(look.page, head ?? { size: 0, root: '' }),
    enabled: head !== undefined,
    placeholderData: keepPreviousData,
  });
  const place = useRef<HTMLDivElement>(null);
  const led = () => {
    place.current?.scrollIntoView();
    place.current?.focus({ preventScroll: true });
  };
  return (
    <>
      <Read of={watched}>{(found) => <Head of={found} />}</Read>
      <div ref={place} tabIndex={-1}>
        <Read of={entries}>
          {(all) => <Entries all={all} size={head?.size ?? 0} note={watched.data?.text ?? ''} look={look} place={place}>{oversees(session) && <Export />}</Entries>}
        </Read>
      </div>
      <Ledger look={led} />
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
