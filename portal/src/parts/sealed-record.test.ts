import { expect, it } from 'vitest';
import example from '../../../schemas/examples/dataset-offer.json';
import type { DatasetOffer } from '../api/documents';
import { own } from '../keys/document';
import { type Described, sealedRecord } from './sealed-record';

const [kms, family] = ['https://kms.acme.example', 'fam_0190e0a0-0000-7000-8000-000000000001'];
const record = {
  dataset_id: 'dst_0190e0a0-0000-7000-8000-000000000002', version: 1, family, url: 'https://objects.example/a.depa', bytes: 4096,
  manifest_root: 'ab'.repeat(32), kms, kms_jwk: { kty: 'OKP', crv: 'Ed25519', x: 'x' }, key_id: 'key_0190e0a0-0000-7000-8000-000000000003',
  min_assurance: 'hardware', media_type: 'text/csv',
};
const described: Described = { kms, assurance: 'hardware', family: '' };
/** Taken in with the digest of what is spoilt, where there can be one. */
const taken = async (spoilt: object, of: Partial<Described> = {}) => {
  const facts = JSON.parse(JSON.stringify({ ...record, ...spoilt })) as object;
  const sha256 = await own(facts).then(({ digest }) => digest, () => undefined);
  return sealedRecord(JSON.stringify({ ...facts, sha256 }), { ...described, ...of });
};

it('a record of what is described is taken in as it is', async () => {
  expect(await taken({})).toEqual(record);
  expect(await taken({}, { family })).toEqual(record);
  expect((await taken({ min_assurance: 'software' }, { assurance: 'software' })).min_assurance).toBe('software');
});

it('whatever has not its form is no record', async () => {
  for (const spoilt of [
    { dataset_id: 'dst_1' }, { manifest_root: 'no digest' }, { key_id: 'k' }, { family: 'f' }, { url: '' }, { bytes: 1.5 }, { bytes: undefined },
    { kms_jwk: undefined }, { kms_jwk: { kty: 'OKP', crv: 'X25519', x: 'x' } }, { kms_jwk: { kty: 'EC', crv: 'Ed25519', x: 'x' } },
    { version: 0 }, { version: 1.5 }, { version: '1' }, { version: undefined }, { schema: 'dataset-profile.v1' }, { schema: 'dataset-offer.v1' },
  ]) {
    await expect(taken(spoilt), JSON.stringify(spoilt)).rejects.toThrow('no record');
  }
  for (const content of ['', '{', 'null', '[]', '"sealed"', '7']) await expect(sealedRecord(content, described), content).rejects.toThrow('no record');
});

it('a record of another key service is refused', async () => {
  await expect(taken({ kms: 'https://elsewhere.example' })).rejects.toThrow('it was sealed to https://elsewhere.example');
});

it('a record whose key opens for other evidence than was chosen is refused, either way', async () => {
  await expect(taken({ min_assurance: 'software' })).rejects.toThrow('its key opens for software evidence, and hardware is chosen');
  await expect(taken({}, { assurance: 'software' })).rejects.toThrow('its key opens for hardware evidence, and software is chosen');
  await expect(taken({ min_assurance: 'none' })).rejects.toThrow('its key opens for none evidence');
  await expect(taken({ min_assurance: undefined })).rejects.toThrow('its key opens for');
});

it('a record is of the version that is described', async () => {
  await expect(taken({ version: 2 })).rejects.toThrow('version 2 of a dataset that is described here as new');
  await expect(taken({}, { family: 'fam_other' })).rejects.toThrow('another family');
  const before = { ...example, dataset_id: record.dataset_id, family, version: 1 } as unknown as DatasetOffer;
  expect((await taken({ version: 2 }, { before })).version).toBe(2);
  await expect(taken({ version: 1 }, { before })).rejects.toThrow('version 1 is registered');
});

it('a record that was altered since it was written is refused, whatever of it', async () => {
  const sha256 = (await own(record)).digest;
  const read = (spoilt: object) => sealedRecord(JSON.stringify({ ...record, sha256, ...spoilt }), described);
  expect(await read({})).toEqual(record);
  for (const spoilt of [{ manifest_root: 'cd'.repeat(32) }, { url: 'https://elsewhere.example/a.depa' }, { bytes: 4097 }, { sha256: '00'.repeat(32) }, { sha256: undefined }, { note: 'x' }]) {
    await expect(read(spoilt), JSON.stringify(spoilt)).rejects.toThrow('it was altered');
  }
});
