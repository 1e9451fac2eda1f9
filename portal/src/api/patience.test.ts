import { afterEach, expect, it, vi } from 'vitest';
import { ACT_SECONDS, forgetActs, patiently, READ_SECONDS, send } from './patience';
import { api, ask, Problem } from './client';

afterEach(() => {
  forgetActs();
  vi.restoreAllMocks();
});

const act = (body: unknown, key = crypto.randomUUID() as string, path = '/v1/contracts') =>
  new Request(`http://localhost:8080${path}`, { method: 'POST', headers: { 'Idempotency-Key': key, 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

/** A service that gives these answers, one after the other; what it was sent. */
function service(...answers: (() => Promise<Response>)[]): { key: string | null; body: string }[] {
  const sent: { key: string | null; body: string }[] = [];
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input) => {
    const request = new Request(input);
    sent.push({ key: request.headers.get('Idempotency-Key'), body: await request.clone().text() });
    return (answers.shift() ?? (() => Promise.resolve(new Response('{}'))))();
  });
  return sent;
}

const lost = () => Promise.reject(new TypeError('Failed to fetch'));
const says = (status: number, code?: string) => () => Promise.resolve(new Response(JSON.stringify({ code }), { status }));

/** Waits end at once; how long each would have been, in milliseconds. */
function impatient(): number[] {
  const waits: number[] = [];
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((wait) => {
    waits.push(wait);
    return AbortSignal.abort(new DOMException('late', 'TimeoutError'));
  });
  return waits;
}

it('what nobody answers ends by itself, and says how long it waited and what to do', async () => {
  const waits = impatient();
  const read = await ask(api.GET('/v1/trust')).catch((problem: unknown) => problem);
  const done = await ask(api.POST('/auth/sign-out')).catch((problem: unknown) => problem);
  expect(waits).toEqual([READ_SECONDS * 1000, ACT_SECONDS * 1000]);
  for (const problem of [read, done]) expect(problem).toMatchObject({ status: 0, code: 'TIMED_OUT' });
  expect((read as Problem).message).toBe('The service did not answer in 30 seconds. See that it is reachable, and try again.');
  expect((done as Problem).message).toContain('in 60 seconds');
  expect((done as Problem).message).toContain('may have arrived');
});

it('an answer that stops in its middle is late, too', async () => {
  const stop = new AbortController();
  vi.spyOn(AbortSignal, 'timeout').mockReturnValue(stop.signal);
  vi.spyOn(globalThis, 'fetch').mockImplementation(() => Promise.resolve(new Response(new ReadableStream({
    pull: (stream) => {
      stop.abort(new DOMException('late', 'TimeoutError'));
      stream.error(stop.signal.reason);
    },
  }))));
  await expect(patiently('http://localhost:8080/log/checkpoint')).rejects.toMatchObject({ code: 'TIMED_OUT' });
});

it('what fails before its time is not said to be late', async () => {
  service(lost);
  await expect(ask(api.GET('/v1/trust'))).rejects.toMatchObject({ code: 'UNREACHABLE' });
});

it('an answer keeps its status, headers and body', async () => {
  service(() => Promise.resolve(new Response('{"a":1}', { status: 201, headers: { etag: '"7"' } })), () => Promise.resolve(new Response(null, { status: 204 })));
  const answer = await patiently('http://localhost:8080/v1/trust');
  expect([answer.status, answer.headers.get('etag'), await answer.json()]).toEqual([201, '"7"', { a: 1 }]);
  expect((await patiently('http://localhost:8080/v1/trust')).status).toBe(204);
});

const signed = (sig: string) => ({ payload: 'eyJh', signatures: [{ form: 'jws', protected: `at ${sig}`, kid: 'did:web:a.example#k', sig }] });

it('an act without an answer is sent again in its first bytes under its first key, though it was signed anew', async () => {
  const sent = service(lost, says(503), says(201), says(201));
  await expect(send(act(signed('one'), 'first'))).rejects.toThrow();
  await send(act(signed('two'), 'second'));
  await send(act(signed('three'), 'third'));
  await send(act(signed('four'), 'fourth'));
  expect(sent.map(({ key }) => key)).toEqual(['first', 'first', 'first', 'fourth']);
  expect(sent.map(({ body }) => body)).toEqual([...Array<string>(3).fill(JSON.stringify(signed('one'))), JSON.stringify(signed('four'))]);
});

it('another act has its own key, and so has one that was refused', async () => {
  const sent = service(lost, says(201), says(201), says(201), says(422));
  await expect(send(act(signed('one'), 'first'))).rejects.toThrow();
  await send(act({ ...signed('one'), payload: 'eyJi' }, 'other'));
  await send(act(signed('one'), 'elsewhere', '/v1/datasets'));
  await send(act({ ...signed('one'), signatures: [{ ...signed('one').signatures[0], kid: 'did:web:b.example#k' }] }, 'by another'));
  await send(act({ name: 'refused' }, 'refused'));
  await send(act({ name: 'refused' }, 'anew'));
  expect(sent.map(({ key }) => key)).toEqual(['first', 'other', 'elsewhere', 'by another', 'refused', 'anew']);
});

it('an act of no body is sent again under its first key', async () => {
  const sent = service(lost, says(202));
  const ping = (key: string) => new Request('http://localhost:8080/v1/webhooks/endpoints/one/ping', { method: 'POST', headers: { 'Idempotency-Key': key } });
  await expect(send(ping('first'))).rejects.toThrow();
  await send(ping('second'));
  expect(sent.map(({ key }) => key)).toEqual(['first', 'first']);
});

it('what is decided is decided: a secret that was shown, a conflict; what is still under way is not', async () => {
  const keys = async (...answers: (() => Promise<Response>)[]) => {
    const sent = service(lost, ...answers);
    await expect(send(act({ overlap_seconds: 86400 }, 'first'))).rejects.toThrow();
    for (const at of answers.keys()) await send(act({ overlap_seconds: 86400 }, `later ${at}`));
    forgetActs();
    vi.restoreAllMocks();
    return sent.map(({ key }) => key);
  };
  expect(await keys(says(409, 'SECRET_SHOWN'), says(201))).toEqual(['first', 'first', 'later 1']);
  expect(await keys(says(409, 'CONTRACT_EXISTS'), says(201))).toEqual(['first', 'first', 'later 1']);
  expect(await keys(says(409, 'REQUEST_REPLAYED'), says(201), says(201))).toEqual(['first', 'first', 'first', 'later 2']);
  // Who asks and how often is judged before the key is.
  for (const status of [401, 403, 429, 502]) expect(await keys(says(status), says(201), says(201))).toEqual(['first', 'first', 'first', 'later 2']);
});

it('what no key counts once is not said to, and a check is asked anew', async () => {
  impatient();
  const done = await ask(api.POST('/auth/sign-out')).catch((problem: unknown) => problem);
  expect((done as Problem).message).toContain('look before you try again');
  vi.restoreAllMocks();
  const sent = service(lost, says(200));
  await expect(send(act({ a: 1 }, 'first', '/v1/contracts/check'))).rejects.toThrow();
  await send(act({ a: 1 }, 'second', '/v1/contracts/check'));
  expect(sent.map(({ key }) => key)).toEqual(['first', 'second']);
});
