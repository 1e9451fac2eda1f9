// Screens 1, 2 and 12: enrolment, keys, what waits, the SRO's two people.
import assert from 'node:assert/strict';
import { until, quiet } from '../check.mjs';

export async function a_person_enrols_and_a_key_made_in_the_browser_stays_there(house) {
  const page = await house.signer('tdp');
  const secret = JSON.parse(house.read('icmr', 'signing.key')).d;
  const before = (await house.get(`/v1/participants/${encodeURIComponent(house.people.tdp.did)}/keys`)).keys.length;
  await page.getByRole('button', { name: 'Create a key' }).click();
  await page.getByText('made in this browser', { exact: true }).waitFor();
  const { keys } = await house.get(`/v1/participants/${encodeURIComponent(house.people.tdp.did)}/keys`);
  assert.equal(keys.length, before + 1, 'the register knows the new key');
  assert.deepEqual(Object.keys(keys.at(-1).jwk).sort(), ['crv', 'kty', 'x'], 'its public half alone');
  await page.reload();
  await page.getByText('made in this browser', { exact: true }).waitFor();
  await page.locator('li', { hasText: 'made in this browser' }).getByText('active').waitFor();
  for (const { url, body } of page.sent) assert.ok(!body.includes(secret) && !url.includes(secret), `a private key left: ${url}`);
  // Whatever runs in the page cannot read a private key.
  const readable = await page.evaluate(async () => {
    const open = indexedDB.open('depa-portal');
    const db = await new Promise((done) => (open.onsuccess = () => done(open.result)));
    const all = db.transaction('keys').objectStore('keys').getAll();
    const keys = await new Promise((done) => (all.onsuccess = () => done(all.result)));
    const tries = keys.map((key) => crypto.subtle.exportKey('pkcs8', key.key).then(() => 'read', (error) => error.name));
    return Promise.all(tries);
  });
  assert.deepEqual([...new Set(readable)], ['InvalidAccessError']);
  quiet(page);
}

export async function a_recovery_key_opens_with_its_passphrase_alone(house) {
  const page = await house.signer('tdc');
  await page.getByLabel('Passphrase').fill('correct horse battery');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Make a recovery key' }).click(),
  ]);
  const path = await download.path();
  const other = await house.person('tdc');
  await other.goto(`${house.url}/portal/keys`);
  await other.getByLabel('Passphrase').fill('wrong horse battery');
  const file = { name: 'depa-recovery.json', mimeType: 'application/json', buffer: (await import('node:fs')).readFileSync(path) };
  await other.locator('input[type=file]').setInputFiles(file);
  await other.getByText('PASSPHRASE_WRONG').waitFor();
  await other.getByLabel('Passphrase').fill('correct horse battery');
  await other.locator('input[type=file]').setInputFiles([]);
  await other.locator('input[type=file]').setInputFiles(file);
  await other.getByText('from a recovery file').waitFor();
  await other.locator('li', { hasText: 'from a recovery file' }).getByText('active').waitFor();
  quiet(other);
}

export async function a_used_link_and_somebody_elses_key_are_refused(house) {
  const link = await house.link('tdp');
  const page = await house.profile();
  await page.goto(link);
  await page.getByRole('button', { name: 'Make a passkey' }).click();
  await page.getByRole('heading', { name: 'You are in' }).waitFor();
  assert.ok(!page.url().includes('#'), 'the secret is out of the address');
  const again = await house.profile();
  await again.goto(link);
  await again.getByRole('button', { name: 'Make a passkey' }).click();
  await again.getByText('ENROLMENT_INVALID').waitFor();
  await page.goto(`${house.url}/portal/keys`);
  await page.locator('input[type=file]').setInputFiles(house.keyFile('tdc'));
  await page.getByText('SIGNER_NOT_PARTY').waitFor();
}

export async function an_organisation_registers_and_two_people_of_the_sro_let_it_in(house) {
  const page = await house.profile();
  await house.open(page, '/register');
  await page.getByLabel('Legal name').fill('Acme Laboratories');
  await page.getByRole('button', { name: 'Make a key and apply' }).click();
  await page.getByText('Two people of the SRO decide').waitFor();
  const asha = await house.signer('sro');
  await house.open(asha, '/');
  await asha.getByRole('link', { name: 'Acme Laboratories applies for registration' }).click();
  await asha.getByRole('button', { name: 'Decide about Acme Laboratories' }).click();
  await asha.getByLabel('Reason, one sentence').fill('papers were seen');
  await asha.getByRole('button', { name: 'To the document' }).click();
  await asha.getByRole('button', { name: 'Sign', exact: true }).click();
  await asha.getByText('A second person must sign').waitFor();
  const link = await asha.getByRole('dialog').locator('button.id').getAttribute('title');
  // One person's signature has no effect, and the same person's second one has none either.
  const did = (await house.get('/v1/participants?limit=200&q=Acme')).participants[0].did;
  const state = async () => (await house.get(`/v1/participants/${encodeURIComponent(did)}`)).state;
  assert.equal(await state(), 'applied');
  await asha.goto('about:blank');
  await asha.goto(link);
  await asha.getByRole('button', { name: 'Sign', exact: true }).click();
  await asha.getByText('A second person must sign').waitFor();
  assert.equal(await state(), 'applied');
  const bela = await house.signer('sro2');
  // An old session is asked for a fresh assertion before anything is signed.
  await bela.route('**/v1/people/me', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), stepped_up_until: '2020-01-01T00:00:00Z' } });
  });
  await bela.goto('about:blank');
  await bela.goto(link);
  await bela.getByText('A colleague signed this').waitFor();
  await bela.getByRole('button', { name: 'Sign', exact: true }).click();
  await until('the decision stands', async () => (await state()) === 'verified');
  assert.ok(bela.sent.some(({ url }) => url.endsWith('/auth/step-up')), 'the passkey was asked');
  await page.getByText('Your organisation is verified').waitFor();
  await page.getByLabel('Your name').fill('Farah');
  await page.getByRole('button', { name: 'Go on to your passkey' }).click();
  await page.getByRole('button', { name: 'Make a passkey' }).click();
  await page.getByRole('heading', { name: 'You are in' }).waitFor();
  await page.getByRole('link', { name: 'Go on to your signing key' }).click();
  await page.getByText('Only one key signs for you').waitFor();
  await page.getByLabel('Passphrase').fill('correct horse battery');
  await page.getByRole('button', { name: 'Make a recovery key' }).click();
  await until('a second key', async () => (await house.get(`/v1/participants/${encodeURIComponent(did)}/keys`)).keys.length === 2);
  quiet(page, ['404']);
}

export async function somebody_signs_out_and_in_again_by_a_passkey(house) {
  const page = await house.person('ccrp');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
  await page.getByText('Esha the operator').first().waitFor();
}
