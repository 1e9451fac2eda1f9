/** What a room showed at its check-in, what this page verifies of it by itself, and what it cannot. */
import { Button, FileButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useParams } from 'react-router';
import { api, ask, type Schemas } from '../api/client';
import type { ImageSet } from '../api/documents';
import { imageSets, keysOf, run as query, runView, trust, type Trust } from '../api/queries';
import { t } from '../i18n';
import { own, peek, read, verified } from '../keys/document';
import { type Finding, judged, type Known, readFile, type Verdict } from '../log/evidence';
import { checked } from '../log/receipt';
import { watch } from '../log/watch';
import { Json } from '../parts/json';
import { Card, Facts, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { keyFor } from '../parts/signatures';
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
    <Read of={record}>
      {(found) => <Read of={view}>{(seen) => <Read of={pinned}>{(named) => <Shown record={found} view={seen} trust={named} id={id} />}</Read>}</Read>}
    </Read>
  );
}

function Shown({ record, view, trust: named, id }: { record: Record_; view: View; trust: Trust; id: string }) {
  const sets = useQuery(imageSets);
  const { run, checks, evidence_sha256, checked_in, statements } = record;
  const approved = sets.data?.image_sets.find((one) => peek<ImageSet>(one.image_set.envelope).image_set_id === run.image_set_id);
  const set = approved && peek<ImageSet>(approved.image_set.envelope);
  const same = statements.every((one) => one.receipt.assurance === run.assurance && one.receipt.image_set_id === run.image_set_id);
  return (
    <Page title={t('Evidence')} lead={t('Every check of the appraisal, by name; the evidence itself is private to those who judged it.')} crumbs={<><Link to="/runs">{t('Runs')}</Link> / <Link to={`/runs/${id}`}>{id.slice(0, 12)}…</Link> / {t('Evidence')}</>}>
      {run.assurance === 'software' && <div className="simulated" role="note">{t('SIMULATED evidence: the software attester showed this room. No hardware vouches for it.')}</div>}
      <div className="split">
        <div className="stack">
          <Again record={record} view={view} trust={named} />
          <Card title={t('Checks of the service')} aside={<span className="dim small">{t('as it says; key services appraise anew')}</span>}>
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
          {set && <OfFile known={{ run_id: run.run_id, job_sha256: run.job_sha256, image_set_id: run.image_set_id, evidence_sha256, run_x: x(view.run_jwk), enc_x: x(view.enc_jwk), pcrs: (set['pcrs'] ?? {}) as Known['pcrs'], measurements: (set['measurements'] ?? []) as string[] }} />}
          <Card title={t('What this page cannot check')}>
            <ul>
              <li>{t('Whether AMD made the chip: certificates, their chain and revocation lists.')}</li>
              <li>{t('Whether firmware and platform are new enough for the level that the contract asks for.')}</li>
              <li>{t('Whether the statements of key services are signed: the log took them with their signatures.')}</li>
            </ul>
            <Terminal command={'depa attest verify evidence.json --policy baseline --trust trust.json'} open />
          </Card>
        </div>
      </div>
      <Card title={t('What the SRO approved')} aside={approved && <State word={approved.state} />}>
        {approved ? <Json of={set} /> : <p className="dim">{t('This image set is not listed.')}</p>}
      </Card>
    </Page>
  );
}

const x = (jwk: unknown): string => String((jwk as { x?: string }).x ?? '');

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
        assurance: run.assurance, run_jwk: view.run_jwk, enc_jwk: view.enc_jwk,
      };
      const entered = await checked(receipt, pin, body);
      const word = (holds: boolean | undefined): Verdict => (holds === undefined ? 'unjudged' : holds ? 'holds' : 'fails');
      const job = await read<{ schema: string }>(record.job, 'job.v1', run.job_sha256);
      const [signature] = record.job.signatures;
      const signed = signature && (await verified({ bytes: job.bytes, schema: 'job.v1' }, signature, await keyFor(signature.kid, { [run.tdc]: listed })));
      const all: Finding[] = [
        { name: 'inclusion', why: 'the entry of the check-in is in the tree of the log', verdict: word(entered.included) },
        { name: 'checkpoint', why: 'the head of that tree is signed by the key that this browser pinned', verdict: word(entered.signed) },
        { name: 'entry', why: 'the entry says what this page shows: run, job, image set, evidence, checks and both keys of the room', verdict: word(entered.bodied) },
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
  const [problem, setProblem] = useState<unknown>();
  const open = async (file: File | undefined) => {
    setFound(undefined);
    setProblem(undefined);
    try {
      if (file !== undefined) setFound(await judged(readFile(await file.text()), known));
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
      </div>
    </Card>
  );
}
