import { expect, it } from 'vitest';
import { base64url } from '../../keys/bytes';
import { canonical, own } from '../../keys/document';
import { laid, type Laid, ordered } from './versions';

const logged = (value: object, index: number) => ({
  envelope: { payload: base64url(canonical(value)), signatures: ['did:key:a#1', 'did:key:b#2'].map((kid) => ({ form: 'jws' as const, protected: '', kid, sig: '' })) },
  receipt: { index, record: { at: '2026-11-20T10:00:00Z' } },
});

it('a version has the digest of its own bytes, its entry, and who signed it in their order', async () => {
  const template = { schema: 'template.v1', template: 'oncology-v2', rules: ['ab'.repeat(32)] };
  expect(await laid('template.v1', logged(template, 7))).toEqual({
    schema: 'template.v1', name: 'oncology-v2', digest: (await own(template)).digest, at: '2026-11-20T10:00:00Z', index: 7,
    signers: ['did:key:a', 'did:key:b'], rules: template.rules, state: '',
  });
  expect((await laid('image-set.v1', logged({ schema: 'image-set.v1', image_set_id: 'img_1', name: 'room 1.4' }, 8), 'revoked')).name).toBe('room 1.4');
  await expect(laid('template.v1', logged({ schema: 'data-schema.v1' }, 1))).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
});

it('of the versions of one name the newest is in force', () => {
  const one = (name: string, index: number, schema = 'template.v1', state = '') => ({ schema, name, index, state }) as Laid;
  const found = ordered([one('oncology-v1', 3), one('oncology-v2', 9), one('heart-v1', 5), one('room', 4, 'image-set.v1', 'revoked'), one('urn:depa:schema:heart-v1', 6, 'data-schema.v1')]);
  expect(found.map(({ name, state }) => `${name} ${state}`)).toEqual(['oncology-v2 active', 'urn:depa:schema:heart-v1 active', 'heart-v1 active', 'room revoked', 'oncology-v1 earlier version']);
});
