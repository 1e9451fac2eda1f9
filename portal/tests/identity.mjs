// An identity provider of the tests' own (OpenID Connect, authorization code with PKCE). It asks nobody: whoever comes is
// the account that the test has set.
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';

export const CLIENT = 'depa-desk';
export const SECRET = 'a secret of the tests';

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const s256 = (text) => createHash('sha256').update(text).digest('base64url');

export class Identity {
  static async start() {
    const identity = new Identity();
    identity.account = 'nobody';
    identity.codes = new Map();
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    identity.jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'e', use: 'sig', alg: 'ES256' };
    identity.key = { key: privateKey, dsaEncoding: 'ieee-p1363' };
    identity.server = createServer((request, response) => void identity.answer(request, response));
    await new Promise((done) => identity.server.listen(0, '127.0.0.1', done));
    identity.url = `http://localhost:${identity.server.address().port}`;
    return identity;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  async answer(request, response) {
    const { url } = this;
    const { pathname, searchParams } = new URL(request.url, url);
    const json = (status, value) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (pathname === '/.well-known/openid-configuration') {
      return json(200, {
        issuer: url, authorization_endpoint: `${url}/authorize`, token_endpoint: `${url}/token`, jwks_uri: `${url}/jwks`,
        response_types_supported: ['code'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'],
      });
    }
    if (pathname === '/jwks') return json(200, { keys: [this.jwk] });
    if (pathname === '/authorize') return this.authorize(searchParams, response);
    if (pathname !== '/token') return json(404, {});
    const body = [];
    for await (const chunk of request) body.push(chunk);
    const form = new URLSearchParams(Buffer.concat(body).toString());
    const [client, secret] = Buffer.from((request.headers.authorization ?? '').replace('Basic ', ''), 'base64').toString().split(':').map((text) => decodeURIComponent(text.replaceAll('+', ' ')));
    if (client !== CLIENT || secret !== SECRET) return json(401, { error: 'invalid_client' });
    const asked = this.codes.get(form.get('code'));
    this.codes.delete(form.get('code'));
    if (asked === undefined || s256(form.get('code_verifier') ?? '') !== asked.challenge) return json(400, { error: 'invalid_grant' });
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: url, aud: CLIENT, sub: asked.account, nonce: asked.nonce, iat: now, exp: now + 300 };
    const input = `${part({ alg: 'ES256', kid: 'e' })}.${part(claims)}`;
    const signature = sign('sha256', Buffer.from(input), this.key).toString('base64url');
    return json(200, { access_token: 'at', token_type: 'Bearer', expires_in: 300, id_token: `${input}.${signature}` });
  }

  /** The browser goes back at once, with a code that counts once. */
  authorize(query, response) {
    const wrong = query.get('client_id') !== CLIENT || query.get('response_type') !== 'code' || query.get('code_challenge_method') !== 'S256';
    if (wrong || !query.get('redirect_uri')?.endsWith('/auth/oidc/callback')) return response.writeHead(400).end();
    const code = randomUUID();
    this.codes.set(code, { account: this.account, nonce: query.get('nonce'), challenge: query.get('code_challenge') });
    const back = new URL(query.get('redirect_uri'));
    back.searchParams.set('code', code);
    back.searchParams.set('state', query.get('state'));
    return response.writeHead(303, { location: back.href }).end();
  }
}
