// Screen 8: runs that are stopped, that go on where their worker died, and that a key service refuses; the receipt of one that completed.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { quiet, until } from '../check.mjs';
import { program } from '../house.mjs';
import { agreed, started } from '../job.mjs';

const recordOf = (page, id) => page.evaluate(async (run) => (await fetch(`/v1/runs/${run}/record`)).json(), id);

export async function a_provider_stops_a_run_and_its_room_ends(house) {
  const consumer = await house.signer('tdc');
  const contract = await agreed(consumer, house, '0.5');
  // So many steps that it goes on while the reason is typed, however fast the machine.
  const id = await started(consumer, house, contract, 'stopped', { epsilon: '0.2', steps: 100_000 });
  await house.open(consumer, `/runs/${id}`);
  const owner = await house.signer('tdp');
  await house.open(owner, `/runs/${id}`);
  await owner.getByTestId('step').waitFor({ timeout: 60_000 });
  await owner.getByRole('button', { name: 'Stop this run' }).click();
  const dialog = owner.getByRole('dialog');
  await dialog.getByLabel('Reason, one sentence').fill('A stop for safety');
  assert.match(await dialog.getByTestId('signed-digest').textContent(), /^[0-9a-f]{64}$/);
  await dialog.getByRole('button', { name: 'Stop this run' }).click();
  // Who ordered it sees it without a reload.
  for (const page of [owner, consumer]) {
    await page.locator('.head .pill', { hasText: 'aborted' }).waitFor();
    await page.getByText('ended without output').first().waitFor();
    assert.equal(await page.getByRole('button', { name: 'Save the receipt' }).count(), 0);
    // Who stopped it, and why.
    await page.getByTestId('why').getByText('A stop for safety').waitFor();
    await page.getByTestId('why').getByText(/^Laboratories/).first().waitFor();
  }
  assert.equal(await owner.getByRole('button', { name: 'Stop this run' }).count(), 0);
  await until('its worker is gone', () => house.below('ccr-trainer').length === 0, 60_000);
  const record = await recordOf(consumer, id);
  assert.ok(record.aborted > 0 && record.completion === null);
  await house.shot(consumer, 'run-stopped');
  for (const page of [owner, consumer]) quiet(page);
}

export async function a_run_whose_worker_dies_goes_on_under_the_same_charge(house) {
  const page = await house.signer('tdc');
  const contract = await agreed(page, house, '0.5');
  const id = await started(page, house, contract, 'resumed', { epsilon: '0.2', steps: 6_000 });
  await house.open(page, `/runs/${id}`);
  const step = async () => Number((/[\d,]+/.exec((await page.getByTestId('step').textContent()) ?? '')?.[0] ?? '0').replaceAll(',', ''));
  await page.getByTestId('step').waitFor({ timeout: 60_000 });
  const before = await step();
  const [worker] = await until('its worker is there', () => (house.below('ccr-trainer').length > 0 ? house.below('ccr-trainer') : undefined));
  process.kill(worker, 'SIGKILL');
  await until('another one goes on', () => house.below('ccr-trainer').some((pid) => pid !== worker), 30_000);
  await page.locator('.head .pill', { hasText: 'completed' }).waitFor({ timeout: 120_000 });
  await page.getByText('All 6,000 steps are done.').waitFor();
  assert.ok(before > 0 && before < 6_000, `${before}`);
  const { statements, aborted } = await recordOf(page, id);
  assert.equal(aborted, null);
  const kinds = statements.map(({ receipt }) => `${receipt.provider} ${receipt.statement.kind}`);
  assert.equal(new Set(kinds).size, kinds.length, 'each key service stated each thing once: nothing was charged twice');
  quiet(page);
}

export async function a_key_service_refuses_a_run_beyond_the_budget_and_the_page_names_the_code(house) {
  const page = await house.signer('tdc');
  // As much as is granted at most of each dataset, of which earlier runs have spent.
  const contract = await agreed(page, house, '3.0');
  const id = await started(page, house, contract, 'refused', { epsilon: '3.0', steps: 200 });
  await house.open(page, `/runs/${id}`);
  await page.locator('.head .pill', { hasText: 'aborted' }).waitFor({ timeout: 60_000 });
  await page.getByTestId('code').getByText('BUDGET_EXCEEDED').waitFor();
  await page.getByText('It gave up before its first step').waitFor();
  await house.shot(page, 'run-refused');
  await page.getByRole('link', { name: 'Look closer' }).click();
  await page.getByTestId('code').getByText('BUDGET_EXCEEDED').waitFor();
  assert.equal((await recordOf(page, id)).statements.filter(({ receipt }) => receipt.statement.kind === 'released').length, 0, 'no key left');
  quiet(page);
}

export async function the_receipt_of_a_completed_run_is_saved_and_the_command_line_verifies_it(house) {
  const page = await house.person('tdp3');
  const { runs } = await page.evaluate(async () => (await fetch('/v1/runs?limit=200')).json());
  const run = runs.at(-1);
  const taken = async (name) => {
    const file = join(house.dir, `${name}.receipt.json`);
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save the receipt' }).first().click()]);
    assert.equal(download.suggestedFilename(), `${run.run_id}.receipt.json`);
    await download.saveAs(file);
    return file;
  };
  await house.open(page, `/runs/${run.run_id}`);
  const card = page.locator('section', { has: page.getByRole('heading', { name: 'Receipt' }) });
  await card.locator('summary').click();
  const command = (await card.locator('pre code').textContent()).split(' ').slice(1);
  const files = [await taken('from-run')];
  await house.open(page, `/contracts/${run.contracts[0].id}`);
  await page.getByRole('link', { name: /^Run / }).first().waitFor();
  files.push(await taken('from-contract'));
  for (const file of files) {
    const words = command.map((word) => ({ [`${run.run_id}.receipt.json`]: file, 'trust.json': house.trustFile })[word] ?? word);
    assert.match(await program('depa', [...words, '--json']), /"run_completed"/);
  }
  quiet(page);
}

export async function how_far_an_instruction_is_and_how_it_ended_are_told_apart(house) {
  const page = await house.person('tdp');
  const { payments } = await page.evaluate(async () => (await fetch('/v1/payments')).json());
  const { instruction_id: id } = payments.find((one) => one.payee === house.people.tdp.did);
  // The real one first.
  await house.open(page, `/payments/${id}`);
  const way = page.getByRole('list', { name: 'The way of the instruction' });
  await way.getByText('settled').waitFor();
  for (const [state, standing, bad] of [['instructed', 'submitted', false], ['instructed', 'accepted', false], ['due', 'failed', true], ['due', 'returned', true]]) {
    await page.unroute('**/v1/payments*');
    await page.route('**/v1/payments*', async (route) => {
      const response = await route.fetch();
      const found = await response.json();
      await route.fulfill({ response, json: { ...found, payments: found.payments.map((one) => (one.instruction_id === id ? { ...one, state, standing } : one)) } });
    });
    await house.open(page, `/payments/${id}`);
    const now = way.locator('[aria-current=step]');
    await now.waitFor();
    assert.equal(await now.textContent(), standing);
    assert.equal(await way.locator('.bad').count(), bad ? 1 : 0);
    await page.getByText(standing === 'returned' ? 'came back, tried again' : standing === 'failed' ? 'failed, tried again' : 'payment told', { exact: true }).waitFor();
    await house.open(page, '/payments');
    await page.locator('tr', { has: page.locator(`a[href$="/payments/${id}"]`) }).getByText(standing, { exact: true }).waitFor();
  }
  await page.unroute('**/v1/payments*');
  quiet(page);
}
