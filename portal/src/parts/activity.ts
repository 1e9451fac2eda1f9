/** What happened lately: what the log told since the page was opened, and before that what stands about one's own contracts. */
import { useQueries, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { oversees } from '../api/calm';
import { type Note, useNotes } from '../api/live';
import { contractEvents, contracts, me } from '../api/queries';
import { signers, type Told } from './told';

/** The newest contracts whose history is read, and the most lines of it. */
const [CONTRACTS, LINES] = [5, 12];

/** Both together, the newest first, each entry once. */
export function merged(live: Note[], before: Note[]): Note[] {
  const all = new Map<number, Note>();
  // What was told live says less: who signed stands in the body.
  for (const note of [...before, ...live]) all.set(note.index, { ...all.get(note.index), ...note });
  return [...all.values()].sort((a, b) => b.index - a.index).slice(0, LINES);
}

/** The index up to which somebody has read, kept in this browser; 0 where nothing was read. */
const readUpTo = (member: string): number => {
  const kept = Number(localStorage.getItem(`depa-read ${member}`));
  return Number.isSafeInteger(kept) && kept > 0 ? kept : 0;
};

export interface Activity {
  notes: Note[];
  /** Entries above this index are not read. */
  read: number;
  markRead: () => void;
}

export function useActivity(): Activity {
  const { data: session } = useQuery(me);
  const { notes: live } = useNotes();
  const member = session?.member ?? '';
  // What an overseer reads of others is entered in the log: for them what is told live is enough.
  const own = useQuery({ ...contracts, enabled: session != null && !oversees(session) });
  const rows = (own.data ?? []).slice(0, CONTRACTS).map(({ row }) => row);
  const before = useQueries({
    queries: rows.map((row) => contractEvents(row.contract_id)),
    combine: (read) => read.flatMap(({ data }, at) => (data?.events ?? []).map((event): Note => {
      const row = rows[at];
      const body = event.body as Told;
      return { index: event.index, kind: body.kind, by: signers(body), at: event.at, contract: row ? { id: row.contract_id, sha256: row.sha256 } : null, run_id: null };
    })),
  });
  const [marked, setMarked] = useState(0);
  const notes = merged(live, before);
  const read = Math.max(marked, member === '' ? 0 : readUpTo(member));
  const markRead = () => {
    const newest = notes[0]?.index ?? 0;
    localStorage.setItem(`depa-read ${member}`, String(newest));
    setMarked(newest);
  };
  return { notes, read, markRead };
}
