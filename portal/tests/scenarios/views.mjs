// Screens 4, 5, 8, 9 and 11: catalogue, dataset, runs, evidence, payments.
import assert from 'node:assert/strict';
import { quiet } from '../check.mjs';

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
  for (const cost of costs) assert.ok(Math.abs(Number(cost.slice(2)) - epsilon) < 0.001, cost);
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
  await page.getByText('http://localhost:9/hooks').waitFor();
  await page.reload();
  await page.getByText('http://localhost:9/hooks').waitFor();
  assert.ok(!(await page.content()).includes(secret), 'the secret is not shown again');
  await page.getByRole('button', { name: 'Switch off' }).first().click();
  await page.locator('.pill', { hasText: 'disabled' }).first().waitFor();
  quiet(page);
}
