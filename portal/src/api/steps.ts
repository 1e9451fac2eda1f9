/**
 * How far living runs have got, as their rooms say: the number of a step and the ε of the steps up to it. It stands in no
 * log and is told once, so what was heard is kept while the page is open. It never goes backwards.
 */
import { useSyncExternalStore } from 'react';

export interface Step {
  run_id: string;
  step: number;
  steps: number;
  /** Millionths; null where the training is without differential privacy. */
  epsilon_micro: number | null;
  at: string;
}

/** The newest step of a run, and the first that this page heard of: what lies between them says how fast it is. */
export interface Way {
  first: Step;
  last: Step;
}

const MOST = 200;
let ways = new Map<string, Way>();
const listeners = new Set<() => void>();

const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function read(data: string): Step | undefined {
  let told: Partial<Step>;
  try {
    told = JSON.parse(data) as Partial<Step>;
  } catch {
    return undefined;
  }
  const { run_id, step, steps, epsilon_micro = null, at } = told ?? {};
  const known = typeof run_id === 'string' && typeof at === 'string' && !Number.isNaN(Date.parse(at));
  if (!known || !whole(step) || !whole(steps) || step > steps || (epsilon_micro !== null && !whole(epsilon_micro))) return undefined;
  return { run_id, step, steps, epsilon_micro, at };
}

/** Takes what the stream said. What cannot be read, or lies before what is known, changes nothing. */
export function heard(data: string): void {
  const last = read(data);
  if (last === undefined) return;
  const known = ways.get(last.run_id);
  if (known !== undefined && last.step <= known.last.step) return;
  ways = new Map(ways).set(last.run_id, { first: known?.first ?? last, last });
  const oldest = ways.size > MOST ? ways.keys().next().value : undefined;
  if (oldest !== undefined) ways.delete(oldest);
  for (const listener of listeners) listener();
}

/** Forgets everything: somebody else may sign in. */
export function forget(): void {
  ways = new Map();
  for (const listener of listeners) listener();
}

export const wayOf = (run: string): Way | undefined => ways.get(run);

/** Seconds that the steps left take at the pace seen so far; none before the pace is known. */
export function secondsLeft({ first, last }: Way): number | undefined {
  const done = last.step - first.step;
  const seconds = (Date.parse(last.at) - Date.parse(first.at)) / 1000;
  return done > 0 && seconds > 0 ? ((last.steps - last.step) * seconds) / done : undefined;
}

/** How far a run has got, as it is told. */
export const useWay = (run: string): Way | undefined =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => ways.get(run),
  );
