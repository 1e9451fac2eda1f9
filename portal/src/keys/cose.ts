/** What a COSE signature is over (RFC 9052 4.4), as far as the page needs it to judge one of an envelope. */
import { type Bytes, joined, utf8 } from './bytes';

/** Major types of CBOR (RFC 8949 3.1). */
const [BYTES, TEXT, ARRAY] = [2, 3, 4];

/** The head of an item in its shortest form, as every deterministic writer has it. */
function head(major: number, length: number): Bytes {
  const top = major << 5;
  if (length < 24) return Uint8Array.of(top | length);
  if (length < 0x100) return Uint8Array.of(top | 24, length);
  if (length < 0x1_0000) return Uint8Array.of(top | 25, length >> 8, length & 0xff);
  return Uint8Array.of(top | 26, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff);
}

const item = (major: number, content: Uint8Array): Bytes => joined(head(major, content.length), content);

/** The protected headers in the frame in which an envelope keeps them: those of the body and of the signer, or the one. */
function headers(frame: Bytes): Bytes[] {
  const count = (frame[0] ?? 0) - (ARRAY << 5);
  if (count !== 1 && count !== 2) throw new Error('no frame of protected headers');
  const found: Bytes[] = [];
  let at = 1;
  for (let n = 0; n < count; n += 1) {
    const [first = 0, one = 0, two = 0] = frame.subarray(at, at + 3);
    const short = first - (BYTES << 5);
    const [skip, length] = short < 24 ? [1, short] : short === 24 ? [2, one] : [3, one * 0x100 + two];
    // Another way to write the same length would be other bytes than those that were signed.
    if (short < 0 || short > 25 || head(BYTES, length).length !== skip) throw new Error('no byte string');
    found.push(frame.slice(at + skip, at + skip + length));
    at += skip + length;
  }
  if (at !== frame.length) throw new Error('no frame of protected headers');
  return found;
}

/** The Sig_structure of a signature over this payload, with no external data. */
export function toBeSigned(frame: Bytes, payload: Uint8Array): Bytes {
  const all = headers(frame);
  const context = all.length === 2 ? 'Signature' : 'Signature1';
  const parts = [...all, new Uint8Array(), payload].map((part) => item(BYTES, part));
  return joined(head(ARRAY, parts.length + 1), item(TEXT, utf8(context)), ...parts);
}
