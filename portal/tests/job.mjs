// A job of the tests, bundled by the consumer's own command line.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

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
