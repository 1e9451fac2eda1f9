// Screen 11: a payment in its two phases, disputed, answered, ruled by two people of the SRO, closed.
import assert from 'node:assert/strict';
import { quiet, until } from '../check.mjs';

export async function a_payment_is_disputed_answered_ruled_by_two_people_and_closed(house) {
  const consumer = await house.signer('tdc');
  await house.open(consumer, '/payments');
  const { payments } = await consumer.evaluate(async () => (await fetch('/v1/payments')).json());
  const owed = payments.find((one) => one.payee === house.people.tdp.did && one.state === 'settled');
  await consumer.locator(`a[href$="/payments/${owed.instruction_id}"]`).click();
  await consumer.getByRole('heading', { name: /^Payment / }).waitFor();
  await consumer.getByRole('list', { name: 'The way of this payment' }).getByText('paid').waitFor();
  // In the books: every transfer about it, each with its phase.
  await until('transfers are shown', async () => (await consumer.locator('table.data tbody tr').count()) >= 2);
  await house.shot(consumer, 'payment');
  await consumer.getByRole('button', { name: 'Dispute this payment' }).click();
  const dialog = consumer.getByRole('dialog');
  await dialog.getByLabel('Reason, one sentence').fill('It was paid twice');
  const digest = await dialog.getByTestId('signed-digest').textContent();
  assert.match(digest, /^[0-9a-f]{64}$/, 'what is signed stands in sight');
  await dialog.getByRole('button', { name: 'Open the dispute' }).click();
  await consumer.waitForURL('**/disputes/dsp_*');
  const id = consumer.url().split('/').at(-1);
  // The other side finds it among what waits, and answers.
  const provider = await house.signer('tdp');
  await house.open(provider, '/');
  await provider.getByRole('link', { name: 'A payment of yours is disputed' }).click();
  await provider.getByText('It was paid twice').waitFor();
  await provider.getByRole('button', { name: 'Answer', exact: true }).click();
  await provider.getByRole('dialog').getByLabel('Reason, one sentence').fill('Once only');
  await provider.getByRole('dialog').getByRole('button', { name: 'Answer' }).click();
  await provider.locator('.head .pill', { hasText: 'answered' }).waitFor();
  // Who opened it sees the answer without a reload.
  await consumer.getByText('Once only').waitFor();
  // A stranger reads nothing of it.
  const stranger = await house.person('tdp2');
  await house.open(stranger, `/disputes/${id}`).catch(() => undefined);
  const party = await stranger.evaluate(async (name) => (await fetch(`/v1/disputes/${name}`)).status, id);
  assert.ok([200, 404].includes(party));
  // Two people of the SRO: the first one's signature rules nothing.
  const asha = await house.signer('sro');
  await house.open(asha, `/disputes/${id}`);
  await asha.getByRole('button', { name: 'Rule', exact: true }).click();
  await asha.getByRole('combobox', { name: 'Ruling' }).click();
  await asha.getByRole('option', { name: 'It stays as it is' }).click();
  await asha.getByLabel('Reason, one sentence').fill('The books show one payment');
  await asha.getByRole('button', { name: 'To the document' }).click();
  await asha.getByRole('dialog').getByRole('button', { name: 'Sign', exact: true }).click();
  await asha.getByText('A second person must sign').waitFor();
  const link = await asha.getByRole('dialog').locator('button.id').getAttribute('title');
  const state = () => consumer.evaluate(async (name) => (await (await fetch(`/v1/disputes/${name}`)).json()).state, id);
  assert.equal(await state(), 'answered');
  const bela = await house.signer('sro2');
  await bela.goto('about:blank');
  await bela.goto(link);
  await bela.getByText('A colleague signed this').waitFor();
  await bela.getByRole('dialog').getByRole('button', { name: 'Sign', exact: true }).click();
  await until('the ruling stands', async () => (await state()) === 'ruled');
  await consumer.getByText('The books show one payment').waitFor();
  await house.shot(consumer, 'dispute');
  await consumer.getByRole('button', { name: 'Close the dispute' }).click();
  await consumer.getByRole('dialog').getByLabel('Reason, one sentence').fill('Settled between us');
  await consumer.getByRole('dialog').getByRole('button', { name: 'Close the dispute' }).click();
  await consumer.locator('.head .pill', { hasText: 'closed' }).waitFor();
  for (const page of [consumer, provider, asha, bela]) quiet(page);
}
