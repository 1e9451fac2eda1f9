/** Requests have an end; and an act that got no answer is the same act when it is tried again. */
import { late, reads } from './problem';

/** How long the page waits for what it reads, and for what it does, in seconds. */
export const READ_SECONDS = 30;
export const ACT_SECONDS = 60;

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
    throw signal.aborted ? late(method, seconds) : caught;
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

/** Whether nobody here knows what came of it: it may still be under way. */
const undecided = ({ status }: Response): boolean => status === 409 || status >= 500;

/**
 * Sends a request. An act that got no answer goes out again in its first bytes under its first `Idempotency-Key`, so that
 * it counts once, whichever of the two arrived.
 */
export async function send(request: Request): Promise<Response> {
  if (reads(request.method) || !new URL(request.url).pathname.startsWith('/v1/')) return patiently(request);
  const body = await request.clone().text();
  const name = asked(request, body);
  const before = open.get(name);
  const headers = new Headers(request.headers);
  if (before) headers.set('Idempotency-Key', before.key);
  open.set(name, before ?? { key: headers.get('Idempotency-Key') ?? '', body });
  const text = before?.body ?? body;
  // From its text, not from the half of a stream that reading left: that would go out in chunks.
  const response = await patiently(text === '' ? request : new Request(request, { headers, body: text }));
  if (!undecided(response)) open.delete(name);
  return response;
}
