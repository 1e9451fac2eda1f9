/**
 * The log as this browser knows it: the newest checkpoint under the log's key, consistent with the newest one that this
 * browser has seen before, and entries proved under it.
 */
import { createStore, del, get, set } from 'idb-keyval';
import { api, ask } from '../api/client';
import { patiently } from '../api/patience';
import type { Trust } from '../api/queries';
import { fromHex, hex } from '../keys/bytes';
import { type Checkpoint, cosignedAt, parse, signedBy, witnesses } from './checkpoint';
import { checkConsistency, type Head, inclusionPath, inclusionRoot, rangeHash } from './merkle';
import { named, type Part, type Pin, pinned } from './pin';
import { type Entry, records, subtrees } from './tiles';

const seen = createStore('depa-log', 'heads');
const PIN = `log ${location.origin}`;
const HEAD = `head ${location.origin}`;
const pins = { get: () => get<Pin>(PIN, seen), set: (pin: Pin) => set(PIN, pin, seen) };

export interface Watched {
  note: Checkpoint;
  text: string;
  /** Under the origin and the key that this browser pinned when it first saw the log at this address. */
  signed: boolean;
  pin: Pin;
  /** What the service names now, and the parts of it that are not what was pinned. */
  named: Pin;
  changed: Part[];
  /** The head that this browser saw before; none at the first visit. */
  before: Head | undefined;
  /** Whether the newest head contains that one; why not, where it does not. */
  grown: true | string;
  /** Whether the hashes at the top of the tiles lead to the root of the checkpoint. Entries are proved one by one. */
  whole: boolean;
  witnesses: { name: string; at: Date | undefined }[];
}

/**
 * Pins what the service names now, in place of what was pinned. By the hand of somebody who compared it: this page does
 * not check by which signatures a key came into use. Another log has nothing in common with what was seen of this one.
 */
export async function pinAnew({ named: next, changed }: Watched): Promise<void> {
  if (changed.some((part) => part !== 'x')) await del(HEAD, seen);
  await pins.set(next);
}

export async function watch(trust: Trust): Promise<Watched> {
  const response = await patiently('/log/checkpoint');
  const text = await response.text();
  const note = parse(text);
  const now = named(trust);
  const [{ pin, changed }, before] = [await pinned(now, pins), await get<Head>(HEAD, seen)];
  const signed = note.origin === pin.origin && (await signedBy(note, pin.x));
  let grown: Watched['grown'] = true;
  if (before !== undefined && before.size !== note.head.size) {
    try {
      const query = { old: Math.min(before.size, note.head.size), new: Math.max(before.size, note.head.size) };
      if (before.size > note.head.size) throw new Error('the log is shorter than it was');
      const { proof } = await ask(api.GET('/v1/log/proof', { params: { query } }));
      await checkConsistency(before, note.head, proof.map(fromHex));
    } catch (problem) {
      grown = problem instanceof Error ? problem.message : String(problem);
    }
  } else if (before !== undefined && before.root !== note.head.root) {
    grown = 'same size, other root';
  }
  const root = note.head.size === 0 ? '' : hex(await rangeHash(0, note.head.size, subtrees(note.head.size)));
  const whole = root === note.head.root;
  // What does not hold together is not remembered: the next visit finds it again.
  if (signed && grown === true && whole && changed.length === 0) await set(HEAD, note.head, seen);
  const listed = trust.witnesses ?? [];
  const cosigned = await Promise.all(
    witnesses(note).map(async (name) => {
      const known = listed.find((one) => one.name === name);
      return { name, at: known && (await cosignedAt(note, name, known.jwk.x)) };
    }),
  );
  return { note, text, signed, pin, named: now, changed, before, grown, whole, witnesses: cosigned };
}

export interface Proved extends Entry {
  /** Whether its inclusion proof leads to the root of the checkpoint. */
  included: boolean;
}

/** The records of a tile, each proved under this head. */
export async function proved(tile: number, head: Head): Promise<Proved[]> {
  const tree = subtrees(head.size);
  const all = await records(tile, head.size);
  return Promise.all(
    all.map(async (entry) => {
      const path = await inclusionPath(entry.index, head.size, tree);
      const root = await inclusionRoot(entry.leaf, entry.index, head.size, path).catch(() => '');
      return { ...entry, included: root === head.root };
    }),
  );
}
