import { expect, it } from 'vitest';
import { base64url, utf8 } from '../keys/bytes';
import { canonical, own, type PartySignature, sign } from '../keys/document';
import { thumbprint } from '../keys/did';
import { make } from '../keys/held';
import { doubted, judged, keyFor, type Verdict } from './verdicts';

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

const contract = { schema: 'contract.v1', epsilon: '1.0' };

it('a document that was changed has a wrong signature, whatever digest and headers are told of it', async () => {
  const key = await make();
  const [mine, changed] = [await own(contract), await own({ ...contract, epsilon: '9.0' })];
  const signature = await sign(mine, key);
  expect(await judged(mine, signature, {})).toBe('right');
  expect(await judged(changed, signature, {})).toBe('wrong');
  expect(await judged(changed, { ...signature, form: 'cose' }, {})).toBe('wrong');
  const es256 = base64url(canonical({ alg: 'ES256', cty: 'application/vnd.depa.contract.v1+json', iat: 1, kid: key.kid }));
  expect(await judged(changed, { ...signature, protected: es256 }, {})).toBe('wrong');
  expect(await judged(mine, { ...signature, sig: base64url(utf8('short')) }, {})).toBe('wrong');
  expect(await judged(mine, signature, { [key.holder]: [{ thumbprint: key.thumbprint, state: 'revoked', jwk: key.jwk }] })).toBe('keyless');
});

it('a key of another kind is not judged; one that is only said to be of another kind counts for nothing', async () => {
  const jwk = { kty: 'EC', crv: 'P-256', x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0' };
  const signature: PartySignature = { form: 'jws', protected: 'e30', kid: `${ACME}#${await thumbprint(jwk)}`, sig: 'AA' };
  const [mine, row] = [await own(contract), { thumbprint: await thumbprint(jwk), state: 'active', jwk }];
  expect(await judged(mine, signature, { [ACME]: [row] })).toBe('unjudged');
  expect(await judged(mine, signature, { [ACME]: [{ ...row, state: 'retired' }] })).toBe('keyless');
  expect(await judged(mine, signature, { [ACME]: [{ ...row, jwk: { ...jwk, x: 'AA' } }] })).toBe('keyless');
  expect(await judged(mine, signature, {})).toBe('keyless');
});

it('a contract is doubted unless a right signature of a party proposes it and none is wrong', () => {
  const by = (...holders: string[]) => holders.map((did): PartySignature => ({ form: 'jws', protected: '', kid: `${did}#k`, sig: '' }));
  const parties = [{ did: ACME }, { did: OTHER }];
  const doubt = (signatures: PartySignature[], ...verdicts: Verdict[]) => doubted(parties, signatures, verdicts);
  expect(doubt(by(ACME), 'right')).toBeUndefined();
  expect(doubt(by(ACME), 'unjudged')).toBeUndefined();
  expect(doubt(by(ACME, OTHER), 'right', 'keyless')).toBeUndefined();
  expect(doubt(by(ACME), 'wrong')).toBe('wrong');
  expect(doubt(by(ACME, OTHER), 'right', 'wrong')).toBe('wrong');
  expect(doubt([])).toBe('unproposed');
  expect(doubt(by(ACME), 'keyless')).toBe('unproposed');
  expect(doubt(by('did:web:stranger.example'), 'right')).toBe('unproposed');
  expect(doubt(by('did:web:stranger.example', ACME), 'right', 'right')).toBe('unproposed');
});
