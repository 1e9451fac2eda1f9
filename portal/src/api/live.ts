/**
 * Live updates: Server-Sent Events of the log. A stream that was cut resumes after the last event seen (`Last-Event-ID`);
 * whatever the stream may have missed is read again when it is up.
 */
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import { forget, heard } from './steps';
import { follow } from './stream';

/** An event of `/v1/events`. No body is told. */
export interface Note {
  index: number;
  kind: string;
  at: string;
  contract: { id: string; sha256: string } | null;
  run_id: string | null;
  /** The dataset that was offered or changed. */
  dataset?: string;
  /** The participant whose registration or keys changed. */
  participant?: string;
  /** Who signed it, where the page has read its body. */
  by?: string[];
}

const CONTRACT = [
  'contract_proposed', 'contract_signed', 'contract_executed', 'contract_declined', 'contract_revoked',
  'contract_withdrawn', 'contract_suspended', 'contract_resumed', 'contract_terminated', 'contract_timed',
  'contract_completed',
];
const RUN = [
  'run_checked_in', 'kms_stated', 'run_reported', 'run_aborted', 'run_lost', 'run_completed', 'model_handed_over',
];
const MONEY = [
  'payments_timed', 'revenue_stated', 'payment_answered', 'payment_retried', 'payment_unmatched', 'escrow_timed_out', 'dispute_opened', 'dispute_answered', 'dispute_ruled', 'dispute_closed',
];
/** What everyone reads of the register, and what a page shows of it. */
const REGISTER: Record<string, string[]> = {
  participant_applied: ['participants'],
  // Who leaves, a key that is reported compromised and measurements that no longer count stop what rests on them.
  participant_decided: ['participants', 'keys', 'datasets', 'contracts'],
  participant_left: ['participants', 'keys', 'datasets', 'contracts'],
  key_changed: ['participants', 'keys', 'datasets', 'contracts'],
  dataset_registered: ['datasets', 'budgets'],
  dataset_changed: ['datasets'],
  budget_renewed: ['datasets', 'budgets'],
  image_set_approved: ['image-sets'],
  image_set_revoked: ['image-sets', 'contracts'],
  template_approved: ['templates'],
  data_schema_approved: ['data-schemas'],
};
/** Of it, what an overseer may read again without an entry in the log about it. */
const UNENTERED = ['participants', 'keys', 'image-sets', 'templates', 'data-schemas'];
/** Between the events of the log, without an index: how far a run is. */
const STEP = 'run_step';
const MOST = 50;
/** Not told by the log, and refreshed by nothing that it tells. */
const APART = ['me', 'trust', 'held'];

interface Live {
  state: 'connecting' | 'live' | 'broken';
  notes: Note[];
}

let live: Live = { state: 'connecting', notes: [] };
const listeners = new Set<() => void>();

function change(next: Partial<Live>): void {
  live = { ...live, ...next };
  for (const listener of listeners) listener();
}

/** What happened since the page was opened, the newest first, and whether the stream is up. */
export const useNotes = (): Live =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => live,
  );

/**
 * Opens the stream while somebody is signed in, and refreshes what an event is about. For overseers only the log and the
 * register, which are public: what they read of others is entered in it.
 */
export function useLive(member: string | undefined, oversees: boolean): void {
  const client = useQueryClient();
  useEffect(() => {
    if (member === undefined) return undefined;
    const stale = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    // Several entries come at once; what they touch is read again once.
    const refresh = (key: string) => {
      stale.add(key);
      timer ??= setTimeout(() => {
        timer = undefined;
        for (const name of stale) void client.invalidateQueries({ queryKey: [name] });
        stale.clear();
      }, 150);
    };
    const told = (event: MessageEvent<string>) => {
      if (event.type === STEP) {
        heard(event.data);
        return;
      }
      const note = JSON.parse(event.data) as Note;
      if (live.notes.some((known) => known.index === note.index)) return;
      const of = REGISTER[note.kind];
      // What others do to the register is no news of one's own.
      const news = of === undefined || note.participant === member;
      change({ state: 'live', notes: news ? [note, ...live.notes].slice(0, MOST) : live.notes });
      refresh('log');
      for (const key of of ?? []) if (!oversees || UNENTERED.includes(key)) refresh(key);
      if (oversees) return;
      if (note.contract) refresh('contracts');
      if (note.run_id) for (const key of ['runs', 'payments', 'budgets']) refresh(key);
      if (MONEY.includes(note.kind)) for (const key of ['payments', 'disputes']) refresh(key);
    };
    const opened = () => {
      change({ state: 'live' });
      const missed = (name: unknown) => (oversees ? ['log', ...UNENTERED].includes(String(name)) : !APART.includes(String(name)));
      void client.invalidateQueries({ predicate: (query) => missed(query.queryKey[0]) });
    };
    const down = (refused: boolean) => {
      change({ state: refused ? 'broken' : 'connecting' });
      // A stream is refused where the session has ended.
      if (refused) void client.invalidateQueries({ queryKey: ['me'] });
    };
    const stop = follow(() => new EventSource('/v1/events'), { kinds: [...CONTRACT, ...RUN, ...MONEY, ...Object.keys(REGISTER), STEP], told, opened, down });
    return () => {
      stop();
      clearTimeout(timer);
      forget();
      change({ state: 'connecting', notes: [] });
    };
  }, [client, member, oversees]);
}
