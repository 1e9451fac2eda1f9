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

export async function stored_scripts_are_shown_as_text_and_never_run(house) {
  const page = await house.signer('tdc');
  await page.evaluate((payloads) => {
    globalThis.payloads = payloads;
  }, PAYLOADS);
  // Whatever the service stores of others' words: every text that the page reads carries each payload in turn.
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
  const { runs } = await page.evaluate(async () => (await fetch('/v1/runs')).json());
  const { contracts } = await page.evaluate(async () => (await fetch('/v1/contracts')).json());
  const { datasets } = await page.evaluate(async () => (await fetch('/v1/datasets')).json());
  const dataset = datasets[0].offer.dataset_id;
  const paths = ['/', '/datasets', `/datasets/${dataset}`, '/contracts', `/contracts/${contracts[0].contract_id}`, '/contracts/new', '/runs', `/runs/${runs[0].run_id}`, `/runs/${runs[0].run_id}/evidence`, '/payments', '/keys', '/audit'];
  let seen = 0;
  for (const path of paths) {
    await house.open(page, path);
    await settled(page);
    assert.equal(await page.evaluate(() => globalThis.owned), undefined, path);
    const made = await page.evaluate(() => document.querySelectorAll('main script, main iframe, main img, main [onerror], main [onload], main a[href^="javascript:"]').length);
    assert.equal(made, 0, path);
    if ((await page.locator('main').textContent()).includes('globalThis.owned')) seen += 1;
  }
  assert.ok(seen >= 5, `payloads were shown as text on ${seen} pages`);
}

export async function an_address_cannot_bring_a_script_either(house) {
  const page = await house.person('sro');
  for (const path of ['/admin?did=<img src=x onerror=globalThis.owned=1>', '/audit?entry=<script>globalThis.owned=1</script>', '/admin#act=PHNjcmlwdD4', '/contracts/%3Cimg%20src=x%20onerror=globalThis.owned=1%3E', '/enrol#"><script>globalThis.owned=1</script>']) {
    await page.goto('about:blank');
    await house.open(page, path).catch(() => undefined);
    assert.equal(await page.evaluate(() => globalThis.owned), undefined, path);
  }
}

export async function posts_that_another_site_began_are_refused(house) {
  const page = await house.person('tdc');
  const status = (headers) => page.evaluate(async (sent) => (await fetch('/auth/sign-out-everywhere', { method: 'POST', headers: { 'content-type': 'application/json', ...sent } })).status, headers);
  assert.equal(await status({}), 403, 'without the token');
  assert.equal(await status({ 'x-csrf-token': '0'.repeat(64) }), 403, 'with a guessed token');
  const site = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>elsewhere</title>'));
  await new Promise((done) => site.listen(0, '127.0.0.1', done));
  try {
    // Another site: the cookie does not even go along.
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
    const outcome = await page.evaluate(async (url) => {
      const post = (path) => fetch(`${url}${path}`, { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}' }).then((r) => r.type, (e) => e.name);
      return [await post('/auth/sign-out-everywhere'), await post('/v1/drafts')];
    }, house.url);
    assert.deepEqual(outcome, ['opaque', 'opaque']);
    await page.goto(`${house.url}/portal/`);
    await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
  } finally {
    site.close();
  }
  const origin = await fetch(`${house.url}/auth/sign-out-everywhere`, { method: 'POST', headers: { origin: 'http://evil.example', 'content-type': 'application/json' } });
  assert.ok([401, 403].includes(origin.status));
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
