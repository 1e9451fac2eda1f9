import { expect, it } from 'vitest';
import { make } from '../keys/held';
import { keyFor } from './signatures';

const [ACME, OTHER] = ['did:web:acme.example', 'did:web:other.example'];

it('a signature is judged by an active key of its own holder alone', async () => {
  const { jwk, thumbprint } = await make(ACME);
  const kid = `${ACME}#${thumbprint}`;
  const row = (state: string) => ({ thumbprint, state, jwk });
  expect(await keyFor(kid, { [ACME]: [row('active')] })).toBe(jwk.x);
  expect(await keyFor(kid, { [OTHER]: [row('active')] })).toBeUndefined();
  for (const state of ['retired', 'revoked', 'compromised']) expect(await keyFor(kid, { [ACME]: [row(state)] }), state).toBeUndefined();
  expect(await keyFor(kid, { [ACME]: [{ ...row('active'), jwk: (await make(ACME)).jwk }] })).toBeUndefined();
});

it('the key of a did:key is its own, unless the register says that it counts no longer', async () => {
  const { kid, jwk, holder, thumbprint } = await make();
  expect(await keyFor(kid, {})).toBe(jwk.x);
  expect(await keyFor(kid, { [holder]: [{ thumbprint, state: 'revoked', jwk }] })).toBeUndefined();
});
