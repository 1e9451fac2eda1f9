/** Requests have an end; and an act that got no answer is the same act when it is tried again. */
import { keyed, late, reads } from './problem';

/** How long the page waits for what it reads, and for what it does, in seconds. */
export const READ_SECONDS = 30;
export const ACT_SECONDS = 60;
/** Acts without an answer that are remembered. */
const MOST = 50;

/** The whole answer to a request, or the refusal that says how long nothing came. */
export async function patiently(request: Request | string): Promise<Response> {
  const method = typeof request === 'string' ? 'GET' : request.method;
  const seconds = reads(method) ? READ_SECONDS : ACT_SECONDS;
  const signal = AbortSignal.timeout(seconds * 1000);
  try {
    const response = await fetch(request, { signal });
    // An answer that stops in its middle is late, too.
    const body = await response.arrayBuffer();
    return new Response(body.byteLength === 0 ? null : body, response);
  } catch (caught) {
    throw signal.aborted ? late(method, typeof request === 'string' ? request : request.url, seconds) : caught;
  }
}

interface Act {
  key: string;
  body: string;
}

/** Acts under way, and those that got no answer. */
const open = new Map<string, Act>();

/** What an act asks, and by whose keys: a signature made anew has another time, and asks the same. */
function asked({ method, url }: Request, body: string): string {
  const without = (name: string, value: unknown) => (name === 'sig' || name === 'protected' ? undefined : value);
  try {
    return `${method} ${url} ${JSON.stringify(JSON.parse(body), without)}`;
  } catch {
    return `${method} ${url} ${body}`;
  }
}

/** Whether this may be tried again under its first key. A check changes nothing, and is asked anew. */
const again = ({ method, url }: Request): boolean => keyed(method, url) && new URL(url).pathname !== '/v1/contracts/check';

/**
 * Whether nobody here knows what came of it: it may still be under way. An act tried again is judged by who asks and how
 * often before its key is looked at, so that such an answer says nothing of the first try.
 */
async function undecided(response: Response, tried: boolean): Promise<boolean> {
  const { status } = response;
  if (status !== 409) return status >= 500 || (tried && [401, 403, 429].includes(status));
  const { code } = (await response.clone().json().catch(() => ({}))) as { code?: string };
  return code === 'REQUEST_REPLAYED';
}

/** Lets go of what was not answered: another person may sit here now. */
export const forgetActs = (): void => open.clear();

/**
 * Sends a request. An act that got no answer goes out again in its first bytes under its first `Idempotency-Key`, so that
 * it counts once, whichever of the two arrived.
 */
export async function send(request: Request): Promise<Response> {
  if (!again(request)) return patiently(request);
  const body = await request.clone().text();
  const name = asked(request, body);
  const before = open.get(name);
  const headers = new Headers(request.headers);
  if (before) headers.set('Idempotency-Key', before.key);
  const act = before ?? { key: headers.get('Idempotency-Key') ?? '', body };
  open.delete(name);
  open.set(name, act);
  for (const oldest of open.keys()) {
    if (open.size <= MOST) break;
    open.delete(oldest);
  }
  // From its text, not from the half of a stream that reading left: that would go out in chunks.
  const response = await patiently(new Request(request, act.body === '' ? { headers } : { headers, body: act.body }));
  if (!(await undecided(response, before !== undefined))) open.delete(name);
  return response;
}
