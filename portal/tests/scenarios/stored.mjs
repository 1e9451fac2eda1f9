// Scripts that are really stored, in every text that a person can write, run on no page of anybody.
import assert from 'node:assert/strict';
import { settled } from '../check.mjs';

const script = (where) => `<img src=x onerror="globalThis.owned='${where}'"><script>globalThis.owned='${where}'</script>`;

async function clean(page, where) {
  assert.equal(await page.evaluate(() => globalThis.owned), undefined, where);
  const made = await page.evaluate(() => document.querySelectorAll('#root script, #root iframe, #root img, #root [onerror], #root [onload], #root a[href^="javascript:"]').length);
  assert.equal(made, 0, where);
}

export async function scripts_that_people_stored_in_every_text_run_on_no_page(house) {
  const stored = [];
  const said = (where) => {
    stored.push(where);
    return script(where);
  };
  // The name of an organisation, and of a person.
  const newcomer = await house.profile();
  await house.open(newcomer, '/register');
  await newcomer.getByLabel('Legal name').fill(said('legal name').slice(0, 200));
  await newcomer.getByRole('button', { name: 'Make a key' }).click();
  await newcomer.getByRole('button', { name: 'Sign and apply' }).click();
  await newcomer.getByText('Two people of the SRO decide').waitFor();
  const consumer = await house.signer('tdc');
  // The risk statement of a contract.
  await house.open(consumer, '/datasets');
  const button = consumer.locator('.card.link .above button').first();
  await button.click();
  await consumer.getByRole('link', { name: /^Contract over 1 / }).click();
  await consumer.getByLabel('Risk that all parties accept').fill(said('risk'));
  await consumer.getByLabel(/^ε of /).first().fill('1.0');
  await consumer.getByRole('button', { name: 'Check every rule' }).click();
  await consumer.getByText('says yes').waitFor();
  await consumer.getByLabel('I have read the contract').check();
  await consumer.getByRole('button', { name: 'Sign and propose' }).click();
  await consumer.getByRole('heading', { name: /^Contract: / }).waitFor();
  const contract = consumer.url().split('/').at(-1);
  const view = await consumer.evaluate(async (id) => (await fetch(`/v1/contracts/${id}`)).json(), contract);
  const { provider } = JSON.parse(Buffer.from(view.contract.payload, 'base64url')).datasets[0];
  const who = Object.entries(house.people).find(([, one]) => one.did === provider)[0];
  const owner = await house.signer(who);
  // Why it is declined.
  await house.open(owner, `/contracts/${contract}`);
  await owner.getByRole('button', { name: 'Decline' }).click();
  await owner.getByLabel('Reason, one sentence').fill(said('decline'));
  await owner.getByRole('dialog').getByRole('button', { name: 'Decline' }).click();
  await owner.locator('.head .pill', { hasText: 'declined' }).waitFor();
  // The address of a webhook.
  await house.open(owner, '/payments');
  await owner.getByRole('button', { name: 'Add an endpoint' }).click();
  await owner.getByLabel('Where to').fill(`http://localhost:9/${said('webhook')}`);
  await owner.getByRole('dialog').getByRole('button', { name: 'Add an endpoint' }).click();
  await owner.getByRole('button', { name: 'I have kept it' }).click();
  // A dispute and its answer.
  const { payments } = await consumer.evaluate(async () => (await fetch('/v1/payments')).json());
  const { disputes } = await consumer.evaluate(async () => (await fetch('/v1/disputes')).json());
  const owed = payments.find((one) => one.payee === provider && !disputes.some((other) => other.instruction_id === one.instruction_id && other.state !== 'closed'));
  let dispute;
  if (owed) {
    await house.open(consumer, `/payments/${owed.instruction_id}`);
    await consumer.getByRole('button', { name: 'Dispute this payment' }).click();
    await consumer.getByLabel('Reason, one sentence').fill(said('dispute'));
    await consumer.getByRole('dialog').getByRole('button', { name: 'Open the dispute' }).click();
    await consumer.waitForURL('**/disputes/dsp_*');
    dispute = consumer.url().split('/').at(-1);
    await house.open(owner, `/disputes/${dispute}`);
    await owner.getByRole('button', { name: 'Answer', exact: true }).click();
    await owner.getByLabel('Reason, one sentence').fill(said('answer'));
    await owner.getByRole('dialog').getByRole('button', { name: 'Answer' }).click();
    await owner.locator('.head .pill', { hasText: 'answered' }).waitFor();
  }
  // The name of a query of the log.
  await house.open(owner, '/audit');
  await owner.getByLabel('Name of the query').fill(said('query').slice(0, 60));
  await owner.getByRole('button', { name: 'Keep this query' }).click();
  // Everybody, everywhere.
  const sro = await house.signer('sro');
  const { runs } = await consumer.evaluate(async () => (await fetch('/v1/runs')).json());
  const { datasets } = await house.get('/v1/datasets?limit=10');
  const paths = ['/', '/datasets', `/datasets/${datasets[0].offer.dataset_id}`, '/contracts', `/contracts/${contract}`, `/contracts/new?counter=${contract}`, '/runs', `/runs/${runs[0].run_id}`, `/runs/${runs[0].run_id}/evidence`, '/audit', '/payments', ...(dispute ? [`/disputes/${dispute}`] : []), '/keys'];
  let seen = new Set();
  for (const [name, page] of Object.entries({ consumer, owner, sro })) {
    for (const path of name === 'sro' ? [...paths, '/admin'] : paths) {
      await house.open(page, path).catch(() => undefined);
      await settled(page).catch(() => undefined);
      await clean(page, `${path} of ${name}`);
      const text = await page.locator('#root').textContent();
      for (const where of stored) if (text.includes(`globalThis.owned='${where}'`)) seen.add(where);
    }
  }
  await clean(newcomer, 'who registered');
  // Shown as text where it is shown at all: the texts were really there.
  for (const where of ['risk', 'legal name']) assert.ok(seen.has(where), `${where} is shown as text; seen: ${[...seen].join(', ')}`);
}
