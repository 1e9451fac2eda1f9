// Scripts that are really stored, in every text that a person can write, run on no page of anybody.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { settled } from '../check.mjs';
import { program } from '../house.mjs';

const script = (where) => `<img src=x onerror="globalThis.owned='${where}'"><script>globalThis.owned='${where}'</script>`;

async function clean(page, where) {
  assert.equal(await page.evaluate(() => globalThis.owned), undefined, where);
  const made = await page.evaluate(() => document.querySelectorAll('#root script, #root iframe, #root img, #root [onerror], #root [onload], #root a[href^="javascript:"]').length);
  assert.equal(made, 0, where);
}

/** A dataset whose every text is written by `said`; gives its id. */
async function offered(house, page, said) {
  const { datasets } = await house.get('/v1/datasets?limit=200');
  const { offer } = datasets.find((one) => one.offer.provider === house.people.tdp.did);
  const { key } = await house.signedOffer(page, offer.dataset_id);
  const place = (name) => join(house.dir, `hostile.${name}`);
  const card = Object.fromEntries(['description', 'collection', 'limitations', 'personal_data'].map((name) => [name, said(`card ${name}`)]));
  writeFileSync(place('csv'), `mobile,age,positive\n${Array.from({ length: 50 }, (_, at) => `m${at},${20 + at},${at % 2}`).join('\n')}\n`);
  writeFileSync(place('json'), JSON.stringify({
    name: said('dataset'), kms: key.kms, min_assurance: 'software', public_rows: 50,
    columns: [{ name: 'mobile', type: 'text' }, { name: 'age', type: 'number', lower: '0', upper: '120' }, { name: 'positive', type: 'number', lower: '0', upper: '1' }],
    usage: { purposes: ['TRAINING'], allowed_columns: ['age'], join_keys: ['mobile'], target_columns: ['positive'] },
    cap: { epsilon: '1.0', delta: '0.0001', scope: 'per_tdc' }, card: { ...card, licence: 'CC0-1.0' },
  }));
  await house.depa('tdp', 'dataset', 'seal', place('json'), '--csv', place('csv'), '--out', place('depa'), '--record', place('record'));
  await house.depa('tdp', 'dataset', 'offer', place('json'), '--record', place('record'), '--out', place('offer'));
  await house.depa('tdp', 'dataset', 'publish', place('offer'));
  return (await house.get('/v1/datasets?limit=200')).datasets.map((one) => one.offer).find((one) => one.name === script('dataset')).dataset_id;
}

export async function scripts_that_people_stored_in_every_text_run_on_no_page(house) {
  const stored = new Set();
  const said = (where) => {
    stored.add(where);
    return script(where);
  };
  // The name of an organisation.
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
  // No page tells it.
  stored.delete('decline');
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
  await house.open(consumer, `/payments/${owed.instruction_id}`);
  await consumer.getByRole('button', { name: 'Dispute this payment' }).click();
  await consumer.getByLabel('Reason, one sentence').fill(said('dispute'));
  await consumer.getByRole('dialog').getByRole('button', { name: 'Open the dispute' }).click();
  await consumer.waitForURL('**/disputes/dsp_*');
  const dispute = consumer.url().split('/').at(-1);
  await house.open(owner, `/disputes/${dispute}`);
  await owner.getByRole('button', { name: 'Answer', exact: true }).click();
  await owner.getByLabel('Reason, one sentence').fill(said('answer'));
  await owner.getByRole('dialog').getByRole('button', { name: 'Answer' }).click();
  await owner.locator('.head .pill', { hasText: 'answered' }).waitFor();
  // The name of a query of the log.
  await house.open(owner, '/audit');
  await owner.getByLabel('Name of the query').fill(said('query').slice(0, 60));
  await owner.getByRole('button', { name: 'Keep this query' }).click();
  // The name of a person, a dataset with its card, and what the SRO writes: one person of it has signed.
  const colleague = await house.person(who, { as: said('person') });
  const dataset = await offered(house, await house.person('tdp'), said);
  const [sro, bela] = [await house.signer('sro'), await house.signer('sro2')];
  const { participants } = await house.get('/v1/participants?limit=200');
  const applicant = participants.find((one) => one.legal_name.includes("owned='legal name'")).did;
  const form = join(house.dir, 'hostile-v1.json');
  const [draft, decision] = ['template', 'decision'].map((name) => join(house.dir, `hostile.${name}.draft`));
  writeFileSync(form, JSON.stringify({ template: 'hostile-v1', title: said('template'), text_url: 'https://sro.example/hostile.html', text_sha256: 'ab'.repeat(32), purposes: ['TRAINING'], max_days: 365, lapse_days: 30 }));
  await program('depa', ['sro', 'template', form, '--out', draft, '--trust', house.trustFile]);
  for (const one of ['sro', 'sro2']) await house.depa(one, 'sro', 'approve', draft);
  await house.depa('sro', 'party', 'decide', applicant, '--decision', 'rejected', '--reason', said('decision'), '--out', decision);
  await house.depa('sro', 'dataset', 'suspend', dataset, '--reason', said('act'));
  // Everybody, everywhere: each text is seen as text where it belongs.
  const { runs } = await consumer.evaluate(async () => (await fetch('/v1/runs')).json());
  const about = ['/', '/datasets', `/datasets/${dataset}`, `/contracts/${contract}`, '/audit', `/payments/${owed.instruction_id}`, `/disputes/${dispute}`];
  const own = {
    consumer: [...about, '/contracts', '/contracts/new', `/contracts/new?counter=${contract}`, '/runs', `/runs/${runs[0].run_id}`, `/runs/${runs[0].run_id}/evidence`, '/keys'],
    owner: [...about, '/datasets/new', `/datasets/new?from=${dataset}`, '/payments', '/keys'],
    colleague: ['/', '/keys'],
    sro: [...about, '/admin'],
    bela: ['/', '/admin'],
  };
  const places = {
    'legal name': '/admin of bela', person: '/keys of owner', risk: `/contracts/${contract} of consumer`, webhook: '/payments of owner', dispute: `/disputes/${dispute} of owner`, answer: `/disputes/${dispute} of consumer`,
    query: '/audit of owner', dataset: '/datasets of consumer', template: '/admin of sro', decision: '/admin of bela', act: '/admin of bela',
    ...Object.fromEntries(['description', 'collection', 'limitations', 'personal_data'].map((name) => [`card ${name}`, `/datasets/${dataset} of consumer`])),
  };
  assert.deepEqual(Object.keys(places).sort(), [...stored].sort(), 'each text has its page');
  const seen = new Set();
  for (const [name, page] of Object.entries({ consumer, owner, colleague, sro, bela })) {
    for (const path of own[name]) {
      await house.open(page, path);
      await settled(page);
      if (path === '/audit' && name === 'owner') await page.getByRole('combobox', { name: 'Saved queries' }).click();
      await clean(page, `${path} of ${name}`);
      const text = await page.locator('body').textContent();
      for (const where of stored) if (text.includes(`globalThis.owned='${where}'`)) seen.add(`${where}: ${path} of ${name}`);
    }
  }
  await clean(newcomer, 'who registered');
  for (const [where, place] of Object.entries(places)) assert.ok(seen.has(`${where}: ${place}`), `${where} is shown as text at ${place}; seen: ${[...seen].join(', ')}`);
  // The second person reads it before signing; afterwards nothing waits, and nobody finds the dataset any more.
  for (const [subject, where] of [[applicant, 'decision'], [dataset, 'act']]) {
    await house.open(bela, '/admin');
    await bela.getByRole('button', { name: `Read and sign: ${subject}` }).click();
    const dialog = bela.getByRole('dialog');
    await dialog.getByText(`globalThis.owned='${where}'`).first().waitFor();
    await clean(bela, where);
    await dialog.getByRole('button', { name: 'Sign', exact: true }).click();
    await bela.getByText('Two people have signed').first().waitFor();
  }
  await house.depa('tdp', 'dataset', 'withdraw', dataset);
}
