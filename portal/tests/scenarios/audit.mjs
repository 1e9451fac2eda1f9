// Screen 10: the log proved in the page, tampering seen, an export that the auditor's tool takes.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { program } from '../house.mjs';
import { quiet, until } from '../check.mjs';

const verified = (page) => page.locator('.pill', { hasText: 'Verified in your browser' });

const note = async (house) => (await fetch(`${house.url}/log/checkpoint`)).text();
const size = (text) => Number(text.split('\n')[1]);

/** The log has grown by an entry that anybody may make. */
async function grown(house) {
  const before = size(await note(house));
  await house.applicant('applicant');
  await until('the log has grown', async () => size(await note(house)) > before);
}

/** Away from the page, at an address of the service where no script runs: what this browser remembers of the log stands still. */
async function away(page, house) {
  // The browser asks for an icon there, which the address has not.
  await page.route('**/favicon.ico', (route) => route.fulfill({ status: 204 }));
  await page.goto(`${house.url}/livez`);
}

/** What this browser remembers of the log; with a head, that one from now on. */
const remembered = (page, head) =>
  page.evaluate(async (next) => {
    const done = (request) => new Promise((yes, no) => Object.assign(request, { onsuccess: () => yes(request.result), onerror: () => no(request.error) }));
    const db = await done(indexedDB.open('depa-log'));
    const heads = db.transaction('heads', 'readwrite').objectStore('heads');
    const name = `head ${location.origin}`;
    if (next) await done(heads.put(next, name));
    const found = await done(heads.get(name));
    db.close();
    return found;
  }, head);

/** What the page judges of the head: each line with whether it holds. */
const judged = async (page) => {
  const lines = page.locator('section', { has: page.getByRole('heading', { name: 'The head of the log' }) }).locator('li.item');
  return Object.fromEntries(await lines.evaluateAll((all) => all.map((one) => [one.firstChild.textContent, one.lastChild.textContent])));
};

const KEY = 'The checkpoint is of the origin and under the key that this browser pinned';
const TILES = 'The hashes at the top of the log’s tiles lead to the checkpoint’s root';
const contains = ({ size: entries }) => `The log contains what this browser saw before (${entries.toLocaleString('en-IN')} entries)`;

/** Everything about the head holds but that it continues what was seen; the page says why, and remembers what it knew. */
async function refused(page, house, why) {
  await away(page, house);
  const known = await remembered(page);
  await house.open(page, '/audit');
  await page.getByText('Do not trust this log').waitFor();
  assert.deepEqual(await judged(page), { [KEY]: 'holds', [TILES]: 'holds', [contains(known)]: 'DOES NOT HOLD' }, why);
  await page.getByRole('alert').filter({ hasText: why }).waitFor();
  await away(page, house);
  assert.deepEqual(await remembered(page), known, 'what does not hold together is not remembered');
}

export async function the_log_is_proved_in_the_page_and_remembered(house) {
  const page = await house.person('tdp');
  await house.open(page, '/audit');
  await verified(page).waitFor();
  await page.getByText('for the first time').waitFor();
  await page.getByText('cosigned').first().waitFor();
  // The next visit checks that the log has only grown.
  await away(page, house);
  const before = await remembered(page);
  await grown(house);
  await house.open(page, '/audit');
  await verified(page).waitFor();
  assert.deepEqual(await judged(page), { [KEY]: 'holds', [TILES]: 'holds', [contains(before)]: 'holds' });
  const asked = page.sent.map(({ url }) => new URL(url)).filter(({ pathname }) => pathname === '/v1/log/proof');
  assert.ok(asked.some(({ searchParams }) => Number(searchParams.get('old')) === before.size && Number(searchParams.get('new')) > before.size), 'by a proof between the two');
  await until('the newer head is remembered', async () => (await remembered(page)).size > before.size);
  assert.equal(await page.locator('tr.bad').count(), 0);
  await page.getByRole('button', { name: /^Show all/ }).click();
  const row = page.getByRole('link', { name: 'dataset registered' }).first();
  await row.click();
  await page.getByText(/Verified in your browser: index \d+/).waitFor();
  // What is saved is what the command beside it takes.
  const [proof] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save the receipt' }).click()]);
  const proved = JSON.parse(await program('depa', ['audit', 'verify-receipt', await proof.path(), '--trust', house.trustFile, '--json']));
  assert.equal(proved.kind, 'dataset_registered');
  assert.equal(await page.getByText(`depa audit verify-receipt ${proof.suggestedFilename()} --trust trust.json`).count(), 1);
  await house.shot(page, 'audit');
  quiet(page);
}

export async function a_log_that_shrank_or_has_another_past_is_not_trusted(house) {
  const page = await house.person('tdp');
  // A head that the log itself signed, before it grew.
  const early = await note(house);
  await grown(house);
  await house.open(page, '/audit');
  await verified(page).waitFor();
  const serve = (text) => page.route('**/log/checkpoint', (route) => route.fulfill({ status: 200, contentType: 'text/plain', body: text }));
  await serve(early);
  await refused(page, house, 'the log is shorter than it was');
  await house.shot(page, 'audit-shrunken');
  await page.unroute('**/log/checkpoint');
  // Grown again, but one hash of the proof is another one.
  await grown(house);
  await page.route('**/v1/log/proof*', async (route) => {
    const response = await route.fetch();
    const { proof } = await response.json();
    const last = proof.at(-1);
    await route.fulfill({ response, json: { proof: [...proof.slice(0, -1), `${last[0] === '0' ? '1' : '0'}${last.slice(1)}`] } });
  });
  await refused(page, house, 'roots differ');
  await page.unroute('**/v1/log/proof*');
  // What was seen is no past of this log: larger than it, of the same size, smaller.
  const now = await note(house);
  await serve(now);
  const other = 'ab'.repeat(32);
  for (const [entries, why] of [[size(now) + 1000, 'the log is shorter than it was'], [size(now), 'same size, other root'], [size(now) - 1, 'roots differ']]) {
    await remembered(page, { size: entries, root: other });
    await refused(page, house, why);
  }
  // With its own past it is trusted again.
  const [, , root] = early.split('\n');
  await remembered(page, { size: size(early), root: Buffer.from(root, 'base64').toString('hex') });
  await house.open(page, '/audit');
  await verified(page).waitFor();
  quiet(page);
}

export async function a_tampered_entry_shows_red_with_its_index_and_a_root_that_nobody_signed_is_not_trusted(house) {
  const page = await house.person('tdp2');
  await house.open(page, '/audit');
  await verified(page).waitFor();
  // One letter of entry 2 is another one.
  await page.route('**/log/tile/entries/**', async (route) => {
    const response = await route.fetch();
    const body = Buffer.from(await response.body());
    let [at, index] = [0, 0];
    while (index < 2) {
      at += 2 + body.readUInt16BE(at);
      index += 1;
    }
    const kind = body.indexOf('participant_', at);
    body[kind] = 'P'.charCodeAt(0);
    const { 'content-encoding': _, 'content-length': __, ...headers } = response.headers();
    await route.fulfill({ status: 200, headers, body });
  });
  await page.reload();
  await page.locator('tr.bad').first().waitFor();
  const bad = await page.locator('tr.bad').evaluateAll((rows) => rows.map((row) => row.dataset.index));
  assert.deepEqual(bad, ['2']);
  await page.getByRole('alert').filter({ hasText: /: 2$/ }).waitFor();
  await house.shot(page, 'audit-tampered');
  await page.unroute('**/log/tile/entries/**');
  // A checkpoint with another root is under no signature of the log.
  await page.route('**/log/checkpoint', async (route) => {
    const response = await route.fetch();
    const lines = (await response.text()).split('\n');
    lines[2] = Buffer.alloc(32, 7).toString('base64');
    await route.fulfill({ status: 200, contentType: 'text/plain', body: lines.join('\n') });
  });
  await page.reload();
  await page.getByText('Do not trust this log').waitFor();
  assert.ok((await page.getByText('DOES NOT HOLD').count()) >= 2);
  await page.unroute('**/log/checkpoint');
  await page.reload();
  await verified(page).waitFor();
}

export async function another_key_or_origin_at_the_same_address_raises_an_alarm_until_somebody_pins_it(house) {
  const page = await house.person('tdp3');
  await house.open(page, '/audit');
  await verified(page).waitFor();
  const others = { registry_jwk: { kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(32, 9).toString('base64url') }, origin: 'elsewhere.example/log' };
  for (const [part, words] of [['registry_jwk', 'The key of the log has changed'], ['origin', 'The service names another log']]) {
    await page.route('**/v1/trust', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...(await response.json()), [part]: others[part] } });
    });
    await page.reload();
    await page.getByRole('alert').filter({ hasText: words }).waitFor();
    await page.getByText('Not what this browser pinned').waitFor();
    assert.equal(await verified(page).count(), 0);
    assert.equal(await page.getByRole('button', { name: 'Pin what is named now' }).isDisabled(), true);
    await page.unroute('**/v1/trust');
    // The pin stays what it was.
    await page.reload();
    await verified(page).waitFor();
  }
  // Pinned by hand, the other key is what counts: under it the checkpoint is not signed.
  await page.route('**/v1/trust', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), registry_jwk: others.registry_jwk } });
  });
  await page.reload();
  await page.getByLabel('What is named now is what the SRO publishes').check();
  await page.getByRole('button', { name: 'Pin what is named now' }).click();
  await page.getByText('Do not trust this log').waitFor();
}

export async function an_export_passes_the_auditors_tool_and_an_altered_body_is_named(house) {
  const page = await house.person('sro');
  await house.open(page, '/audit');
  await verified(page).waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download', { timeout: 60_000 }),
    page.getByRole('button', { name: 'Export with bodies' }).click(),
  ]);
  const file = join(house.dir, 'from-the-page.jsonl');
  await download.saveAs(file);
  const told = await program('depa', ['audit', 'verify', file, '--trust', house.trustFile, '--json']);
  assert.equal(JSON.parse(told).verified, true);
  await page.route('**/v1/audit/export*', async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    body.entries[2].body.application.payload = 'e30';
    await route.fulfill({ response, json: body });
  });
  await page.getByRole('button', { name: 'Export with bodies' }).click();
  await page.getByRole('alert').filter({ hasText: 'the body of entry 2 is not what its record says' }).waitFor();
  quiet(page);
}
