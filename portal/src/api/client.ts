/** The service's interface, by the client that its own OpenAPI document makes. */
import createClient, { type Middleware } from 'openapi-fetch';
import { t } from '../i18n';
import { base64url, sha256, utf8 } from '../keys/bytes';
import { canonical } from '../keys/document';
import type { HeldKey } from '../keys/held';
import { send } from './patience';
import { isAttended } from './presence';
import { Problem, unanswered } from './problem';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

export { Problem, unanswered };

/** Sent with every change by a session; other sites can neither read nor guess it. */
let csrf: string | undefined;

export const rememberCsrf = (token: string | undefined): void => {
  csrf = token;
};

/** The keys to which tokens of this page are bound. */
const holders = new Map<string, HeldKey>();

/** A proof that the caller holds the key (RFC 9449), for one call alone. */
async function proof(key: HeldKey, method: string, url: string, token?: string): Promise<string> {
  const { origin, pathname } = new URL(url);
  const claims = {
    ...(token === undefined ? {} : { ath: base64url(await sha256(utf8(token))) }),
    htm: method, htu: `${origin}${pathname}`, iat: Math.floor(Date.now() / 1000), jti: crypto.randomUUID(),
  };
  return compact({ alg: 'EdDSA', jwk: key.jwk, typ: 'dpop+jwt' }, claims, key);
}

async function compact(head: unknown, claims: unknown, key: HeldKey): Promise<string> {
  const input = `${base64url(canonical(head))}.${base64url(canonical(claims))}`;
  const signature = await crypto.subtle.sign('Ed25519', key.key, utf8(input));
  return `${input}.${base64url(new Uint8Array(signature))}`;
}

const headers: Middleware = {
  async onRequest({ request }) {
    if (request.method === 'GET') {
      // Nobody is there: the session is not to be kept awake by the page.
      if (!isAttended()) request.headers.set('Prefer', 'quiet');
      return request;
    }
    // The service takes JSON alone, also where there is nothing to say.
    if (!request.headers.has('Content-Type')) request.headers.set('Content-Type', 'application/json');
    if (csrf !== undefined) request.headers.set('X-CSRF-Token', csrf);
    if (!request.headers.has('Idempotency-Key')) request.headers.set('Idempotency-Key', crypto.randomUUID());
    const token = /^DPoP (.+)$/.exec(request.headers.get('Authorization') ?? '')?.[1];
    const key = token === undefined ? undefined : holders.get(token);
    if (key !== undefined) request.headers.set('DPoP', await proof(key, request.method, request.url, token));
    return request;
  },
  onError: ({ request, error }) => (error instanceof Problem ? error : unanswered(request.method)),
};

export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });
api.use(headers);

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer, or a {@link Problem}. */
export async function ask<T>(call: Promise<Answered<T>>): Promise<T> {
  let answered: Answered<T>;
  try {
    answered = await call;
  } catch (caught) {
    // An answer that broke off is none either: it may have been one to a change.
    throw caught instanceof Problem ? caught : unanswered('');
  }
  const { data, error, response } = answered;
  if (response.ok) return data as T;
  const problem = (error ?? {}) as { code?: string; detail?: string; title?: string; field?: string };
  const sentence = problem.detail ?? problem.title ?? t('The service answered {status}.', { status: response.status });
  throw new Problem(response.status, problem.code ?? 'UNKNOWN', sentence, problem.field);
}

interface Token {
  value: string;
  until: number;
}

const tokens = new Map<string, Token>();

/**
 * The header of a change that the service takes from a key alone: a ten-minute token, asked for with an assertion that
 * the key signs (RFC 7523), and bound to that key (RFC 9449). A session reads; a key acts.
 */
export async function acting(key: HeldKey): Promise<{ Authorization: string }> {
  const known = tokens.get(key.kid);
  if (known !== undefined && Date.now() < known.until) return { Authorization: `DPoP ${known.value}` };
  const iat = Math.floor(Date.now() / 1000);
  const claims = { aud: location.origin, exp: iat + 60, iat, iss: key.holder, jti: crypto.randomUUID(), sub: key.holder };
  const assertion = await compact({ alg: 'EdDSA', kid: key.kid, typ: 'client-authentication+jwt' }, claims, key);
  const answer = await ask(
    api.POST('/oauth/token', {
      headers: { DPoP: await proof(key, 'POST', `${location.origin}/oauth/token`) },
      body: {
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      },
    }),
  );
  holders.set(answer.access_token, key);
  tokens.set(key.kid, { value: answer.access_token, until: Date.now() + (answer.expires_in - 60) * 1000 });
  return { Authorization: `DPoP ${answer.access_token}` };
}
