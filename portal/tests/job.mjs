// Contracts and jobs of the tests: proposed in the page, signed and bundled by the command line.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './check.mjs';

/** The bundle of the demo's job under a contract, as `depa job bundle` makes it. */
export async function job(house, contract, name, change = {}) {
  const { datasets } = await house.get('/v1/datasets?limit=200');
  const offers = datasets.map((one) => one.offer);
  const id = (who) => offers.find((offer) => offer.provider === house.people[who].did).dataset_id;
  const shown = JSON.parse(await house.depa('tdc', 'keys', 'show', join(house.dir, 'tdc', 'encryption.key'), '--json'));
  const form = {
    contracts: [contract.contract_id],
    image_set_id: contract.compute.image_sets[0],
    sql: 'SELECT * FROM icmr INNER JOIN cowin ON icmr.icmr_patient_mobilenumber = cowin.cowin_registered_mobile INNER JOIN statewarroom ON icmr.icmr_patient_mobilenumber = statewarroom.pcnumber',
    tables: { icmr: id('tdp'), cowin: id('tdp2'), statewarroom: id('tdp3') },
    training: {
      model: { kind: 'logistic_regression' }, target: 'icmr.a_icmr_test_result', positive: '1',
      principal: 'icmr.icmr_patient_mobilenumber', epsilon: '1.0', delta: '0.0000472', steps: 3000, sample_rate: '0.0755162',
      clipping_norm: '1.0', learning_rate: '0.5', metrics_noise_multiplier: '20', ...change,
    },
    output: { recipient_jwk: shown.jwk, upload: `file://${join(house.dir, 'storage', 'models')}` },
  };
  const [from, bundle] = [join(house.dir, `${name}-job.json`), join(house.dir, `${name}-job.bundle.json`)];
  writeFileSync(from, JSON.stringify(form));
  await house.depa('tdc', 'job', 'bundle', from, '--out', bundle);
  return bundle;
}

/** A contract that grants this much of each dataset, signed by all. */
export async function agreed(page, house, epsilon) {
  await house.open(page, '/datasets');
  const buttons = page.locator('.card.link .above button');
  await buttons.first().waitFor();
  for (let at = 0; at < 3; at += 1) await buttons.nth(at).click();
  await page.getByRole('link', { name: 'Contract over 3 datasets' }).click();
  await page.getByLabel(/^ε of /).nth(2).waitFor();
  for (const grant of await page.getByLabel(/^ε of /).all()) await grant.fill(epsilon);
  await page.getByRole('button', { name: 'Check every rule' }).click();
  await page.getByText('says yes').waitFor();
  await page.getByLabel('I have read the contract').check();
  await page.getByRole('button', { name: 'Sign and propose' }).click();
  await page.getByRole('heading', { name: /^Contract: / }).waitFor();
  const id = page.url().split('/').at(-1);
  const fetched = join(house.dir, `${id}.json`);
  await house.depa('tdc', 'contract', 'fetch', id, '--out', fetched);
  for (const who of ['tdp', 'tdp2', 'tdp3', 'ccrp']) {
    const out = join(house.dir, `${id}.${who}.json`);
    await house.depa(who, 'contract', 'sign', fetched, '--out', out);
    await house.depa(who, 'contract', 'submit', fetched, '--signature', out);
  }
  await page.locator('.head .pill', { hasText: 'active' }).waitFor();
  const view = await page.evaluate(async (name) => (await fetch(`/v1/contracts/${name}`)).json(), id);
  return JSON.parse(Buffer.from(view.contract.payload, 'base64url'));
}

/** A run of such a job, as soon as its room has checked in. */
export async function started(page, house, contract, name, change) {
  const listed = () => page.evaluate(async () => (await (await fetch('/v1/runs?limit=200')).json()).runs.map((run) => run.run_id));
  const known = await listed();
  await house.depa('tdc', 'run', 'start', await job(house, contract, name, change));
  return until('its run is listed', async () => (await listed()).find((id) => !known.includes(id)), 60_000);
}
