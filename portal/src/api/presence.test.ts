import { beforeEach, expect, it, vi } from 'vitest';

/** A page that was opened just now, with what a person may do at it. */
async function opened() {
  vi.resetModules();
  const { isAttended, notice } = await import('./presence');
  const { api } = await import('./client');
  const acts: Record<string, (event: { isTrusted: boolean }) => void> = {};
  notice({ addEventListener: (act: string, heard: never) => void (acts[act] = heard) } as unknown as EventTarget);
  const sent: Request[] = [];
  const fetch = (request: Request) => {
    sent.push(request);
    return Promise.resolve(new Response('{}', { headers: { 'content-type': 'application/json' } }));
  };
  const wish = async (method: 'GET' | 'POST') => {
    await (method === 'GET' ? api.GET('/v1/contracts', { fetch }) : api.POST('/auth/sign-out', { fetch }));
    return sent.at(-1)?.headers.get('prefer') ?? null;
  };
  return { acts, isAttended, wish };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
  return () => vi.useRealTimers();
});

it('what a page reads by itself is told apart from what a person asks for', async () => {
  const { acts, isAttended, wish } = await opened();
  expect(isAttended()).toBe(true);
  expect(await wish('GET')).toBeNull();
  vi.setSystemTime(Date.now() + 30_000);
  expect(isAttended()).toBe(false);
  expect(await wish('GET')).toBe('quiet');
  expect(await wish('POST')).toBeNull();
  acts['keydown']?.({ isTrusted: true });
  expect(await wish('GET')).toBeNull();
});

it('a script is nobody', async () => {
  const { acts, isAttended } = await opened();
  vi.setSystemTime(Date.now() + 30_000);
  for (const act of Object.values(acts)) act({ isTrusted: false });
  expect(Object.keys(acts).length).toBe(4);
  expect(isAttended()).toBe(false);
});
