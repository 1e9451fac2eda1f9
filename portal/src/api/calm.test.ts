import { focusManager, QueryClient, QueryObserver } from '@tanstack/react-query';
import { expect, it, vi } from 'vitest';
import { rereading } from './calm';
import { me, type Session } from './queries';

/** How often a page that stays open, and is opened again, reads in an hour in which the window comes back twice. */
async function reads(roles: string[]): Promise<number> {
  vi.useFakeTimers();
  const client: QueryClient = new QueryClient({ defaultOptions: { queries: rereading(() => client) } });
  client.mount();
  client.setQueryData(me.queryKey, { roles } as unknown as Session);
  let count = 0;
  const options = { queryKey: ['contracts', 'ctr_1'], queryFn: () => Promise.resolve((count += 1)) };
  const open = () => new QueryObserver(client, client.defaultQueryOptions(options)).subscribe(() => undefined);
  const first = open();
  for (let times = 0; times < 2; times += 1) {
    await vi.advanceTimersByTimeAsync(1_800_000);
    focusManager.setFocused(false);
    focusManager.setFocused(true);
    await vi.advanceTimersByTimeAsync(10);
  }
  await vi.advanceTimersByTimeAsync(60_000);
  const second = open();
  await vi.advanceTimersByTimeAsync(10);
  first();
  second();
  client.unmount();
  client.clear();
  vi.useRealTimers();
  return count;
}

it('what an overseer has opened is not read again by itself', async () => {
  expect(await reads(['sro_auditor'])).toBe(1);
  expect(await reads(['tdc_admin', 'sro_admin'])).toBe(1);
});

it('what a party has opened is', async () => {
  expect(await reads(['tdc_admin', 'signer'])).toBe(4);
});
