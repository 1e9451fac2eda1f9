/** Your own key: Ed25519 by WebCrypto. The key files are those of `depa keys new`. */
import { type Bytes, base64url, fromBase64url, fromHex, hex, Refusal, sha256 } from './bytes.js';
import { canonical } from './canonical.js';

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

export interface KeyFile {
  holder: string;
  x: string;
  d: string;
}

/** RFC 7638 thumbprint of an Ed25519 public key. */
export const thumbprint = async (x: string): Promise<string> =>
  base64url(await sha256(canonical({ crv: 'Ed25519', kty: 'OKP', x })));

/** The did:key of an Ed25519 public key. */
export function didKey(x: string): string {
  let number = BigInt(`0x${hex(Uint8Array.of(0xed, 1, ...fromBase64url(x)))}`);
  let text = '';
  while (number > 0n) {
    text = BASE58[Number(number % 58n)] + text;
    number /= 58n;
  }
  return `did:key:z${text}`;
}

/** The Ed25519 key (`x`) that a did:key spells; undefined for other DIDs. */
export function keyOfDid(did: string): string | undefined {
  if (!did.startsWith('did:key:z')) return undefined;
  let number = 0n;
  for (const letter of did.slice('did:key:z'.length)) {
    const at = BASE58.indexOf(letter);
    if (at < 0) return undefined;
    number = number * 58n + BigInt(at);
  }
  const digits = number.toString(16);
  const data = fromHex(digits.padStart(digits.length + (digits.length % 2), '0'));
  return data.length === 34 && data[0] === 0xed && data[1] === 1 ? base64url(data.subarray(2)) : undefined;
}

/** A signing key. */
export class Key {
  private constructor(
    readonly did: string,
    readonly x: string,
    readonly thumbprint: string,
    private readonly secret: CryptoKey,
  ) {}

  /** A fresh key of its own did:key, which cannot be taken out of this process. */
  static async generate(): Promise<Key> {
    const pair = (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])) as CryptoKeyPair;
    const x = base64url(new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)));
    return new Key(didKey(x), x, await thumbprint(x), pair.privateKey);
  }

  /** The key of a key file, as text. Whoever reads the file sees to it that nobody else may. */
  static async of(text: string): Promise<Key> {
    let file: KeyFile;
    try {
      file = JSON.parse(text) as KeyFile;
      const jwk = { kty: 'OKP', crv: 'Ed25519', x: file.x, d: file.d };
      const secret = await crypto.subtle.importKey('jwk', jwk, 'Ed25519', false, ['sign']);
      const key = new Key(String(file.holder), file.x, await thumbprint(file.x), secret);
      await verifyBytes(key.x, Uint8Array.of(1), await key.signBytes(Uint8Array.of(1)));
      return key;
    } catch {
      throw new Refusal('CONFIG_INVALID', 'not a signing key file, or its halves do not belong together');
    }
  }

  get kid(): string {
    return `${this.did}#${this.thumbprint}`;
  }

  get jwk(): { kty: 'OKP'; crv: 'Ed25519'; x: string } {
    return { kty: 'OKP', crv: 'Ed25519', x: this.x };
  }

  async signBytes(message: Bytes): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.sign('Ed25519', this.secret, message));
  }

  /** A compact JWS of canonical parts. */
  async compact(header: object, payload: object): Promise<string> {
    const text = `${base64url(canonical(header))}.${base64url(canonical(payload))}`;
    return `${text}.${base64url(await this.signBytes(new Uint8Array(new TextEncoder().encode(text))))}`;
  }
}

/** Verifies an Ed25519 signature. */
export async function verifyBytes(x: string, message: Bytes, signature: Bytes): Promise<void> {
  let good = false;
  try {
    const key = await crypto.subtle.importKey('raw', fromBase64url(x), 'Ed25519', false, ['verify']);
    good = await crypto.subtle.verify('Ed25519', key, signature, message);
  } catch {
    // A key or signature of another form does not verify either.
  }
  if (!good) throw new Refusal('SIGNATURE_INVALID', 'the signature does not verify');
}
