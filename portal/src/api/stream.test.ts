import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FIRST_WAIT, follow, LONGEST_WAIT, type Source } from './stream';

class Fake implements Source {
  readyState = 0;
  onopen: Source['onopen'] = null;
  onerror: Source['onerror'] = null;
  kinds: string[] = [];
  addEventListener = (kind: string) => void this.kinds.push(kind);
  close = () => {
    this.readyState = 2;
  };
  up() {
    this.readyState = 1;
    this.onopen?.({} as Event);
  }
  /** What a browser does after an answer that is not 200. */
  refused() {
    this.readyState = 2;
    this.onerror?.({} as Event);
  }
  cut() {
    this.readyState = 0;
    this.onerror?.({} as Event);
  }
}

let made: Fake[];
const heard: string[] = [];
const start = () =>
  follow(
    () => {
      const fake = new Fake();
      made.push(fake);
      return fake;
    },
    { kinds: ['a', 'b'], told: () => undefined, opened: () => heard.push('opened'), down: (refused) => heard.push(refused ? 'refused' : 'cut') },
  );

beforeEach(() => {
  made = [];
  heard.length = 0;
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

it('a refused stream is opened again, later each time, and at once after it was up', () => {
  const stop = start();
  for (let wait = FIRST_WAIT, n = 1; n <= 10; n += 1, wait = Math.min(2 * wait, LONGEST_WAIT)) {
    made.at(-1)?.refused();
    vi.advanceTimersByTime(wait - 1);
    expect(made.length).toBe(n);
    vi.advanceTimersByTime(1);
    expect(made.length).toBe(n + 1);
  }
  made.at(-1)?.up();
  expect(heard.filter((word) => word === 'opened')).toHaveLength(1);
  expect(made.at(-1)?.kinds).toEqual(['a', 'b']);
  made.at(-1)?.refused();
  vi.advanceTimersByTime(FIRST_WAIT);
  expect(made.length).toBe(12);
  stop();
});

it('a stream that was cut is the browser’s to open again, and says so when it is up', () => {
  const stop = start();
  made[0]?.up();
  made[0]?.cut();
  vi.advanceTimersByTime(10 * LONGEST_WAIT);
  made[0]?.up();
  expect(made.length).toBe(1);
  expect(heard).toEqual(['opened', 'cut', 'opened']);
  stop();
});

it('nothing is opened again after the end', () => {
  const stop = start();
  made[0]?.refused();
  stop();
  vi.advanceTimersByTime(10 * LONGEST_WAIT);
  expect(made.length).toBe(1);
});
