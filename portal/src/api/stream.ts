/** A stream of Server-Sent Events that is opened again whenever it ends. */

/** Waits between tries, in milliseconds: doubled from the first to the longest. */
export const FIRST_WAIT = 1_000;
export const LONGEST_WAIT = 60_000;

/** The part of an `EventSource` that is used. */
export interface Source {
  readyState: number;
  onopen: ((event: Event) => void) | null;
  onerror: ((event: Event) => void) | null;
  addEventListener: (kind: string, told: (event: MessageEvent<string>) => void) => void;
  close: () => void;
}

const CLOSED = 2;

interface Listener {
  kinds: readonly string[];
  told: (event: MessageEvent<string>) => void;
  /** The stream is up. What happened before, also while it was down, may not have been told. */
  opened: () => void;
  /** The stream is down; the browser tries again by itself, or, if it was refused, this does. */
  down: (refused: boolean) => void;
}

/** Follows until the returned function is called. The browser gives up for good on any answer but 200; this does not. */
export function follow(make: () => Source, { kinds, told, opened, down }: Listener): () => void {
  let source: Source | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wait = FIRST_WAIT;
  const open = () => {
    const now = make();
    source = now;
    now.onopen = () => {
      wait = FIRST_WAIT;
      opened();
    };
    now.onerror = () => {
      if (now.readyState !== CLOSED) {
        down(false);
        return;
      }
      now.close();
      timer = setTimeout(open, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
      down(true);
    };
    for (const kind of kinds) now.addEventListener(kind, told);
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
