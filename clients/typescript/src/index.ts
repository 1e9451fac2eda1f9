/**
 * Client of a DEPA contract service. Every route is typed by the published OpenAPI document:
 *
 *     const c = client('https://registry.example', { key: await Key.of(text) });
 *     const { datasets } = await answer(c.GET('/v1/datasets', { params: { query: { q: 'tuberculosis' } } }));
 */
import createClient, { type Client as Fetching } from 'openapi-fetch';
import { base64url, fresh, Refusal, sha256, utf8 } from './bytes.js';
import { Key } from './keys.js';
import type { components, paths } from './schema.js';

export { Refusal } from './bytes.js';
export { canonical } from './canonical.js';
export * from './documents.js';
export { didKey, Key, type KeyFile, keyOfDid, thumbprint } from './keys.js';
export * from './proofs.js';
export type { components, operations, paths } from './schema.js';

export type Client = Fetching<paths>;
type Schemas = components['schemas'];

const MARGIN = 30;
const ASSERTION_SECONDS = 120;
const TIMEOUT = 30_000;

interface Options {
  /** Whom to act for. */
  key?: Key;
  /** Another `fetch`, for tests. */
  fetch?: typeof fetch;
}

/** Access tokens: asked for with the caller's own key; bound to a key of their own (DPoP) where the service wants that. */
class Tokens {
  private kept: { token: string; until: number } | undefined;
  private bound: Key | undefined;

  constructor(
    private readonly base: string,
    private readonly key: Key,
    private readonly send: typeof fetch,
  ) {}

  /** The headers that show a token for one call. */
  async headers(method: string, url: string): Promise<Record<string, string>> {
    const token = await this.token();
    if (this.bound === undefined) return { authorization: `Bearer ${token}` };
    return { authorization: `DPoP ${token}`, dpop: await this.proof(this.bound, method, url, token) };
  }

  /** Drops the token that the service does not take any more. */
  async forget(bind: boolean): Promise<void> {
    this.kept = undefined;
    if (bind) this.bound ??= await Key.generate();
  }

  private async token(): Promise<string> {
    if (this.kept && Date.now() < this.kept.until) return this.kept.token;
    let told = await this.ask();
    if ('code' in told && told.code === 'DPOP_INVALID' && this.bound === undefined) {
      await this.forget(true);
      told = await this.ask();
    }
    if ('code' in told) throw new Refusal(told.code, told.detail, told.status, told.field);
    this.kept = { token: told.access_token, until: Date.now() + (told.expires_in - MARGIN) * 1000 };
    return told.access_token;
  }

  private async ask(): Promise<Schemas['TokenAnswer'] | Schemas['Problem']> {
    const [iat, iss] = [Math.floor(Date.now() / 1000), this.key.did];
    const claims = { aud: this.base, exp: iat + ASSERTION_SECONDS, iat, iss, jti: fresh(), sub: iss };
    const head = { alg: 'EdDSA', kid: this.key.kid, typ: 'client-authentication+jwt' };
    const url = `${this.base}/oauth/token`;
    const body: Schemas['TokenRequest'] = {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await this.key.compact(head, claims),
    };
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (this.bound) headers.dpop = await this.proof(this.bound, 'POST', url);
    const signal = AbortSignal.timeout(TIMEOUT);
    const answer = await this.send(url, { method: 'POST', headers, body: JSON.stringify(body), redirect: 'error', signal });
    return (await answer.json()) as Schemas['TokenAnswer'] | Schemas['Problem'];
  }

  private async proof(bound: Key, method: string, url: string, token?: string): Promise<string> {
    const htu = url.replace(/[?#].*$/, '');
    const ath = token === undefined ? {} : { ath: base64url(await sha256(utf8(token))) };
    const claims = { ...ath, htm: method, htu, iat: Math.floor(Date.now() / 1000), jti: fresh() };
    return bound.compact({ alg: 'EdDSA', jwk: bound.jwk, typ: 'dpop+jwt' }, claims);
  }
}

function base(url: string): string {
  const parsed = new URL(url);
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(parsed.hostname);
  if (parsed.protocol !== 'https:' && !(parsed.protocol === 'http:' && loopback)) {
    throw new Refusal('CONFIG_INVALID', 'address of the service: https is needed; plain http only on loopback');
  }
  return url.replace(/\/+$/, '');
}

/** A client of the service at this address. It follows no redirect. */
export function client(url: string, { key, fetch: send = fetch }: Options = {}): Client {
  const at = base(url);
  const tokens = key && new Tokens(at, key, send);
  const made = createClient<paths>({
    baseUrl: at,
    fetch: async (request: Request) => {
      const attempt = async (): Promise<Response> => {
        const copy = request.clone();
        if (copy.method !== 'GET' && !copy.headers.has('idempotency-key')) copy.headers.set('idempotency-key', fresh());
        if (tokens) for (const [name, value] of Object.entries(await tokens.headers(copy.method, copy.url))) copy.headers.set(name, value);
        return send(new Request(copy, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT) }));
      };
      const first = await attempt();
      if (first.status !== 401 || !tokens) return first;
      const told = (await first.clone().json().catch(() => ({}))) as { code?: string };
      await tokens.forget(told.code === 'DPOP_INVALID');
      return attempt();
    },
  });
  return made;
}

/** The data of an answer; a problem document becomes a {@link Refusal}. */
export async function answer<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok && data !== undefined) return data;
  const problem = (error ?? {}) as Partial<Schemas['Problem']>;
  const sentence = problem.detail ?? `the service answered with ${response.status} and no problem document`;
  throw new Refusal(problem.code ?? 'PEER_FAULT', sentence, response.status, problem.field);
}

