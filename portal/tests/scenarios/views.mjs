// Screens 4, 5, 8, 9 and 11: catalogue, dataset, runs, evidence, payments.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import canonicalize from 'canonicalize';
import { quiet, until } from '../check.mjs';
import { program } from '../house.mjs';

export async function the_catalogue_counts_its_facets_and_works_by_keyboard_alone(house) {
  const page = await house.person('tdc');
  await house.open(page, '/datasets');
  await page.getByRole('link', { name: 'vaccinations (cowin)' }).waitFor();
  const press = async (key, times = 1) => {
    for (let n = 0; n < times; n += 1) await page.keyboard.press(key);
  };
  await page.getByRole('textbox', { name: 'Search' }).focus();
  await page.keyboard.type('vaccin');
  await page.getByText('1 of 3').waitFor();
  await press('Backspace', 6);
  await page.getByText('3 of 3').waitFor();
  // Each facet has every value with how many datasets have it.
  const offers = (await house.get('/v1/datasets?limit=200')).datasets.map(({ offer }) => offer);
  const { participants } = await house.get('/v1/participants?limit=200');
  const facets = {
    Format: (offer) => offer.objects[0].media_type, Purpose: (offer) => offer.usage.purposes[0],
    Price: ({ payment: [term] }) => (term === undefined ? 'free' : `${term.currency} ${term.amount_minor <= 100_000 ? 'to 1,000' : term.amount_minor <= 1_000_000 ? '1,000 to 10,000' : 'above 10,000'}`),
    Region: (offer) => (offer.reference.regions ?? [participants.find((one) => one.did === offer.provider).jurisdiction])[0],
  };
  const counted = async (facet) => (await page.locator('details', { has: page.locator('summary', { hasText: facet }) }).locator('label').allTextContents()).sort();
  for (const [facet, of] of Object.entries(facets)) {
    const all = new Map();
    for (const offer of offers) all.set(of(offer), (all.get(of(offer)) ?? 0) + 1);
    assert.deepEqual(await counted(facet), [...all].map(([value, n]) => `${value} (${n})`).sort(), facet);
  }
  const left = (await counted('ε left for you')).map((label) => Number(/\((\d+)\)$/.exec(label)[1]));
  assert.equal(left.reduce((sum, n) => sum + n, 0), offers.length, 'what is left of each budget');
  // To the facet of providers, open it, choose one.
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? '');
  for (let n = 0; n < 30 && !(await focused()).startsWith('Provider'); n += 1) await press('Tab');
  assert.match(await focused(), /^Provider/);
  await press('Enter');
  await press('Tab');
  const box = page.locator(':focus');
  assert.match(await box.evaluate((node) => node.labels[0].textContent), /\(1\)$/);
  await press('Space');
  await page.getByText('1 of 3').waitFor();
  // What is left of the own budget is a facet, too.
  assert.ok((await page.locator('summary', { hasText: 'ε left for you' }).count()) === 1);
  // The other facets count within what is chosen.
  await page.locator('summary', { hasText: 'Format' }).click();
  assert.equal(await page.getByLabel('text/csv (1)').count(), 1);
  await press('Space');
  // On to the first card, and open it.
  const card = page.locator('.card.link a').first();
  for (let n = 0; n < 30 && !(await card.evaluate((node) => node === document.activeElement)); n += 1) await press('Tab');
  await press('Enter');
  await page.getByRole('heading', { name: 'Data card' }).waitFor();
  quiet(page);
}

export async function a_dataset_shows_its_key_to_its_provider_alone(house) {
  const owner = await house.person('tdp');
  const all = await house.get('/v1/datasets?limit=200');
  const { dataset_id: id } = all.datasets.map((one) => one.offer).find((one) => one.provider === house.people.tdp.did);
  const { key } = await house.signedOffer(owner, id);
  const page = await house.person('tdc');
  const told = [];
  page.on('response', async (response) => told.push(await response.text().catch(() => '')));
  await house.open(page, '/datasets');
  await page.locator(`a[href$="/datasets/${id}"]`).waitFor();
  await house.open(page, `/datasets/${id}`);
  await page.getByText('spent in one run').waitFor();
  for (const path of [`/v1/datasets/${id}`, `/v1/datasets/${id}/versions`, `/v1/datasets/${id}/croissant`, '/v1/datasets?limit=200']) told.push(await page.evaluate(async (at) => (await fetch(at)).text(), path));
  const shown = await page.locator('main').innerHTML();
  for (const secret of [key.kms, key.key_id, key.kms_jwk.x]) {
    assert.ok(!shown.includes(secret), 'the consumer sees no key reference');
    assert.ok(told.length > 5 && told.every((text) => !text.includes(secret)), 'and is told none');
  }
  await house.open(owner, `/datasets/${id}`);
  await owner.getByText(key.kms).waitFor();
  // What another consumer spent is the provider's business, and another provider's it is not.
  await owner.getByText('spent in one run').waitFor();
  const other = await house.person('tdp2');
  await house.open(other, `/datasets/${id}`);
  await other.getByText('Nothing that you may see was spent of it.').waitFor();
  quiet(page);
  quiet(owner);
  quiet(other);
}

export async function a_run_shows_its_way_what_it_cost_and_that_its_evidence_is_simulated(house) {
  const page = await house.person('tdc');
  await house.open(page, '/runs');
  await page.getByRole('link', { name: /^Run / }).first().click();
  await page.getByRole('note').filter({ hasText: 'SIMULATED' }).waitFor();
  await page.getByText('model fetched').waitFor();
  const epsilon = Number(house.report.privacy.epsilon);
  const costs = await page.locator('strong.num').filter({ hasText: /^ε / }).allTextContents();
  assert.equal(costs.length, 3, 'each provider once');
  for (const cost of costs) {
    // What it cost, of what its offer lets be spent.
    const [, spent, cap] = /^ε ([\d.]+); its offer allows ([\d.]+)$/.exec(cost) ?? [];
    assert.ok(Math.abs(Number(spent) - epsilon) < 0.001 && Number(cap) > epsilon, cost);
  }
  await page.getByText(String(house.report.privacy.steps)).first().waitFor();
  // The planned curve, with the run at its end: the accountant's figures, and what is charged is not below them.
  const trace = page.getByTestId('trace');
  await trace.getByRole('img', { name: /^ε as planned, step by step/ }).waitFor();
  const end = Number(/ε ([\d.]+) for all steps/.exec(await trace.getByTestId('chart-now').textContent())[1]);
  assert.ok(end > 0 && end <= epsilon + 0.0001, `ε ${end} of ${epsilon}`);
  const told = (await trace.locator('tbody td:last-child').allTextContents()).map(Number);
  assert.ok(told.length > 3 && told.every((one, at) => at === 0 || one >= told[at - 1]), 'ε never falls');
  // No loss, metric or row count in anything that the page was told.
  const record = await page.evaluate(async () => {
    const { runs } = await (await fetch('/v1/runs')).json();
    return (await fetch(`/v1/runs/${runs[0].run_id}/record`)).text();
  });
  for (const word of ['joined_rows', 'loss', 'auc', 'accuracy']) assert.ok(!record.includes(`"${word}"`), word);
  await house.shot(page, 'run');
  await page.getByRole('link', { name: 'Look closer' }).click();
  await page.getByText('each appraised it anew and agrees').waitFor();
  await page.getByRole('note').filter({ hasText: 'SIMULATED' }).waitFor();
  quiet(page);
}

export async function a_run_of_others_is_nobodys_business(house) {
  const page = await house.person('tdc');
  const { runs } = await page.evaluate(async () => (await fetch('/v1/runs')).json());
  const stranger = await house.profile();
  await stranger.goto(`${house.url}/portal/runs/${runs[0].run_id}`);
  await stranger.getByRole('heading', { name: 'Sign in' }).waitFor();
  const status = await stranger.evaluate(async (id) => (await fetch(`/v1/runs/${id}/record`)).status, runs[0].run_id);
  assert.equal(status, 401);
}

export async function payments_add_up_and_an_endpoint_shows_its_secret_once(house) {
  const page = await house.signer('tdp');
  await house.open(page, '/payments');
  await page.getByText('settled').first().waitFor();
  const paid = house.report.payments.find((one) => one.name.startsWith('Laboratories')).amount_minor / 100;
  await page.locator('.facts', { hasText: 'You received' }).getByText(`${paid.toLocaleString('en-IN')}.00`).waitFor();
  await page.getByRole('button', { name: 'Add an endpoint' }).click();
  await page.getByLabel('Where to').fill('http://localhost:9/hooks');
  await page.getByRole('dialog').getByRole('button', { name: 'Add an endpoint' }).click();
  const secret = await page.locator('button.id[title^="whsec_"]').getAttribute('title');
  await page.getByRole('button', { name: 'I have kept it' }).click();
  await page.getByText('http://localhost:9/hooks', { exact: true }).waitFor();
  await page.reload();
  await page.getByText('http://localhost:9/hooks', { exact: true }).waitFor();
  assert.ok(!(await page.content()).includes(secret), 'the secret is not shown again');
  // A new one takes its place, and is shown once as well.
  await page.locator('li', { hasText: 'http://localhost:9/hooks' }).getByRole('button', { name: 'New secret' }).click();
  await page.getByRole('dialog').getByText('A new secret').waitFor();
  const next = await page.locator('button.id[title^="whsec_"]').getAttribute('title');
  assert.notEqual(next, secret);
  await page.getByRole('button', { name: 'I have kept it' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.reload();
  await page.getByText('http://localhost:9/hooks', { exact: true }).waitFor();
  assert.ok(![secret, next].some((one) => page.sent.some(({ body }) => body.includes(one))) && !(await page.content()).includes(next));
  await page.getByRole('button', { name: 'Switch off' }).first().click();
  await page.locator('.pill', { hasText: 'disabled' }).first().waitFor();
  quiet(page);
}

export async function the_provider_of_the_room_sees_what_it_is_paid_and_may_dispute_it(house) {
  const page = await house.person('ccrp');
  await page.getByRole('link', { name: 'Payments', exact: true }).click();
  await page.getByText('settled').first().waitFor();
  const { payments } = await page.evaluate(async () => (await fetch('/v1/payments')).json());
  const [own, other] = [payments.find((one) => one.payee === house.people.ccrp.did), payments.find((one) => one.payee === house.people.tdp.did)];
  await page.locator(`a[href$="/payments/${own.instruction_id}"]`).click();
  await page.getByText('Nobody pays on this page').waitFor();
  await page.getByRole('button', { name: 'Dispute this payment' }).waitFor();
  // What others owe each other is theirs.
  await house.open(page, `/payments/${other.instruction_id}`);
  await page.getByText('Nobody pays on this page').waitFor();
  await page.waitForTimeout(250);
  assert.equal(await page.getByRole('button', { name: 'Dispute this payment' }).count(), 0);
  quiet(page);
}

export async function datasets_are_compared_by_keyboard_and_what_differs_is_marked(house) {
  const page = await house.person('tdc');
  await house.open(page, '/datasets');
  await page.getByRole('link', { name: 'vaccinations (cowin)' }).waitFor();
  const boxes = page.getByRole('checkbox', { name: /^Compare/ });
  const open = page.getByRole('button', { name: /^Compare \d of at most 4/ });
  await boxes.nth(0).focus();
  await page.keyboard.press('Space');
  assert.equal(await open.isDisabled(), true, 'one alone is compared with nothing');
  await boxes.nth(1).focus();
  await page.keyboard.press('Space');
  await open.focus();
  await page.keyboard.press('Enter');
  const table = page.getByTestId('compared');
  assert.equal(await table.locator('thead th').count(), 3);
  const line = (name) => table.locator('tbody tr', { has: page.locator('th', { hasText: name }) });
  await line('Provider').first().getByText('differs').waitFor();
  const [one, other] = await line('Purposes').locator('td').allTextContents();
  assert.equal(one, other);
  assert.equal(await line('Purposes').getByText('differs').count(), 0);
  await house.shot(page, 'compare');
  await page.getByRole('button', { name: 'Close', exact: true }).focus();
  await page.keyboard.press('Enter');
  await table.waitFor({ state: 'detached' });
  quiet(page);
}

export async function statistics_that_the_command_line_made_are_read_in_the_page_alone(house) {
  const page = await house.person('tdc');
  const { datasets } = await house.get('/v1/datasets?limit=200');
  const { offer } = datasets.find((one) => one.offer.columns.some((column) => column.type === 'number' && column.lower !== null));
  const columns = offer.columns.filter((column) => column.type === 'text' || column.lower !== null);
  const [table, form, out] = ['profiled.csv', 'profiled.json', 'profile.json'].map((name) => join(house.dir, name));
  writeFileSync(table, `${columns.map((column) => column.name).join(',')}\n${Array.from({ length: 300 }, (_, at) => columns.map((column) => (column.type === 'text' ? `p${at}` : column.lower)).join(',')).join('\n')}\n`);
  const described = columns.map(({ name, type, lower, upper }) => ({ name, type, ...(lower === null ? {} : { lower, upper }) }));
  const { epsilon, delta, scope } = offer.privacy_cap;
  const { allowed_columns, join_keys, target_columns } = offer.usage;
  writeFileSync(form, JSON.stringify({ name: offer.name, kms: 'http://localhost:9', min_assurance: 'software', public_rows: 300, columns: described, usage: { purposes: ['TRAINING'], allowed_columns, join_keys, target_columns }, cap: { epsilon, delta, scope }, card: offer.data_card }));
  await program('depa', ['dataset', 'profile', form, '--csv', table, '--epsilon', '1', '--uncharged', '--out', out]);
  await house.open(page, `/datasets/${offer.dataset_id}`);
  await page.getByText('The offer carries none').waitFor();
  const sent = page.sent.length;
  const take = (text) => page.locator('input[type=file]').setInputFiles({ name: 'profile.json', mimeType: 'application/json', buffer: Buffer.from(text) });
  const made = readFileSync(out, 'utf8');
  await take(made.replace('"lower": "', '"lower": "-77'));
  await page.getByRole('alert').waitFor();
  await page.locator('input[type=file]').setInputFiles([]);
  await take(made);
  await page.getByTestId('statistics').getByRole('img', { name: /^noised counts from/ }).first().waitFor();
  assert.equal(await page.getByTestId('statistics').locator('tbody tr').count(), columns.length);
  await page.getByText('It says that no budget was charged when it was made.').waitFor();
  await house.shot(page, 'statistics');
  assert.ok(page.sent.slice(sent).every(({ body }) => body === ''), 'nothing of it is sent');
  quiet(page);
}

export async function the_next_version_of_a_dataset_begins_as_the_one_before(house) {
  const owner = await house.signer('tdp');
  const { datasets } = await house.get('/v1/datasets?limit=200');
  const { offer } = datasets.find((one) => one.offer.provider === house.people.tdp.did);
  const other = await house.person('tdp2');
  await house.open(other, `/datasets/${offer.dataset_id}`);
  await other.getByRole('heading', { name: 'Data card' }).waitFor();
  assert.equal(await other.getByRole('link', { name: 'New version' }).count(), 0);
  await house.open(owner, `/datasets/${offer.dataset_id}`);
  await owner.getByRole('link', { name: 'New version' }).click();
  await owner.getByRole('heading', { name: `A new version of ${offer.name}` }).waitFor();
  assert.equal(await owner.getByRole('textbox', { name: 'Name', exact: true }).inputValue(), offer.name);
  for (let at = 0; at < 4; at += 1) await owner.getByRole('button', { name: 'Next' }).click();
  const [download] = await Promise.all([owner.waitForEvent('download'), owner.getByRole('button', { name: 'Save the description' }).click()]);
  const description = JSON.parse(readFileSync(await download.path(), 'utf8'));
  assert.deepEqual([description.dataset_id, description.family, description.version], [offer.dataset_id, offer.family, offer.version + 1]);
  assert.deepEqual(description.columns.map(({ name }) => name), offer.columns.map(({ name }) => name));
  assert.deepEqual(description.usage, offer.usage);
  // What was sealed for another dataset is not taken for it.
  const sealed = { dataset_id: 'dst_0190a000-0000-7000-8000-000000000003', version: offer.version + 1, family: offer.family, url: 'file:///x', bytes: 1, manifest_root: 'ab'.repeat(32), kms: description.kms, kms_jwk: { kty: 'OKP', crv: 'Ed25519', x: 'a' }, key_id: 'key_x', min_assurance: 'software' };
  const digested = (record) => ({ ...record, sha256: createHash('sha256').update(canonicalize(record)).digest('hex') });
  const take = (record) => owner.locator('input[type=file]').first().setInputFiles({ name: 'sealed.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(digested(record))) });
  await take(sealed);
  await owner.getByText('MANIFEST_INVALID').waitFor();
  await owner.locator('input[type=file]').first().setInputFiles([]);
  await take({ ...sealed, dataset_id: offer.dataset_id });
  await owner.getByText('Sealed: manifest root').waitFor();
  quiet(owner);
}

export async function a_failing_endpoint_shows_its_retries_and_the_next_attempt_and_polls_say_that_nobody_asked(house) {
  let status = 500;
  const server = createServer((request, response) => response.writeHead(status).end('down'));
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  try {
    const url = `http://localhost:${server.address().port}/hooks`;
    const page = await house.signer('tdp2');
    const wishes = [];
    page.on('request', (request) => new URL(request.url()).pathname === '/v1/webhooks/deliveries' && wishes.push(request.headers().prefer));
    await house.open(page, '/payments');
    await page.getByRole('button', { name: 'Add an endpoint' }).click();
    await page.getByLabel('Where to').fill(url);
    await page.getByRole('dialog').getByRole('button', { name: 'Add an endpoint' }).click();
    await page.getByRole('button', { name: 'I have kept it' }).click();
    await page.locator('li', { hasText: url }).getByRole('button', { name: /^Send a test/ }).click();
    const row = page.locator('tr', { hasText: 'webhook.ping' }).first();
    await row.getByText(/^500, \d+ ms$/).waitFor({ timeout: 20_000 });
    await row.getByText('next try').waitFor();
    const attempts = async () => Number(await row.locator('td.num').first().textContent());
    const next = await row.locator('time').getAttribute('datetime');
    assert.ok(Date.parse(next) > Date.now() - 5_000, next);
    await until('it is tried again, and each try is counted', async () => (await attempts()) >= 2, 60_000);
    await row.locator('.pill', { hasText: 'pending' }).waitFor();
    await page.locator('li', { hasText: url }).getByText('failing since').waitFor();
    await house.shot(page, 'webhook-retries');
    assert.ok(wishes.length > 1 && wishes.includes(undefined), 'a person was there');
    // Half a minute without anybody: what the page reads from then on, it says it reads by itself.
    await until('polls are quiet', () => wishes.at(-1) === 'quiet', 60_000);
    status = 204;
    await row.getByRole('button', { name: /^Send again/ }).click();
    await row.locator('.pill', { hasText: 'delivered' }).waitFor({ timeout: 30_000 });
    quiet(page);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
