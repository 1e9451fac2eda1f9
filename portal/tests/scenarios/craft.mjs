// Every page: no serious finding of axe in both colour schemes, screenshots for review; size; printing; language.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findings, quiet, settled } from '../check.mjs';
import { program } from '../house.mjs';

const dist = resolve(import.meta.dirname, '../../dist');

async function pages(page, house) {
  const { runs } = await page.evaluate(async () => (await fetch('/v1/runs')).json());
  const { contracts } = await page.evaluate(async () => (await fetch('/v1/contracts')).json());
  const { payments } = await page.evaluate(async () => (await fetch('/v1/payments')).json());
  const { disputes } = await page.evaluate(async () => (await fetch('/v1/disputes')).json());
  const { datasets } = await house.get('/v1/datasets?limit=10');
  const dataset = datasets[0].offer.dataset_id;
  const run = runs.at(-1).run_id;
  return {
    home: '/', datasets: '/datasets', dataset: `/datasets/${dataset}`, contracts: '/contracts',
    contract: `/contracts/${contracts[0].contract_id}`, compose: '/contracts/new', wizard: '/datasets/new', runs: '/runs', run: `/runs/${run}`,
    evidence: `/runs/${run}/evidence`, audit: '/audit', payments: '/payments', keys: '/keys',
    ...(payments.length > 0 ? { payment: `/payments/${payments[0].instruction_id}` } : {}),
    ...(disputes.length > 0 ? { dispute: `/disputes/${disputes[0].dispute_id}` } : {}),
  };
}

/** Two datasets in the basket, so that the composer has everything to show. */
async function filled(page, house) {
  await house.open(page, '/datasets');
  const buttons = page.locator('.card.link .above button');
  await buttons.nth(1).waitFor();
  for (const at of [0, 1]) await buttons.nth(at).click();
  await page.getByRole('link', { name: 'Contract over 2 datasets' }).waitFor();
}

/** What a page shows late, beside what it reads first. */
const LATE = {
  compose: async (page) => {
    await page.getByLabel(/^ε of /).nth(1).waitFor();
    await page.getByRole('img', { name: /ε after each step/ }).waitFor();
    await page.getByTestId('digest').waitFor();
  },
};

/** Every command that pages show, found on the way through them. */
const commands = new Set();

async function looked_at(house, scheme) {
  const bad = [];
  const look = async (page, path, shot) => {
    await house.open(page, path);
    await LATE[shot]?.(page);
    await settled(page);
    for (const finding of await findings(page)) bad.push(`${path}: ${finding}`);
    for (const shown of await page.locator('.terminal pre').allTextContents()) for (const line of shown.split('\n')) commands.add(line);
    await house.shot(page, `${shot}-${scheme}`);
  };
  const options = { colorScheme: scheme, bypassCSP: true };
  const consumer = await house.signer('tdc', options);
  await filled(consumer, house);
  for (const [shot, path] of Object.entries(await pages(consumer, house))) await look(consumer, path, shot);
  const stranger = await house.profile(options);
  for (const [shot, path] of [['sign-in', '/'], ['register', '/register'], ['enrol', '/enrol#x']]) await look(stranger, path, shot);
  const sro = await house.signer('sro', options);
  for (const [shot, path] of [['admin', '/admin'], ['audit-sro', '/audit'], ['contracts-sro', '/contracts']]) await look(sro, path, shot);
  assert.deepEqual(bad, []);
}

export const every_page_is_without_a_serious_finding_of_axe_in_the_light_scheme = (house) => looked_at(house, 'light');
export const every_page_is_without_a_serious_finding_of_axe_in_the_dark_scheme = (house) => looked_at(house, 'dark');

/** Options that the usage asks for whatever else is given; of those between bars one is enough, and none is looked for. */
const required = (help) => (/^Usage: (.*)$/m.exec(help)?.[1] ?? '').replace(/\[[^\]]*\]/g, '').match(/(?<= )--[a-z-]+/g) ?? [];

export async function the_commands_that_pages_show_are_those_of_depa(house) {
  const page = await house.person('tdp');
  for (const path of ['/', '/datasets/new', '/payments', '/keys']) {
    await house.open(page, path);
    await settled(page);
    for (const shown of await page.locator('.terminal pre').allTextContents()) for (const line of shown.split('\n')) commands.add(line);
  }
  assert.ok(commands.size >= 4, 'pages show commands');
  for (const command of commands) {
    const words = command.split(' ').slice(1);
    const verbs = words.slice(0, words.findIndex((word) => !/^[a-z][a-z-]*$/.test(word)));
    const help = await program('depa', [...verbs, '--help']).catch((error) => assert.fail(`${command}: ${error.stderr}`));
    assert.equal(command.split(' ')[0], 'depa');
    for (const flag of words.filter((word) => word.startsWith('--'))) assert.ok(help.includes(flag), `${command}: no ${flag}`);
    if (!words.includes('--help')) for (const flag of required(help)) assert.ok(words.includes(flag), `${command}: ${flag} is missing`);
  }
}

export async function a_recovery_key_is_the_next_step_and_home_reminds_of_it_where_it_was_put_off(house) {
  const page = await house.signer('ccrp');
  const step = page.locator('section', { has: page.getByRole('heading', { name: 'Recovery', exact: true }) });
  await step.getByText('next step').waitFor();
  await step.getByText('Only one key signs for you').waitFor();
  await step.getByRole('button', { name: 'Put it off: I accept that I may lose my only key' }).click();
  await step.getByText('next step').waitFor({ state: 'detached' });
  await page.reload();
  await page.getByText('Only one key signs for you').waitFor();
  assert.equal(await step.getByText('next step').count(), 0, 'put off is put off');
  await house.open(page, '/');
  await page.locator('.todo li:not(.done)').getByRole('link', { name: 'Make a recovery key' }).click();
  await page.getByRole('button', { name: 'Do it now' }).click();
  await step.getByText('next step').waitFor();
  quiet(page);
}

export async function all_script_is_at_most_300_kB_packed(house) {
  const files = readdirSync(join(dist, 'assets')).filter((name) => name.endsWith('.js.gz'));
  const bytes = files.reduce((sum, name) => sum + readFileSync(join(dist, 'assets', name)).length, 0);
  console.log(`portal: ${files.length} scripts, ${(bytes / 1000).toFixed(1)} kB packed`);
  assert.ok(bytes <= 300_000, `${bytes} bytes`);
  const index = await (await fetch(`${house.url}/portal/`)).text();
  const script = /src="([^"]+\.js)"/.exec(index)[1];
  const served = await fetch(house.url + script, { headers: { 'accept-encoding': 'gzip' } });
  assert.match(served.headers.get('cache-control'), /immutable/);
  assert.equal(served.headers.get('content-encoding'), 'gzip');
}

export async function a_contract_prints_without_the_frame_of_the_page(house) {
  const page = await house.person('tdc');
  const { contracts } = await page.evaluate(async () => (await fetch('/v1/contracts')).json());
  await house.open(page, `/contracts/${contracts[0].contract_id}`);
  await page.getByTestId('digest').waitFor();
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.locator('.rail').isVisible(), false);
  assert.equal(await page.getByTestId('digest').isVisible(), true);
}

export async function colours_change_under_the_policy_and_paper_is_never_dark(house) {
  const page = await house.person('tdc');
  for (const [now, next] of [['as the system', 'light'], ['light', 'dark']]) {
    await page.getByRole('button', { name: `Colours: ${now}` }).click();
    await page.locator(`html[data-mantine-color-scheme="${next}"]`).waitFor({ state: 'attached' });
  }
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.notEqual(await paper(), 'rgb(255, 255, 255)');
  await page.emulateMedia({ media: 'print' });
  assert.equal(await paper(), 'rgb(255, 255, 255)');
  quiet(page);
}

export async function the_page_speaks_hindi_with_letters_of_its_own_and_is_loaded_with_it_alone(house) {
  const page = await house.person('tdc');
  const fonts = () => page.sent.filter(({ url }) => /\.woff2?$/.test(new URL(url).pathname)).length;
  const texts = () => page.sent.filter(({ url }) => /\/hi\.json$/.test(new URL(url).pathname)).length;
  await settled(page);
  assert.deepEqual([fonts(), texts()], [0, 0], 'English loads none of it');
  await page.getByRole('button', { name: 'हिन्दी' }).click();
  await page.getByRole('heading', { name: 'मुखपृष्ठ' }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'hi');
  await page.evaluate(() => document.fonts.ready);
  assert.ok(await page.evaluate(() => document.fonts.check('16px "Noto Sans Devanagari"', 'मुखपृष्ठ')), 'the font is there');
  assert.ok(fonts() > 0 && texts() === 1);
  for (const path of ['/datasets', '/keys', '/datasets/new']) {
    await house.open(page, path);
    await settled(page);
    assert.match(await page.locator('h1').textContent(), /[\u0900-\u097f]/, path);
    await house.shot(page, `hindi${path.replaceAll('/', '-')}`);
  }
  quiet(page);
  await page.getByRole('button', { name: 'English' }).click();
  await page.getByRole('heading', { name: /./, level: 1 }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
}
