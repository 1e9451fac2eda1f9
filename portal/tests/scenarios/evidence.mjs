// Screen 9: what the page verifies of a run by itself, each check failing by its name.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { quiet } from '../check.mjs';
import { program } from '../house.mjs';

const VECTOR = new URL('../vectors/evidence.json', import.meta.url).pathname;

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
  await page.locator('input[type=file]').setInputFiles(VECTOR);
  await page.locator('li[data-check=quote_signature]').waitFor();
  const found = await findings(page);
  assert.deepEqual([found.evidence_sha256, found.report_data, found.quote_signature, found.job_pcr], ['fails', 'holds', 'holds', 'fails']);
  assert.equal(page.sent.length, sent, 'the file is sent nowhere');
  quiet(page);
}

export async function every_check_of_every_key_service_is_shown_and_the_command_fits_the_run(house) {
  const page = await house.person('tdp2');
  const { runs } = await page.evaluate(async () => (await fetch('/v1/runs')).json());
  const id = runs.at(-1).run_id;
  const record = await page.evaluate(async (run) => (await fetch(`/v1/runs/${run}/record`)).json(), id);
  // On the run's own page: the service and each provider, check by check.
  await house.open(page, `/runs/${id}`);
  const verdicts = page.getByTestId('verdicts');
  await verdicts.locator('> li').nth(3).waitFor();
  assert.equal(await verdicts.locator('> li').count(), 4);
  await verdicts.locator('summary').nth(1).click();
  const stated = record.statements.find((one) => one.receipt.statement.kind === 'released').receipt;
  assert.ok(stated.checks.includes('signature') && stated.checks.length > 20, stated.checks.join(' '));
  await verdicts.locator('details[open]').getByText('quote signature').waitFor();
  await house.open(page, `/runs/${id}/evidence`);
  const decisions = page.getByTestId('decisions');
  await decisions.locator('tbody tr').nth(8).waitFor();
  assert.equal(await decisions.locator('tbody tr').count(), record.statements.length);
  assert.equal(await decisions.locator('tr', { hasText: 'committed' }).getByText('asks for no evidence').count(), 3);
  assert.equal(await decisions.locator('tr', { hasText: 'released' }).getByText(/\d+ checks passed/).count(), 3);
  // Software evidence has no platform, and the page says so.
  await page.getByText('None: the software attester makes one up').waitFor();
  const card = page.locator('section', { has: page.getByRole('heading', { name: 'What this page cannot check' }) });
  const command = await card.locator('pre code').textContent();
  assert.match(command, / --software-root [0-9a-f]{64}$/);
  const set = join(house.dir, 'image-set.json');
  const [download] = await Promise.all([page.waitForEvent('download'), card.getByRole('button', { name: 'Save image-set.json' }).click()]);
  await download.saveAs(set);
  await house.shot(page, 'evidence-decisions');
  // The command is one that runs: evidence of another machine is judged, and refused, by the name of each check.
  const words = command.split(' ').slice(1).map((word) => ({ 'evidence.json': VECTOR, 'image-set.json': set })[word] ?? word);
  const refused = await program('depa', words).then(() => assert.fail('evidence of another room is refused'), (error) => error);
  assert.equal(refused.code, 7, refused.stderr);
  assert.match(refused.stdout, /FAIL +image_set/);
  quiet(page);
}

export async function a_corrupted_report_is_named_by_its_check(house) {
  const page = await house.person('ccrp');
  const { runs } = await page.evaluate(async () => (await fetch('/v1/runs')).json());
  await house.open(page, `/runs/${runs.at(-1).run_id}/evidence`);
  await page.getByText('all of it holds').waitFor();
  const whole = JSON.parse(readFileSync(VECTOR, 'utf8'));
  const spoilt = (at) => {
    const bytes = Buffer.from(whole.report, 'base64url');
    bytes[at] ^= 1;
    return { ...whole, report: bytes.toString('base64url') };
  };
  const judged = async (evidence) => {
    await page.reload();
    await page.getByText('all of it holds').waitFor();
    await page.locator('input[type=file]').setInputFiles({ name: 'evidence.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(evidence)) });
    await page.locator('li[data-check=transcript]').waitFor();
    return findings(page);
  };
  const good = await judged(whole);
  assert.deepEqual([good.report_data, good.signature], ['holds', 'holds']);
  await page.getByText('microcode').waitFor();
  await page.getByText('by SEV-Milan, until').waitFor();
  // A byte of the report data, of the measurement and of the TCB: the chip signed none of them.
  for (const [at, name] of [[32 + 0x50, 'report_data'], [32 + 0x90, 'signature'], [32 + 0x187, 'signature']]) {
    const found = await judged(spoilt(at));
    assert.equal(found[name], 'fails', `${at}`);
    assert.equal(found.signature, 'fails', `${at}`);
  }
  await house.shot(page, 'evidence-corrupted');
  const cut = await judged({ ...whole, certificates: [whole.certificates[0].slice(0, 400)] });
  assert.equal(cut.signature, 'fails');
  quiet(page);
}
