/** A run as it goes: its way, each provider's budget, the accountant's parameters, what it cost; nothing of the data. */
import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useParams } from 'react-router';
import { api, ask, type Schemas } from '../api/client';
import { type JobSpec, trainingOf } from '../api/documents';
import { datasets, me, run as query, runView, trust } from '../api/queries';
import { t } from '../i18n';
import { peek } from '../keys/document';
import { GaveUp, Verdicts } from '../parts/decisions';
import { fateOf } from '../parts/fate';
import { mark } from '../parts/marks';
import { OrderAgain } from '../parts/order-dialog';
import { Card, Facts, Page, Read, Terminal } from '../parts/page';
import { Progress } from '../parts/progress';
import { SaveReceipt, verifyReceipt } from '../parts/receipts';
import { SignedAct } from '../parts/signed-act';
import { tail, useContractName } from '../parts/titles';
import { Statements, Timeline } from '../parts/timeline';
import { WhyAt } from '../parts/why';
import { count, epsilon, Gauge, Id, money, Name, Paid, State, Time, useNames } from '../parts/words';
import { ByTwo } from './admin/by-two';

export default function RunPage() {
  const { id = '' } = useParams();
  const record = useQuery(query(id));
  return <Read of={record} title={t('Run')}>{(found) => <Shown record={found} id={id} />}</Read>;
}

const ENDED = ['completed', 'delivered', 'aborted'];

function reached(record: Schemas['RunRecord']): string {
  const kinds = record.statements.map((one) => one.receipt.statement.kind);
  return kinds.includes('committed') ? 'committed' : kinds.includes('released') ? 'training' : kinds.includes('reserved') ? 'reserved' : 'attested';
}

function Shown({ record, id }: { record: Schemas['RunRecord']; id: string }) {
  const names = useNames();
  const contractName = useContractName();
  const { data: session } = useQuery(me);
  const view = useQuery(runView(id));
  const offers = useQuery(datasets);
  const offered = new Map((offers.data ?? []).map(({ offer }) => [offer.dataset_id, offer]));
  const job = peek<JobSpec>(record.job);
  const training = trainingOf(job);
  const { run } = record;
  const charges = record.statements.filter((one) => one.receipt.statement.kind === 'reserved').flatMap((one) => one.receipt.charges);
  const client = useQueryClient();
  const member = session?.member;
  const [mine, ended] = [member !== undefined && run.tdc === member, ENDED.includes(run.state)];
  const may = run.tdc === session?.member || record.statements.some((one) => one.receipt.provider === session?.member);
  // What was looked at waits in the inbox no more.
  useEffect(() => {
    if (mine && run.state === 'aborted') void mark(client, 'ended', run.tdc, id);
  }, [client, mine, run.state, run.tdc, id]);
  return (
    <Page
      title={`${t('Run')} ${tail(id)}`}
      lead={<span className="row"><State word={run.state} /><Id value={id} /></span>}
      crumbs={<><Link to="/runs">{t('Runs')}</Link> / {t('Run')} {tail(id)}</>}
      actions={ended ? mine && <OrderAgain job={job} charges={charges} /> : may ? <Stop id={id} /> : session?.roles.includes('sro_admin') && (
        <ByTwo label={t('Stop this run')} lead={t('What was charged stays charged once a key has left.')} make={({ registry, reason, at }) => ({ schema: 'abort.v1', registry, run_id: id, reason, at })} />
      )}
    >
      {run.assurance === 'software' && (
        <div className="simulated" role="note">{t('SIMULATED evidence: the software attester showed this room. No hardware vouches for it.')}</div>
      )}
      <Card title={t('Progress')}>
        <Timeline state={run.state} reached={reached(record)} money={fateOf(view.data?.obligations ?? [])} />
        <Progress run={run} steps={training?.steps} charges={charges} ended={record.aborted_steps} />
        <GaveUp record={record} />
        {record.aborted != null && record.aborted_code == null && <WhyAt index={record.aborted} />}
        {run.state === 'aborted' && (
          <p className="dim">{record.aborted_steps === 0 ? t('It gave up before its first step: charges are returned against the logged abort.') : t('It ended without output. Its charge stands; nothing is owed, since payment falls due at completion.')}</p>
        )}
      </Card>
      <div className="split">
        <div className="stack">
          <Card title={t('Each provider’s budget')}><Statements of={record.statements} name={names} /></Card>
          <Card title={t('What it costs in privacy')} aside={<span className="dim small">{t('reserved before any key left')}</span>}>
            {charges.length === 0 ? <p className="dim">{t('Nothing is charged yet.')}</p> : (
              <ul className="list">
                {charges.map((charge) => {
                  const offer = offered.get(charge.dataset_id);
                  const cap = offer && charge.epsilon_micro < Number.MAX_SAFE_INTEGER ? Math.floor(Number(offer.privacy_cap.epsilon) * 1e6) : undefined;
                  return (
                    <li key={charge.dataset_id}>
                      <div className="row between"><Link to={`/datasets/${charge.dataset_id}`}>{offer?.name ?? `…${tail(charge.dataset_id)}`}</Link><strong className="num">{cap === undefined ? `ε ${epsilon(charge.epsilon_micro)}` : t('ε {spent}; its offer allows {cap}', { spent: epsilon(charge.epsilon_micro), cap: epsilon(cap, 'left') })}</strong></div>
                      {cap !== undefined && <Gauge spent={charge.epsilon_micro} cap={cap} label={t('ε of this run against the ε of its offer')} calm />}
                      <p className="dim small">{t('δ {delta}; factor {factor} of the join', { delta: charge.delta, factor: charge.factor })}</p>
                    </li>
                  );
                })}
              </ul>
            )}
            <p className="dim small">{t('There is no loss curve: a loss on private rows is itself a leak. Progress and ε follow from the plan alone.')}</p>
          </Card>
          <Card title={t('Payments')}>
            <Read of={view}>
              {({ obligations }) => obligations.length === 0 ? <p className="dim">{t('Nothing is owed. Payment falls due when a run completes.')}</p> : (
                <ul className="list">
                  {obligations.map((one) => (
                    <li key={one.instruction_id} className="item">
                      <div><Name did={one.payer} /> → <Name did={one.payee} /><p className="small"><Id value={one.instruction_id} short /></p></div>
                      <div className="row"><Link className="num" to={`/payments/${one.instruction_id}`}>{money(one.amount_minor, one.currency)}</Link><Paid of={one} /></div>
                    </li>
                  ))}
                </ul>
              )}
            </Read>
          </Card>
        </div>
        <div className="stack">
          {mine && (run.state === 'completed' || run.state === 'delivered') && (
            <Card title={t('Get the model')}>
              <p>{t('It is sealed for your key alone: your own tool fetches it, verifies its certificate, and opens it.')}</p>
              <Terminal command={`depa model download ${id} --bundle job.bundle.json --open-with models.key --out model.safetensors --key tdc.key --trust trust.json --registry ${location.origin}`} open />
            </Card>
          )}
          <Card title={t('Plan')}>
            <Facts of={[
              [t('Model'), training && (typeof training.model === 'string' ? training.model : String((training.model as { kind?: string }).kind ?? '')).replaceAll('_', ' ')],
              [t('Steps'), training && count(training.steps)],
              [t('Sampling rate'), training?.sample_rate],
              [t('Clipping norm'), training?.clipping_norm],
              [t('ε asked'), training?.epsilon ?? t('without differential privacy')],
              [t('δ'), training?.delta],
              [t('Noise multiplier'), noise(charges)],
              [t('Rooms'), job.rooms ?? 1],
            ]} />
          </Card>
          <Card title={t('Evidence')} aside={<Link to={`/runs/${id}/evidence`}>{t('Look closer')}</Link>}><Verdicts record={record} /></Card>
          {view.data?.receipt != null && (
            <Card title={t('Receipt')}>
              <div className="stack tight">
                <p>{t('The completion stands in the log, with what it owes: this file proves it to whoever was not there.')}</p>
                <div><SaveReceipt run={id} /></div>
                <Terminal command={verifyReceipt(id)} />
              </div>
            </Card>
          )}
          <Card title={t('About')}>
            <Facts of={[
              [t('Consumer'), <Name key="t" did={run.tdc} />],
              [t('Room of'), <Name key="c" did={run.ccrp} />],
              [t('Checked in'), <Time key="i" at={run.checked_in_at} />],
              [t('Completed'), run.completed_at && <Time key="o" at={run.completed_at} />],
              [t('Contract'), <span key="k">{run.contracts.map((one) => <Link key={one.id} to={`/contracts/${one.id}`}>{contractName(one.id)} </Link>)}</span>],
              [t('Job'), <Id key="j" value={run.job_sha256} short />],
            ]} />
            {!mine && <Terminal command={`depa run watch ${id} --key YOUR.key --registry ${location.origin}`} />}
          </Card>
        </div>
      </div>
    </Page>
  );
}

function noise(charges: Schemas['DatasetCharge'][]): string | undefined {
  const found = charges[0]?.mechanisms.find((one) => one.mechanism === 'sampled_gaussian') as { noise_multiplier?: string } | undefined;
  return found?.noise_multiplier;
}

function Stop({ id }: { id: string }) {
  const client = useQueryClient();
  const { data: pinned } = useQuery(trust);
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button color="red" variant="outline" onClick={() => setOpen(true)}>{t('Stop this run')}</Button>
      <SignedAct
        opened={open}
        close={() => setOpen(false)}
        title={t('Stop this run')}
        lead={<p>{t('What was charged stays charged once a key has left.')}</p>}
        act={t('Stop this run')}
        grave
        make={(reason, at) => pinned && { schema: 'abort.v1', registry: pinned.registry, run_id: id, reason, at }}
        send={async (sealed) => {
          await ask(api.POST('/v1/runs/{id}/abort', { params: { path: { id }, header: { 'Idempotency-Key': crypto.randomUUID() } }, body: sealed as never }));
          setOpen(false);
          notifications.show({ message: t('The run is stopped.') });
          await client.invalidateQueries({ queryKey: ['runs'] });
        }}
      />
    </>
  );
}
