// Screen 9: what the page verifies of a run by itself, each check failing by its name.
import assert from 'node:assert/strict';
import { quiet } from '../check.mjs';

const findings = (page) => page.locator('li[data-check]').evaluateAll((all) => Object.fromEntries(all.map((one) => [one.dataset.check, one.dataset.verdict])));

export async function a_run_is_verified_again_in_the_page_and_what_was_altered_is_named(house) {
  const page = await house.person('tdc');
  const { runs } = await page.evaluate(async () => (await fetch('/v1/runs')).json());
  const id = runs.at(-1).run_id;
  await house.open(page, `/runs/${id}/evidence`);
  await page.getByText('all of it holds').waitFor();
  assert.deepEqual(await findings(page), { inclusion: 'holds', checkpoint: 'holds', entry: 'holds', job: 'holds', completion: 'holds' });
  await page.getByText('Whether AMD made the chip').waitFor();
  await house.shot(page, 'evidence-verified');
  // A digest of other evidence, other checks, another key of the room: the entry does not say so.
  for (const change of [
    (record) => ({ ...record, evidence_sha256: 'ab'.repeat(32) }),
    (record) => ({ ...record, checks: record.checks.slice(1) }),
    (record) => ({ ...record, run: { ...record.run, assurance: 'hardware' } }),
  ]) {
    await page.unroute('**/record');
    await page.route('**/record', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: change(await response.json()) });
    });
    await page.reload();
    await page.getByText('Do not trust this run').waitFor();
    assert.equal((await findings(page)).entry, 'fails');
  }
  await page.unroute('**/record');
  // A file of evidence of somewhere else is held against the log, in the page alone.
  await page.reload();
  await page.getByText('all of it holds').waitFor();
  const sent = page.sent.length;
  await page.locator('input[type=file]').setInputFiles(new URL('../vectors/evidence.json', import.meta.url).pathname);
  await page.locator('li[data-check=quote_signature]').waitFor();
  const found = await findings(page);
  assert.deepEqual([found.evidence_sha256, found.report_data, found.quote_signature, found.job_pcr], ['fails', 'holds', 'holds', 'fails']);
  assert.equal(page.sent.length, sent, 'the file is sent nowhere');
  quiet(page);
}
