/** How far a training is: its steps, and what they have cost in ε. Both follow from the plan; nothing here is of the data. */
import type { Schemas } from '../api/client';
import { secondsLeft, useWay } from '../api/steps';
import { t } from '../i18n';
import { count, epsilon, Gauge } from './words';

const AFTER = ['committed', 'completed', 'delivered'];
const DURING = ['keys_released', 'training'];

function left(seconds: number): string {
  if (seconds < 90) return t('about {n} seconds left', { n: Math.ceil(seconds) });
  if (seconds < 5_400) return t('about {n} minutes left', { n: Math.ceil(seconds / 60) });
  return t('about {n} hours left', { n: Math.ceil(seconds / 3_600) });
}

export function Progress({ run, steps, charges }: { run: Schemas['RunLine']; steps: number | undefined; charges: Schemas['DatasetCharge'][] }) {
  const way = useWay(run.run_id);
  if (AFTER.includes(run.state)) return steps === undefined ? null : <p className="dim small">{t('All {n} steps are done.', { n: count(steps) })}</p>;
  if (!DURING.includes(run.state)) return null;
  if (way === undefined) return <p className="dim small">{t('The room has not said yet at which step it is.')}</p>;
  const { last } = way;
  const seconds = secondsLeft(way);
  const whole = charges.reduce((most, charge) => Math.max(most, charge.epsilon_micro), 0);
  return (
    <div className="stack tight" data-testid="live">
      <div className="row between">
        <strong className="num" data-testid="step">{t('Step {n} of {all}', { n: count(last.step), all: count(last.steps) })}</strong>
        <span className="dim small">{seconds !== undefined && left(seconds)}</span>
      </div>
      <Gauge spent={last.step} cap={last.steps} label={t('Steps done')} said={t('step {n} of {all}', { n: last.step, all: last.steps })} calm />
      {last.epsilon_micro === null ? <p className="dim small">{t('The training is without differential privacy: no ε bounds it.')}</p> : (
        <>
          <div className="row between">
            <strong className="num" data-testid="step-epsilon">{t('ε {n} so far', { n: epsilon(last.epsilon_micro) })}</strong>
            <span className="dim small">{t('ε {n} is charged for all steps and metrics', { n: epsilon(whole) })}</span>
          </div>
          <Gauge spent={last.epsilon_micro} cap={Math.max(whole, last.epsilon_micro)} label={t('ε of the steps that are done')} calm />
        </>
      )}
    </div>
  );
}
