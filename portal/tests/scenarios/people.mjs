// Screens 1, 2 and 12: enrolment, keys, what waits, the SRO's two people.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { until, quiet } from '../check.mjs';

/** SHA-256 of the bytes that the page posted last under this path. */
function signedDigest(page, path) {
  const sent = page.sent.filter(({ url, body }) => new URL(url).pathname === path && body !== '').at(-1);
  return createHash('sha256').update(Buffer.from(JSON.parse(sent.body).payload, 'base64url')).digest('hex');
}

/** Whatever is posted there does not arrive. */
const unreachable = (page, path) => page.route(`**${path}`, (route) => (route.request().method() === 'POST' ? route.abort() : route.fallback()));

export async function the_demo_that_stays_says_where_the_portal_is_and_how_each_role_gets_in(house) {
  const last = house.talk.slice(house.talk.indexOf('Still running'));
  assert.ok(last.split('\n').includes(`The portal: ${house.url}/portal/`), last);
  const links = [...last.matchAll(/^ {2}(\S.*)\n {4}(\S+\/auth\/enrol#[\w-]{43})\n {4}key file (\S+)$/gm)].map(([, name, url, key]) => ({ name, url, key }));
  const roles = ['tdp', 'tdp2', 'tdp3', 'tdc', 'ccrp', 'sro', 'sro2'];
  assert.deepEqual(links.map(({ key }) => key).sort(), roles.map((who) => house.keyFile(who)).sort(), 'one for each role');
  assert.equal(new Set(links.map(({ url }) => url)).size, roles.length);
  assert.ok(links.every(({ url }) => url.startsWith(`${house.url}/auth/enrol#`)));
  const { name, url } = links.find(({ key }) => key === house.keyFile('tdp3'));
  const page = await house.profile();
  await page.goto(house.reached(url));
  // It says for whom it is, person and organisation, before it is used.
  const { legal_name: organisation } = (await house.get('/v1/participants?limit=200')).participants.find(({ did }) => did === house.people.tdp3.did);
  await page.getByRole('status').filter({ hasText: `This link is for ${name}, ${organisation}.` }).waitFor();
  await page.getByRole('button', { name: 'Make a passkey' }).click();
  await page.getByRole('heading', { name: 'You are in' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'You are in', 'it is read first');
  // Used once, it says so before anything is tried.
  const late = await house.profile();
  await late.goto(house.reached(url));
  await late.getByRole('alert').filter({ hasText: 'ENROLMENT_INVALID' }).waitFor();
  const me = await page.evaluate(async () => (await fetch('/v1/people/me')).json());
  assert.deepEqual([me.display_name, me.member], [name, house.people.tdp3.did]);
  quiet(page);
}

export async function a_person_enrols_and_a_key_made_in_the_browser_stays_there(house) {
  const page = await house.signer('tdp');
  const secret = JSON.parse(house.read('icmr', 'signing.key')).d;
  const before = (await house.get(`/v1/participants/${encodeURIComponent(house.people.tdp.did)}/keys`)).keys.length;
  await page.getByRole('button', { name: 'Create a key' }).click();
  const digest = await page.getByRole('dialog').getByTestId('signed-digest').textContent();
  await page.getByRole('button', { name: 'Sign and enter' }).click();
  await page.locator('li', { hasText: 'made in this browser' }).getByText('active').waitFor();
  assert.equal(signedDigest(page, '/v1/participants/keys'), digest, 'the digest in sight is that of the bytes that were signed');
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

export async function a_new_key_is_kept_before_it_is_entered_and_can_be_entered_again(house) {
  const page = await house.signer('tdc');
  const count = async () => (await house.get(`/v1/participants/${encodeURIComponent(house.people.tdc.did)}/keys`)).keys.length;
  const before = await count();
  await unreachable(page, '/v1/participants/keys');
  await page.getByRole('button', { name: 'Create a key' }).click();
  await page.getByRole('button', { name: 'Sign and enter' }).click();
  await page.getByRole('dialog').getByText('UNREACHABLE').waitFor();
  // The page is closed in the middle of it: the key is still there, and counts for nothing.
  await page.goto('about:blank');
  await page.goto(`${house.url}/portal/keys`);
  const made = page.locator('li', { hasText: 'made in this browser' });
  await made.getByText('not entered yet').waitFor();
  assert.equal(await count(), before);
  await page.getByLabel('Passphrase').fill('correct horse battery');
  await page.getByLabel('The same again').fill('correct horse battery');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Make a recovery key' }).click()]);
  assert.equal(download.suggestedFilename(), 'depa-recovery.json', 'its file is there before it counts');
  await page.getByRole('button', { name: 'Sign and enter' }).click();
  await page.getByRole('dialog').getByText('UNREACHABLE').waitFor();
  await page.reload();
  const recovery = page.locator('li', { hasText: 'recovery key in a file' });
  await recovery.getByText('not entered yet').waitFor();
  await page.unroute('**/v1/participants/keys');
  for (const line of [made, recovery]) {
    await line.getByRole('button', { name: 'Enter it' }).click();
    await page.getByRole('button', { name: 'Sign and enter' }).click();
    await line.getByText('active').waitFor();
  }
  assert.equal(await count(), before + 2);
  const [again] = await Promise.all([page.waitForEvent('download'), recovery.getByRole('button', { name: 'Save its file again' }).click()]);
  assert.equal(again.suggestedFilename(), 'depa-recovery.json');
  await recovery.getByRole('button', { name: 'Its file is safe: forget it here' }).click();
  await recovery.waitFor({ state: 'detached' });
  quiet(page, ['ERR_FAILED']);
}

export async function a_key_is_ended_under_the_digest_that_is_shown(house) {
  const page = await house.signer('tdp');
  await page.getByRole('button', { name: 'Create a key' }).click();
  await page.getByRole('button', { name: 'Sign and enter' }).click();
  const made = page.locator('li', { hasText: 'made in this browser' });
  await made.getByText('active').waitFor();
  const print = await made.locator('button.id').getAttribute('title');
  await page.getByRole('button', { name: `End key ${print.slice(0, 8)}` }).click();
  await page.getByLabel('Reason, one sentence').fill('the laptop goes');
  const digest = await page.getByRole('dialog').getByTestId('signed-digest').textContent();
  await page.getByRole('dialog').getByRole('button', { name: 'Sign', exact: true }).click();
  await made.getByText('retired').waitFor();
  assert.equal(signedDigest(page, '/v1/participants/keys'), digest);
  quiet(page);
}

export async function an_application_that_did_not_arrive_is_sent_again_with_the_same_key(house) {
  const page = await house.profile();
  await unreachable(page, '/v1/participants');
  await house.open(page, '/register');
  await page.getByLabel('Legal name').fill('Later Laboratories');
  await page.getByRole('button', { name: 'Make a key' }).click();
  await page.getByRole('button', { name: 'Sign and apply' }).click();
  await page.getByText('UNREACHABLE').waitFor();
  await page.unroute('**/v1/participants');
  await page.reload();
  await page.getByText('A key is kept here that is not entered yet').waitFor();
  await page.getByLabel('Legal name').fill('Later Laboratories');
  await page.getByRole('button', { name: 'Go on with this key' }).click();
  await page.getByRole('button', { name: 'Sign and apply' }).click();
  await page.getByText('Two people of the SRO decide').waitFor();
  const sent = page.sent.filter(({ url, body }) => new URL(url).pathname === '/v1/participants' && body !== '').map(({ body }) => JSON.parse(Buffer.from(JSON.parse(body).payload, 'base64url')).did);
  assert.equal(sent.length, 2);
  assert.equal(sent[0], sent[1], 'one key');
  // Who was decided against is told so, and begins anew with another key.
  await page.route(`**/v1/participants/${encodeURIComponent(sent[0])}`, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), state: 'rejected' } });
  });
  await page.getByText('Two people of the SRO decided against it').waitFor();
  await page.getByRole('button', { name: 'Begin a new application' }).click();
  await page.getByRole('button', { name: 'Make a key' }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Make a key' }).waitFor();
  quiet(page, ['404', 'ERR_FAILED']);
}

export async function a_recovery_key_opens_with_its_passphrase_alone(house) {
  const page = await house.signer('tdc');
  await page.getByLabel('Passphrase').fill('correct horse battery');
  await page.getByLabel('The same again').fill('correct horse battery');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Make a recovery key' }).click(),
  ]);
  await page.getByRole('button', { name: 'Sign and enter' }).click();
  await page.locator('li', { hasText: 'recovery key in a file' }).getByText('active').waitFor();
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
  await again.getByText('ENROLMENT_INVALID').waitFor();
  // Nothing is offered that would be refused; signing in is.
  await again.getByText('This link counts no more').waitFor();
  assert.equal(await again.getByRole('button', { name: 'Make a passkey' }).count(), 0);
  await again.getByRole('link', { name: 'Sign in' }).waitFor();
  await page.goto(`${house.url}/portal/keys`);
  await page.locator('input[type=file]').setInputFiles(house.keyFile('tdc'));
  await page.getByText('SIGNER_NOT_PARTY').waitFor();
}

export async function an_organisation_registers_and_two_people_of_the_sro_let_it_in(house) {
  const page = await house.profile();
  await house.open(page, '/register');
  await page.getByLabel('Legal name').fill('Acme Laboratories');
  await page.getByRole('button', { name: 'Make a key' }).click();
  await page.getByRole('button', { name: 'Sign and apply' }).click();
  await page.getByText('Two people of the SRO decide').waitFor();
  const asha = await house.signer('sro');
  await house.open(asha, '/');
  await asha.getByRole('link', { name: 'Acme Laboratories applies for registration' }).click();
  await asha.getByRole('button', { name: 'Decide about Acme Laboratories' }).click();
  // What the applicant reads out is what stands in the decision.
  const print = await page.locator('dt', { hasText: 'Fingerprint of the key' }).locator('xpath=following-sibling::dd[1]').locator('button.id').getAttribute('title');
  await asha.getByRole('dialog').locator(`button.id[title="${print}"]`).waitFor();
  await asha.getByRole('dialog').getByLabel('Reason, one sentence').fill('papers were seen');
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
  await asha.getByText('A colleague signed this').waitFor();
  await asha.getByRole('button', { name: 'Sign', exact: true }).click();
  await asha.getByText('A second person must sign').waitFor();
  assert.equal(await state(), 'applied');
  await asha.getByRole('button', { name: 'Done' }).click();
  await asha.locator('li', { hasText: did }).getByText('waits for a colleague').waitFor();
  // The second person finds it in the inbox and in the queue, under the very digest.
  const bela = await house.signer('sro2');
  // The page is asked for a fresh assertion before anything is signed.
  await bela.route('**/v1/people/me', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), stepped_up_until: '2020-01-01T00:00:00Z' } });
  });
  await house.open(bela, '/');
  await bela.getByRole('link', { name: 'Second signature: Admit Acme Laboratories' }).click();
  await bela.getByRole('button', { name: `Read and sign: ${did}` }).click();
  await bela.getByText('A colleague signed this').waitFor();
  const digest = await bela.getByRole('dialog').getByTestId('signed-digest').textContent();
  await house.shot(bela, 'admin-queue');
  await bela.getByRole('button', { name: 'Sign', exact: true }).click();
  await until('the decision stands', async () => (await state()) === 'verified');
  assert.equal(signedDigest(bela, '/v1/participants/decisions'), digest);
  assert.equal(signedDigest(asha, '/v1/participants/decisions'), digest, 'both signed the same bytes');
  assert.ok(bela.sent.some(({ url }) => url.endsWith('/auth/step-up')), 'the passkey was asked');
  await until('nothing of it waits', async () => (await bela.getByRole('button', { name: `Read and sign: ${did}` }).count()) === 0);
  await page.getByText('Your organisation is verified').waitFor();
  await page.getByLabel('Your name').fill('Farah');
  await page.getByRole('button', { name: 'Go on to your passkey' }).click();
  // It breaks off before the passkey exists: nothing is lost.
  await page.getByRole('button', { name: 'Make a passkey' }).waitFor();
  await page.reload();
  await page.getByText('The address lacks the secret').waitFor();
  await page.getByRole('link', { name: 'Go on with your registration' }).click();
  await page.getByLabel('Your name').fill('Farah');
  await page.getByRole('button', { name: 'Go on to your passkey' }).click();
  await page.getByRole('button', { name: 'Make a passkey' }).click();
  await page.getByRole('heading', { name: 'You are in' }).waitFor();
  await page.getByRole('link', { name: 'Go on to your signing key' }).click();
  await page.getByText('Only one key signs for you').waitFor();
  await page.getByLabel('Passphrase').fill('correct horse battery');
  await page.getByLabel('The same again').fill('correct horse battery');
  await page.getByRole('button', { name: 'Make a recovery key' }).click();
  await page.getByRole('button', { name: 'Sign and enter' }).click();
  await until('a second key', async () => (await house.get(`/v1/participants/${encodeURIComponent(did)}/keys`)).keys.length === 2);
  quiet(page, ['404']);
}

export async function the_sro_lays_down_a_template_a_schema_and_a_suspension_by_forms(house) {
  const [asha, bela] = [await house.signer('sro'), await house.signer('sro2')];
  await house.open(asha, '/admin');
  const signed = async () => {
    await asha.getByRole('dialog').getByRole('button', { name: 'Sign', exact: true }).click();
    await asha.getByText('A second person must sign').waitFor();
    await asha.getByRole('button', { name: 'Done' }).click();
  };
  const second = async (name) => {
    await house.open(bela, '/admin');
    await bela.getByRole('button', { name: `Read and sign: ${name}` }).click();
    await bela.getByRole('dialog').getByRole('button', { name: 'Sign', exact: true }).click();
    await bela.getByText('Two people have signed').first().waitFor();
  };
  const form = (title) => asha.locator('details', { has: asha.getByText(title, { exact: true }) });
  // A template with a rule document whose digest the page makes itself.
  await asha.getByText('A new template or version', { exact: true }).click();
  const template = form('A new template or version');
  await template.getByLabel('Name with its version').fill('cardiology-v1');
  await template.getByLabel('Title').fill('Training on heart data');
  await template.getByLabel('Where its legal text lies').fill('https://sro.example/cardiology-v1.html');
  await template.getByLabel('SHA-256 of the legal text').fill('9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08');
  const rego = Buffer.from('package depa.rules\n');
  await template.locator('input[type=file]').nth(1).setInputFiles({ name: 'hours.rego', mimeType: 'text/plain', buffer: rego });
  const digest = createHash('sha256').update(rego).digest('hex');
  await until('the digest of the rule', async () => (await template.getByLabel(/^Rule documents/).inputValue()) === digest);
  await template.getByRole('button', { name: 'To the document' }).click();
  await signed();
  assert.equal((await house.get('/v1/templates')).templates.length, 0, 'one person lays nothing down');
  await second('cardiology-v1');
  const [stored] = (await house.get('/v1/templates')).templates;
  assert.deepEqual(JSON.parse(Buffer.from(stored.envelope.payload, 'base64url')).rules, [digest]);
  // A data schema.
  await asha.getByText('A new data schema', { exact: true }).click();
  const schema = form('A new data schema');
  await schema.getByLabel('URI by which offers name it').fill('urn:depa:schema:heart-v1');
  await schema.getByLabel('Title').fill('Heart data');
  await schema.getByLabel(/^Columns, one a line/).fill('age number 0 120\ncity text');
  await schema.getByRole('button', { name: 'To the document' }).click();
  await signed();
  await second('urn:depa:schema:heart-v1');
  assert.equal((await house.get('/v1/data-schemas')).data_schemas.length, 1);
  // Each version stands with its own digest, its entry, and who proposed and who confirmed it.
  const version = bela.getByTestId('versions').locator('tr', { hasText: 'cardiology-v1' });
  await version.locator('.pill', { hasText: 'active' }).waitFor();
  const own = createHash('sha256').update(Buffer.from(stored.envelope.payload, 'base64url')).digest('hex');
  assert.equal(await version.locator(`button.id[title="${own}"]`).count(), 1);
  assert.equal(await version.locator(`button.id[title="${digest}"]`).count(), 1, 'its rule document');
  assert.equal(await version.getByRole('link', { name: /^entry \d+ of the log$/ }).getAttribute('href'), `/portal/audit?entry=${stored.receipt.index}`);
  const people = await version.locator('td span[title^="did:"]').evaluateAll((all) => all.map((one) => one.title));
  assert.deepEqual(people, [house.people.sro.did, house.people.sro2.did]);
  await bela.getByTestId('versions').locator('tr', { hasText: 'urn:depa:schema:heart-v1' }).waitFor();
  await house.shot(bela, 'admin-versions');
  // The registry of schemas shows its columns; health and what is switched on stand beside it.
  const registered = bela.locator('li', { hasText: 'urn:depa:schema:heart-v1' });
  await registered.getByText('2 columns').click();
  await registered.getByText('age', { exact: true }).waitFor();
  const health = bela.getByTestId('health');
  await health.getByText('ready', { exact: true }).waitFor();
  await health.getByText(/^writes the log/).waitFor();
  await health.getByText(/entries in this pass/).waitFor();
  const switches = bela.getByTestId('switches');
  await switches.locator('li', { hasText: 'Demo profile' }).getByText('on', { exact: true }).waitFor();
  await switches.locator('li', { hasText: 'identity provider' }).getByText('off', { exact: true }).waitFor();
  // A dataset is suspended and resumed.
  const { offer } = (await house.get('/v1/datasets?q=vaccinations')).datasets[0];
  for (const [act, state] of [['suspend', 'suspended'], ['resume', 'registered']]) {
    await house.open(asha, '/admin');
    await asha.getByText('Suspend, resume or withdraw a dataset', { exact: true }).click();
    const change = form('Suspend, resume or withdraw a dataset');
    await change.getByRole('combobox', { name: 'Dataset' }).click();
    await asha.getByRole('option', { name: new RegExp(offer.name.replace(/[()]/g, '.')) }).click();
    await change.getByRole('combobox', { name: 'What happens' }).click();
    await asha.getByRole('option', { name: act, exact: true }).click();
    await change.getByLabel('Reason, one sentence').fill('a question of consent');
    await change.getByRole('button', { name: 'To the document' }).click();
    await signed();
    await second(offer.dataset_id);
    assert.equal((await house.get(`/v1/datasets/${offer.dataset_id}`)).state, state);
  }
  // A private key is not taken for the log's next one.
  await asha.getByText('Put the next key in use', { exact: true }).click();
  const next = form('Put the next key in use');
  await next.getByLabel('Public half of the next key, as JSON').fill('{"kty":"OKP","crv":"Ed25519","x":"a","d":"b"}');
  await next.getByRole('button', { name: 'To the document' }).click();
  await next.getByText('this is a private key').waitFor();
  quiet(asha);
  quiet(bela);
}

export async function somebody_signs_out_and_in_again_by_a_passkey(house) {
  const page = await house.person('ccrp');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
  await page.getByText('Esha the operator').first().waitFor();
}

export async function new_recovery_codes_are_made_by_who_is_signed_in(house) {
  const page = await house.person('tdc');
  await house.open(page, '/keys');
  const card = page.locator('section', { has: page.getByRole('heading', { name: 'Ways to sign in' }) });
  await card.getByRole('button', { name: 'New recovery codes' }).click();
  await card.getByText('These codes are shown this once').waitFor();
  assert.equal((await card.locator('pre').textContent()).split('\n').length, 10);
  quiet(page);
}

export async function a_colleague_comes_in_by_a_link_and_their_key_is_entered_by_another_one(house) {
  const page = await house.signer('tdp');
  await page.getByLabel('Name of the person').fill('Divya of the laboratories');
  await page.getByRole('button', { name: 'Make a link' }).click();
  const link = await page.getByTestId('invitation').locator('button.id').getAttribute('title');
  const colleague = await house.profile();
  await colleague.goto(house.reached(link));
  await colleague.getByRole('button', { name: 'Make a passkey' }).click();
  await colleague.getByRole('heading', { name: 'You are in' }).waitFor();
  await colleague.goto(`${house.url}/portal/keys`);
  await colleague.getByText('Divya of the laboratories').first().waitFor();
  await colleague.getByRole('button', { name: 'Create a key' }).click();
  const made = colleague.locator('li', { hasText: 'made in this browser' });
  await made.getByText('not entered yet').waitFor();
  const print = await made.locator('button.id').getAttribute('title');
  await made.getByRole('button', { name: 'Ask a colleague to enter it' }).click();
  const asked = await colleague.getByTestId('asked').locator('button.id').getAttribute('title');
  // Somebody else's people enter it nowhere.
  const stranger = await house.signer('tdp2');
  await stranger.goto('about:blank');
  await stranger.goto(asked);
  await stranger.getByRole('dialog').getByText('SIGNER_NOT_PARTY').waitFor();
  assert.equal(await stranger.getByRole('button', { name: 'Sign and enter' }).isDisabled(), true);
  await page.goto('about:blank');
  await page.goto(asked);
  const dialog = page.getByRole('dialog');
  await dialog.locator(`button.id[title="${print}"]`).waitFor();
  await house.shot(page, 'colleague-key');
  await dialog.getByRole('button', { name: 'Sign and enter' }).click();
  await page.getByText('The key of your colleague stands in the log').waitFor();
  await colleague.reload();
  await made.getByText('active').waitFor();
  const [saved] = await Promise.all([colleague.waitForEvent('download'), made.getByRole('button', { name: 'Save the public key' }).click()]);
  const half = JSON.parse((await import('node:fs')).readFileSync(await saved.path(), 'utf8'));
  assert.deepEqual(Object.keys(half).sort(), ['crv', 'kty', 'x'], 'the public half alone');
  await house.shot(colleague, 'keys-people');
  quiet(page);
  quiet(colleague);
}

export async function who_holds_a_key_that_counts_comes_in_for_the_first_time(house) {
  const page = await house.profile();
  await house.open(page, '/register');
  await page.locator('input[type=file]').setInputFiles(house.keyFile('ccrp'));
  await page.getByText('Your organisation is verified').waitFor();
  await house.shot(page, 'register-verified');
  await page.getByLabel('Your name').fill('Esha herself');
  await page.getByRole('button', { name: 'Go on to your passkey' }).click();
  await page.getByRole('button', { name: 'Make a passkey' }).click();
  await page.getByRole('heading', { name: 'You are in' }).waitFor();
  await page.getByRole('link', { name: 'Go on to your signing key' }).click();
  await page.locator('li', { hasText: 'from a key file' }).getByText('active').waitFor();
  quiet(page);
}
