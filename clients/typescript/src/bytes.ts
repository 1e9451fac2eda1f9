/** Bytes as documents write them. */
export type Bytes = Uint8Array<ArrayBuffer>;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Why something is refused: by the service, or by a check of this client. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    readonly sentence: string,
    readonly status?: number,
    readonly field?: string | null,
  ) {
    super(`${code}: ${sentence}`);
    this.name = 'Refusal';
  }
}

export const utf8 = (text: string): Bytes => new Uint8Array(new TextEncoder().encode(text));

export const concat = (...parts: Uint8Array[]): Bytes => {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

export async function sha256(...parts: Uint8Array[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', concat(...parts)));
}

/** base64url without padding. */
export function base64url(data: Uint8Array): string {
  let out = '';
  for (let at = 0; at < data.length; at += 3) {
    const [a = 0, b = 0, c = 0] = data.subarray(at, at + 3);
    const bits = (a << 16) | (b << 8) | c;
    const left = Math.min(3, data.length - at);
    for (let n = 0; n <= left; n += 1) out += ALPHABET[(bits >> (18 - 6 * n)) & 63];
  }
  return out;
}

/** Reads base64url without padding; one text per value. */
export function fromBase64url(text: string): Bytes {
  const out: number[] = [];
  let [bits, held] = [0, 0];
  for (const letter of text) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) throw new Refusal('MALFORMED_BASE64', 'base64url without padding is expected');
    bits = ((bits << 6) | value) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push((bits >> held) & 255);
    }
  }
  const data = Uint8Array.from(out);
  if (base64url(data) !== text) throw new Refusal('MALFORMED_BASE64', 'base64url without padding is expected');
  return data;
}

export const hex = (data: Uint8Array): string => Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join('');

export function fromHex(text: string): Bytes {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Refusal('MALFORMED_DIGEST', 'lower-case hex digits are expected');
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, at) => byte === b[at]);

/** Random text for ids that count once. */
export const fresh = (length = 24): string => base64url(crypto.getRandomValues(new Uint8Array(length)));
