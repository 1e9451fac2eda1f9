/** What a room showed at its check-in, what this page verifies of it by itself, and what it cannot. */
import { Button, FileButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useEffect, useState } from 'react';
import { Link, useParams } from 'react-router';
import { api, ask, type Schemas } from '../api/client';
import type { ImageSet } from '../api/documents';
import { imageSets, keysOf, run as query, runView, trust, type Trust } from '../api/queries';
import { t } from '../i18n';
import { fromBase64url, hex } from '../keys/bytes';
import { own, peek, read, verified } from '../keys/document';
import { type Finding, judged, type Known, readFile, shown, type Verdict, verifyCommand } from '../log/evidence';
import { checked } from '../log/receipt';
import { watch } from '../log/watch';
import { Decisions } from '../parts/decisions';
import { Json } from '../parts/json';
import { Card, Facts, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { save } from '../parts/save';
import { tail } from '../parts/titles';
import { keyFor } from '../parts/verdicts';
import { Id, State, Time } from '../parts/words';

type Record_ = Schemas['RunRecord'];
type View = Schemas['RunView'];

const WORDS: Record<Verdict, [string, string]> = { holds: ['good', 'verified in your browser'], fails: ['bad', 'DOES NOT HOLD'], unjudged: ['', 'not judged by this page'] };

export default function Evidence() {
  const { id = '' } = useParams();
  const record = useQuery(query(id));
  const view = useQuery(runView(id));
  const pinned = useQuery(trust);
  return (
    <Read of={record} title={t('Evidence')}>
      {(found) => <Read of={view} title={t('Evidence')}>{(seen) => <Read of={pinned} title={t('Evidence')}>{(named) => <Shown record={found} view={seen} trust={named} id={id} />}</Read>}</Read>}
    </Read>
  );
}

function Shown({ record, view, trust: named, id }: { record: Record_; view: View; trust: Trust; id: string }) {
  const sets = useQuery(imageSets);
  const { run, checks, evidence_sha256, checked_in, statements, platform } = record;
  const approved = sets.data?.image_sets.find((one) => peek<ImageSet>(one.image_set.envelope).image_set_id === run.image_set_id);
  const set = approved && peek<ImageSet>(approved.image_set.envelope);
  const same = statements.every((one) => one.receipt.assurance === run.assurance && one.receipt.image_set_id === run.image_set_id);
  return (
    <Page title={t('Evidence')} lead={t('Every check of the appraisal, by name; the evidence itself is private to those who judged it.')} crumbs={<><Link to="/runs">{t('Runs')}</Link> / <Link to={`/runs/${id}`}>{t('Run')} {tail(id)}</Link> / {t('Evidence')}</>}>
      {run.assurance === 'software' && <div className="simulated" role="note">{t('SIMULATED evidence: the software attester showed this room. No hardware vouches for it.')}</div>}
      <div className="split">
        <div className="stack">
          <Again record={record} view={view} trust={named} />
          <Card title={t('Checks of the service')} aside={<span className="dim small">{t('as it says; key services appraise anew')}</span>}>
            {run.assurance === 'software' && <p className="small">{t('SIMULATED: checks of a maker of chips are passed here by the software attester’s own figures, and vouch for nothing.')}</p>}
            <ul className="checks">{checks.map((check) => <li key={check}>{check.replaceAll('_', ' ')}<span className="pill good">{t('passed')}</span></li>)}</ul>
          </Card>
        </div>
        <div className="stack">
          <Card title={t('Bound to')}>
            <Facts of={[
              [t('Run'), <Id key="r" value={id} short />],
              [t('Evidence SHA-256'), <Id key="e" value={evidence_sha256} short />],
              [t('Image set'), <Id key="i" value={run.image_set_id} short />],
              [t('Checked in'), <Time key="t" at={run.checked_in_at} />],
              [t('Log entry'), <Link key="l" to={`/audit?entry=${checked_in}`}>{checked_in}</Link>],
              [t('Key services'), statements.length === 0 ? t('none asked yet') : same ? t('each appraised it anew and agrees') : t('THEY DISAGREE with the check-in')],
            ]} />
          </Card>
          <Platform record={record} />
          {set && <OfFile known={{ run_id: run.run_id, job_sha256: run.job_sha256, image_set_id: run.image_set_id, evidence_sha256, run_x: x(view.run_jwk), enc_x: x(view.enc_jwk), pcrs: (set['pcrs'] ?? {}) as Known['pcrs'], measurements: (set['measurements'] ?? []) as string[], tcb: platform?.tcb, root_sha256: platform?.root_sha256 }} />}
          <Card title={t('What this page cannot check')}>
            <ul>
              <li>{t('Whether AMD made the chip: whose the root of the chain is, and what was revoked.')}</li>
              <li>{t('Whether firmware and platform are new enough for the level that the contract asks for.')}</li>
              <li>{t('Whether the statements of key services are signed: the log took them with their signatures.')}</li>
            </ul>
            <div className="stack tight">
              <Terminal command={verifyCommand(record)} open />
              {approved && <div><Button variant="default" size="xs" onClick={() => save('image-set.json', JSON.stringify(approved.image_set.envelope))}>{t('Save image-set.json')}</Button></div>}
            </div>
          </Card>
        </div>
      </div>
      <Card title={t('What key services decided')} aside={<span className="dim small">{t('each by its own word, signed into the log')}</span>}><Decisions record={record} /></Card>
      <Card title={t('What the SRO approved')} aside={approved && <State word={approved.state} />}>
        {approved ? <Json of={set} /> : <p className="dim">{t('This image set is not listed.')}</p>}
      </Card>
    </Page>
  );
}

const x = (jwk: unknown): string => String((jwk as { x?: string }).x ?? '');

const PARTS = ['firmware controller', 'boot loader', 'security processor', 'SNP firmware', 'microcode'];

/** The parts of a TCB, each with its version; that of the firmware controller is on Turin alone. */
const versions = (tcb: string): string => tcb.split('/').map((n, at) => `${t(PARTS[at] ?? '')} ${n}`).slice(tcb.startsWith('0/') ? 1 : 0).join(' · ');

/** What the service read off the platform at the check-in. Software evidence has none: what it shows is made up. */
function Platform({ record: { platform, run } }: { record: Record_ }) {
  const real = run.assurance !== 'software';
  return (
    <Card title={t('Platform')}>
      <div className="stack tight">
        {!real && <p>{t('None: the software attester makes one up. No TCB stands behind it, and no chain of a maker of chips.')}</p>}
        {platform == null ? <p className="dim">{t('The entry is of before platforms were written down: the evidence alone shows it.')}</p> : (
          <Facts of={[
            [t('Product'), real ? platform.product : undefined],
            [t('TCB'), real && platform.tcb ? versions(platform.tcb) : undefined],
            [t('Judged at level'), platform.level],
            [t('Measurement'), <Id key="m" value={hex(fromBase64url(platform.measurement))} short />],
            [t('Root key of the chain'), platform.root_sha256 && <Id key="k" value={platform.root_sha256} short />],
          ]} />
        )}
      </div>
    </Card>
  );
}

function Findings({ of }: { of: Finding[] }) {
  return (
    <ul className="list">
      {of.map((one) => {
        const [tone, words] = WORDS[one.verdict];
        return (
          <li key={one.name} className="item" data-check={one.name} data-verdict={one.verdict}>
            <div><strong>{t(one.name.replaceAll('_', ' '))}</strong><p className="small">{t(one.why)}</p></div>
            <span className={`pill ${tone}`}>{t(words)}</span>
          </li>
        );
      })}
    </ul>
  );
}

/** What is verified again without anybody's help: the entry of the check-in, and the signatures that follow from it. */
function Again({ record, view, trust: named }: { record: Record_; view: View; trust: Trust }) {
  const head = useQuery({ queryKey: ['log', 'head'], queryFn: () => watch(named), staleTime: 10_000 });
  const entry = useQuery({
    queryKey: ['receipt', record.checked_in],
    queryFn: () => ask(api.GET('/v1/log/receipts/{index}', { params: { path: { index: String(record.checked_in) } } })) as Promise<Schemas['Receipted']>,
    retry: false,
  });
  const keys = useQuery(keysOf(record.run.tdc));
  const [found, setFound] = useState<Finding[]>();
  const [problem, setProblem] = useState<unknown>();
  const pin = head.data?.pin;
  const receipt = entry.data?.receipt;
  const listed = keys.data?.keys;
  useEffect(() => {
    if (pin === undefined || receipt === undefined || listed === undefined) return undefined;
    let gone = false;
    const { run, checks, evidence_sha256 } = record;
    const judge = async (): Promise<Finding[]> => {
      const body = {
        kind: 'run_checked_in', run_id: run.run_id, job_sha256: run.job_sha256, image_set_id: run.image_set_id, evidence_sha256, checks,
        assurance: run.assurance, run_jwk: view.run_jwk, enc_jwk: view.enc_jwk, ...(record.platform == null ? {} : { platform: record.platform }),
      };
      const entered = await checked(receipt, pin, body);
      const word = (holds: boolean | undefined): Verdict => (holds === undefined ? 'unjudged' : holds ? 'holds' : 'fails');
      const job = await read<{ schema: string }>(record.job, 'job.v1', run.job_sha256);
      const [signature] = record.job.signatures;
      const signed = signature && (await verified({ bytes: job.bytes, schema: 'job.v1' }, signature, await keyFor(signature.kid, { [run.tdc]: listed })));
      const all: Finding[] = [
        { name: 'inclusion', why: 'the entry of the check-in is in the tree of the log', verdict: word(entered.included) },
        { name: 'checkpoint', why: 'the head of that tree is signed by the key that this browser pinned', verdict: word(entered.signed) },
        { name: 'entry', why: 'the entry says what this page shows: run, job, image set, evidence, platform, checks and both keys of the room', verdict: word(entered.bodied) },
        { name: 'job', why: 'the consumer signed the job with a key that the register lists', verdict: word(signed) },
      ];
      if (view.completion != null) {
        const completion = await own(peek<{ schema: string }>(view.completion));
        const [by] = view.completion.signatures;
        const said = by && (await verified({ bytes: completion.bytes, schema: 'completion.v1' }, by, x(view.run_jwk)));
        all.push({ name: 'completion', why: 'the completion is signed by the key that the room attested', verdict: word(said) });
      }
      return all;
    };
    judge().then((all) => !gone && setFound(all), (caught: unknown) => !gone && setProblem(caught));
    return () => {
      gone = true;
    };
  }, [record, view, pin, receipt, listed]);
  const bad = (found ?? []).some((one) => one.verdict === 'fails');
  const trouble = problem ?? head.error ?? entry.error ?? keys.error ?? undefined;
  return (
    <Card title={t('Verified again in your browser')} aside={found && <span className={`pill ${bad ? 'bad' : 'good'}`}>{bad ? t('Do not trust this run') : t('all of it holds')}</span>}>
      <ProblemNote problem={trouble} />
      {found ? <Findings of={found} /> : trouble === undefined && <div className="bone w70" />}
    </Card>
  );
}

/** A file of evidence that somebody has, held against the log. It stays in the browser. */
function OfFile({ known }: { known: Known }) {
  const [found, setFound] = useState<Finding[]>();
  const [seen, setSeen] = useState<Awaited<ReturnType<typeof shown>>>();
  const [problem, setProblem] = useState<unknown>();
  const open = async (file: File | undefined) => {
    setFound(undefined);
    setSeen(undefined);
    setProblem(undefined);
    try {
      if (file === undefined) return;
      const held = readFile(await file.text());
      setFound(await judged(held, known));
      // What cannot be read has failed above, by its name; software evidence has nothing to show.
      if (held.evidence.kind !== 'software') setSeen(await shown(held.evidence).catch(() => undefined));
    } catch (caught) {
      setProblem(caught);
    }
  };
  return (
    <Card title={t('A file of evidence')}>
      <div className="stack tight">
        <p>{t('Who runs the room may give it to you. It is judged here and sent nowhere.')}</p>
        <div><FileButton accept="application/json,.json" onChange={(file) => void open(file ?? undefined)}>{(props) => <Button {...props} variant="default" size="xs">{t('Choose a file')}</Button>}</FileButton></div>
        <ProblemNote problem={problem} />
        {found && <Findings of={found} />}
        {seen && (
          <Facts of={[
            [t('TCB'), versions(seen.tcb)],
            ...seen.chain.map((one): [string, ReactNode] => [one.name, <span key={one.sha256}>{t('by {name}, until', { name: one.issuer })} <Time at={one.until} date /> <Id value={one.sha256} short /></span>]),
          ]} />
        )}
      </div>
    </Card>
  );
}
