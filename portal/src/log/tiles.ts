/** Tiles of the log (C2SP tlog-tiles): public records, and hashes of whole subtrees. */
import { patiently } from '../api/patience';
import { type Bytes, text } from '../keys/bytes';
import { leafHash, nodeHash, ProofError, type Subtree } from './merkle';

const WIDTH = 256;

/** How a path names a tile: `x001/x234/067`, and `067.p/5` for one that is not full. */
export function tilePath(index: number, width: number): string {
  const parts = [String(index % 1000).padStart(3, '0')];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    parts.unshift(`x${String(rest % 1000).padStart(3, '0')}`);
  }
  return width === WIDTH ? parts.join('/') : `${parts.join('/')}.p/${width}`;
}

async function fetched(path: string): Promise<Bytes> {
  const response = await patiently(path);
  if (!response.ok) throw new ProofError(`the log has no tile ${path}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** A public record of the log: the bytes that are hashed, and what they say. */
export interface Entry {
  index: number;
  bytes: Bytes;
  leaf: Bytes;
  record: { kind: string; at: string; subject: string; seq: number; body_sha256: string };
}

/** The records from `from` on within one tile of 256, of a log of this size. */
export async function records(tile: number, size: number): Promise<Entry[]> {
  const width = Math.min(WIDTH, size - tile * WIDTH);
  if (width <= 0) return [];
  const bytes = await fetched(`/log/tile/entries/${tilePath(tile, width)}`);
  const [all, view]: [Entry[], DataView] = [[], new DataView(bytes.buffer)];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const length = view.getUint16(at);
    const record = bytes.slice(at + 2, at + 2 + length);
    at += 2 + length;
    const index = tile * WIDTH + all.length;
    all.push({ index, bytes: record, leaf: await leafHash(record), record: JSON.parse(text(record)) as Entry['record'] });
  }
  if (all.length !== width) throw new ProofError('a tile of records is not whole');
  return all;
}

/** Hashes of whole subtrees of a log of this size, read from its tiles and kept. */
export function subtrees(size: number): Subtree {
  const tiles = new Map<string, Promise<Bytes>>();
  const tile = (level: number, index: number): Promise<Bytes> => {
    const width = Math.min(WIDTH, Math.floor(size / WIDTH ** level) - index * WIDTH);
    const path = `/log/tile/${level}/${tilePath(index, width)}`;
    const known = tiles.get(path) ?? fetched(path);
    tiles.set(path, known);
    return known;
  };
  const hashes = new Map<string, Bytes>();
  const subtree: Subtree = async (level, place) => {
    const name = `${level}/${place}`;
    const known = hashes.get(name);
    if (known !== undefined) return known;
    let hash: Bytes;
    if (level % 8 === 0) {
      const all = await tile(level / 8, Math.floor(place / WIDTH));
      const at = (place % WIDTH) * 32;
      hash = all.slice(at, at + 32);
      if (hash.length !== 32) throw new ProofError('a tile of hashes is not whole');
    } else {
      hash = await nodeHash(await subtree(level - 1, 2 * place), await subtree(level - 1, 2 * place + 1));
    }
    hashes.set(name, hash);
    return hash;
  };
  return subtree;
}
