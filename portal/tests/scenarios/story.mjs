// The whole story, each role in a browser profile of its own: compose, sign, run, pay, audit, with the real run.
import assert from 'node:assert/strict';
import { quiet, until } from '../check.mjs';
import { job } from '../job.mjs';

export async function three_providers_a_consumer_and_the_sro_go_from_a_contract_to_a_paid_and_audited_run(house) {
  const [consumer, auditor] = [await house.signer('tdc'), await house.person('sro')];
  const providers = [await house.signer('tdp'), await house.signer('tdp2'), await house.signer('tdp3')];
  const operator = await house.signer('ccrp');
  // Compose.
  await house.open(consumer, '/datasets');
  const buttons = consumer.locator('.card.link .above button');
  await buttons.first().waitFor();
  for (let at = 0; at < 3; at += 1) await buttons.nth(at).click();
  await consumer.getByRole('link', { name: 'Contract over 3 datasets' }).click();
  await consumer.getByLabel(/^ε of /).nth(2).waitFor();
  for (const grant of await consumer.getByLabel(/^ε of /).all()) await grant.fill('1.0');
  await consumer.getByLabel('Price of the room, per run').fill('2000');
  await consumer.getByRole('button', { name: 'Check every rule' }).click();
  await consumer.getByText('says yes').waitFor();
  await consumer.getByLabel('I have read the contract').check();
  await consumer.getByRole('button', { name: 'Sign and propose' }).click();
  await consumer.getByRole('heading', { name: /^Contract: / }).waitFor();
  const id = consumer.url().split('/').at(-1);
  // Sign, each alone in a browser of its own.
  for (const page of [...providers, operator]) {
    await house.open(page, `/contracts/${id}`);
    await page.getByLabel('I have read the contract').check();
    await page.getByRole('button', { name: 'Sign this contract' }).click();
    await page.getByText(/You have signed|Save the signed bundle/).first().waitFor();
  }
  await consumer.locator('.head .pill', { hasText: 'active' }).waitFor();
  const view = await consumer.evaluate(async (name) => (await fetch(`/v1/contracts/${name}`)).json(), id);
  const contract = JSON.parse(Buffer.from(view.contract.payload, 'base64url'));
  // Run: the pages notice by themselves.
  const bundle = await job(house, contract, 'story');
  const known = await consumer.evaluate(async () => (await (await fetch('/v1/runs')).json()).runs.map((run) => run.run_id));
  await house.open(providers[0], '/runs');
  const before = await providers[0].locator('tbody tr').count();
  await house.depa('tdc', 'run', 'start', bundle);
  await until('the run appears without a reload', async () => (await providers[0].locator('tbody tr').count()) > before, 60_000);
  const fresh = await until('the run is listed', () => consumer.evaluate(async (old) => (await (await fetch('/v1/runs')).json()).runs.map((run) => run.run_id).find((one) => !old.includes(one)), known), 30_000);
  await house.open(providers[1], `/runs/${fresh}`);
  const [seen, live] = [new Set(), []];
  await until('the run completes on the open page', async () => {
    const now = await providers[1].locator('[aria-current=step]').textContent().catch(() => null);
    if (now) seen.add(now);
    const told = await providers[1].evaluate(() => [document.querySelector('[data-testid=step]')?.textContent, document.querySelector('[data-testid=step-epsilon]')?.textContent]);
    if (told[0]) live.push(told.map((text) => Number(/[\d,]+(\.\d+)?/.exec(text ?? '')?.[0].replaceAll(',', ''))));
    return now === 'completed';
  }, 90_000);
  // The step came by itself, from the stream of events alone; ε never falls.
  assert.ok(live.length > 0, `a step was shown while it trained; seen: ${[...seen].join(', ')}`);
  for (const [at, [step, epsilon]] of live.entries()) {
    assert.ok(step >= 1 && step <= 3000 && epsilon > 0 && epsilon <= 1.01, `step ${step}, ε ${epsilon}`);
    if (at > 0) assert.ok(step >= live[at - 1][0] && epsilon >= live[at - 1][1], 'forwards alone');
  }
  await providers[1].getByTestId('trace').getByTestId('chart-now').getByText('for all steps').waitFor();
  await house.shot(providers[1], 'story-run');
  // Pay.
  await house.open(providers[2], '/payments');
  await until('what this run owes is settled', async () => {
    const rows = providers[2].locator('tr', { hasText: fresh.slice(4, 12) });
    return (await rows.count()) > 0 && (await rows.locator('.pill', { hasText: 'settled' }).count()) === (await rows.count());
  }, 30_000);
  // Audit.
  await house.open(auditor, '/audit');
  await auditor.locator('.pill', { hasText: 'Verified in your browser' }).waitFor();
  await auditor.getByRole('link', { name: 'run completed' }).first().waitFor();
  const spent = auditor.locator('section', { has: auditor.getByRole('heading', { name: 'Privacy ledger' }) }).locator('tbody tr td:nth-child(4)');
  await spent.nth(2).waitFor();
  for (const one of await spent.allTextContents()) assert.ok(Number(one) > 1 && Number(one) <= 3, `two runs together: ${one}`);
  for (const page of [consumer, auditor, operator, ...providers]) quiet(page);
}
