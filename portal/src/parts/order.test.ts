import { expect, it } from 'vitest';
import agreed from '../../../schemas/examples/contract.json';
import example from '../../../schemas/examples/job.json';
import type { Schemas } from '../api/client';
import type { Contract, JobSpec } from '../api/documents';
import { base64url } from '../keys/bytes';
import { canonical, own } from '../keys/document';
import { again, bundled, exceeds, grantOf, jobForm, leftOf, moneyCost, opened, privacyCost, within } from './order';

const job = example as unknown as JobSpec;
const contract = agreed as unknown as Contract;
const logged = (value: unknown, at = 1) => ({ envelope: { payload: base64url(canonical(value)), signatures: [] }, receipt: { index: at } });

/** A contract with what stands around it, and a job that pins it. */
async function around(change: Record<string, unknown> = {}) {
  const { digest } = await own(contract);
  const pinned = { ...job, contracts: [{ id: contract.contract_id, sha256: digest }] };
  const bundle = {
    contracts: [logged(contract)], offers: [logged({ name: 'offer' })], participants: [{ did: 'did:web:a.example' }],
    image_sets: [logged({ image_set_id: 'img_other' }), logged({ image_set_id: job.image_set_id })], ...change,
  };
  return { job: pinned as JobSpec, bundle: bundle as unknown as Schemas['ContractBundle'] };
}
const signed = { payload: 'AA', signatures: [] };

it('the same job again differs in its id and its end alone', () => {
  const now = Date.parse('2026-11-22T10:00:00.500Z');
  const next = again(job, now);
  expect(next.job_id).toMatch(/^job_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(next.job_id).not.toBe(again(job, now).job_id);
  expect(next.expires_at).toBe('2026-11-23T10:00:00Z');
  expect({ ...next, job_id: job.job_id, expires_at: job.expires_at }).toEqual(job);
});

it('a bundle holds what its contracts have around them, each document once', async () => {
  const one = await around();
  const made = await bundled(one.job, signed, [one.bundle, one.bundle]);
  expect(made.offers.length).toBe(1);
  expect(made.participants.length).toBe(1);
  expect(made.image_set).toEqual(logged({ image_set_id: job.image_set_id }));
  expect(made.job).toBe(signed);
  expect('renewals' in made || 'log_keys' in made).toBe(false);
  const keys = await around({ renewals: [logged({ number: 1 })], log_keys: { steps: [] } });
  const more = await bundled(keys.job, signed, [keys.bundle]);
  expect([more.renewals?.length, more.log_keys]).toEqual([1, { steps: [] }]);
});

it('a contract of another version, and an image that is not allowed, are refused before anything is sent', async () => {
  const other = await around({ contracts: [logged({ ...contract, version: 2 })] });
  await expect(bundled(other.job, signed, [other.bundle])).rejects.toMatchObject({ code: 'CONTRACT_MISMATCH' });
  const image = await around({ image_sets: [] });
  await expect(bundled(image.job, signed, [image.bundle])).rejects.toMatchObject({ code: 'IMAGE_SET_UNKNOWN' });
});

it('what is no bundle is not taken', async () => {
  const good = JSON.stringify({ job: { payload: base64url(canonical(job)), signatures: [] }, contracts: [] });
  expect((await opened(new Blob([good]))).job.value.job_id).toBe(job.job_id);
  for (const bad of ['', 'null', '[]', '{"job":{}}', '{"job":{"payload":"AA"}}', good.replace('"contracts"', '"other"')]) {
    await expect(opened(new Blob([bad])), bad).rejects.toMatchObject({ code: 'MALFORMED_JSON' });
  }
  const spaced = JSON.stringify({ job: { payload: base64url(new TextEncoder().encode(JSON.stringify(job, null, 1))), signatures: [] }, contracts: [] });
  await expect(opened(new Blob([spaced]))).rejects.toMatchObject({ code: 'NOT_CANONICAL' });
  await expect(opened(new Blob([good, ' '.repeat(1 << 20)]))).rejects.toMatchObject({ code: 'MALFORMED_JSON' });
});

it('privacy costs what the plan was charged before, else what is asked; without a bound it says so', () => {
  const id = job.datasets[0]?.dataset_id ?? '';
  expect(privacyCost(job).get(id)).toBe(1_000_000);
  expect(privacyCost(job, [{ dataset_id: id, epsilon_micro: 987_654 } as Schemas['DatasetCharge']]).get(id)).toBe(987_654);
  const open = { ...job, stages: job.stages.map((stage) => ('epsilon' in stage ? { ...stage, private: false } : stage)) };
  expect(privacyCost(open).get(id)).toBeUndefined();
  const unbounded = [{ dataset_id: id, epsilon_micro: Number.MAX_SAFE_INTEGER } as Schemas['DatasetCharge']];
  expect(privacyCost(open, unbounded).get(id)).toBeUndefined();
});

it('a contract grants what its clause says, and nothing of a dataset that it does not name', () => {
  const [first] = contract.datasets;
  expect(grantOf(first?.dataset_id ?? '', [contract])).toBe(Math.round(Number(first?.privacy.epsilon) * 1e6));
  expect(grantOf('dst_other', [contract])).toBe(0);
});

it('money is summed where it is fixed for a run, and terms of other datasets are left out', () => {
  const used = job.datasets[0]?.dataset_id ?? '';
  const term = (change: object) => ({ term_id: 'a', kind: 'per_run', currency: 'INR', amount_minor: 100, payees: [], trigger: 'completed', ...change });
  const of = (...payment: object[]) => moneyCost(job, [{ ...contract, payment } as unknown as Contract]);
  const plain = of(term({}), term({ dataset_id: used, amount_minor: 50 }), term({ dataset_id: 'dst_other' }), term({ kind: 'free' }));
  expect([[...plain.sums], plain.whole, plain.terms.length]).toEqual([[['INR', 150]], true, 2]);
  const partly = of(term({}), term({ kind: 'per_epsilon', pricing: {} }), term({ currency: 'EUR', kind: 'escrow' }));
  expect([[...partly.sums], partly.whole]).toEqual([[['INR', 100], ['EUR', 100]], false]);
});

it('the form of a job has the ids of its contract', () => {
  const form = JSON.parse(jobForm(contract)) as { contracts: string[]; image_set_id: string; tables: Record<string, string>; sql: string; training: { epsilon: string; target: string } };
  expect(form.contracts).toEqual([contract.contract_id]);
  expect(form.image_set_id).toBe(contract.compute.image_sets[0]);
  expect(Object.values(form.tables)).toEqual(contract.datasets.map((one) => one.dataset_id));
  expect(form.sql).toMatch(/^SELECT \* FROM t1/);
  expect(form.training.target).toMatch(/^t\d+\.\w+/);
  const two = JSON.parse(jobForm({ ...contract, datasets: [...contract.datasets, ...contract.datasets] })) as typeof form;
  expect(two.sql).toMatch(/^SELECT \* FROM t1 INNER JOIN t2 ON t1\.\w+ = t2\.\w+$/);
});

it('a run begins with what is left of its budget where that is less than what is granted', () => {
  const view = { cap_micro: 3_000_000, lines: [{ tdc: 'did:web:a.example', left_micro: 250_000 }] } as Schemas['BudgetView'];
  expect([leftOf(view, 'did:web:a.example'), leftOf(view, 'did:web:b.example'), leftOf(undefined, 'did:web:a.example')]).toEqual([250_000, 3_000_000, undefined]);
  expect([within('1.0', 250_000), within('1.0', 1_000_000), within('1.0', undefined), within('1.0', 0)]).toEqual(['0.25', '1.0', '1.0', '1.0']);
  expect((JSON.parse(jobForm(contract, () => 1)) as { training: { epsilon: string } }).training.epsilon).toBe('0.000001');
});

it('a cost above what is granted or left is too much, but where law alone bounds it', () => {
  const id = contract.datasets[0]?.dataset_id ?? '';
  const granted = grantOf(id, [contract]);
  expect([exceeds(id, granted, granted, [contract]), exceeds(id, granted, granted - 1, [contract]), exceeds(id, granted + 1, undefined, [contract]), exceeds(id, undefined, 0, [contract])]).toEqual([false, true, true, false]);
  const lawful = { ...contract, datasets: contract.datasets.map((one) => ({ ...one, privacy: { ...one.privacy, level: 0 } })) } as Contract;
  expect(exceeds(id, granted + 1, 0, [lawful])).toBe(false);
});
