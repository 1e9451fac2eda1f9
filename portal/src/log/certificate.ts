/**
 * Certificates (X.509) beside a report, as far as a chain is shown and checked: names, end, keys, signatures. Whether
 * its root is AMD's, and what was revoked, is asked elsewhere.
 */
import { type Bytes, hex, joined, sha256, text } from '../keys/bytes';

export interface Certificate {
  name: string;
  issuer: string;
  until: string;
  sha256: string;
  /** SubjectPublicKeyInfo. */
  key: Bytes;
  signed: Bytes;
  signature: Bytes;
}

interface Part {
  tag: number;
  body: Bytes;
  whole: Bytes;
}

/** The parts of DER that follow one another. */
function parts(of: Bytes): Part[] {
  const all: Part[] = [];
  for (let at = 0; at < of.length; ) {
    let [head, length] = [2, of[at + 1] ?? 0];
    if (length > 0x7f) {
      head += length - 0x80;
      length = of.slice(at + 2, at + head).reduce((sum, byte) => sum * 256 + byte, 0);
    }
    const end = at + head + length;
    if (head > 5 || end > of.length) throw new Error('a certificate is cut off');
    all.push({ tag: of[at] ?? 0, body: of.slice(at + head, end), whole: of.slice(at, end) });
    at = end;
  }
  return all;
}

const COMMON_NAME = '550403';

function commonName({ body }: Part): string {
  const pairs = parts(body).flatMap((set) => parts(set.body)).map((pair) => parts(pair.body));
  const found = pairs.find(([oid]) => oid && hex(oid.body) === COMMON_NAME)?.[1];
  return found ? text(found.body) : '';
}

function time({ tag, body }: Part): string {
  const short = tag === 0x17;
  const written = text(body);
  const digits = short ? `${Number(written.slice(0, 2)) < 50 ? 20 : 19}${written}` : written;
  const at = digits.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  if (Number.isNaN(Date.parse(at))) throw new Error('a certificate ends at no time');
  return at;
}

export async function certificate(der: Bytes): Promise<Certificate> {
  const [outer] = parts(der);
  const [signed, , signature] = parts(outer?.body ?? der);
  // The version is left out in those of the first one.
  const [, , issuer, validity, subject, key] = parts(signed?.body ?? der).filter(({ tag }) => tag !== 0xa0);
  const until = validity && parts(validity.body)[1];
  if (!signed || !signature || !issuer || !until || !subject || !key) throw new Error('this is no certificate');
  return {
    name: commonName(subject), issuer: commonName(issuer), until: time(until), sha256: hex(await sha256(der)),
    key: key.whole, signed: signed.whole, signature: signature.body.slice(1),
  };
}

/** Whether each is signed by the next one, and the last by itself, as AMD's authorities sign. */
export async function follow(chain: Certificate[]): Promise<boolean> {
  const algorithm = { name: 'RSA-PSS', hash: 'SHA-384', saltLength: 48 };
  const held = chain.map(async (one, at) => {
    const by = await crypto.subtle.importKey('spki', (chain[at + 1] ?? one).key, algorithm, false, ['verify']);
    return crypto.subtle.verify(algorithm, by, one.signature, one.signed);
  });
  return (await Promise.all(held)).every(Boolean);
}

/** Whether the chip's key signed its report. */
export async function reported(report: Bytes, { key }: Certificate): Promise<boolean> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
  const by = await crypto.subtle.importKey('spki', key, algorithm, false, ['verify']);
  // Numbers of a report begin at their small end.
  const number = (at: number) => report.slice(at, at + 48).reverse();
  return crypto.subtle.verify(algorithm, by, joined(number(0x2a0), number(0x2e8)), report.slice(0, 0x2a0));
}
