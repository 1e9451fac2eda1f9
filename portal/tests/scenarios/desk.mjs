// Screen 12: what two people of the SRO decide about rooms, parties, runs and the log itself. The last scenarios: the log's key is another one afterwards.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quiet, until } from '../check.mjs';
import { bin, program } from '../house.mjs';
import { agreed, started } from '../job.mjs';

/** The first person signs what the dialog shows. */
async function first(page) {
  await page.getByRole('dialog').getByRole('button', { name: 'Sign', exact: true }).click();
  await page.getByText('A second person must sign').waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
}

/** The second one finds it in the queue, reads what it says, and signs. */
async function second(house, page, subject, words) {
  await house.open(page, '/admin');
  await page.getByRole('button', { name: `Read and sign: ${subject}` }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('A colleague signed this').waitFor();
  for (const one of words) await dialog.getByText(one).first().waitFor();
  await dialog.getByRole('button', { name: 'Sign', exact: true }).click();
  await page.getByText('Two people have signed').first().waitFor();
}

const fromFile = async (house, page, file) => {
  await house.open(page, '/admin');
  await page.locator('section', { has: page.getByRole('heading', { name: 'A draft from a file' }) }).locator('input[type=file]').setInputFiles(file);
};

export async function an_image_set_is_approved_from_a_draft_and_revoked_by_two_people(house) {
  const [measured, draft] = ['measured.json', 'image-set-draft.json'].map((name) => join(house.dir, name));
  writeFileSync(measured, await program('depa', ['ccr', 'measure', '--ccr', join(bin, 'ccr'), '--config', join(house.dir, 'ccrp', 'ccr.toml'), '--json']));
  await program('depa', ['image-set', 'new', '--name', 'room of the tests', '--pcrs', measured, '--out', draft, '--trust', house.trustFile]);
  const sets = async () => (await house.get('/v1/image-sets')).image_sets.map((one) => ({ state: one.state, ...JSON.parse(Buffer.from(one.image_set.envelope.payload, 'base64url')) }));
  const known = (await sets()).length;
  const [asha, bela] = [await house.signer('sro'), await house.signer('sro2')];
  await fromFile(house, asha, draft);
  await asha.getByRole('dialog').getByText('Approve the image set').first().waitFor();
  await first(asha);
  assert.equal((await sets()).length, known, 'one person approves nothing');
  const { payload } = JSON.parse(readFileSync(draft, 'utf8'));
  const { image_set_id: id } = JSON.parse(Buffer.from(payload, 'base64url'));
  await second(house, bela, id, ['Approve the image set']);
  const state = async () => (await sets()).find((one) => one.image_set_id === id)?.state;
  assert.equal(await state(), 'approved');
  const line = bela.locator('li.item', { hasText: 'room of the tests' });
  await line.getByText('approved', { exact: true }).waitFor();
  await line.getByRole('button', { name: 'Revoke' }).click();
  await first(bela);
  assert.equal(await state(), 'approved', 'one person revokes nothing');
  await second(house, asha, id, ['Revoke the image set', 'withdrawn by the SRO']);
  assert.notEqual(await state(), 'approved');
  const revoked = asha.locator('li.item', { hasText: 'room of the tests' });
  await revoked.getByText('revoked', { exact: true }).waitFor();
  assert.equal(await revoked.getByRole('button', { name: 'Revoke' }).count(), 0);
  // What is no draft of an act is not taken.
  for (const [content, words] of [['{}', 'this is no draft of a document'], [JSON.stringify({ payload: Buffer.from('{"schema":"contract.v1"}').toString('base64url') }), 'this page hands no such act in']]) {
    await fromFile(house, asha, { name: 'draft.json', mimeType: 'application/json', buffer: Buffer.from(content) });
    await asha.getByText(words).waitFor();
    assert.equal(await asha.getByRole('dialog').count(), 0);
  }
  for (const page of [asha, bela]) quiet(page);
}

export async function a_party_is_suspended_by_two_people_and_comes_back(house) {
  const { did } = house.people.stranger;
  const party = await house.person('stranger');
  const [asha, bela] = [await house.signer('sro'), await house.signer('sro2')];
  const state = async () => (await house.get(`/v1/participants/${encodeURIComponent(did)}`)).state;
  const decided = async (decision, word) => {
    const before = await state();
    await house.open(asha, '/admin');
    const { legal_name: name } = (await house.get('/v1/participants?limit=200')).participants.find((one) => one.did === did);
    await asha.getByRole('button', { name: `Decide about ${name}` }).click();
    const dialog = asha.getByRole('dialog');
    await dialog.getByRole('combobox', { name: 'Decision' }).click();
    await asha.getByRole('option', { name: decision, exact: true }).click();
    await dialog.getByLabel('Reason, one sentence').fill(`an inquiry: ${decision}`);
    await dialog.getByRole('button', { name: 'To the document' }).click();
    await first(asha);
    assert.equal(await state(), before, 'one person decides nothing');
    await second(house, bela, did, [`${word} ${name}`, `an inquiry: ${decision}`]);
    assert.equal(await state(), decision);
  };
  await decided('suspended', 'Suspend');
  // Whoever is signed in for it is out at once, and for good.
  assert.equal(await party.evaluate(async () => (await fetch('/v1/drafts')).status), 401);
  await party.reload();
  await party.getByRole('heading', { name: 'Sign in', level: 1 }).waitFor();
  await decided('verified', 'Admit');
  assert.equal(await party.evaluate(async () => (await fetch('/v1/drafts')).status), 401, 'the session of before does not come back');
  await house.person('stranger');
  for (const page of [asha, bela]) quiet(page);
}

export async function a_run_is_stopped_by_two_people_and_their_reason_is_text(house) {
  const reason = '<img src=x onerror="globalThis.owned=1">A stop for safety';
  const consumer = await house.signer('tdc');
  const [asha, bela] = [await house.signer('sro'), await house.signer('sro2')];
  const contract = await agreed(consumer, house, '0.5');
  // So many steps that it goes on while two people sign, however fast the machine.
  const id = await started(consumer, house, contract, 'stopped-by-two', { epsilon: '0.2', steps: 100_000 });
  const state = async () => (await consumer.evaluate(async (run) => (await fetch(`/v1/runs/${run}/record`)).json(), id)).run.state;
  await house.open(asha, `/runs/${id}`);
  await asha.getByRole('button', { name: 'Stop this run' }).click();
  const dialog = asha.getByRole('dialog');
  await dialog.getByLabel('Reason, one sentence').fill(reason);
  await dialog.getByRole('button', { name: 'To the document' }).click();
  await first(asha);
  assert.notEqual(await state(), 'aborted', 'one person stops nothing');
  await house.open(bela, '/admin');
  await bela.getByText(reason).waitFor();
  await second(house, bela, id, ['End the run', reason]);
  await house.open(consumer, `/runs/${id}`);
  await consumer.locator('.head .pill', { hasText: 'aborted' }).waitFor();
  assert.equal(await state(), 'aborted');
  await consumer.getByTestId('why').getByText(reason).waitFor();
  await until('its worker is gone', () => house.below('ccr-trainer').length === 0, 60_000);
  for (const page of [asha, bela, consumer]) assert.equal(await page.evaluate(() => globalThis.owned), undefined);
  for (const page of [asha, bela, consumer]) quiet(page);
}

export async function the_logs_next_key_is_put_in_use_by_two_people_and_every_browser_asks_before_it_counts(house) {
  const party = await house.person('tdp');
  await house.open(party, '/audit');
  const verified = party.locator('.pill', { hasText: 'Verified in your browser' });
  await verified.waitFor();
  const draft = join(house.dir, 'log-key.json');
  await program('contract-service', ['rotate-log-key', '--config', join(house.dir, 'contract-service', 'config.toml'), '--draft', draft]);
  const [asha, bela] = [await house.signer('sro'), await house.signer('sro2')];
  const key = async () => (await house.get('/v1/trust')).registry_jwk.x;
  const before = await key();
  await fromFile(house, asha, draft);
  await asha.getByRole('dialog').getByText('Put the next key of the log in use').first().waitFor();
  const { payload } = JSON.parse(readFileSync(draft, 'utf8'));
  const { jwk, replaces } = JSON.parse(Buffer.from(payload, 'base64url'));
  await first(asha);
  assert.equal(await key(), before, 'one person changes nothing');
  await second(house, bela, replaces, ['Put the next key of the log in use']);
  await until('the next key signs', async () => (await key()) === jwk.x);
  // Both sign for now: what was pinned still holds, and yet nothing is trusted before somebody has compared.
  await party.reload();
  await party.getByRole('alert').filter({ hasText: 'The key of the log has changed' }).waitFor();
  assert.equal(await verified.count(), 0);
  await party.getByLabel('What is named now is what the SRO publishes').check();
  await party.getByRole('button', { name: 'Pin what is named now' }).click();
  await verified.waitFor();
  await party.reload();
  await verified.waitFor();
  for (const page of [asha, bela, party]) quiet(page);
}
