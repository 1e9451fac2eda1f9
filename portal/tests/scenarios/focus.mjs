// Where the keyboard is after a page has changed (WCAG 2.2 AA).
import assert from 'node:assert/strict';
import { quiet, until } from '../check.mjs';

export async function a_page_that_comes_late_is_read_from_its_title_on_and_a_reload_by_itself_moves_nobody(house) {
  const page = await house.person('tdc');
  const { contracts: [{ contract_id: contract }] } = await page.evaluate(async () => (await fetch('/v1/contracts')).json());
  const { runs: [{ run_id: run }] } = await page.evaluate(async () => (await fetch('/v1/runs')).json());
  const { payments: [{ instruction_id: payment }] } = await page.evaluate(async () => (await fetch('/v1/payments')).json());
  const { datasets: [{ offer: { dataset_id: dataset } }] } = await house.get('/v1/datasets?limit=1');
  const focused = () => page.evaluate(() => document.activeElement?.id ?? '');
  for (const [list, path, reads] of [
    ['/contracts', `/contracts/${contract}`, `**/v1/contracts/${contract}`],
    ['/runs', `/runs/${run}`, `**/v1/runs/${run}/record`],
    ['/datasets', `/datasets/${dataset}`, `**/v1/datasets/${dataset}/versions`],
    ['/payments', `/payments/${payment}`, undefined],
  ]) {
    await house.open(page, list);
    const link = page.locator(`main a[href$="${path}"]`).first();
    await link.waitFor();
    // What the page reads comes late.
    let [come, held] = [() => undefined, Promise.resolve()];
    if (reads !== undefined) {
      held = new Promise((done) => (come = done));
      await page.route(reads, async (route) => {
        await held;
        await route.continue();
      });
    }
    await link.focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/portal${path}`);
    come();
    await until(`the title of ${path} has the focus`, async () => (await focused()) === 'title');
    if (reads !== undefined) await page.unroute(reads);
  }
  // Who went on reads on, whatever comes anew.
  const back = page.getByRole('navigation', { name: 'Where you are' }).getByRole('link').first();
  await back.focus();
  await page.evaluate(() => window.dispatchEvent(new Event('visibilitychange')));
  await page.waitForTimeout(500);
  assert.equal(await back.evaluate((node) => node === document.activeElement), true);
  // A page that is refused has its title as well.
  await house.open(page, '/disputes/dsp_0190a000-0000-7000-8000-00000000ffff');
  await page.getByRole('heading', { name: 'Dispute', level: 1 }).waitFor();
  await page.getByRole('alert').filter({ hasText: 'DISPUTE_UNKNOWN' }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Try again' }).count(), 0, 'what is not there is not there a second time');
  // An address that is none of the page's says so, and leads on.
  await house.open(page, '/datasheets');
  await page.getByRole('heading', { name: 'There is no such page', level: 1 }).waitFor();
  await page.getByRole('main').getByRole('link', { name: 'Datasets' }).click();
  await page.getByRole('heading', { name: 'Datasets', level: 1 }).waitFor();
  quiet(page, ['404 (Not Found)']);
}
