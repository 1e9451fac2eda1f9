/** A receipt of the log, checked in the page: the record is in the tree, the tree's head is under the log's pinned key. */
import type { Schemas } from '../api/client';
import { fromBase64url, fromHex, hex, sha256 } from '../keys/bytes';
import { canonical } from '../keys/document';
import { parse, signedBy } from './checkpoint';
import { inclusionRoot, leafHash } from './merkle';
import type { Pin } from './pin';

export interface Receipted {
  /** Whether the path leads from the record to the root of the checkpoint. */
  included: boolean;
  /** Whether the pinned key signed the checkpoint under the pinned origin. */
  signed: boolean;
  /** Whether the body is the one whose salted digest stands in the record; undefined where none was given. */
  bodied: boolean | undefined;
}

export async function checked(receipt: Schemas['Receipt'], pin: Pin, body?: unknown): Promise<Receipted> {
  const note = parse(receipt.checkpoint);
  const leaf = await leafHash(canonical(receipt.record));
  const root = await inclusionRoot(leaf, receipt.index, note.head.size, receipt.path.map(fromHex)).catch(() => '');
  const digest = body === undefined ? undefined : hex(await sha256(fromBase64url(receipt.body_salt), canonical(body)));
  return {
    included: root === note.head.root,
    signed: note.origin === pin.origin && (await signedBy(note, pin.x)),
    bodied: digest === undefined ? undefined : digest === receipt.record.body_sha256,
  };
}
