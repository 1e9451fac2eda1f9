// Screen 3: a table is profiled in the page, sealed by the provider's own tool, offered under a signature.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quiet } from '../check.mjs';

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
  await page.locator('input[type=file]').setInputFiles(table);
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
  await page.getByRole('button', { name: 'Next' }).click();
  const { datasets } = await house.get('/v1/datasets?limit=200');
  const own = datasets.map((one) => one.offer).find((offer) => offer.provider === house.people.tdp.did);
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
    const input = page.locator('input[type=file]');
    await input.setInputFiles([]);
    await input.setInputFiles({ name: 'sealed.json', mimeType: 'application/json', buffer: Buffer.from(content) });
  };
  const sealed = JSON.parse(readFileSync(record, 'utf8'));
  for (const altered of [{ ...sealed, kms: 'https://elsewhere.example' }, { ...sealed, manifest_root: 'no digest' }, { ...sealed, bytes: 1.5 }]) {
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
  assert.equal(test, `depa kms budget --kms ${key.kms} --key tdp.key`);
  await house.depa('tdp', 'kms', 'budget', '--kms', key.kms);
  // Croissant as the page shows it is what the service publishes.
  await page.getByText('Everything that catalogues will read').click();
  const preview = JSON.parse(await page.getByTestId('croissant').textContent());
  await house.shot(page, 'wizard-protection');
  await page.getByRole('button', { name: 'Sign the offer and publish' }).click();
  await page.getByRole('heading', { name: 'Data card' }).waitFor();
  await page.getByRole('heading', { name: 'Ages and results' }).waitFor();
  for (const { url, body } of page.sent) assert.ok(!body.includes(marker) && !body.includes('9800000'), `a cell was sent to ${url}`);
  quiet(page);
  // It stands in the register, and Croissant says the same.
  const listed = await house.get(`/v1/datasets/${sealed.dataset_id}`);
  assert.equal(listed.state, 'registered');
  const croissant = await house.get(`/v1/datasets/${sealed.dataset_id}/croissant`);
  assert.equal(croissant.name, 'Ages and results');
  assert.deepEqual(croissant, preview, 'the preview told the truth');
  // Its provider pauses it and goes on with it, each time by a signature.
  for (const [act, state] of [['Pause', 'suspended'], ['Resume', 'registered']]) {
    await page.getByRole('button', { name: act, exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason, one sentence').fill('the source is looked through');
    await dialog.getByRole('button', { name: act, exact: true }).click();
    await page.locator('.head .pill', { hasText: state }).waitFor();
    assert.equal((await house.get(`/v1/datasets/${sealed.dataset_id}`)).state, state);
  }
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
