// Screen 6 and 7: counter-offers, versions followed by their pins, what they change in words, templates of the SRO.
import assert from 'node:assert/strict';
import { quiet, until } from '../check.mjs';

async function proposed(page, house) {
  await house.open(page, '/datasets');
  const buttons = page.locator('.card.link .above button');
  await buttons.first().waitFor();
  for (let at = 0; at < 3; at += 1) await buttons.nth(at).click();
  await page.getByRole('link', { name: 'Contract over 3 datasets' }).click();
  await page.getByLabel(/^ε of /).nth(2).waitFor();
  for (const grant of await page.getByLabel(/^ε of /).all()) await grant.fill('1.0');
  await page.getByRole('button', { name: 'Check every rule' }).click();
  await page.getByText('says yes').waitFor();
  await page.getByLabel('I have read the contract').check();
  await page.getByRole('button', { name: 'Sign and propose' }).click();
  await page.getByRole('heading', { name: /^Contract: / }).waitFor();
  return page.url().split('/').at(-1);
}

export async function a_counter_offer_shows_what_it_changes_and_its_versions_are_followed_by_their_pins(house) {
  const consumer = await house.signer('tdc');
  const id = await proposed(consumer, house);
  await house.open(consumer, `/contracts/${id}`);
  const first = await consumer.getByTestId('digest').textContent();
  const provider = await house.signer('tdp');
  await house.open(provider, `/contracts/${id}`);
  await provider.getByRole('link', { name: 'Make a counter-offer' }).click();
  await provider.getByRole('heading', { name: 'Next version' }).waitFor();
  await provider.getByText('Nothing differs.').waitFor();
  await provider.getByLabel('At most so many runs').fill('3');
  await provider.getByLabel(/^ε of /).first().fill('0.5');
  const changes = provider.getByTestId('changes').first();
  await changes.getByText('At most so many runs').waitFor();
  await changes.getByText('ε that may be spent').waitFor();
  await provider.getByRole('button', { name: 'Check every rule' }).click();
  await provider.getByText('says yes').waitFor();
  await house.shot(provider, 'counter-offer');
  const second = await provider.getByTestId('digest').textContent();
  await provider.getByLabel('I have read the contract').check();
  await provider.getByRole('button', { name: 'Sign and propose' }).click();
  await provider.getByText('follows by its pin').waitFor();
  assert.equal(await provider.getByTestId('digest').textContent(), second);
  // The other side's open page shows the next version and what changed since it looked, without a reload.
  await until('the consumer sees the counter-offer', async () => (await consumer.getByTestId('digest').textContent().catch(() => '')) === second);
  await consumer.getByText('The contract has changed since you last saw it.').waitFor();
  await consumer.getByRole('status').getByText('At most so many runs').waitFor();
  await consumer.getByRole('link', { name: 'Version 1', exact: true }).click();
  await until('the version before is read by its digest', async () => (await consumer.getByTestId('digest').textContent().catch(() => '')) === first);
  assert.equal(await consumer.getByRole('button', { name: 'Sign this contract' }).count(), 0, 'nobody signs what is superseded');
  // A pin that leads nowhere is seen.
  await provider.route(`**/v1/contracts/${id}/events*`, async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    body.events = body.events.filter((event, at) => at > 0 || event.body.kind !== 'contract_proposed');
    await route.fulfill({ response, json: body });
  });
  await provider.reload();
  await provider.getByText('FOLLOWS NOTHING KNOWN').waitFor();
  assert.equal(await provider.getByText('follows by its pin').count(), 0);
  quiet(provider);
  quiet(consumer);
}

export async function a_template_of_the_sro_brings_its_purpose_law_and_longest_period(house) {
  const page = await house.signer('tdc');
  const laid = {
    schema: 'template.v1', registry: 'did:web:sro.example', template: 'oncology-v2', title: 'Oncology trials', text_url: 'https://sro.example/oncology-v2', text_sha256: 'ab'.repeat(32),
    purposes: ['ONCOLOGY'], jurisdictions: ['FR', 'IN'], max_days: 30, lapse_days: 7, sro_countersigns: true, risk_statement: true, at: '2026-01-01T00:00:00Z',
  };
  await page.route('**/v1/templates', (route) => route.fulfill({ json: { templates: [{ envelope: { payload: Buffer.from(JSON.stringify(laid)).toString('base64url'), signatures: [] }, receipt: {} }] } }));
  await house.open(page, '/datasets');
  await page.locator('.card.link .above button').first().click();
  await page.getByRole('link', { name: /^Contract over 1 / }).click();
  // What comes late must not move what is clicked.
  await page.getByText(/steps at batch/).waitFor();
  await page.getByRole('combobox', { name: 'Template' }).click();
  await page.getByRole('option', { name: /Oncology trials/ }).click();
  await page.getByText('two people of the SRO countersign').waitFor();
  await page.getByText('JSON', { exact: true }).click();
  const shown = JSON.parse(await page.locator('pre.json').last().textContent());
  assert.deepEqual([shown.template, shown.purpose, shown.jurisdiction], ['oncology-v2', 'ONCOLOGY', 'IN']);
  assert.ok(Date.parse(shown.expires_at) - Date.parse(shown.effective_from) <= 30 * 86_400_000);
  // The service knows no such template: it says so, and nothing is proposed.
  await page.getByRole('button', { name: 'Check every rule' }).click();
  await page.getByRole('alert').first().waitFor();
  assert.equal(await page.getByRole('button', { name: 'Sign and propose' }).isDisabled(), true);
  quiet(page);
}
