/** Checkpoints: C2SP signed notes, checked under the log's key. */
import { type Bytes, base64, fromBase64, fromBase64url, hex, joined, same, sha256, utf8 } from '../keys/bytes';
import type { Head } from './merkle';

export interface Checkpoint {
  origin: string;
  head: Head;
  /** The signed part, ending in a newline. */
  body: string;
  signatures: { name: string; hash: Bytes; signature: Bytes }[];
}

export class NoteError extends Error {}

export function parse(note: string): Checkpoint {
  const cut = note.indexOf('\n\n');
  if (note.length > 16 * 1024 || cut < 0) throw new NoteError('not a checkpoint note');
  const body = `${note.slice(0, cut)}\n`;
  const [origin, size, root] = body.split('\n');
  if (!origin || !size || !/^(0|[1-9][0-9]*)$/.test(size) || !root) throw new NoteError('not a checkpoint note');
  const digest = fromBase64(root);
  if (digest.length !== 32 || base64(digest) !== root) throw new NoteError('root');
  const lines = note.slice(cut + 2).split('\n').filter((line) => line !== '');
  const signatures = lines.map((line) => {
    const parts = /^\u2014 (\S+) (\S+)$/.exec(line);
    if (parts === null) throw new NoteError('signature line');
    const blob = fromBase64(parts[2] ?? '');
    return { name: parts[1] ?? '', hash: blob.slice(0, 4), signature: blob.slice(4) };
  });
  return { origin, head: { size: Number(size), root: hex(digest) }, body, signatures };
}

/** Whether the log's Ed25519 key signed the checkpoint under its origin. */
export async function signedBy(note: Checkpoint, x: string): Promise<boolean> {
  const point = fromBase64url(x);
  const hash = (await sha256(utf8(`${note.origin}\n`), Uint8Array.of(1), point)).slice(0, 4);
  const line = note.signatures.find((one) => one.name === note.origin && same(one.hash, hash));
  if (line === undefined) return false;
  const key = await crypto.subtle.importKey('raw', point, 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', key, line.signature, utf8(note.body));
}

/** Names on the checkpoint besides the log's own: witnesses that have cosigned it. */
export const witnesses = (note: Checkpoint): string[] =>
  note.signatures.map((line) => line.name).filter((name) => name !== note.origin);

/** A witness's cosignature (C2SP tlog-cosignature, Ed25519): a timestamp and the signature over it and the note. */
export async function cosignedAt(note: Checkpoint, name: string, x: string): Promise<Date | undefined> {
  const point = fromBase64url(x);
  const hash = (await sha256(utf8(`${name}\n`), Uint8Array.of(4), point)).slice(0, 4);
  const line = note.signatures.find((one) => one.name === name && same(one.hash, hash));
  if (line === undefined || line.signature.length !== 72) return undefined;
  const seconds = new DataView(line.signature.buffer, line.signature.byteOffset).getBigUint64(0);
  const message = joined(utf8(`cosignature/v1\ntime ${seconds}\n`), utf8(note.body));
  const key = await crypto.subtle.importKey('raw', point, 'Ed25519', false, ['verify']);
  const good = await crypto.subtle.verify('Ed25519', key, line.signature.slice(8), message);
  return good ? new Date(Number(seconds) * 1000) : undefined;
}
