import { expect, it } from 'vitest';
import type { Way } from '../api/steps';
import { standing } from './progress';

const plan = { noise: '4.0', rate: '0.1', steps: 200, delta: '0.00001', micro: 1_000_000 };
const step = (n: number, micro: number | null) => ({ run_id: 'run_1', step: n, steps: 200, epsilon_micro: micro, at: '2026-05-01T10:00:00Z' });
const way = (n: number, micro: number | null): Way => ({ first: step(1, micro), last: step(n, micro) });

it('a run stands on its curve where its room said it is', () => {
  expect(standing('training', plan, way(50, 400_000), null, 900_000)).toMatchObject({ steps: 50, micro: 400_000 });
  expect(standing('training', plan, undefined, null, 900_000)).toMatchObject({ steps: 0 });
  expect(standing('reserved', plan, way(50, 400_000), null, 900_000)).toMatchObject({ steps: 0 });
  expect(standing('training', plan, way(50, null), null, 900_000)).toMatchObject({ steps: 0 });
});

it('a run that is done stands at the end, and one that was given up where it ended, with no ε that nobody reckoned', () => {
  for (const state of ['committed', 'completed', 'delivered']) expect(standing(state, plan, undefined, null, 900_000)).toMatchObject({ steps: 200, micro: 900_000 });
  expect(standing('aborted', plan, way(50, 400_000), 60, 900_000)).toEqual({ steps: 60, words: 'ended at step 60' });
  expect(standing('aborted', plan, undefined, null, 900_000)).toMatchObject({ steps: 0 });
});
