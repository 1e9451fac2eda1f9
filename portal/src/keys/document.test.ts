import { describe, expect, it } from 'vitest';
import { base64url, fromBase64url, fromHex, joined, text, utf8 } from './bytes';
import { didKey, keyOfDid, thumbprint } from './did';
import { canonical, envelope, own, read, sign, verified } from './document';
import { make } from './held';
import { uuidV7 } from '../parts/draft';

const document = { schema: 'contract.v1', b: 'é', a: 1 };
const sent = (written: string) => ({ payload: base64url(utf8(written)), signatures: [] });

describe('the page’s own bytes', () => {
  it('are canonical', () => {
    expect(text(canonical({ b: 1, a: [true, null, '\u20ac'], '\ud83d\ude00': 0, '\ufb33': 0 }))).toBe(`{"a":[true,null,"€"],"b":1,"\ud83d\ude00":0,"\ufb33":0}`);
  });

  it('hold safe integers alone', () => {
    for (const bad of [1.5, 2 ** 53, NaN, Infinity]) expect(() => canonical({ a: [bad] })).toThrow('safe integer');
    expect(text(canonical({ a: 2 ** 53 - 1, b: 0 }))).toBe('{"a":9007199254740991,"b":0}');
  });

  it('are refused where the service sends others', async () => {
    const good = await read(sent('{"a":1,"b":"é","schema":"contract.v1"}'), 'contract.v1');
    expect(good.value).toEqual(document);
    for (const [bad, why] of [
      ['{"b":"é","a":1,"schema":"contract.v1"}', 'canonical bytes'],
      ['{"a":1, "b":"é","schema":"contract.v1"}', 'canonical bytes'],
      ['{"a":1.0,"b":"é","schema":"contract.v1"}', 'canonical bytes'],
      ['{"a":1,"a":1,"b":"é","schema":"contract.v1"}', 'canonical bytes'],
      ['{"a":9007199254740993,"b":"é","schema":"contract.v1"}', 'safe integer'],
      ['{"a":1,"b":"é","schema":"job.v1"}', 'is expected'],
      ['{"a":1,', 'no JSON'],
    ] as const) {
      await expect(read(sent(bad), 'contract.v1'), bad).rejects.toThrow(why);
    }
    await expect(read(sent('{"a":1,"b":"é","schema":"contract.v1"}'), 'contract.v1', '0'.repeat(64))).rejects.toThrow('digest');
  });

  it('have one spelling in base64url', () => {
    expect(() => fromBase64url('AB')).toThrow('canonical');
    expect(() => fromBase64url('AA==')).toThrow('base64url');
  });
});

describe('signatures', () => {
  it('hold for these bytes, this type and this key, and for nothing else', async () => {
    const [key, other] = [await make(), await make()];
    const mine = await own(document);
    const signature = await sign(mine, key);
    const about = { bytes: mine.bytes, schema: 'contract.v1' };
    expect(await verified(about, signature, key.jwk.x)).toBe(true);
    expect(await verified(about, signature, other.jwk.x)).toBe(false);
    expect(await verified({ ...about, schema: 'job.v1' }, signature, key.jwk.x)).toBe(false);
    expect(await verified({ ...about, bytes: utf8('{}') }, signature, key.jwk.x)).toBe(false);
    expect(await verified(about, { ...signature, kid: other.kid }, key.jwk.x)).toBe(false);
    expect(await verified(about, { ...signature, form: 'cose' }, key.jwk.x)).toBe(false);
    const es256 = { ...signature, protected: base64url(canonical({ alg: 'ES256', cty: 'application/vnd.depa.contract.v1+json', iat: 1, kid: key.kid })) };
    expect(await verified(about, es256, key.jwk.x), 'an algorithm of other keys').toBe(false);
    expect(await verified(about, signature, undefined)).toBeUndefined();
    const whole = await envelope(document, key);
    expect(text(fromBase64url(whole.payload))).toBe('{"a":1,"b":"é","schema":"contract.v1"}');
    const head = JSON.parse(text(fromBase64url(signature.protected))) as Record<string, unknown>;
    expect(Object.keys(head)).toEqual(['alg', 'cty', 'iat', 'kid']);
    expect(head['cty']).toBe('application/vnd.depa.contract.v1+json');
  });
});

describe('signatures of COSE messages', () => {
  it('hold for these bytes and this key, and for nothing else', async () => {
    const [key, other] = [await make(), await make()];
    const { bytes } = await own(document);
    const frame = fromHex('8143a10127');
    const over = joined(fromHex('846a'), utf8('Signature1'), fromHex('43a101274058'), Uint8Array.of(bytes.length), bytes);
    const sig = base64url(new Uint8Array(await crypto.subtle.sign('Ed25519', key.key, over)));
    const signature = { form: 'cose' as const, protected: base64url(frame), kid: key.kid, sig };
    const about = { bytes, schema: 'contract.v1' };
    expect(await verified(about, signature, key.jwk.x)).toBe(true);
    expect(await verified(about, signature, other.jwk.x)).toBe(false);
    expect(await verified({ ...about, bytes: utf8('{}') }, signature, key.jwk.x)).toBe(false);
    expect(await verified(about, { ...signature, protected: base64url(fromHex('8143a10126')) }, key.jwk.x)).toBe(false);
    expect(await verified(about, signature, undefined)).toBeUndefined();
  });
});

describe('names of keys', () => {
  it('are those of the house', async () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } as const;
    expect(await thumbprint(jwk)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
    expect(keyOfDid(didKey(jwk))).toEqual(jwk);
    expect(keyOfDid('did:web:sro.example')).toBeUndefined();
    expect(keyOfDid('did:key:z6Mk0')).toBeUndefined();
  });

  it('keep the private half in the key store', async () => {
    const key = await make();
    await expect(crypto.subtle.exportKey('pkcs8', key.key)).rejects.toThrow();
    await expect(crypto.subtle.exportKey('jwk', key.key)).rejects.toThrow();
  });

  it('of documents are of UUID version 7', () => {
    expect(uuidV7(1_700_000_000_000)).toMatch(/^018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
