// Screen 3: a table is profiled in the page, sealed by the provider's own tool, offered under a signature.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { quiet, until } from '../check.mjs';
import { program } from '../house.mjs';

const root = resolve(import.meta.dirname, '../../..');

export async function a_dataset_is_registered_and_no_cell_of_it_leaves_the_machine(house) {
  const marker = 'NEVER-SENT-7f3a';
  const rows = Array.from({ length: 200 }, (_, at) => `98${String(at).padStart(8, '0')},${20 + (at % 60)},${at % 2},${marker}-${at}`);
  const table = join(house.dir, 'ages.csv');
  writeFileSync(table, `mobile,age,positive,remark\n${rows.join('\n')}\n`);
  const page = await house.signer('tdp');
  await house.open(page, '/datasets/new');
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('Ages and results');
  for (const [label, words] of [['What it is', 'Made for a test'], ['How it was collected', 'By a generator'], ['What it is not good for', 'Anything else'], ['Personal data in it', 'None']]) {
    await page.getByRole('textbox', { name: label, exact: true }).fill(words);
  }
  await page.getByRole('button', { name: 'Next' }).click();
  await until('the heading of the step has the focus', () => page.evaluate(() => document.activeElement?.tagName === 'H2' && document.activeElement.textContent === 'File'));
  // What was typed outlives a reload, in this tab; it is dropped by a button.
  await page.reload();
  await page.getByText('What you typed here before is taken up again').waitFor();
  await page.getByRole('heading', { name: 'File', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Back' }).click();
  assert.equal(await page.getByRole('textbox', { name: 'Name', exact: true }).inputValue(), 'Ages and results');
  await page.getByRole('button', { name: 'Begin anew' }).waitFor();
  await page.getByRole('button', { name: 'Next' }).click();
  // Of Parquet a command tells the columns, and the page takes what it writes.
  const file = page.locator('input[type=file]').first();
  await file.setInputFiles({ name: 'ages.parquet', mimeType: 'application/octet-stream', buffer: Buffer.from('PAR1') });
  // The key service of the provider's newest offer is proposed again.
  const offered = (await house.get('/v1/datasets?limit=200')).datasets.map((one) => one.offer).filter((offer) => offer.provider === house.people.tdp.did);
  const usual = await house.signedOffer(page, offered.sort((a, b) => b.offered_at.localeCompare(a.offered_at))[0].dataset_id);
  const init = await page.locator('.terminal pre', { hasText: `--kms ${usual.key.kms} ` }).textContent();
  assert.equal(init, `depa dataset init ages.parquet --name 'Ages and results' --kms ${usual.key.kms} --people 1 --out dataset.toml --json > columns.json`);
  assert.equal(await page.getByRole('button', { name: 'Next' }).isDisabled(), true);
  const told = await program('depa', ['dataset', 'init', table, '--name', 'Ages and results', '--kms', 'https://kms.example', '--people', '1', '--out', join(house.dir, 'init.toml'), '--json']);
  await page.locator('input[type=file]').nth(1).setInputFiles({ name: 'columns.json', mimeType: 'application/json', buffer: Buffer.from(told) });
  await page.getByText('4 columns in ages.parquet').waitFor();
  await file.setInputFiles([]);
  await file.setInputFiles(table);
  await page.getByText('4 columns in ages.csv').waitFor();
  await page.getByRole('button', { name: 'Next' }).click();
  // Types were found; bounds are the provider's to say.
  assert.deepEqual(await page.locator('tbody tr td:nth-child(3)').allTextContents(), ['number', 'number', 'number', 'text']);
  await page.getByLabel('remark is sealed').uncheck();
  // Nobody invents a bound: what is read or predicted waits for both.
  const next = page.getByRole('button', { name: 'Next' });
  assert.equal(await next.isDisabled(), true);
  await page.getByLabel('Lower bound of age').fill('0');
  await page.getByLabel('Upper bound of age').fill('100');
  await page.getByText('mobile: say a lower bound').waitFor();
  await page.getByLabel('mobile: read').uncheck();
  await page.getByLabel('mobile: join').check();
  await page.getByLabel('positive: target').check();
  await page.getByLabel('positive: read').uncheck();
  await page.getByText('positive: say a lower bound').waitFor();
  await page.getByLabel('Lower bound of positive').fill('1');
  await page.getByLabel('Upper bound of positive').fill('1');
  assert.equal(await next.isDisabled(), true, 'a bound above itself');
  await page.getByLabel('Lower bound of positive').fill('0');
  await next.click();
  await page.getByLabel('People in it').fill('200');
  // What the register would refuse is told before anything is sealed.
  assert.equal(await page.getByLabel('TRAINING').isChecked(), true);
  for (const [label, wrong, right] of [['ε that all runs of one consumer may reveal', '1000', '2.9'], ['at this δ', '0.005', '0.0004'], ['Countries where these people live', 'India', 'in NP']]) {
    await page.getByLabel(label).fill(wrong);
    assert.equal(await next.isDisabled(), true, label);
    await page.getByLabel(label).fill(right);
    assert.equal(await next.isDisabled(), false, label);
  }
  const choose = async (label, option) => {
    await page.getByRole('combobox', { name: label, exact: true }).click();
    await page.getByRole('option', { name: option, exact: true }).click();
  };
  await choose('Price', 'for 30 days');
  await page.getByText('A price is above 0').waitFor();
  await page.getByLabel('Sum', { exact: true }).fill('2500');
  await page.getByLabel('Currency').fill('eur');
  await page.getByLabel('Days of a period').fill('90');
  const { datasets } = await house.get('/v1/datasets?limit=200');
  const own = datasets.map((one) => one.offer).find((offer) => offer.provider === house.people.tdp.did);
  await choose('Whose budget it is', `that of ${own.name}`);
  await house.shot(page, 'wizard-terms');
  await next.click();
  const { key } = await house.signedOffer(page, own.dataset_id);
  await page.getByLabel('Your key service').fill(key.kms);
  await page.getByRole('combobox', { name: 'Its key opens for' }).click();
  await page.getByRole('option', { name: 'SIMULATED evidence too' }).click();
  const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save the description' }).click()]);
  const description = join(house.dir, 'dataset.json');
  await saved.saveAs(description);
  // The command that is shown, in the folder of the house.
  const shown = await page.locator('.terminal pre', { hasText: 'depa dataset seal' }).textContent();
  assert.match(shown, /^depa dataset seal dataset\.json --csv ages\.csv --out ages\.depa --url file:\S+ --record sealed\.json --key \S+ --trust \S+$/);
  const [out, record] = [join(house.dir, 'ages.depa'), join(house.dir, 'sealed.json')];
  await house.depa('tdp', 'dataset', 'seal', description, '--csv', table, '--out', out, '--url', `file://${out}`, '--record', record);
  const take = async (content) => {
    const input = page.locator('input[type=file]').first();
    await input.setInputFiles([]);
    await input.setInputFiles({ name: 'sealed.json', mimeType: 'application/json', buffer: Buffer.from(content) });
  };
  const sealed = JSON.parse(readFileSync(record, 'utf8'));
  for (const altered of [{ ...sealed, kms: 'https://elsewhere.example' }, { ...sealed, manifest_root: 'no digest' }, { ...sealed, bytes: 1.5 }, { ...sealed, min_assurance: 'hardware' }, { ...sealed, version: 2 }, { ...sealed, schema: 'dataset-profile.v1' }, { ...sealed, manifest_root: sealed.manifest_root.replace(/^./, (first) => (first === '0' ? '1' : '0')) }]) {
    await take(JSON.stringify(altered));
    await page.getByText('MANIFEST_INVALID').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Sign the offer and publish' }).isDisabled(), true);
  }
  await take(JSON.stringify(sealed));
  await page.getByText('Sealed: manifest root').waitFor();
  // The record is of the key service that was described when it was taken in.
  await page.getByLabel('Your key service').fill('https://elsewhere.example');
  await page.getByText('was changed after the sealing').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Sign the offer and publish' }).isDisabled(), true);
  await page.getByLabel('Your key service').fill(key.kms);
  await page.getByText('Sealed: manifest root').waitFor();
  // The command that tests the key reference, against the provider's real key service.
  const test = await page.getByRole('group', { name: 'Test the key reference' }).locator('.terminal pre').textContent();
  assert.equal(test, `depa kms budget --kms ${key.kms} --key tdp.key\ndepa kms explain bundle.json --config kms.toml`);
  await page.getByRole('group', { name: 'Test the key reference' }).getByText('may get the key').first().waitFor();
  await house.depa('tdp', 'kms', 'budget', '--kms', key.kms);
  // Statistics that were made of this very table go along.
  await page.getByText('Statistics for everyone, if you like').click();
  const profile = await page.locator('.terminal pre', { hasText: 'depa dataset profile' }).textContent();
  assert.equal(profile, `depa dataset profile dataset.json --csv ages.csv --epsilon 0.1 --principal mobile --record sealed.json --kms ${key.kms} --key tdp.key --trust trust.json --out profile.json`);
  const statistics = join(house.dir, 'ages-profile.json');
  await house.depa('tdp', 'dataset', 'profile', description, '--csv', table, '--epsilon', '0.1', '--principal', 'mobile', '--record', record, '--kms', key.kms, '--out', statistics);
  // Statistics of which no ledger knows do not go along.
  const uncharged = JSON.stringify({ ...JSON.parse(readFileSync(statistics, 'utf8')), ledger: 'uncharged' });
  await page.locator('input[type=file]').nth(1).setInputFiles({ name: 'uncharged.json', mimeType: 'application/json', buffer: Buffer.from(uncharged) });
  await page.getByText('the registry refuses them').waitFor();
  await page.locator('input[type=file]').nth(1).setInputFiles([]);
  await page.locator('input[type=file]').nth(1).setInputFiles(statistics);
  await page.getByText('They go along: ε 0.1 of every person.').waitFor();
  // Croissant as the page shows it is what the service publishes.
  await page.getByText('Everything that catalogues will read').click();
  const preview = JSON.parse(await page.getByTestId('croissant').textContent());
  await house.shot(page, 'wizard-protection');
  await page.getByRole('button', { name: 'Sign the offer and publish' }).click();
  await page.getByRole('heading', { name: 'Data card' }).waitFor();
  assert.equal(await page.evaluate(() => Object.keys(sessionStorage).filter((one) => one.startsWith('depa-wizard')).length), 0, 'what is registered is kept no more');
  await page.getByRole('heading', { name: 'Ages and results' }).waitFor();
  for (const { url, body } of page.sent) assert.ok(!body.includes(marker) && !body.includes('9800000'), `a cell was sent to ${url}`);
  quiet(page);
  // It stands in the register, and Croissant says the same.
  const listed = await house.get(`/v1/datasets/${sealed.dataset_id}`);
  assert.equal(listed.state, 'registered');
  const croissant = await house.get(`/v1/datasets/${sealed.dataset_id}/croissant`);
  assert.equal(croissant.name, 'Ages and results');
  assert.deepEqual(croissant, preview, 'the preview told the truth');
  assert.deepEqual(croissant.spatialCoverage.map(({ name }) => name), ['IN', 'NP']);
  checked(house, preview);
  const offer = await house.signedOffer(page, sealed.dataset_id);
  assert.deepEqual([offer.family, offer.privacy_cap.epsilon, offer.privacy_cap.delta, offer.usage.purposes], [own.family, '2.9', '0.0004', ['TRAINING']]);
  const [{ kind, currency, amount_minor, pricing }] = offer.payment;
  assert.deepEqual([kind, currency, amount_minor, pricing], ['subscription', 'EUR', 250_000, { period_days: 90 }]);
  // A consumer reads the statistics, with what they cost; the list of all carries none.
  const consumer = await house.person('tdc');
  await house.open(consumer, `/datasets/${sealed.dataset_id}`);
  await consumer.getByText('Its provider says that the budget was charged with it.').waitFor();
  assert.equal(await consumer.getByTestId('statistics').locator('tbody tr').count(), 3);
  await consumer.getByText('IN, NP', { exact: true }).waitFor();
  await consumer.getByText(/2,500\.00 for 90 days$/).waitFor();
  await house.shot(consumer, 'dataset-statistics');
  const { datasets: all } = await house.get('/v1/datasets?limit=200');
  assert.ok(all.every((one) => one.offer.statistics === undefined));
  quiet(consumer);
  // Its provider pauses it and goes on with it, each time by a signature.
  for (const [act, state] of [['Pause', 'suspended'], ['Resume', 'registered']]) {
    await page.getByRole('button', { name: act, exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason, one sentence').fill('the source is looked through');
    await dialog.getByRole('button', { name: act, exact: true }).click();
    await page.locator('.head .pill', { hasText: state }).waitFor();
    assert.equal((await house.get(`/v1/datasets/${sealed.dataset_id}`)).state, state);
    if (state === 'registered') continue;
    // Everybody reads why it is paused.
    await house.open(consumer, `/datasets/${sealed.dataset_id}`);
    await consumer.getByTestId('why').getByText('the source is looked through').waitFor();
  }
}

/** mlcroissant takes the document, where `sh infra/interop.sh` has set it up. */
function checked(house, document) {
  const place = join(root, '.build/interop/croissant');
  if (!existsSync(join(place, 'made-of'))) {
    console.log('NOT RUN portal: mlcroissant over the wizard’s document; sh infra/interop.sh makes its environment');
    return;
  }
  const file = join(house.dir, 'croissant.json');
  writeFileSync(file, JSON.stringify(document));
  const told = execFileSync(join(place, 'bin/python'), [join(root, 'infra/interop/check_croissant.py'), file], { encoding: 'utf8' }).trim();
  // All that it says: no warning stands before what it found in the document.
  const fields = document.recordSet.flatMap(({ field }) => field).length;
  assert.equal(told, `${document.name}: ${document.distribution.length} files, ${fields} fields`);
}

export async function a_dataset_page_says_what_a_version_changed(house) {
  const page = await house.person('tdc');
  const { datasets } = await house.get('/v1/datasets?limit=200');
  const { offer } = datasets[0];
  // Two versions, as the service would list them.
  await page.route(`**/v1/datasets/${offer.dataset_id}/versions`, async (route) => {
    const response = await route.fetch();
    const { versions } = await response.json();
    const [first] = versions;
    const next = structuredClone(first);
    next.offer.offer_version = 2;
    next.offer.public_rows = 4321;
    next.offer.columns = next.offer.columns.slice(1);
    await route.fulfill({ response, json: { versions: [{ ...first, state: 'deprecated' }, next] } });
  });
  await house.open(page, `/datasets/${offer.dataset_id}`);
  await page.getByText('2 changes from the version before').click();
  const changes = page.getByTestId('version-changes');
  await changes.getByText('public_rows', { exact: true }).waitFor();
  await changes.getByText(new RegExp(`${offer.public_rows}.*4321`)).waitFor();
  await changes.getByText(`columns › ${offer.columns[0].name}`).waitFor();
  quiet(page);
}
