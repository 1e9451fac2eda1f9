// Stored scripts never run, other sites' posts count nothing, the page loads and runs nothing of elsewhere.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { quiet, settled } from '../check.mjs';

const PAYLOADS = [
  '<script>globalThis.owned=1</script>', '<img src=x onerror="globalThis.owned=1">', '"><svg onload=globalThis.owned=1>',
  'javascript:globalThis.owned=1', '<iframe srcdoc="<script>parent.owned=1</script>">', "';globalThis.owned=1;//",
  '{{constructor.constructor("globalThis.owned=1")()}}', '<a href="javascript:globalThis.owned=1">x</a>',
  '<math><mtext></mtext><mglyph><style><img src=x onerror=globalThis.owned=1>', '\u202e<b>backwards</b>',
];

const DISPUTE = 'dsp_0190a000-0000-7000-8000-000000000001';

/** Whatever the service stores of others' words: every text that the page reads carries each payload in turn. */
async function soaked(page) {
  let at = 0;
  const soak = (value) => {
    if (Array.isArray(value)) return value.map(soak);
    if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, TEXTS.includes(name) ? PAYLOADS[at++ % PAYLOADS.length] : name === 'payload' ? resealed(inner) : soak(inner)]));
    return value;
  };
  const TEXTS = ['legal_name', 'display_name', 'name', 'title', 'description', 'collection', 'limitations', 'personal_data', 'licence', 'risk_statement', 'kms', 'origin', 'url', 'jurisdiction', 'term_id', 'detail', 'event', 'kind_words'];
  const sorted = (value) => {
    if (Array.isArray(value)) return value.map(sorted);
    if (value && typeof value === 'object') return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
    return value;
  };
  const resealed = (payload) => {
    try {
      const value = JSON.parse(Buffer.from(payload, 'base64url').toString());
      return Buffer.from(JSON.stringify(sorted(soak(value)))).toString('base64url');
    } catch {
      return payload;
    }
  };
  await page.route(/\/v1\/(?!people\/me$|events)/, async (route) => {
    if (route.request().method() !== 'GET') return route.continue();
    const response = await route.fetch();
    const type = response.headers()['content-type'] ?? '';
    if (!response.ok() || !type.includes('application/json')) return route.fulfill({ response });
    const json = soak(await response.json());
    if (json.sha256) delete json.sha256;
    return route.fulfill({ response, json });
  });
  // A dispute, which the service has not: between the parties of the first payment, each document of it in somebody's words.
  await page.route(`**/v1/disputes/${DISPUTE}`, async (route) => {
    const { payments: [owed] } = await (await page.request.get(new URL('/v1/payments', route.request().url()).href)).json();
    const said = (schema, at) => ({ envelope: { payload: Buffer.from(JSON.stringify({ at, by: owed.payee, opener: owed.payer, reason: PAYLOADS[at.length % 2], ruling: { is: PAYLOADS[1], instruction_id: PAYLOADS[3] }, schema })).toString('base64url'), signatures: [] }, receipt: { index: 0 } });
    const at = '2026-01-01T00:00:00Z';
    return route.fulfill({ json: {
      dispute_id: DISPUTE, state: 'ruled', contract: owed.contract.id, instruction_id: owed.instruction_id, opener: owed.payer, currency: owed.currency, amount_minor: owed.amount_minor, suspense: false,
      opened_at: at, answer_by: at, ruling: 'stand', dispute: said('dispute.v1', at), answer: said('dispute-answer.v1', at), ruled: said('dispute-ruling.v1', at), closed: null,
    } });
  });
}

/** Opens each page: nothing runs and nothing is made of the payloads. Gives the paths that show one as text. */
async function shown(house, page, paths) {
  const showing = [];
  for (const path of paths) {
    await house.open(page, path);
    await settled(page);
    assert.equal(await page.evaluate(() => globalThis.owned), undefined, path);
    const made = await page.evaluate(() => document.querySelectorAll('main script, main iframe, main img, main [onerror], main [onload], main a[href^="javascript:"]').length);
    assert.equal(made, 0, path);
    if ((await page.locator('main').textContent()).includes('globalThis.owned')) showing.push(path);
  }
  return showing;
}

export async function stored_scripts_are_shown_as_text_and_never_run(house) {
  const page = await house.signer('tdc');
  await soaked(page);
  const { runs } = await page.evaluate(async () => (await fetch('/v1/runs')).json());
  const { contracts } = await page.evaluate(async () => (await fetch('/v1/contracts')).json());
  const { payments } = await page.evaluate(async () => (await fetch('/v1/payments')).json());
  const { datasets } = await page.evaluate(async () => (await fetch('/v1/datasets')).json());
  const dataset = datasets[0].offer.dataset_id;
  const paths = ['/', '/datasets', `/datasets/${dataset}`, '/contracts', `/contracts/${contracts[0].contract_id}`, '/contracts/new', '/runs', `/runs/${runs[0].run_id}`, `/runs/${runs[0].run_id}/evidence`, '/payments', `/payments/${payments[0].instruction_id}`, `/disputes/${DISPUTE}`, '/keys', '/audit'];
  const showing = await shown(house, page, paths);
  for (const path of ['/datasets', `/datasets/${dataset}`, `/contracts/${contracts[0].contract_id}`, `/payments/${payments[0].instruction_id}`, `/disputes/${DISPUTE}`]) assert.ok(showing.includes(path), `a payload is shown as text at ${path}; at ${showing.join(' ')}`);
  const sro = await house.signer('sro');
  await soaked(sro);
  assert.deepEqual(await shown(house, sro, ['/admin']), ['/admin']);
}

export async function an_address_cannot_bring_a_script_either(house) {
  const page = await house.person('sro');
  for (const path of ['/admin?did=<img src=x onerror=globalThis.owned=1>', '/audit?entry=<script>globalThis.owned=1</script>', '/admin#act=PHNjcmlwdD4', '/contracts/%3Cimg%20src=x%20onerror=globalThis.owned=1%3E', '/enrol#"><script>globalThis.owned=1</script>']) {
    await page.goto('about:blank');
    await page.goto(`${house.url}/portal${path}`);
    // Of the page, or of the service itself where it takes no such address.
    await page.waitForFunction(() => /\p{L}{3}/u.test(document.body.innerText));
    await settled(page);
    assert.equal(await page.evaluate(() => globalThis.owned), undefined, path);
  }
}

/** A page of somebody else, and the origins by which a browser reaches it: another site, and this site at another port. */
async function elsewhere() {
  const site = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>elsewhere</title>'));
  await new Promise((done) => site.listen(0, '127.0.0.1', done));
  const { port } = site.address();
  return { site, origins: [`http://127.0.0.1:${port}`, `http://localhost:${port}`] };
}

export async function posts_that_another_site_began_are_refused_and_store_nothing(house) {
  const page = await house.signer('tdc');
  const read = (path) => page.evaluate(async (at) => (await fetch(at)).json(), path);
  const kept = async () => JSON.stringify([await read('/v1/people'), await read('/v1/drafts'), await read('/v1/webhooks/endpoints')]);
  const status = (headers) => page.evaluate(async (sent) => (await fetch('/auth/sign-out-everywhere', { method: 'POST', headers: { 'content-type': 'application/json', ...sent } })).status, headers);
  assert.equal(await status({}), 403, 'without the token');
  assert.equal(await status({ 'x-csrf-token': '0'.repeat(64) }), 403, 'with a guessed token');
  const { csrf_token: token } = await read('/v1/people/me');
  const before = await kept();
  const bodies = {
    '/auth/sign-out-everywhere': {}, '/auth/sign-out': {}, '/v1/drafts': { contract: {} }, '/v1/people/enrolments': { display_name: 'Mallory', roles: ['signer'] },
    '/v1/webhooks/endpoints': { url: 'http://localhost:9/mallory', events: ['*'] },
  };
  // A click of the person brings the cookie along to the same site, whatever its port: what each call carried is written down.
  const carried = [];
  page.on('request', (request) => request.method() === 'POST' && carried.push(request.allHeaders().then(({ cookie = '', origin }) => ({ origin, cookie: cookie !== '' }))));
  const { site, origins } = await elsewhere();
  try {
    for (const origin of origins) {
      await page.goto(`${origin}/`);
      const outcome = await page.evaluate(async ({ url, all, csrf }) => {
        const post = async (path, body, mode, headers) => {
          try {
            const answer = await fetch(`${url}${path}`, { method: 'POST', mode, credentials: 'include', headers, body });
            return answer.type === 'opaque' ? 'unread' : answer.status;
          } catch {
            return 'stopped';
          }
        };
        const told = [];
        for (const [path, body] of Object.entries(all)) {
          // As a form could send it, and as a script would, who even knew the token.
          for (const type of ['text/plain', 'application/x-www-form-urlencoded']) told.push(await post(path, JSON.stringify(body), 'no-cors', { 'content-type': type }));
          told.push(await post(path, JSON.stringify(body), 'cors', { 'content-type': 'application/json', 'x-csrf-token': csrf }));
        }
        return told;
      }, { url: house.url, all: bodies, csrf: token });
      assert.deepEqual([...new Set(outcome)].sort(), ['stopped', 'unread'], origin);
      // Nor does a form that takes the whole page along.
      for (const path of Object.keys(bodies)) {
        await page.goto(`${origin}/`);
        await page.evaluate((action) => {
          const form = Object.assign(document.createElement('form'), { method: 'post', action, enctype: 'text/plain' });
          document.body.append(form);
          form.submit();
        }, `${house.url}${path}`);
        await page.waitForURL(`${house.url}/**`);
      }
      await house.open(page, '/');
      assert.equal(await kept(), before, `nothing was stored from ${origin}`);
    }
  } finally {
    site.close();
  }
  const sent = await Promise.all(carried);
  for (const [origin, cookie] of [[origins[0], false], [origins[1], true]]) assert.ok(sent.some((one) => one.origin === origin && one.cookie === cookie), `${origin}: ${JSON.stringify(sent)}`);
  assert.ok(!sent.some((one) => one.origin === origins[0] && one.cookie), 'no cookie goes along to another site');
  // With the cookie and the right token, but from elsewhere; and then as the page itself would.
  const cookie = (await page.context().cookies(house.url)).map(({ name, value }) => `${name}=${value}`).join('; ');
  const signOut = (headers) => fetch(`${house.url}/auth/sign-out`, { method: 'POST', headers: { 'content-type': 'application/json', cookie, 'x-csrf-token': token, ...headers } });
  for (const origin of [...origins, 'http://evil.example', 'null']) {
    const refused = await signOut({ origin });
    assert.deepEqual([refused.status, (await refused.json()).code], [403, 'CSRF_INVALID'], origin);
  }
  assert.ok((await signOut({ origin: house.url })).ok, 'its own page signs out');
}

export async function the_page_asks_nobody_else_and_is_framed_by_nobody(house) {
  const page = await house.signer('tdc');
  for (const path of ['/', '/datasets', '/contracts/new', '/audit', '/payments']) await house.open(page, path);
  const hosts = new Set(page.sent.map(({ url }) => new URL(url)).filter((url) => url.protocol.startsWith('http')).map((url) => url.origin));
  assert.deepEqual([...hosts], [house.url]);
  const response = await fetch(`${house.url}/portal/`);
  const policy = response.headers.get('content-security-policy');
  assert.ok(!policy.includes('unsafe') && policy.includes("frame-ancestors 'none'") && policy.includes("default-src 'none'"), policy);
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
  // An inline script that got into the page all the same would not run.
  const ran = await page.evaluate(() => {
    const script = document.createElement('script');
    try {
      script.text = 'globalThis.owned = 1';
    } catch {
      return 'trusted types';
    }
    document.body.append(script);
    return globalThis.owned ?? 'stopped';
  });
  assert.ok(['trusted types', 'stopped'].includes(ran), ran);
  quiet(page, ['Content Security Policy', 'TrustedScript', 'This document requires']);
}
