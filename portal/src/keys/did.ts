/** did:key of Ed25519 keys, and thumbprints (RFC 7638). */
import { base64url, fromBase64url, joined, sha256, utf8 } from './bytes';

export interface PublicJwk {
  kty: 'OKP';
  crv: 'Ed25519';
  x: string;
}

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
/** Multicodec of Ed25519 public keys. */
const ED25519 = Uint8Array.of(0xed, 0x01);

function base58(bytes: Uint8Array): string {
  let number = 0n;
  for (const byte of bytes) number = number * 256n + BigInt(byte);
  let out = '';
  for (; number > 0n; number /= 58n) out = ALPHABET[Number(number % 58n)] + out;
  for (const byte of bytes) {
    if (byte !== 0) break;
    out = `1${out}`;
  }
  return out;
}

function fromBase58(encoded: string): Uint8Array | undefined {
  let number = 0n;
  for (const letter of encoded) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) return undefined;
    number = number * 58n + BigInt(digit);
  }
  const bytes: number[] = [];
  for (; number > 0n; number /= 256n) bytes.unshift(Number(number % 256n));
  return Uint8Array.from(bytes);
}

export const didKey = (jwk: PublicJwk): string => `did:key:z${base58(joined(ED25519, fromBase64url(jwk.x)))}`;

/** The Ed25519 key that a did:key encodes; undefined for every other DID. */
export function keyOfDid(did: string): PublicJwk | undefined {
  const bytes = did.startsWith('did:key:z') ? fromBase58(did.slice('did:key:z'.length)) : undefined;
  if (bytes?.length !== 34 || bytes[0] !== ED25519[0] || bytes[1] !== ED25519[1]) return undefined;
  return { kty: 'OKP', crv: 'Ed25519', x: base64url(bytes.subarray(2)) };
}

/** The members of a public key that its thumbprint is of, in their order (RFC 7638 3.2, RFC 8037 2). */
const MEMBERS: Record<string, string[]> = { OKP: ['crv', 'kty', 'x'], EC: ['crv', 'kty', 'x', 'y'], RSA: ['e', 'kty', 'n'] };

/** The RFC 7638 thumbprint of a public key. */
export async function thumbprint(jwk: PublicJwk | { kty: string }): Promise<string> {
  const of = jwk as unknown as Record<string, unknown>;
  const needed = Object.fromEntries((MEMBERS[jwk.kty] ?? []).map((name) => [name, of[name]]));
  return base64url(await sha256(utf8(JSON.stringify(needed))));
}
