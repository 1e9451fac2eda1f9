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
  for (const side of ['Debit', 'Credit']) await consumer.getByRole('columnheader', { name: side, exact: true }).waitFor();
  // What is owed is debited to the payee's receivable and credited to the payer's payable: the very sides of the journal.
  const { transfers } = await consumer.evaluate(async (id) => (await fetch(`/v1/payments/journal?limit=200&contract=${id}`)).json(), owed.contract.id);
  const line = transfers.find((one) => one.reference === owed.instruction_id && one.code === 'owed');
  assert.deepEqual([line.debit, line.debit_kind, line.credit, line.credit_kind], [owed.payee, 'receivable', owed.payer, 'payable']);
  const shown = await consumer.locator('table.data tbody tr').filter({ hasText: 'owed' }).first().locator('td').allTextContents();
  assert.match(shown[2], /receivable/, 'debit');
  assert.match(shown[3], /payable/, 'credit');
  assert.equal(await consumer.getByTestId('disputed').count(), 0, 'it was never disputed');
  await house.shot(consumer, 'payment');
  await consumer.getByRole('button', { name: 'Dispute this payment' }).click();
  const dialog = consumer.getByRole('dialog');
  await dialog.getByLabel('Reason, one sentence').fill('It was paid twice');
  const digest = await dialog.getByTestId('signed-digest').textContent();
  assert.match(digest, /^[0-9a-f]{64}$/, 'what is signed stands in sight');
  await dialog.getByRole('button', { name: 'Open the dispute' }).click();
  await consumer.waitForURL('**/disputes/dsp_*');
  const id = consumer.url().split('/').at(-1);
  // Both sides are named, and not only their identifiers.
  const { participants } = await house.get('/v1/participants?limit=200');
  const called = (did) => participants.find((one) => one.did === did).legal_name;
  for (const [part, did] of [['Payer', owed.payer], ['Payee', owed.payee]]) await consumer.locator(`dt:text-is("${part}") + dd`).getByText(called(did)).waitFor();
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
  // Every party of its contract reads it, also one that it says nothing of; a stranger is told that there is none.
  const read = (page, path) => page.evaluate(async (at) => {
    const answer = await fetch(at);
    return [answer.status, await answer.text()];
  }, path);
  for (const who of ['tdp2', 'ccrp']) {
    const party = await house.person(who);
    const [status, text] = await read(party, `/v1/disputes/${id}`);
    assert.deepEqual([status, JSON.parse(text).dispute_id], [200, id], who);
    await house.open(party, `/disputes/${id}`);
    await party.getByText('It was paid twice').waitFor();
    assert.equal(await party.getByRole('button', { name: /^(Answer|Rule|Close the dispute)$/ }).count(), 0, `${who} has no part in it`);
    quiet(party);
  }
  const stranger = await house.person('stranger');
  const [status, refusal] = await read(stranger, `/v1/disputes/${id}`);
  assert.deepEqual([status, JSON.parse(refusal).code], [404, 'DISPUTE_UNKNOWN']);
  const [listed, list] = await read(stranger, '/v1/disputes');
  assert.deepEqual([listed, JSON.parse(list).disputes], [200, []]);
  await stranger.goto(`${house.url}/portal/disputes/${id}`);
  await stranger.getByRole('alert').filter({ hasText: 'DISPUTE_UNKNOWN' }).waitFor();
  assert.ok(!(await stranger.content()).includes('paid twice'));
  const nobody = await house.profile();
  await nobody.goto(`${house.url}/portal/disputes/${id}`);
  await nobody.getByRole('heading', { name: 'Sign in', level: 1 }).waitFor();
  assert.equal((await read(nobody, `/v1/disputes/${id}`))[0], 401);
  // Two people of the SRO: the first one's signature rules nothing. What they read is entered in the log: a page that shows no dispute reads none.
  const asha = await house.signer('sro');
  const asked = [];
  asha.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await house.open(asha, '/datasets');
  await asha.locator('.card.link').first().waitFor();
  assert.deepEqual(asked.filter((path) => /^\/v1\/(disputes|payments)/.test(path)), []);
  await house.open(asha, '/');
  await asha.getByRole('link', { name: 'A dispute waits for a ruling' }).first().click();
  await house.open(asha, `/disputes/${id}`);
  await asha.getByRole('button', { name: 'Rule', exact: true }).click();
  await asha.getByRole('combobox', { name: 'Ruling' }).click();
  await asha.getByRole('option', { name: 'It stays as it is' }).click();
  await asha.getByLabel('Reason, one sentence').fill('The books show one payment');
  await asha.getByRole('button', { name: 'To the document' }).click();
  await asha.getByRole('dialog').getByRole('button', { name: 'Sign', exact: true }).click();
  await asha.getByText('A second person must sign').waitFor();
  const link = await asha.getByRole('dialog').locator('button.id').getAttribute('title');
  // Its page says to the SRO's people that a ruling waits, and to nobody else.
  await asha.getByTestId('begun').getByText('a colleague confirms it').waitFor();
  await asha.getByRole('dialog').getByRole('button', { name: 'Done', exact: true }).click();
  await asha.getByRole('dialog').waitFor({ state: 'hidden' });
  assert.equal(await asha.getByRole('button', { name: 'Rule', exact: true }).count(), 0, 'who has ruled is not asked again');
  const state = () => consumer.evaluate(async (name) => (await (await fetch(`/v1/disputes/${name}`)).json()).state, id);
  assert.equal(await state(), 'answered');
  assert.equal(await consumer.getByTestId('begun').count(), 0, 'what is not decided yet is nobody else’s business');
  const bela = await house.signer('sro2');
  await house.open(bela, `/disputes/${id}`);
  const begun = bela.getByTestId('begun');
  await begun.getByText('A ruling waits for a second person of the SRO.').waitFor();
  await begun.getByText('The books show one payment').waitFor();
  assert.match(await begun.getByRole('link', { name: 'Confirm it at the SRO’s desk' }).getAttribute('href'), /\/admin$/);
  await bela.goto('about:blank');
  await bela.goto(link);
  await bela.getByText('A colleague signed this').waitFor();
  await bela.getByRole('dialog').getByRole('link', { name: /^Read the dispute: / }).waitFor();
  await bela.getByRole('dialog').getByRole('button', { name: 'Sign', exact: true }).click();
  await until('the ruling stands', async () => (await state()) === 'ruled');
  await consumer.getByText('The books show one payment').waitFor();
  await house.shot(consumer, 'dispute');
  await consumer.getByRole('button', { name: 'Close the dispute' }).click();
  await consumer.getByRole('dialog').getByLabel('Reason, one sentence').fill('Settled between us');
  await consumer.getByRole('dialog').getByRole('button', { name: 'Close the dispute' }).click();
  await consumer.locator('.head .pill', { hasText: 'closed' }).waitFor();
  // On Home, what happened to the dispute leads to the dispute.
  await consumer.getByRole('link', { name: 'Home' }).click();
  const news = consumer.getByRole('link', { name: 'dispute closed' }).first();
  await news.waitFor();
  await until('it leads to the dispute', async () => (await news.getAttribute('href')) === `/portal/disputes/${id}`);
  // The payment keeps the trace of it, with what was ruled; the service would take another dispute of its sides.
  await house.open(consumer, `/payments/${owed.instruction_id}`);
  const before = consumer.getByTestId('disputed');
  await before.getByText('It stays as it is').waitFor();
  await before.getByText('closed', { exact: true }).waitFor();
  assert.equal(await before.getByRole('link').getAttribute('href'), `/portal/disputes/${id}`);
  await consumer.getByRole('button', { name: 'Dispute this payment again' }).waitFor();
  const other = await house.person('tdp2');
  await house.open(other, `/payments/${owed.instruction_id}`);
  await other.getByTestId('disputed').waitFor();
  assert.equal(await other.getByRole('button', { name: /^Dispute this payment/ }).count(), 0, 'a party that neither pays nor is paid disputes nothing');
  for (const page of [consumer, provider, asha, bela, other]) quiet(page);
}
