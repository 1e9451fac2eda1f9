import { expect, it } from 'vitest';
import { envelope, type Own, read, Refused } from '../keys/document';
import { base64url, fromBase64url } from '../keys/bytes';
import { didKey, type PublicJwk, thumbprint } from '../keys/did';
import type { HeldKey } from '../keys/held';
import { begun, invitation, type KeyEvent, proven } from './key-acts';

const REGISTRY = 'did:web:sro.example';

async function made(holder?: string): Promise<HeldKey> {
  const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const { x = '' } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  const jwk: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x };
  const [name, print] = [holder ?? didKey(jwk), await thumbprint(jwk)];
  return { holder: name, thumbprint: print, kid: `${name}#${print}`, jwk, source: 'made', createdAt: '', key: pair.privateKey };
}

it('a link hands over the event that enters a key, and nothing private', async () => {
  const key = await made();
  const link = await invitation(key, REGISTRY);
  const [page, act = ''] = link.split('#act=');
  expect(page).toBe('http://localhost:8080/portal/keys');
  const { d = '' } = await crypto.subtle.exportKey('jwk', key.key);
  expect(new TextDecoder().decode(fromBase64url(act))).not.toContain(d);
  const { value }: Own<KeyEvent> = await read<KeyEvent>({ payload: act, signatures: [] }, 'key-event.v1');
  expect(proven(value, REGISTRY, [key.holder])).toEqual(key.jwk);
});

it('a link that enters no key of these holders in this registry is refused', async () => {
  const key = await made();
  const act = (await invitation(key, REGISTRY)).split('#act=')[1] ?? '';
  const { value } = await read<KeyEvent>({ payload: act, signatures: [] }, 'key-event.v1');
  const code = (event: KeyEvent, registry = REGISTRY, holders = [key.holder]) => {
    try {
      proven(event, registry, holders);
    } catch (caught) {
      return caught instanceof Refused ? caught.code : String(caught);
    }
    return undefined;
  };
  expect(code(value)).toBeUndefined();
  expect(code(value, 'did:web:other.example')).toBe('WRONG_REGISTRY');
  expect(code(value, REGISTRY, ['did:key:zOther'])).toBe('SIGNER_NOT_PARTY');
  expect(code({ ...value, event: { act: 'retire', thumbprint: key.thumbprint } })).toBe('SCHEMA_MISMATCH');
  expect(code({ ...value, event: undefined as never })).toBe('SCHEMA_MISMATCH');
  for (const proof of [undefined, {}, { payload: '?' }, { payload: base64url(new TextEncoder().encode('{}')) }]) expect(code({ ...value, event: { ...value.event, proof } }), JSON.stringify(proof)).toBe('KEY_FORM');
  const other = await made();
  const proof = await envelope({ schema: 'key-proof.v1', registry: REGISTRY, holder: other.holder, jwk: other.jwk, at: value.at }, other);
  expect(code({ ...value, event: { ...value.event, proof } })).toBe('KEY_FORM');
});

it('a key waits for a colleague once a first person has signed that it is entered', async () => {
  const [key, other] = [await made(), await made()];
  const { value } = await read<KeyEvent>({ payload: (await invitation(key, REGISTRY)).split('#act=')[1] ?? '', signatures: [] }, 'key-event.v1');
  const waits = (act: object) => begun([{ act: act as never, signers: [], since: '', until: '' }], key);
  expect(waits(value)).toBe(true);
  expect(begun([{ act: value as never, signers: [], since: '', until: '' }], other)).toBe(false);
  expect(waits({ ...value, event: { act: 'retire', thumbprint: key.thumbprint } })).toBe(false);
  expect(waits({ ...value, event: { act: 'add', proof: { payload: '?' } } })).toBe(false);
  expect(begun([{ signers: [], since: '', until: '' }], key)).toBe(false);
});
