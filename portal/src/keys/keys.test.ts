import { beforeEach, expect, it, vi } from 'vitest';
import { Problem, unanswered } from '../api/client';
import { applied, remember, settle } from './applied';
import { base64url, sha256, utf8 } from './bytes';
import { thumbprint } from './did';
import { Refused } from './document';
import { recoveryFile } from './held';
import { explained } from './passkey';

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal('localStorage', { getItem: (name: string) => kept.get(name) ?? null, setItem: (name: string, value: string) => kept.set(name, value), removeItem: (name: string) => kept.delete(name) });
});

it('a registration is forgotten only for who is in', () => {
  expect(applied()).toBeUndefined();
  remember('did:key:zOne');
  settle('did:key:zOther');
  settle('');
  expect(applied()).toBe('did:key:zOne');
  settle('did:key:zOne');
  expect(applied()).toBeUndefined();
});

it('a thumbprint is of the members that its standard names', async () => {
  // RFC 8037, appendix A.3.
  expect(await thumbprint({ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } as never)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  const print = async (text: string) => base64url(await sha256(utf8(text)));
  expect(await thumbprint({ y: 'b', x: 'a', crv: 'P-256', kty: 'EC', kid: 'z' } as never)).toBe(await print('{"crv":"P-256","kty":"EC","x":"a","y":"b"}'));
  expect(await thumbprint({ n: 'a', kty: 'RSA', e: 'AQAB' } as never)).toBe(await print('{"e":"AQAB","kty":"RSA","n":"a"}'));
});

it('what the browser says of a passkey is told in words, with a code', () => {
  const told = (name: string) => explained(new DOMException('The operation either timed out or was not allowed.', name));
  for (const [name, code] of [['NotAllowedError', 'PASSKEY_REFUSED'], ['InvalidStateError', 'PASSKEY_EXISTS'], ['SecurityError', 'PASSKEY_UNSUPPORTED'], ['NotSupportedError', 'PASSKEY_UNSUPPORTED']] as const) {
    expect(told(name), name).toBeInstanceOf(Refused);
    expect(told(name), name).toMatchObject({ code });
  }
  const other = new TypeError('x');
  expect(explained(other)).toBe(other);
});

it('where nothing came back, a change may have arrived and a reading did not', () => {
  expect(unanswered('POST').message).toMatch(/may have arrived/);
  expect(unanswered('').message).toMatch(/may have arrived/);
  expect(unanswered('GET').message).not.toMatch(/arrived/);
  expect(unanswered('GET')).toBeInstanceOf(Problem);
});

it('a broken recovery file is refused with a sentence, one member spoilt at a time', () => {
  const whole = { schema: 'depa-recovery.v1', holder: 'did:key:zOne', thumbprint: 'a', iterations: 600_000, salt: 'AAAAAAAAAAAAAAAAAAAAAA', iv: 'AAAAAAAAAAAAAAAA', sealed: 'A'.repeat(40) };
  expect(recoveryFile(JSON.stringify(whole)).iterations).toBe(600_000);
  const spoilt = [{ schema: 'depa-recovery.v2' }, { iterations: 1 }, { iterations: 1e9 }, { iterations: '600000x' }, { salt: '?' }, { salt: undefined }, { iv: 'AAAA' }, { sealed: 'AAAA' }, { sealed: 7 }];
  for (const part of spoilt) expect(() => recoveryFile(JSON.stringify({ ...whole, ...part })), JSON.stringify(part)).toThrow(Refused);
  for (const text of ['', 'depa-recovery.v1', JSON.stringify(whole).slice(0, -3), 'null', '[]']) expect(() => recoveryFile(text), text).toThrow(Refused);
});
