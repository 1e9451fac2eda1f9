// Screens 2, 6 and 7: composing, the other side's inbox, signing only what is shown.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quiet, until } from '../check.mjs';
import { program } from '../house.mjs';

/** Picks all three datasets. */
async function pick(page, house) {
  await house.open(page, '/datasets');
  const buttons = page.locator('.card.link .above button');
  await buttons.first().waitFor();
  for (let at = 0; at < 3; at += 1) await buttons.nth(at).click();
  await page.getByRole('link', { name: 'Contract over 3 datasets' }).click();
  await page.getByRole('heading', { name: 'Compose a contract' }).waitFor();
}

const grants = (page) => page.getByLabel(/^ε of /);

/** Composes and proposes a contract as the consumer; gives its id and digest. */
async function propose(page, house, template) {
  await pick(page, house);
  if (template !== undefined) {
    await page.getByRole('combobox', { name: 'Template' }).click();
    await page.getByRole('option', { name: new RegExp(template) }).click();
  }
  // Each offer is read as it was signed: its fields are there when it is.
  await grants(page).nth(2).waitFor();
  for (const grant of await grants(page).all()) await grant.fill('1.0');
  await page.getByRole('button', { name: 'Check every rule' }).click();
  await page.getByText('says yes').waitFor();
  const digest = await page.getByTestId('digest').textContent();
  await page.getByLabel('I have read the contract').check();
  await page.getByRole('button', { name: 'Sign and propose' }).click();
  await page.getByRole('heading', { name: /^Contract: / }).waitFor();
  return { id: page.url().split('/').at(-1), digest };
}

/** A smaller δ of any dataset asks for another forecast, and what is shown is what that one says. */
async function forecast_follows(page) {
  const cost = page.locator('strong.num').filter({ hasText: 'ε' });
  const before = await cost.textContent();
  const delta = '0.000000001';
  const told = page.waitForResponse((response) => response.url().includes('/v1/forecast') && new URL(response.url()).searchParams.get('delta') === delta);
  await page.getByLabel(/^δ, at most/).last().fill(delta);
  const { points } = await (await told).json();
  const micro = points.at(-1).epsilon_micro;
  const shown = async () => Number((await cost.textContent()).replace('ε', ''));
  await until('the cost of the smaller δ is shown', async () => Math.abs((await shown()) * 1e6 - micro) < 100);
  assert.ok((await shown()) > Number(before.replace('ε', '')), 'a smaller δ costs more ε');
  const rest = await page.getByText(/steps at batch/).textContent();
  const granted = Number(/with ([\d.]+) granted/.exec(await page.getByRole('img', { name: /ε after each step/ }).getAttribute('aria-label'))[1]) * 1e6;
  const left = /([\d.]+) left\./.exec(rest);
  assert.equal(left !== null, micro <= granted, rest);
  if (left) assert.ok(Number(left[1]) * 1e6 <= granted - micro + 1, rest);
}

export async function a_contract_over_budget_is_refused_and_the_rule_is_named(house) {
  const page = await house.signer('tdc');
  await pick(page, house);
  await page.getByRole('img', { name: /ε after each step/ }).waitFor();
  await page.getByText(/steps at batch/).waitFor();
  await forecast_follows(page);
  await grants(page).first().fill('9.5');
  await page.getByRole('button', { name: 'Check every rule' }).click();
  const refusal = page.getByRole('alert').filter({ hasText: 'EPSILON_OUT_OF_RANGE' });
  await refusal.first().waitFor();
  await page.getByText(/exceeds the offer's cap/).waitFor();
  // What a key asks for goes under a token that is bound to it.
  const asked = page.sent.filter(({ url }) => url.endsWith('/v1/contracts/check'));
  assert.ok(asked.length > 0 && asked.every(({ auth }) => auth.startsWith('DPoP ')));
  assert.equal(await page.getByRole('button', { name: 'Sign and propose' }).isDisabled(), true);
  await house.shot(page, 'composer');
  quiet(page);
}

export async function a_contract_goes_from_the_composer_to_the_others_inbox_and_into_force(house) {
  const provider = await house.signer('tdp');
  await house.open(provider, '/');
  await provider.getByText('live', { exact: true }).waitFor();
  const consumer = await house.signer('tdc');
  const { id, digest } = await propose(consumer, house);
  // Without a reload: the stream of events brings it.
  await provider.getByRole('link', { name: 'A contract waits for your signature' }).first().waitFor();
  // Which one it is, and with whom.
  const { participants } = await house.get('/v1/participants?limit=200');
  const called = (who) => participants.find((one) => one.did === house.people[who].did).legal_name;
  await provider.locator('li.item', { hasText: 'A contract waits for your signature' }).filter({ hasText: called('tdc') }).filter({ hasText: called('ccrp') }).first().waitFor();
  await provider.getByText('contract proposed').first().waitFor();
  // What is new is told apart until it is read, also after a reload.
  await provider.getByRole('button', { name: 'Mark all as read' }).click();
  await provider.reload();
  await provider.getByText('contract proposed').first().waitFor();
  assert.equal(await provider.locator('.unread').count(), 0);
  await house.shot(provider, 'inbox');
  await provider.goto(`${house.url}/portal/contracts/${id}`);
  await provider.getByText('verified in your browser').waitFor();
  assert.equal(await provider.getByTestId('digest').textContent(), digest, 'both see the same bytes');
  const fetched = join(house.dir, `${id}.json`);
  await house.depa('tdp2', 'contract', 'fetch', id, '--out', fetched);
  await house.shot(provider, 'signing');
  // A colleague signs at an address that opens these very bytes; nothing is delegated.
  await provider.getByText('Let a colleague sign').click();
  const address = await provider.getByTestId('colleague').locator('button.id').getAttribute('title');
  assert.equal(address, `${house.url}/portal/contracts/${id}?version=${digest}`);
  const colleague = await house.signer('tdp');
  await colleague.goto(address);
  await colleague.getByTestId('digest').waitFor();
  assert.equal(await colleague.getByTestId('digest').textContent(), digest);
  await colleague.getByRole('button', { name: 'Sign this contract' }).waitFor();
  const [partly] = await Promise.all([colleague.waitForEvent('download'), colleague.getByRole('button', { name: 'Save it as signed so far' }).click()]);
  assert.match(partly.suggestedFilename(), /contract\.json$/);
  const sign = provider.getByRole('button', { name: 'Sign this contract' });
  assert.equal(await sign.isDisabled(), true, 'not before it was read');
  await provider.getByLabel('I have read the contract').check();
  await sign.click();
  await provider.getByText('You have signed.').waitFor();
  for (const who of ['tdp2', 'tdp3', 'ccrp']) {
    const out = join(house.dir, `${id}.${who}.json`);
    await house.depa(who, 'contract', 'sign', fetched, '--out', out);
    await house.depa(who, 'contract', 'submit', fetched, '--signature', out);
  }
  // All have signed, and both pages notice by themselves.
  await provider.locator('.head .pill', { hasText: 'active' }).waitFor();
  await consumer.locator('.head .pill', { hasText: 'active' }).waitFor();
  await until('every signature is judged in the page', async () => (await consumer.getByText('verified in your browser').count()) === 5);
  const [download] = await Promise.all([
    consumer.waitForEvent('download'),
    consumer.getByRole('button', { name: 'Save the signed bundle' }).click(),
  ]);
  assert.match(download.suggestedFilename(), /bundle\.json$/);
  // The history names the signer of each signature.
  const history = consumer.getByTestId('history');
  for (const who of ['tdp', 'tdp2', 'tdp3', 'ccrp']) await history.locator('li', { hasText: 'contract signed' }).filter({ hasText: called(who) }).first().waitFor();
  quiet(provider);
  quiet(consumer);
}

/** Lays a template down whose contracts the SRO countersigns. */
async function countersigned(house, name) {
  const [form, draft] = [join(house.dir, `${name}.toml`), join(house.dir, `${name}.json`)];
  const text = { template: name, title: 'Training, countersigned', text_url: 'https://sro.example/countersigned.html', text_sha256: 'ab'.repeat(32), purposes: ['TRAINING'], max_days: 365, lapse_days: 30, sro_countersigns: true };
  writeFileSync(form, Object.entries(text).map(([member, value]) => `${member} = ${JSON.stringify(value)}`).join('\n'));
  await program('depa', ['sro', 'template', form, '--out', draft, '--trust', house.trustFile]);
  for (const who of ['sro', 'sro2']) await program('depa', ['sro', 'approve', draft, '--key', house.keyFile(who), '--registry', house.url]);
}

export async function a_contract_that_the_sro_countersigns_stands_once_two_of_its_people_have_signed(house) {
  await countersigned(house, 'countersigned-v1');
  const consumer = await house.signer('tdc');
  const { id, digest } = await propose(consumer, house, 'countersigned-v1');
  const fetched = join(house.dir, `${id}.json`);
  await house.depa('tdc', 'contract', 'fetch', id, '--out', fetched);
  for (const who of ['tdp', 'tdp2', 'tdp3', 'ccrp']) {
    const out = join(house.dir, `${id}.${who}.json`);
    await house.depa(who, 'contract', 'sign', fetched, '--out', out);
    await house.depa(who, 'contract', 'submit', fetched, '--signature', out);
  }
  await consumer.locator('.head .pill', { hasText: 'awaiting sro' }).waitFor();
  await consumer.getByText('Every party has signed. Two people of the SRO countersign').waitFor();
  assert.equal(await consumer.getByRole('button', { name: 'Order a run' }).count(), 0);
  const waits = { name: 'A contract waits for the SRO to countersign' };
  const asha = await house.signer('sro');
  const bela = await house.signer('sro2');
  for (const page of [asha, bela]) {
    await house.open(page, '/');
    await page.getByRole('link', waits).click();
    await page.getByTestId('digest').waitFor();
    assert.equal(await page.getByTestId('digest').textContent(), digest, 'the same bytes');
    const sign = page.getByRole('button', { name: 'Countersign for the SRO' });
    assert.equal(await sign.isDisabled(), true, 'not before it was read');
    await page.getByLabel('I have read the contract').check();
    await sign.click();
    if (page !== asha) continue;
    await page.getByText('You have countersigned.').waitFor();
    await house.shot(page, 'countersigning');
    // One person's signature has no effect, and what they have signed waits for them no more.
    assert.equal(await consumer.locator('.head .pill', { hasText: 'awaiting sro' }).count(), 1);
    await house.open(page, '/');
    await page.getByRole('heading', { name: 'Waiting for you' }).waitFor();
    await until('it waits for the other one', async () => (await page.getByRole('link', waits).count()) === 0);
  }
  await consumer.locator('.head .pill', { hasText: 'active' }).waitFor();
  await until('every signature is judged in the page', async () => (await consumer.getByText('verified in your browser').count()) === 7);
  await consumer.getByRole('button', { name: 'Order a run' }).waitFor();
  // A next version waits for the parties and then for the SRO, while the first one stands.
  await house.open(consumer, `/contracts/new?counter=${id}`);
  await consumer.getByLabel('At most so many runs').fill('3');
  await consumer.getByRole('button', { name: 'Check every rule' }).click();
  await consumer.getByText('says yes').waitFor();
  const next = await consumer.getByTestId('digest').textContent();
  await consumer.getByLabel('I have read the contract').check();
  await consumer.getByRole('button', { name: 'Sign and propose' }).click();
  const [saved] = await Promise.all([consumer.waitForEvent('download'), consumer.getByRole('button', { name: 'Save it as signed so far' }).click()]);
  const proposed = join(house.dir, `${id}.2.json`);
  await saved.saveAs(proposed);
  const provider = await house.person('tdp');
  await provider.getByRole('link', { name: 'A next version of a contract waits for your signature' }).click();
  await until('the next version', async () => (await provider.getByTestId('digest').textContent().catch(() => '')) === next);
  await provider.getByLabel('I have read the contract').waitFor();
  for (const who of ['tdp', 'tdp2', 'tdp3', 'ccrp']) {
    const out = join(house.dir, `${id}.2.${who}.json`);
    await house.depa(who, 'contract', 'sign', proposed, '--out', out);
    await house.depa(who, 'contract', 'submit', proposed, '--signature', out);
  }
  for (const page of [asha, bela]) {
    await house.open(page, '/');
    await page.getByRole('link', waits).click();
    await until('the next version', async () => (await page.getByTestId('digest').textContent().catch(() => '')) === next);
    await page.getByLabel('I have read the contract').check();
    await page.getByRole('button', { name: 'Countersign for the SRO' }).click();
    await page.getByText(page === asha ? 'You have countersigned.' : 'All have signed: the contract stands.').first().waitFor();
  }
  const { sha256, state } = await consumer.evaluate(async (name) => (await fetch(`/v1/contracts/${name}`)).json(), id);
  assert.deepEqual([sha256, state], [next, 'active'], 'the next version is in force');
  await house.open(consumer, `/contracts/${id}`);
  // Two people of the SRO stop it, the first of them on its own page.
  await house.open(asha, `/contracts/${id}`);
  await asha.getByRole('button', { name: 'Suspend this contract' }).click();
  await asha.getByRole('dialog').getByLabel('Reason, one sentence').fill('an inquiry');
  await asha.getByRole('button', { name: 'To the document' }).click();
  await asha.getByRole('dialog').getByRole('button', { name: 'Sign', exact: true }).click();
  await asha.getByText('A second person must sign').waitFor();
  await house.open(bela, '/admin');
  await bela.getByRole('button', { name: `Read and sign: ${id}` }).click();
  await bela.getByRole('dialog').getByRole('button', { name: 'Sign', exact: true }).click();
  await bela.getByText('Two people have signed').first().waitFor();
  await consumer.locator('.head .pill', { hasText: 'suspended' }).waitFor();
  assert.equal(await consumer.getByRole('button', { name: 'Order a run' }).count(), 0);
  await consumer.getByTestId('why').getByText('an inquiry').waitFor();
  // The SRO's list names who is party of it; no document of it was read for that.
  await house.open(bela, '/contracts');
  const { participants } = await house.get('/v1/participants?limit=200');
  const row = bela.locator('tr', { hasText: id });
  for (const who of ['tdc', 'tdp', 'tdp2', 'tdp3', 'ccrp']) await row.getByText(participants.find((one) => one.did === house.people[who].did).legal_name).waitFor();
  for (const page of [consumer, provider, asha, bela]) quiet(page);
}

export async function bytes_that_the_service_altered_are_neither_shown_nor_offered_for_signing(house) {
  const consumer = await house.signer('tdc');
  const { id } = await propose(consumer, house);
  const provider = await house.signer('tdp');
  const alter = async (change) => {
    await provider.unroute('**/v1/contracts/*');
    await provider.route(`**/v1/contracts/${id}`, async (route) => {
      const response = await route.fetch();
      const view = await response.json();
      await route.fulfill({ response, json: change(view) });
    });
    await house.open(provider, `/contracts/${id}`);
  };
  const payload = (view, change) => {
    const written = Buffer.from(view.contract.payload, 'base64url').toString();
    return { ...view, contract: { ...view.contract, payload: Buffer.from(change(written)).toString('base64url') } };
  };
  const spoilt = {
    DIGEST_MISMATCH: (view) => payload(view, (text) => text.replace('"epsilon":"1.0"', '"epsilon":"2.0"')),
    NOT_CANONICAL: (view) => payload(view, (text) => text.replace('{', '{ ')),
    CONTRACT_MISMATCH: (view) => {
      const other = payload(view, (text) => text.replace(id, `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`));
      delete other.sha256;
      return other;
    },
  };
  for (const [code, change] of Object.entries(spoilt)) {
    await alter(change);
    await provider.getByText('This page refuses the contract.').waitFor();
    await provider.getByText(code).waitFor();
    assert.equal(await provider.getByRole('button', { name: 'Sign this contract' }).count(), 0, code);
  }
  // Under a digest that was told anew, the proposer's signature is wrong; and so is an altered one: neither is offered for signing.
  const unsigned = async () => {
    await provider.getByText('this signature is wrong').waitFor();
    await provider.getByRole('alert').filter({ hasText: 'This page does not offer to sign it.' }).waitFor();
    assert.equal(await provider.getByRole('button', { name: 'Sign this contract' }).count(), 0);
  };
  const retold = (view) => ({ ...view, sha256: createHash('sha256').update(Buffer.from(view.contract.payload, 'base64url')).digest('hex') });
  await alter((view) => retold(spoilt.DIGEST_MISMATCH(view)));
  await unsigned();
  await alter((view) => retold(spoilt.DIGEST_MISMATCH({ ...view, contract: { ...view.contract, signatures: [] } })));
  await provider.getByText('No signature of the one who proposed this contract').waitFor();
  assert.equal(await provider.getByRole('button', { name: 'Sign this contract' }).count(), 0);
  await alter((view) => {
    const [first, ...rest] = view.contract.signatures;
    const sig = `${first.sig[0] === 'A' ? 'B' : 'A'}${first.sig.slice(1)}`;
    return { ...view, contract: { ...view.contract, signatures: [{ ...first, sig }, ...rest] } };
  });
  await unsigned();
  await provider.unroute(`**/v1/contracts/${id}`);
  await house.open(provider, `/contracts/${id}`);
  await provider.getByRole('button', { name: 'Sign this contract' }).waitFor();
  await provider.getByRole('button', { name: 'Decline' }).click();
  await provider.getByLabel('Reason, one sentence').fill('the price');
  await provider.getByRole('dialog').getByRole('button', { name: 'Decline' }).click();
  await provider.locator('.head .pill', { hasText: 'declined' }).waitFor();
  // Who declined and why stands above the contract and in its history, for the others, too.
  await house.open(consumer, `/contracts/${id}`);
  const { participants } = await house.get('/v1/participants?limit=200');
  const { legal_name: declined } = participants.find((one) => one.did === house.people.tdp.did);
  for (const place of [consumer.getByTestId('why'), consumer.getByTestId('history').locator('li', { hasText: 'contract declined' })]) {
    await place.getByText('the price').waitFor();
    await place.getByText(declined).waitFor();
  }
}
