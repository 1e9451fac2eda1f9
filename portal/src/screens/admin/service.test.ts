import { expect, it } from 'vitest';
import told from '../../../../contract-service/src/routes/health.rs?raw';
import { read } from './service';

it('the lines of readiness are read', () => {
  expect(read('ready\nwriter lag 1250 us\nscrub 10 of 40, 2 passes\n')).toEqual({ ready: true, writes: true, lag: 1250, scrub: { checked: 10, size: 40, passes: 2 } });
  expect(read('ready\nreader\nscrub 0 of 0, 0 passes\n')).toEqual({ ready: true, writes: false, scrub: { checked: 0, size: 0, passes: 0 } });
  expect(read('')).toEqual({ ready: false, writes: false });
  expect(read('already\nscrub x of y, z passes')).toEqual({ ready: false, writes: false });
});

it('the service says it in these words', () => {
  for (const form of ['scrub {} of {}, {} passes', 'ready\\nwriter lag {lag} us\\n', 'ready\\nreader\\n']) expect(told).toContain(form);
});
