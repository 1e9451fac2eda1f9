/** How far a training is: its steps, and what they have cost in ε. Both follow from the plan; nothing here is of the data. */
import { useQuery } from '@tanstack/react-query';
import type { Schemas } from '../api/client';
import { type Plan, planned, planOf } from '../api/planned';
import { secondsLeft, useWay, type Way } from '../api/steps';
import { t } from '../i18n';
import { Curve, type Now } from './chart';
import { ProblemNote } from './page';
import { count, epsilon, Gauge } from './words';

const AFTER = ['committed', 'completed', 'delivered'];
const DURING = ['keys_released', 'training'];

function left(seconds: number): string {
  if (seconds < 90) return t('about {n} seconds left', { n: Math.ceil(seconds) });
  if (seconds < 5_400) return t('about {n} minutes left', { n: Math.ceil(seconds / 60) });
  return t('about {n} hours left', { n: Math.ceil(seconds / 3_600) });
}

interface Going {
  run: Schemas['RunLine'];
  steps: number | undefined;
  charges: Schemas['DatasetCharge'][];
  /** Steps after which its room gave up. */
  ended?: number | null;
}

export function Progress({ run, steps, charges, ended }: Going) {
  const way = useWay(run.run_id);
  const plan = planOf(charges);
  return (
    <div className="stack tight">
      <Said state={run.state} steps={steps} way={way} charges={charges} />
      {plan && <Trace plan={plan} state={run.state} way={way} charges={charges} ended={ended} />}
    </div>
  );
}

const charged = (charges: Schemas['DatasetCharge'][]): number => charges.reduce((most, charge) => Math.max(most, charge.epsilon_micro), 0);

function Said({ state, steps, way, charges }: { state: string; steps: number | undefined; way: Way | undefined; charges: Schemas['DatasetCharge'][] }) {
  if (AFTER.includes(state)) return steps === undefined ? null : <p className="dim small">{t('All {n} steps are done.', { n: count(steps) })}</p>;
  if (!DURING.includes(state)) return null;
  if (way === undefined) return <p className="dim small">{t('The room has not said yet at which step it is.')}</p>;
  const { last } = way;
  const seconds = secondsLeft(way);
  return (
    <div className="stack tight" data-testid="live">
      <div className="row between">
        <strong className="num" data-testid="step">{t('Step {n} of {all}', { n: count(last.step), all: count(last.steps) })}</strong>
        <span className="dim small">{seconds !== undefined && left(seconds)}</span>
      </div>
      <Gauge spent={last.step} cap={last.steps} label={t('Steps done')} said={t('step {n} of {all}', { n: last.step, all: last.steps })} calm />
      {last.epsilon_micro === null ? <p className="dim small">{t('The training is without differential privacy: no ε bounds it.')}</p> : (
        <div className="row between">
          <strong className="num" data-testid="step-epsilon">{t('ε {n} so far', { n: epsilon(last.epsilon_micro) })}</strong>
          <span className="dim small">{t('ε {n} is charged for all steps and metrics', { n: epsilon(charged(charges)) })}</span>
        </div>
      )}
    </div>
  );
}

/** Where the run is on its planned curve. */
export function standing(state: string, plan: Plan, way: Way | undefined, ended: number | null | undefined, whole: number | undefined): Now {
  if (AFTER.includes(state)) return { steps: plan.steps, micro: whole, words: t('ε {n} for all steps', { n: epsilon(whole ?? 0) }) };
  if (state === 'aborted') return { steps: Math.min(ended ?? 0, plan.steps), words: t('ended at step {n}', { n: count(ended ?? 0) }) };
  if (!DURING.includes(state) || way === undefined || way.last.epsilon_micro === null) return { steps: 0, words: '' };
  const { step, epsilon_micro: micro } = way.last;
  return { steps: Math.min(step, plan.steps), micro, words: t('step {n}: ε {epsilon}', { n: count(step), epsilon: epsilon(micro) }) };
}

/** The planned curve of the accountant, and the run on it. */
function Trace({ plan, state, way, charges, ended }: { plan: Plan; state: string; way: Way | undefined; charges: Schemas['DatasetCharge'][]; ended?: number | null }) {
  const found = useQuery(planned(plan));
  if (found.error) return <ProblemNote problem={found.error} />;
  if (found.data === undefined) return <div className="chart bone" role="status" aria-label={t('Reading')} />;
  if (found.data === null) return null;
  const [whole, cap] = [found.data.at(-1)?.epsilon_micro, charged(charges)];
  const now = standing(state, plan, way, ended, whole);
  return (
    <figure className="figure" data-testid="trace">
      <Curve
        points={found.data}
        cap={cap}
        capped={t('charged for steps and metrics: ε {n}', { n: epsilon(cap) })}
        label={t('ε as planned, step by step: {whole} after {steps} steps, {cap} charged. {now}', { whole: epsilon(whole ?? 0), steps: count(plan.steps), cap: epsilon(cap), now: now.words })}
        axis={t('{n} steps', { n: count(plan.steps) })}
        now={now}
        heads={[t('Steps'), 'ε']}
      />
      <figcaption className="dim small">{t('The accountant’s plan at noise multiplier {sigma} and δ {delta}, for the dataset that the steps cost most. It follows from the plan alone, whatever stands in the tables.', { sigma: plan.noise, delta: plan.delta })}</figcaption>
    </figure>
  );
}
