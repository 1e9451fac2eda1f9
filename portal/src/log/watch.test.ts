import { beforeEach, expect, it, vi } from 'vitest';
import type { Trust } from '../api/queries';
import { base64, base64url, type Bytes, fromHex, hex, joined, sha256, utf8 } from '../keys/bytes';
import { type Head, leafHash, nodeHash } from './merkle';

const kept = new Map<string, unknown>();
vi.mock('idb-keyval', () => ({
  createStore: () => undefined,
  get: (name: string) => Promise.resolve(kept.get(name)),
  set: (name: string, value: unknown) => Promise.resolve(void kept.set(name, value)),
  del: (name: string) => Promise.resolve(void kept.delete(name)),
}));

const HEAD = `head ${location.origin}`;
const ORIGIN = 'sro.example/log';
const key = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
const point = new Uint8Array(await crypto.subtle.exportKey('raw', key.publicKey));
const trust = { origin: ORIGIN, registry: 'did:web:sro.example', registry_jwk: { kty: 'OKP', crv: 'Ed25519', x: base64url(point) }, sro: [] } as unknown as Trust;

const leaves = (n: number, salt = 0): Promise<Bytes[]> => Promise.all(Array.from({ length: n }, (_, at) => leafHash(Uint8Array.of(salt, at))));
const before = (n: number): number => 2 ** (Math.ceil(Math.log2(n)) - 1);

/** RFC 9162 2.1.1 and 2.1.4.1, as the log computes them. */
async function root(all: Bytes[]): Promise<Bytes> {
  if (all.length === 1) return all[0] as Bytes;
  const k = before(all.length);
  return nodeHash(await root(all.slice(0, k)), await root(all.slice(k)));
}
async function path(m: number, all: Bytes[], whole = true): Promise<Bytes[]> {
  if (m === all.length) return whole ? [] : [await root(all)];
  const k = before(all.length);
  if (m <= k) return [...(await path(m, all.slice(0, k), whole)), await root(all.slice(k))];
  return [...(await path(m - k, all.slice(k), false)), await root(all.slice(0, k))];
}

/** What the service says: a log of these leaves, rightly signed. A test spoils one thing. */
const service = { leaves: [] as Bytes[], proof: (proof: string[]): string[] => proof, asked: [] as string[] };

async function answer(asked: Request | string): Promise<Response> {
  const { pathname, searchParams } = new URL(asked instanceof Request ? asked.url : asked, location.origin);
  const all = service.leaves;
  if (pathname === '/log/checkpoint') {
    const body = `${ORIGIN}\n${all.length}\n${base64(await root(all))}\n`;
    const hash = (await sha256(utf8(`${ORIGIN}\n`), Uint8Array.of(1), point)).slice(0, 4);
    const signature = new Uint8Array(await crypto.subtle.sign('Ed25519', key.privateKey, utf8(body)));
    return new Response(`${body}\n\u2014 ${ORIGIN} ${base64(joined(hash, signature))}\n`);
  }
  if (pathname === `/log/tile/0/000.p/${all.length}`) return new Response(joined(...all));
  if (pathname !== '/v1/log/proof') return new Response('', { status: 404 });
  service.asked.push(searchParams.toString());
  const proof = await path(Number(searchParams.get('old')), all.slice(0, Number(searchParams.get('new'))));
  return Response.json({ proof: service.proof(proof.map(hex)) });
}

vi.stubGlobal('fetch', answer);
const { watch } = await import('./watch');

beforeEach(async () => {
  kept.clear();
  Object.assign(service, { leaves: await leaves(5), proof: (proof: string[]) => proof, asked: [] });
});

it('a log that has grown is proved to contain what was seen, and its new head is remembered', async () => {
  expect(await watch(trust)).toMatchObject({ signed: true, whole: true, grown: true, before: undefined });
  const first = kept.get(HEAD) as Head;
  expect(first.size).toBe(5);
  service.leaves = await leaves(11);
  expect(await watch(trust)).toMatchObject({ signed: true, whole: true, grown: true, before: first });
  expect(service.asked).toEqual(['old=5&new=11']);
  expect((kept.get(HEAD) as Head).size).toBe(11);
});

it('a log under the same key that does not continue what was seen is refused, and not remembered', async () => {
  const cases: [string, () => Promise<void> | void, string][] = [
    ['an earlier head', async () => void (service.leaves = await leaves(3)), 'the log is shorter than it was'],
    ['another past of the same size', async () => void (service.leaves = await leaves(5, 1)), 'same size, other root'],
    ['another past, grown', async () => void (service.leaves = await leaves(11, 1)), 'roots differ'],
    ['a hash of the proof', async () => {
      service.leaves = await leaves(11);
      service.proof = (proof) => [...proof.slice(0, -1), hex(fromHex(proof.at(-1) as string).map((byte) => byte ^ 1))];
    }, 'roots differ'],
    ['a proof that is cut', async () => {
      service.leaves = await leaves(11);
      service.proof = (proof) => proof.slice(1);
    }, 'too short'],
    ['no proof', async () => {
      service.leaves = await leaves(11);
      service.proof = () => [];
    }, 'too short'],
  ];
  await watch(trust);
  const seen = kept.get(HEAD);
  for (const [name, spoil, why] of cases) {
    service.proof = (proof) => proof;
    await spoil();
    expect(await watch(trust), name).toMatchObject({ signed: true, whole: true, changed: [], grown: why });
    expect(kept.get(HEAD), name).toEqual(seen);
  }
});

it('a head under another key is no head of this log, whatever it contains', async () => {
  await watch(trust);
  const seen = kept.get(HEAD);
  service.leaves = await leaves(11);
  const other = { ...trust, registry_jwk: { ...trust.registry_jwk, x: base64url(new Uint8Array(32)) } };
  expect(await watch(other)).toMatchObject({ changed: ['x'], grown: true });
  expect(kept.get(HEAD)).toEqual(seen);
});
