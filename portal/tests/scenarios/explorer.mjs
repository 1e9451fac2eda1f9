// Screen 10: what is found in the log, by whom it is about and under which address; the ledger; narrow pages.
import assert from 'node:assert/strict';
import { quiet, settled, until } from '../check.mjs';

/** Waits until the page of the log that the address names is listed. */
async function turned(page) {
  await until('the page of the log is listed', async () => {
    const at = new URL(page.url()).searchParams.get('page');
    const all = await rows(page).evaluateAll((found) => found.map((row) => Number(row.dataset.index)));
    return at === null || all.every((index) => Math.floor(index / 256) === Number(at));
  });
}

/** To the first page of the log. */
async function oldest(page) {
  await page.getByRole('heading', { name: 'Entries', exact: true }).waitFor();
  const older = page.getByRole('button', { name: 'Older' });
  // A log of one page has none.
  while ((await older.count()) > 0 && (await older.isEnabled())) {
    await older.click();
    await turned(page);
  }
}

/** Lists all entries that are looked for: at first there are the newest few. */
async function whole(page) {
  const more = page.getByRole('button', { name: /^Show all/ });
  if (await more.isVisible()) await more.click();
}

const rows = (page) => page.locator('tbody tr[data-index]');

/** Every entry that is listed, by index and kind, over all pages of the log from the oldest on. */
async function listed(page) {
  await oldest(page);
  const all = [];
  for (;;) {
    await whole(page);
    all.push(...(await rows(page).evaluateAll((found) => found.map((row) => ({ index: Number(row.dataset.index), kind: row.cells[1].textContent, who: row.cells[2].textContent })))));
    const newer = page.getByRole('button', { name: 'Newer' });
    if ((await newer.count()) === 0 || !(await newer.isEnabled())) return all;
    await newer.click();
    await turned(page);
  }
}

/** The name of what has the focus, and the entry in whose row that stands. */
const focused = (page) => page.evaluate(() => ({ name: document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent, row: document.activeElement?.closest('tr')?.dataset.index }));

const verified = (page) => page.locator('.pill', { hasText: 'Verified in your browser' });

export async function entries_are_found_by_party_and_contract_and_a_query_is_kept(house) {
  const page = await house.person('tdp');
  await house.open(page, '/audit');
  await verified(page).waitFor();
  await page.getByRole('combobox', { name: 'Party' }).click();
  await page.getByRole('option', { name: /^Clean Rooms/ }).click();
  await page.waitForURL(/party=did/);
  // What is public of it, and what the party's own contracts and runs say: the proposal, its signatures, the run; nothing of others.
  await until('entries about the party alone', async () => {
    const kinds = (await listed(page)).map(({ kind }) => kind);
    return kinds.length > 3 && kinds.every((kind) => /participant|contract|run|key service|model|payment|dispute|escrow/.test(kind)) && ['run checked in', 'run told its progress', 'participant decided'].every((kind) => kinds.includes(kind));
  });
  await page.getByLabel('Name of the query').fill('rooms');
  await page.getByRole('button', { name: 'Keep this query' }).click();
  const count = (await listed(page)).length;
  await house.open(page, '/audit');
  await verified(page).waitFor();
  await page.getByRole('combobox', { name: 'Saved queries' }).click();
  await page.getByRole('option', { name: 'rooms' }).click();
  await page.waitForURL(/party=did/);
  await until('the same entries again', async () => (await listed(page)).length === count);
  quiet(page);
}

export async function a_contracts_whole_story_stands_under_an_address_with_who_acted(house) {
  const page = await house.person('sro');
  const { runs } = await page.evaluate(async () => (await fetch('/v1/runs?limit=200')).json());
  const { contracts, run_id: run } = runs.at(-1);
  await house.open(page, `/audit?contract=${contracts[0].id}`);
  await verified(page).waitFor();
  // Also what names the run, the instruction or the dispute alone; nothing of the register.
  const wanted = ['contract proposed', 'contract signed', 'run ordered', 'run checked in', 'key service stated', 'run told its progress', 'run completed', 'payment answered'];
  const found = await until('the whole story', async () => {
    const all = await listed(page);
    return wanted.every((kind) => all.some((entry) => entry.kind === kind)) && all;
  });
  const { entries } = await page.evaluate(async (id) => (await fetch(`/v1/log/entries?contract=${id}`)).json(), contracts[0].id);
  assert.deepEqual(found.map(({ index }) => index).sort((a, b) => a - b), entries);
  assert.ok(found.every(({ kind }) => !/participant|dataset|image set|read by an overseer/.test(kind)));
  // Names come after the entries themselves.
  await until('each entry names who', async () => {
    const all = await listed(page);
    return wanted.every((kind) => /^(?!did:|It concerns)\S/.test(all.find((entry) => entry.kind === kind)?.who ?? ''));
  });
  assert.ok(page.sent.every(({ url }) => !url.includes('/v1/audit/export')), 'no body was read for it');
  // Opened: what it names are ways there. The address holds it, and the focus comes back from it.
  await page.getByRole('link', { name: 'run completed' }).first().click();
  await page.waitForURL(/contract=ctr_.*entry=\d+/);
  const opened = page.getByRole('region', { name: /^Entry \d+$/ });
  await until('the entry has the focus', async () => /^Entry \d+$/.test((await focused(page)).name));
  await opened.getByRole('link', { name: `Run ${run.slice(-8)}` }).waitFor();
  assert.equal(await opened.getByRole('link', { name: `Run ${run.slice(-8)}` }).getAttribute('href'), `/portal/runs/${run}`);
  assert.equal(await opened.getByRole('link', { name: /^Contract …/ }).first().getAttribute('href'), `/portal/contracts/${contracts[0].id}`);
  assert.ok((await opened.getByRole('link', { name: /^Payment / }).count()) > 0, 'what it owes');
  const index = new URL(page.url()).searchParams.get('entry');
  await page.reload();
  await opened.waitFor();
  await opened.getByRole('button', { name: 'Close' }).click();
  await until('the focus is back in its row', async () => (await focused(page)).row === index || (await rows(page).locator(`a[href*="entry=${index}"]`).count()) === 0);
  assert.ok(!page.url().includes('entry='));
  // What was looked for before is a step back.
  await page.getByRole('combobox', { name: 'Kind' }).click();
  await page.getByRole('option', { name: 'run ordered' }).click();
  await page.waitForURL(/kind=run_ordered/);
  await until('orders alone', async () => (await rows(page).locator('td:nth-child(2)').allTextContents()).every((kind) => kind === 'run ordered'));
  await page.goBack();
  await page.waitForURL((url) => !url.search.includes('kind='));
  await until('all of it again', async () => (await rows(page).count()) > 1);
  // Of what is not there the page says so.
  await house.open(page, '/audit?contract=ctr_01900000-0000-7000-8000-0000000000ff');
  await page.getByRole('alert').filter({ hasText: 'CONTRACT_UNKNOWN' }).waitFor();
  await page.getByText('No entry of the log tells you of this.').waitFor();
  await page.getByRole('button', { name: 'Look for everything' }).click();
  await rows(page).first().waitFor();
  quiet(page, ['404']);
}

export async function what_overseers_read_is_left_out_and_counted_until_somebody_asks_for_it(house) {
  const page = await house.person('sro');
  const { contracts } = await page.evaluate(async () => (await fetch('/v1/contracts')).json());
  await house.open(page, `/contracts/${contracts[0].contract_id}`);
  await settled(page);
  await house.open(page, '/audit');
  await verified(page).waitFor();
  const shown = page.getByRole('checkbox', { name: /^Show readings by overseers \([1-9]\d* on this page\)$/ });
  await shown.waitFor();
  const readings = () => rows(page).locator('td:nth-child(2)', { hasText: 'read by an overseer' }).count();
  assert.equal(await readings(), 0);
  await shown.focus();
  await page.keyboard.press('Space');
  await page.waitForURL(/readings=shown/);
  await until('readings are listed', async () => (await readings()) > 0);
  const first = rows(page).filter({ hasText: 'read by an overseer' }).first();
  await first.getByRole('link', { name: /^entry \d+ of the log$/ }).waitFor();
  assert.match(await first.locator('td:nth-child(3)').textContent(), /^(?!did:)\S/, 'who read it');
  assert.equal(await first.locator('.pill.good').count(), 1, 'and it is proved as every entry');
  await page.reload();
  await until('the address remembers it', async () => (await readings()) > 0);
  quiet(page);
}

export async function on_a_narrow_page_each_row_is_a_card_and_nothing_is_wider_than_the_page(house) {
  const page = await house.person('sro', { viewport: { width: 320, height: 700 } });
  for (const path of ['/audit', '/runs', '/contracts', '/payments']) {
    await house.open(page, path);
    await settled(page);
    const table = page.locator('table.data').first();
    await table.locator('tbody tr').first().waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${path} is ${wide} px too wide`);
    const cells = await table.locator('tbody tr').first().evaluate((row) => [...row.cells].map((cell) => ({ label: cell.dataset.label, said: getComputedStyle(cell, '::before').content, display: getComputedStyle(cell).display, role: cell.getAttribute('role') })));
    const heads = await table.locator('thead th').evaluateAll((all) => all.map((head) => head.textContent));
    for (const [at, { label, said, display, role }] of cells.entries()) {
      assert.ok(['block', 'none'].includes(display), `${path}: ${display}`);
      if (label === '') continue;
      assert.deepEqual([label, said, role === 'cell' || role === 'rowheader'], [heads[at], `"${heads[at]}"`, true], path);
    }
  }
  await house.shot(page, 'audit-narrow');
  quiet(page);
}

export async function the_ledger_shows_what_each_consumer_spent(house) {
  const page = await house.person('sro');
  await house.open(page, '/audit');
  const ledger = page.locator('section', { has: page.getByRole('heading', { name: 'Privacy ledger' }) });
  await ledger.locator('tbody tr').nth(2).waitFor();
  const spent = await ledger.locator('tbody tr td:nth-child(4)').allTextContents();
  for (const one of spent) assert.ok(Math.abs(Number(one) - Number(house.report.privacy.epsilon)) < 0.001, one);
  // Facets of datasets, consumers and how much is used, each with its count.
  await ledger.locator('summary', { hasText: 'Dataset' }).click();
  await ledger.getByLabel('vaccinations (cowin) (1)').check();
  assert.equal(await ledger.locator('tbody tr').count(), 1);
  await ledger.locator('summary', { hasText: 'ε used' }).click();
  await ledger.getByLabel('up to 50 % (1)').waitFor();
  // From a line of it to the entries that it is made of: the offer with the cap, what key services stated of each run of this
  // consumer, alone or in a completion, and the contracts between them.
  await ledger.getByRole('link', { name: /^Its entries.*vaccinations \(cowin\)/ }).click();
  await page.waitForURL(/dataset=dst_.*party=did|party=did.*dataset=dst_/);
  await until('its entries alone', async () => {
    const kinds = (await listed(page)).map(({ kind }) => kind);
    return ['dataset registered', 'contract proposed', 'key service stated', 'run completed'].every((kind) => kinds.includes(kind)) && !kinds.includes('participant applied');
  });
}
