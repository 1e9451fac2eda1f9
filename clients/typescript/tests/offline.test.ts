import assert from 'node:assert/strict';
import { test } from 'node:test';
import { base64url, utf8 } from '../src/bytes.js';
import { canonical, client, draft, inclusionRoot, Key, keyOfDid, readUnverified, sign, verify } from '../src/index.js';

const REGISTRY = 'did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH';
const coded = (code: string) => ({ code });

test('a did:key spells its key', async () => {
  const key = await Key.generate();
  assert.equal(keyOfDid(key.did), key.x);
  // The first vector of the did:key specification for Ed25519.
  assert.equal(keyOfDid('did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'), 'O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik');
});

test('signatures count for their bytes, act and registry only', async () => {
  const key = await Key.generate();
  const envelope = await sign({ schema: 'note.v1', registry: REGISTRY, text: 'ä' }, key);
  const { document, signers } = await verify(envelope, 'note.v1', REGISTRY);
  assert.deepEqual([document.text, signers], ['ä', [key.kid]]);
  await assert.rejects(verify(envelope, 'note.v1', key.did), coded('WRONG_REGISTRY'));
  await assert.rejects(verify(envelope, 'letter.v1', REGISTRY), coded('SCHEMA_MISMATCH'));
  const payload = base64url(canonical({ ...document, text: 'b' }));
  await assert.rejects(verify({ ...envelope, payload }, 'note.v1', REGISTRY), coded('SIGNATURE_INVALID'));
  const foreign = (await sign({ schema: 'letter.v1', registry: REGISTRY, text: 'ä' }, key)).signatures;
  await assert.rejects(verify({ ...envelope, signatures: foreign }, 'note.v1', REGISTRY), coded('SIGNATURE_CONTEXT'));
  const twice = [...envelope.signatures, ...envelope.signatures];
  await assert.rejects(verify({ ...envelope, signatures: twice }, 'note.v1', REGISTRY), coded('SIGNER_TWICE'));
  await assert.rejects(verify({ ...envelope, signatures: [] }, 'note.v1', REGISTRY), coded('SIGNATURE_MISSING'));
});

test('what is not canonical is not read, and floats are not signed', () => {
  for (const text of ['{"schema":"note.v1","a":1,"a":1}', '{"schema": "note.v1"}', '{"b":1,"a":2,"schema":"x.v1"}']) {
    assert.throws(() => readUnverified({ payload: base64url(utf8(text)), signatures: [] }), coded('NOT_CANONICAL'));
  }
  assert.throws(() => draft({ schema: 'note.v1', value: 1.5 }), coded('MALFORMED_NUMBER'));
});

test('an index beyond the size proves nothing', async () => {
  const leaf = new Uint8Array(32);
  for (const [index, size] of [[0, 0], [1, 1], [8, 8], [-1, 4]] as const) {
    await assert.rejects(inclusionRoot(leaf, index, size, []), coded('INCLUSION_INVALID'));
  }
});

test('plain http is for loopback alone', () => {
  assert.throws(() => client('http://registry.example'), coded('CONFIG_INVALID'));
});
