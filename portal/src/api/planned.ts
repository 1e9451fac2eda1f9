/**
 * What each step of a run was planned to cost, at the noise that its key services were told. The service's accountant
 * reckons from an ε to the least noise that keeps to it, so the ε is looked for whose noise is the run's.
 */
import { queryOptions } from '@tanstack/react-query';
import { api, ask, type Schemas } from './client';

export interface Plan {
  noise: string;
  rate: string;
  steps: number;
  delta: string;
  /** What is charged for steps and metrics together, in millionths: where the search begins. */
  micro: number;
}

type Reckon = (epsilon: string) => Promise<Schemas['Forecast']>;

/** Noise is told to three decimals; a curve that is nearer than this lies under the point of the run. */
const NEAR = 0.0005;
const MOST_TRIES = 6;
/** Further away than this it would be another plan's curve. */
const FAR = 0.01;

/** The plan of the dataset that the steps cost most; undefined where nothing bounds it. */
export function planOf(charges: Schemas['DatasetCharge'][]): Plan | undefined {
  const plans = charges.flatMap((charge): Plan[] => {
    const steps = charge.mechanisms.find((one) => one.mechanism === 'sampled_gaussian') as { noise_multiplier?: string; sample_rate?: string; steps?: number } | undefined;
    const { noise_multiplier: noise, sample_rate: rate, steps: n } = steps ?? {};
    const bounded = charge.mechanisms.every((one) => one.mechanism !== 'without_differential_privacy');
    return noise === undefined || rate === undefined || n === undefined || !bounded ? [] : [{ noise, rate, steps: n, delta: charge.delta, micro: charge.epsilon_micro }];
  });
  return plans.sort((a, b) => Number(a.noise) - Number(b.noise))[0];
}

/** The points of the plan; undefined where the accountant's noise does not come near the run's. */
export async function search(plan: Plan, reckon: Reckon): Promise<Schemas['ForecastPoint'][] | undefined> {
  const wanted = Math.log(Number(plan.noise));
  let best: { off: number; points: Schemas['ForecastPoint'][] } | undefined;
  let before: { e: number; s: number } | undefined;
  let e = Math.log(Math.min(64, Math.max(1e-6, plan.micro / 1e6)));
  for (let n = 0; n < MOST_TRIES; n += 1) {
    const found = await reckon(Math.min(64, Math.exp(e)).toFixed(6));
    const s = Math.log(Number(found.noise_multiplier));
    const off = Math.abs(s - wanted);
    if (best === undefined || off < best.off) best = { off, points: found.points };
    if (off < NEAR) break;
    // Noise falls about as ε rises; from the second try on by the slope that was seen.
    const slope = before !== undefined && s !== before.s ? (e - before.e) / (s - before.s) : -1;
    before = { e, s };
    e += (wanted - s) * Math.max(-3, Math.min(-0.3, slope));
  }
  return best !== undefined && best.off < FAR ? best.points : undefined;
}

export const planned = (plan: Plan) =>
  queryOptions({
    queryKey: ['planned', plan],
    queryFn: async () => {
      const { rate, steps, delta } = plan;
      // Null, since a query must give something.
      return (await search(plan, (epsilon) => ask(api.GET('/v1/forecast', { params: { query: { epsilon, delta, sample_rate: rate, steps } } })))) ?? null;
    },
    // A plan never changes.
    staleTime: Infinity,
    retry: false,
  });
