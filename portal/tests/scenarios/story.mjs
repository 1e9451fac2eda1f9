// The whole story, each role in a browser profile of its own: come in, offer, compose, sign, run, pay, audit, with the real run.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quiet, until } from '../check.mjs';
import { overheard, program } from '../house.mjs';
import { job } from '../job.mjs';

/** All that streams of events may say, by the kind of the message: where things stand, and of a living run its step and ε. */
const NOTE = ['at', 'contract', 'contract.id', 'contract.sha256', 'dataset', 'index', 'kind', 'participant', 'run_id'];
const STEP = ['at', 'epsilon_micro', 'run_id', 'step', 'steps'];

const members = (value, under = '') => Object.entries(value).flatMap(([name, inner]) => [`${under}${name}`, ...(inner !== null && typeof inner === 'object' ? members(inner, `${under}${name}.`) : [])]);

/** An organisation applies in its browser, two people of the SRO let it in, and its first person makes a passkey. */
async function admitted(house, name) {
  const page = await house.profile();
  await house.open(page, '/register');
  await page.getByLabel('Legal name').fill(name);
  await page.getByRole('button', { name: 'Make a key' }).click();
  await page.getByRole('button', { name: 'Sign and apply' }).click();
  await page.getByText('Two people of the SRO decide').waitFor();
  const [asha, bela] = [await house.signer('sro'), await house.signer('sro2')];
  await house.open(asha, '/');
  await asha.getByRole('link', { name: `${name} applies for registration` }).click();
  await asha.getByRole('button', { name: `Decide about ${name}` }).click();
  await asha.getByRole('dialog').getByLabel('Reason, one sentence').fill('papers were seen');
  await asha.getByRole('button', { name: 'To the document' }).click();
  await asha.getByRole('button', { name: 'Sign', exact: true }).click();
  await asha.getByText('A second person must sign').waitFor();
  await house.open(bela, '/');
  await bela.getByRole('link', { name: `Second signature: Admit ${name}` }).click();
  const { participants: [{ did }] } = await house.get(`/v1/participants?limit=200&q=${encodeURIComponent(name)}`);
  await bela.getByRole('button', { name: `Read and sign: ${did}` }).click();
  await bela.getByRole('dialog').getByText(`Admit ${name}`).first().waitFor();
  await bela.getByRole('button', { name: 'Sign', exact: true }).click();
  await page.getByText('Your organisation is verified').waitFor();
  await page.getByLabel('Your name').fill('Gita');
  await page.getByRole('button', { name: 'Go on to your passkey' }).click();
  await page.getByRole('button', { name: 'Make a passkey' }).click();
  await page.getByRole('heading', { name: 'You are in' }).waitFor();
  for (const one of [asha, bela]) quiet(one);
  quiet(page, ['404']);
  return page;
}

/** A table is described in the page, sealed by the provider's own tool, and offered under a signature. */
async function offered(page, house, name) {
  const place = (file) => join(house.dir, `story.${file}`);
  writeFileSync(place('csv'), `mobile,age,positive\n${Array.from({ length: 100 }, (_, at) => `m${at},${20 + (at % 60)},${at % 2}`).join('\n')}\n`);
  const before = (await house.get('/v1/datasets?limit=200')).datasets.map(({ offer }) => offer);
  const { key } = await house.signedOffer(page, before.find((offer) => offer.provider === house.people.tdp.did).dataset_id);
  const next = () => page.getByRole('button', { name: 'Next' }).click();
  await house.open(page, '/datasets/new');
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill(name);
  for (const label of ['What it is', 'How it was collected', 'What it is not good for', 'Personal data in it']) await page.getByRole('textbox', { name: label, exact: true }).fill('Made for a test');
  await next();
  await page.locator('input[type=file]').first().setInputFiles(place('csv'));
  await page.getByText('3 columns in story.csv').waitFor();
  await next();
  await page.getByLabel('mobile: read').uncheck();
  await page.getByLabel('mobile: join').check();
  await page.getByLabel('positive: target').check();
  await page.getByLabel('positive: read').uncheck();
  for (const [column, lower, upper] of [['age', '0', '100'], ['positive', '0', '1']]) {
    await page.getByLabel(`Lower bound of ${column}`).fill(lower);
    await page.getByLabel(`Upper bound of ${column}`).fill(upper);
  }
  await next();
  await page.getByLabel('People in it').fill('100');
  await next();
  await page.getByLabel('Your key service').fill(key.kms);
  await page.getByRole('combobox', { name: 'Its key opens for' }).click();
  await page.getByRole('option', { name: 'SIMULATED evidence too' }).click();
  const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save the description' }).click()]);
  await saved.saveAs(place('json'));
  await house.depa('tdp', 'dataset', 'seal', place('json'), '--csv', place('csv'), '--out', place('depa'), '--record', place('sealed.json'));
  await page.locator('input[type=file]').first().setInputFiles(place('sealed.json'));
  await page.getByText('Sealed: manifest root').waitFor();
  await page.getByRole('button', { name: 'Sign the offer and publish' }).click();
  await page.getByRole('heading', { name }).waitFor();
  const { datasets } = await house.get('/v1/datasets?limit=200');
  assert.deepEqual(datasets.map(({ offer }) => offer.name).filter((one) => !before.some((offer) => offer.name === one)), [name], 'it stands in the register');
}

export async function three_providers_a_consumer_and_the_sro_go_from_coming_in_to_a_paid_run_and_a_verified_export(house) {
  // Come in, and offer.
  const newcomer = await admitted(house, 'Cohort Institute');
  const [consumer, auditor] = [await house.signer('tdc'), await house.person('sro')];
  const providers = [await house.signer('tdp'), await house.signer('tdp2'), await house.signer('tdp3')];
  const operator = await house.signer('ccrp');
  await offered(providers[0], house, 'Ages of the story');
  const everybody = [newcomer, consumer, auditor, operator, ...providers];
  const told = await Promise.all(everybody.map(overheard));
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
    const rows = providers[2].locator('tr', { hasText: `Run ${fresh.slice(-8)}` });
    return (await rows.count()) > 0 && (await rows.locator('.pill', { hasText: 'settled' }).count()) === (await rows.count());
  }, 30_000);
  // Audit.
  await house.open(auditor, '/audit');
  await auditor.locator('.pill', { hasText: 'Verified in your browser' }).waitFor();
  await auditor.getByRole('link', { name: 'run completed' }).first().waitFor();
  const spent = auditor.locator('section', { has: auditor.getByRole('heading', { name: 'Privacy ledger' }) }).locator('tbody tr td:nth-child(4)');
  await spent.nth(2).waitFor();
  for (const one of await spent.allTextContents()) assert.ok(Number(one) > 1 && Number(one) <= 3, `two runs together: ${one}`);
  // An entry is opened, proved, and everything verified once more by the auditor's own tool.
  await auditor.getByRole('link', { name: 'run completed' }).first().click();
  await auditor.getByText(/Verified in your browser: index \d+/).waitFor();
  const file = join(house.dir, 'story.jsonl');
  const [download] = await Promise.all([auditor.waitForEvent('download', { timeout: 60_000 }), auditor.getByRole('button', { name: 'Export with bodies' }).click()]);
  await download.saveAs(file);
  assert.equal(JSON.parse(await program('depa', ['audit', 'verify', file, '--trust', house.trustFile, '--json'])).verified, true);
  // Nobody was told a loss, a metric or a number of rows on the way: nothing but what the streams may say.
  for (const { kind, data } of told.flat()) {
    const allowed = kind === 'run_step' ? STEP : NOTE;
    assert.deepEqual(members(JSON.parse(data)).filter((name) => !allowed.includes(name)), [], `${kind}: ${data}`);
  }
  const kinds = new Set(told[everybody.indexOf(providers[1])].map(({ kind }) => kind));
  for (const kind of ['contract_proposed', 'run_checked_in', 'run_step', 'run_completed']) assert.ok(kinds.has(kind), `${kind} was told; ${[...kinds].join(' ')}`);
  assert.ok(told[everybody.indexOf(newcomer)].every(({ kind }) => kind !== 'run_step' && !kind.startsWith('contract_')), 'who has no part in it is told nothing of it');
  for (const page of [consumer, auditor, operator, ...providers]) quiet(page);
}
