/** Ordering a run in the page: what it costs first, then the very bytes of the job, then how the order goes on. */
import { Button, FileButton, Modal, Select } from '@mantine/core';
import { useQueries, useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'react-router';
import { api, ask, type Schemas } from '../api/client';
import type { Contract, JobSpec } from '../api/documents';
import { budget, contract as contractQuery, contracts, jobContracts, type ListedContract, me, MOST_WHOLE, order } from '../api/queries';
import { t } from '../i18n';
import { type Envelope, type Own, peek, Refused, seal } from '../keys/document';
import { keyMissing, NoKey, useSigning } from './keys';
import { mark } from './marks';
import { again, bundled, exceeds, grantOf, jobForm, leftOf, moneyCost, opened, privacyCost } from './order';
import { ProblemNote, Read, Terminal } from './page';
import { TermText } from './payment-text';
import { save } from './save';
import { SignedBytes, useOwn } from './signed';
import { tail, useDatasetName, useTitle } from './titles';
import { epsilon, Id, money, State } from './words';

/** What is left to its consumer of the budgets that these datasets draw on, in millionths of ε. */
const useLeft = (ids: string[], tdc: string | undefined): Map<string, number | undefined> =>
  useQueries({ queries: ids.map((id) => budget(id)), combine: (found) => new Map(ids.map((id, at) => [id, leftOf(found[at]?.data, tdc)])) });

/** Why a job must not be ordered, as far as the page can tell; nothing where it may. */
function useTooMuch(job: JobSpec | undefined, agreed: Contract[], charges?: Schemas['DatasetCharge'][]): string | undefined {
  const ids = job?.datasets.map((one) => one.dataset_id) ?? [];
  const left = useLeft(ids, job?.tdc);
  const costs = job && privacyCost(job, charges);
  return ids.some((id) => exceeds(id, costs?.get(id), left.get(id), agreed)) ? t('It costs more ε than is left: make a job that asks for less.') : undefined;
}

/** What went wrong, where the eye is. */
function Trouble({ problem }: { problem: unknown }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (problem != null) place.current?.scrollIntoView({ block: 'nearest' });
  }, [problem]);
  return problem == null ? null : <div ref={place}><ProblemNote problem={problem} /></div>;
}

/** What a run costs in privacy, dataset by dataset beside what is left, and in money by the terms of its contracts. */
function Cost({ job, agreed, charges }: { job: JobSpec; agreed: Contract[]; charges?: Schemas['DatasetCharge'][] }) {
  const dataset = useDatasetName();
  const privacy = privacyCost(job, charges);
  const rest = useLeft(job.datasets.map((one) => one.dataset_id), job.tdc);
  const { terms, sums, whole } = moneyCost(job, agreed);
  const named = (id: string) => dataset(id) ?? `…${tail(id)}`;
  return (
    <div className="stack tight" data-testid="cost">
      <h3>{t('What a run costs')}</h3>
      <ul className="list">
        {job.datasets.map(({ dataset_id: id }) => {
          const cost = privacy.get(id);
          const left = rest.get(id);
          const granted = grantOf(id, agreed);
          const before = charges?.find((charge) => charge.dataset_id === id)?.epsilon_micro ?? 0;
          return (
            <li key={id} className="item">
              <div>{named(id)}<p className="small">{left !== undefined && t('ε {left} left', { left: epsilon(left, 'left') })} · {t('granted for all runs of the contract: ε {n}', { n: epsilon(granted, 'left') })}</p></div>
              <div className="row">
                <strong className="num">{cost === undefined ? t('without differential privacy') : t('at most ε {n}', { n: epsilon(cost) })}</strong>
                {cost !== undefined && (exceeds(id, cost, left, agreed) ? <span className="pill bad">{t('more than is left')}</span> : cost + before > granted && <span className="pill wait">{t('with the run before perhaps more than is granted')}</span>)}
              </div>
            </li>
          );
        })}
      </ul>
      {terms.length === 0 ? <p>{t('No contract of it has a price.')}</p> : (
        <>
          {[...sums].map(([currency, sum]) => <p key={currency}><strong className="num">{money(sum, currency)}</strong> {whole ? t('when the run completes.') : t('for the run, and what its other terms say.')}</p>)}
          <details><summary className="dim small">{t('Each term')}</summary><ul className="small">{terms.map((term) => <TermText key={`${term.term_id}${term.dataset_id ?? ''}`} of={term} />)}</ul></details>
        </>
      )}
      <p className="dim small">{t('Once a room holds the keys, ε is spent: also if the run fails after its first step. Prices that fall due with the keys are then owed, too.')}</p>
    </div>
  );
}

/** How an order goes on: it waits for its provider's agent, which starts the room. */
function Ordered({ job }: { job: string }) {
  const found = useQuery(order(job));
  return (
    <div className="stack tight">
      <div className="note good" role="status">{t('Ordered: it stands in the log. The clean-room provider’s agent takes it and starts a room.')}</div>
      <Read of={found}>
        {({ state, run_id }) => (
          <div className="row"><State word={state} />{run_id == null ? <span className="dim">{t('no room has checked in yet')}</span> : <Link to={`/runs/${run_id}`}>{t('To the run')}</Link>}</div>
        )}
      </Read>
      <p className="small dim">{t('Job')} <Id value={job} short /></p>
      <p className="small dim">{t('You may close this: in this browser the order stands under Runs until its room checks in.')} <Link to="/runs">{t('Runs')}</Link></p>
      <Terminal command={`depa run watch ${job} --key YOUR.key --registry ${location.origin}`} />
    </div>
  );
}

const send = (bundle: Schemas['JobBundle']) =>
  ask(api.POST('/v1/run-orders', { params: { header: { 'Idempotency-Key': crypto.randomUUID() } }, body: { bundle } }));

/** What is asked before an order, and what came of it. */
function Ask({ ready, put, shut, why, children }: {
  ready: boolean;
  put: () => Promise<string>;
  /** Whether nothing can be ordered here at all. */
  shut?: boolean;
  /** Why this job must not be ordered. */
  why?: string | undefined;
  children: ReactNode;
}) {
  const client = useQueryClient();
  const { data: session } = useQuery(me);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const [done, setDone] = useState<string>();
  const tried = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      const job = await put();
      setDone(job);
      // Until a room checks in, nothing else lists it.
      await mark(client, 'orders', session?.member ?? '', job);
      await client.invalidateQueries({ queryKey: ['runs'] });
    } catch (caught) {
      setProblem(caught);
    }
    setBusy(false);
  };
  if (done !== undefined) return <Ordered job={done} />;
  return (
    <div className="stack">
      {children}
      <Trouble problem={problem} />
      {!shut && why !== undefined && <p className="dim small" role="status">{why}</p>}
      {!shut && <Button loading={busy} disabled={!ready || why !== undefined} onClick={() => void tried()}>{t('Order this run')}</Button>}
    </div>
  );
}

const agreedOf = (all: { envelope: Schemas['Envelope'] }[]): Contract[] => all.map(({ envelope }) => peek<Contract>(envelope as Envelope));

/** The contracts of a job that are not in force, as far as they are read. */
function useEnded(job: JobSpec): JobSpec['contracts'] {
  const states = useQueries({ queries: job.contracts.map((one) => contractQuery(one.id)) });
  return job.contracts.filter((_, at) => (states[at]?.data?.state ?? 'active') !== 'active');
}

/** The job of a run once more: a new job of the same plan, signed here, and a new charge. */
export function OrderAgain({ job, charges }: { job: JobSpec; charges: Schemas['DatasetCharge'][] }) {
  const [open, setOpen] = useState(false);
  const ended = useEnded(job);
  // What ends while the dialog is open is said in it.
  if (ended[0] !== undefined && !open) return <p className="dim small">{t('The contract is not in force: no run can be ordered under it.')} <Link to={`/contracts/${ended[0].id}`}>{t('To the contract')}</Link></p>;
  return (
    <>
      <Button variant="default" onClick={() => setOpen(true)}>{t('Order a new run')}</Button>
      <Modal opened={open} onClose={() => setOpen(false)} title={t('A new run of the same job')} size="lg">{open && <Again job={job} charges={charges} />}</Modal>
    </>
  );
}

function Again({ job, charges }: { job: JobSpec; charges: Schemas['DatasetCharge'][] }) {
  const { ready } = useSigning();
  const around = useQuery(jobContracts(job.contracts.map((one) => one.id)));
  const states = useQueries({ queries: job.contracts.map((one) => contractQuery(one.id)) });
  const ended = useEnded(job);
  const agreed = agreedOf((around.data ?? []).flatMap((one) => one.contracts));
  const why = useTooMuch(job, agreed, charges);
  // Made once: another id is another digest.
  const [next] = useState(() => again(job));
  const { own, problem } = useOwn(next);
  const put = async () => {
    if (ready === undefined || own === undefined) throw keyMissing();
    const { job_sha256 } = await send(await bundled(own.value, await seal(own, ready), around.data ?? []));
    return job_sha256;
  };
  return (
    <Read of={around}>
      {() => (
        <Ask ready={ready !== undefined && own !== undefined && !states.some((one) => one.isPending)} put={put} shut={ended.length > 0} why={why}>
          {ended.map(({ id }) => <div key={id} className="note bad" role="status">{t('The contract is not in force: no run can be ordered under it.')} <Link to={`/contracts/${id}`}>{t('To the contract')}</Link></div>)}
          <div className="note wait">{t('This is a new run with a new charge: ε and the price are spent again, and sampling and noise are drawn anew. It does not repeat the earlier run.')}</div>
          <Cost job={next} agreed={agreed} charges={charges} />
          <SignedBytes of={own} />
          <NoKey />
          <ProblemNote problem={problem} />
        </Ask>
      )}
    </Read>
  );
}

/** A run of a bundle that `depa job bundle` made: the SQL of a job is read at the terminal alone. */
export function OrderRun({ contract }: { contract?: string }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button onClick={() => setOpen(true)}>{t('Order a run')}</Button>
      <Modal opened={open} onClose={() => setOpen(false)} title={t('Order a run')} size="lg">{open && <FromFile contract={contract} />}</Modal>
    </>
  );
}

function FromFile({ contract }: { contract?: string }) {
  const { data: session } = useQuery(me);
  const [found, setFound] = useState<{ bundle: Schemas['JobBundle']; job: Own<JobSpec> }>();
  const [problem, setProblem] = useState<unknown>();
  const all = useQuery(contracts);
  const usable = usableOf(all.data ?? [], session?.member);
  const agreed = found ? agreedOf(found.bundle.contracts) : [];
  const why = useTooMuch(found?.job.value, agreed);
  const chosen = (file: File | null) => {
    setProblem(undefined);
    setFound(undefined);
    if (file !== null) void opened(file).then(setFound, setProblem);
  };
  const foreign = useMemo(() => found && new Refused('SIGNER_NOT_PARTY', t('this job is another consumer’s')), [found]);
  if (found && found.job.value.tdc === session?.member) {
    const put = async () => (await send(found.bundle)).job_sha256;
    return (
      <Ask ready put={put} why={why}>
        <Cost job={found.job.value} agreed={agreed} />
        <SignedBytes of={found.job} />
        <Terminal command="depa run estimate job.bundle.json --trust trust.json" />
      </Ask>
    );
  }
  // Older contracts than the newest are not read: one of them may still be in force.
  if (contract === undefined && all.data !== undefined && all.data.length < MOST_WHOLE && usable.length === 0) {
    return <div className="note wait" role="status">{t('No contract of yours is in force: compose one, or wait for its signatures.')} <Link to="/contracts/new">{t('Compose a contract')}</Link> · <Link to="/contracts">{t('Contracts')}</Link></div>;
  }
  return (
    <div className="stack">
      <Beginning usable={usable} contract={contract} />
      <div className="row"><FileButton onChange={chosen} accept=".json,application/json">{(props) => <Button {...props} variant="default">{t('Choose job.bundle.json')}</Button>}</FileButton></div>
      <Trouble problem={problem ?? foreign} />
    </div>
  );
}

/** The contracts of this consumer that are in force. */
const usableOf = (all: ListedContract[], member: string | undefined): ListedContract[] =>
  all.filter(({ row, contract }) => row.state === 'active' && contract.parties.some((party) => party.role === 'tdc' && party.did === member));

/** The form of a job and the command that makes its bundle, with the ids of a contract in them. */
function Beginning({ usable, contract }: { usable: ListedContract[]; contract?: string }) {
  const { data: session } = useQuery(me);
  const title = useTitle();
  const [id, setId] = useState<string | null>(contract ?? null);
  const chosen = usable.find(({ row }) => row.contract_id === id)?.contract;
  const left = useLeft(chosen?.datasets.map((one) => one.dataset_id) ?? [], session?.member);
  useEffect(() => {
    if (id === null && usable[0] !== undefined) setId(usable[0].row.contract_id);
  }, [id, usable]);
  return (
    <div className="stack tight">
      <p>{t('A job is written as a form, and your own tool signs it: it reads the SQL, asks every rule, and says the cost to the last digit.')}</p>
      {usable.length > 0 && <Select label={t('Under which contract')} data={usable.map((one) => ({ value: one.row.contract_id, label: `${title(one.contract)} · ${one.row.contract_id}` }))} value={id} onChange={setId} allowDeselect={false} />}
      {chosen && <div><Button variant="default" onClick={() => save('job.json', jobForm(chosen, (one) => left.get(one)))}>{t('Save the form with its ids')}</Button></div>}
      {chosen && <p className="dim small">{t('Contract, image, tables, ε and δ stand in it; complete what stands in capitals: where the sealed model goes, and your public key for it.')}</p>}
      {chosen && <p className="dim small">{t('JWK: copy the jwk that depa keys show prints. WHERE: an address that the room may write to, like {where}.', { where: 's3://acme-models/first' })}</p>}
      <Terminal command={`depa keys new-encryption --out models.key\ndepa keys show models.key --json\ndepa job bundle job.json --out job.bundle.json --key tdc.key --trust trust.json --registry ${location.origin}`} open />
      <p>{t('Then take in the bundle; it is ordered here, or by depa run start.')}</p>
    </div>
  );
}
