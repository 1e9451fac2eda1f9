import { expect, it } from 'vitest';
import example from '../../../schemas/examples/dataset-offer.json';
import type { DatasetOffer } from '../api/documents';
import { type Described, sealedRecord } from './sealed-record';

const [kms, family] = ['https://kms.acme.example', 'fam_0190e0a0-0000-7000-8000-000000000001'];
const record = {
  dataset_id: 'dst_0190e0a0-0000-7000-8000-000000000002', version: 1, family, url: 'https://objects.example/a.depa', bytes: 4096,
  manifest_root: 'ab'.repeat(32), kms, kms_jwk: { kty: 'OKP', crv: 'Ed25519', x: 'x' }, key_id: 'key_0190e0a0-0000-7000-8000-000000000003',
  min_assurance: 'hardware', media_type: 'text/csv',
};
const described: Described = { kms, assurance: 'hardware', family: '' };
const taken = (spoilt: object, of: Partial<Described> = {}) => () => sealedRecord(JSON.stringify({ ...record, ...spoilt }), { ...described, ...of });

it('a record of what is described is taken in as it is', () => {
  expect(taken({})()).toEqual(record);
  expect(taken({}, { family })()).toEqual(record);
  expect(taken({ min_assurance: 'software' }, { assurance: 'software' })().min_assurance).toBe('software');
});

it('whatever has not its form is no record', () => {
  for (const spoilt of [
    { dataset_id: 'dst_1' }, { manifest_root: 'no digest' }, { key_id: 'k' }, { family: 'f' }, { url: '' }, { bytes: 1.5 }, { bytes: undefined },
    { kms_jwk: undefined }, { kms_jwk: { kty: 'OKP', crv: 'X25519', x: 'x' } }, { kms_jwk: { kty: 'EC', crv: 'Ed25519', x: 'x' } },
    { version: 0 }, { version: 1.5 }, { version: '1' }, { version: undefined }, { schema: 'dataset-profile.v1' }, { schema: 'dataset-offer.v1' },
  ]) {
    expect(taken(spoilt), JSON.stringify(spoilt)).toThrow('no record');
  }
  for (const content of ['', '{', 'null', '[]', '"sealed"', '7']) expect(() => sealedRecord(content, described), content).toThrow('no record');
});

it('a record of another key service is refused', () => {
  expect(taken({ kms: 'https://elsewhere.example' })).toThrow('it was sealed to https://elsewhere.example');
});

it('a record whose key opens for other evidence than was chosen is refused, either way', () => {
  expect(taken({ min_assurance: 'software' })).toThrow('its key opens for software evidence, and hardware is chosen');
  expect(taken({}, { assurance: 'software' })).toThrow('its key opens for hardware evidence, and software is chosen');
  expect(taken({ min_assurance: 'none' })).toThrow('its key opens for none evidence');
  expect(taken({ min_assurance: undefined })).toThrow('its key opens for');
});

it('a record is of the version that is described', () => {
  expect(taken({ version: 2 })).toThrow('version 2 of a dataset that is described here as new');
  expect(taken({}, { family: 'fam_other' })).toThrow('another family');
  const before = { ...example, dataset_id: record.dataset_id, family, version: 1 } as unknown as DatasetOffer;
  expect(taken({ version: 2 }, { before })().version).toBe(2);
  expect(taken({ version: 1 }, { before })).toThrow('version 1 is registered');
});
