import { beforeEach, expect, it } from 'vitest';
import { forget, heard, secondsLeft, type Step, wayOf } from './steps';

const step = (of: Partial<Step>): string =>
  JSON.stringify({ run_id: 'run_1', step: 1, steps: 100, epsilon_micro: 10, at: '2026-01-01T00:00:00Z', ...of });

beforeEach(forget);

it('a run goes forwards alone', () => {
  heard(step({ step: 5, epsilon_micro: 50 }));
  heard(step({ step: 4, epsilon_micro: 40 }));
  heard(step({ step: 5, epsilon_micro: 60 }));
  expect(wayOf('run_1')?.last).toMatchObject({ step: 5, epsilon_micro: 50 });
  heard(step({ step: 25, epsilon_micro: 90, at: '2026-01-01T00:00:10Z' }));
  const way = wayOf('run_1');
  expect(way?.last.step).toBe(25);
  expect(way && secondsLeft(way)).toBe(37.5);
  expect(wayOf('run_2')).toBeUndefined();
});

it('what is no step is not heard', () => {
  for (const bad of ['', '{', 'null', '[]', step({ step: 101 }), step({ step: -1 }), step({ step: 1.5 }), step({ epsilon_micro: -1 }), step({ at: 'now' }), step({ run_id: undefined })]) {
    heard(bad);
    expect(wayOf('run_1'), bad).toBeUndefined();
  }
});

it('so many runs are remembered and no more', () => {
  for (let n = 0; n < 300; n += 1) heard(step({ run_id: `run_${n}` }));
  expect(wayOf('run_0')).toBeUndefined();
  expect(wayOf('run_299')).toBeDefined();
});
