// Screen 8: runs are ordered in the page, each with its cost before it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { quiet, until } from '../check.mjs';
import { agreed, job } from '../job.mjs';

/** What the page handed in last as an order. */
const ordered = (page) => JSON.parse(page.sent.filter(({ url, body }) => url.endsWith('/v1/run-orders') && body !== '').at(-1).body).bundle;
const read = ({ payload }) => JSON.parse(Buffer.from(payload, 'base64url'));

export async function a_run_is_ordered_in_the_page_and_once_more_under_a_new_charge(house) {
  const page = await house.signer('tdc');
  const contract = await agreed(page, house, '0.5');
  await house.open(page, '/runs');
  await page.getByRole('button', { name: 'Order a run', exact: true }).click();
  const dialog = page.getByRole('dialog');
  const cost = dialog.getByTestId('cost');
  // The form has the ids of the contract that is chosen.
  const [download] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('button', { name: 'Save the form with its ids' }).click()]);
  const form = JSON.parse(readFileSync(await download.path(), 'utf8'));
  assert.deepEqual(form.contracts, [contract.contract_id]);
  assert.deepEqual(Object.values(form.tables), contract.datasets.map((one) => one.dataset_id));
  const take = async (name, text) => {
    await dialog.locator('input[type=file]').setInputFiles([]);
    await dialog.locator('input[type=file]').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(text) });
  };
  await take('job.json', JSON.stringify(form));
  await dialog.getByText('MALFORMED_JSON').waitFor();
  const bundle = readFileSync(await job(house, contract, 'ordered', { epsilon: '0.2', steps: 200 }), 'utf8');
  const foreign = JSON.parse(bundle);
  foreign.job.payload = Buffer.from(Buffer.from(foreign.job.payload, 'base64url').toString().replace(`"tdc":"${house.people.tdc.did}"`, `"tdc":"${house.people.tdp.did}"`)).toString('base64url');
  await take('job.bundle.json', JSON.stringify(foreign));
  await dialog.getByText('SIGNER_NOT_PARTY').waitFor();
  assert.equal(await dialog.getByRole('button', { name: 'Order this run' }).count(), 0);
  await take('job.bundle.json', bundle);
  await cost.locator('li strong.num').nth(2).waitFor();
  for (const shown of await cost.locator('li strong.num').allTextContents()) assert.match(shown, /ε 0\.2$/);
  await cost.getByText('when the run completes').waitFor();
  const rows = page.locator('table.data tbody tr');
  const known = await rows.count();
  await dialog.getByRole('button', { name: 'Order this run' }).click();
  await dialog.getByText('Ordered: it stands in the log').waitFor();
  // Who closes the dialog sees the order all the same, until a room has checked in.
  await page.route('**/v1/run-orders/*', (route) => route.fulfill({ json: { state: 'requested' } }));
  await house.open(page, '/runs');
  await page.getByText('Ordered, no room yet').waitFor();
  await house.shot(page, 'ordered');
  await page.unroute('**/v1/run-orders/*');
  await until('its run is listed', async () => (await rows.count()) > known, 60_000);
  await until('no order waits for a room', async () => (await page.getByText('Ordered, no room yet').count()) === 0);
  await rows.first().getByRole('link', { name: /^Run / }).click();
  await page.getByRole('heading', { name: /^Run / }).waitFor();
  await page.locator('.head .pill', { hasText: 'completed' }).waitFor({ timeout: 90_000 });
  const before = page.url().split('/').at(-1);
  // Once more: the same plan, a job of its own, and a charge that the page says beforehand.
  await page.getByRole('button', { name: 'Order a new run' }).click();
  await dialog.getByText('This is a new run with a new charge').waitFor();
  await cost.locator('li strong.num').nth(2).waitFor();
  for (const shown of await cost.locator('li strong.num').allTextContents()) assert.ok(Number(/[\d.]+$/.exec(shown)[0]) <= 0.2001, shown);
  const digest = await dialog.getByTestId('signed-digest').textContent();
  await house.shot(page, 'order-again');
  await dialog.getByRole('button', { name: 'Order this run' }).click();
  await dialog.getByRole('link', { name: 'To the run' }).click({ timeout: 60_000 });
  await until('another run', () => !page.url().endsWith(before));
  const record = (id) => page.evaluate(async (name) => (await fetch(`/v1/runs/${name}/record`)).json(), id);
  const [old, next] = [read((await record(before)).job), read(ordered(page).job)];
  assert.notEqual(next.job_id, old.job_id);
  assert.deepEqual({ ...next, job_id: 0, expires_at: 0 }, { ...old, job_id: 0, expires_at: 0 }, 'the same plan');
  assert.equal((await record(page.url().split('/').at(-1))).run.job_sha256, digest, 'the run is of the job whose digest was in sight');
  await page.locator('.head .pill', { hasText: 'completed' }).waitFor({ timeout: 90_000 });
  quiet(page);
}

export async function a_contract_whose_runs_are_done_takes_no_further_one_and_the_page_says_so(house) {
  const page = await house.signer('tdc');
  const { runs } = await page.evaluate(async () => (await fetch('/v1/runs?limit=200')).json());
  // The demo's own run, the first: its contract grants as much as that run took.
  await house.open(page, `/runs/${runs.at(-1).run_id}`);
  await page.getByText('The contract is not in force: no run can be ordered under it.').waitFor();
  await page.getByRole('link', { name: 'To the contract' }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Order a new run' }).count(), 0);
  const after = await page.evaluate(async () => (await (await fetch('/v1/runs?limit=200')).json()).runs.length);
  assert.equal(after, runs.length, 'nothing runs');
  quiet(page);
}
