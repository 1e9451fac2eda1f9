/** What a table looks like, found out in the page: nothing of it is sent anywhere. */
import { t } from '../i18n';
import { Refused } from '../keys/document';

export interface Profiled {
  /** In the form that offers have. */
  name: string;
  /** In the file, where that is another. */
  source?: string;
  type: 'text' | 'number' | 'image';
}

/** A column's name in the form that offers have, as `depa dataset init` writes it. */
function column(source: string, type: Profiled['type']): Profiled {
  const name = source.trim().replace(/[^A-Za-z0-9]/gu, '_').replace(/^(?=\d|$)/, '_').slice(0, 64);
  return name === source ? { name, type } : { name, source, type };
}

/** Columns that `depa dataset init --json` found in a file which this page does not read. */
export function told(json: string): Profiled[] {
  const unread = () => new Refused('SCHEMA_MISMATCH', t('these are no columns that depa dataset init has written'));
  let found: { columns?: { source?: unknown; type?: unknown }[] } | null;
  try {
    found = JSON.parse(json) as typeof found;
  } catch {
    throw unread();
  }
  const all = found?.columns;
  if (!Array.isArray(all) || all.length === 0 || all.length > 512) throw unread();
  return all.map((one) => {
    if (typeof one?.source !== 'string' || !['text', 'number', 'image'].includes(String(one.type))) throw unread();
    return column(one.source, one.type as Profiled['type']);
  });
}

/** One record of RFC 4180, from `at` on: its cells and where the next one begins. */
function record(text: string, at: number): { cells: string[]; next: number } {
  const cells: string[] = [];
  let [cell, quoted] = ['', false];
  for (; at < text.length; at += 1) {
    const letter = text[at];
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (text[at + 1] === '"') [cell, at] = [`${cell}"`, at + 1];
      else quoted = false;
    } else if (letter === '"' && cell === '') quoted = true;
    else if (letter === ',') {
      cells.push(cell);
      cell = '';
    } else if (letter === '\n') {
      at += 1;
      break;
    } else if (letter !== '\r') cell += letter;
  }
  cells.push(cell);
  return { cells, next: at };
}

/** Rows that are looked at. */
const MOST = 2_000;

/** Columns and their types by the beginning of a CSV file with a head line. Bounds are never taken from it. */
export function profile(text: string): Profiled[] {
  const head = record(text, text.startsWith('\ufeff') ? 1 : 0);
  const numbers = head.cells.map(() => true);
  const filled = head.cells.map(() => false);
  for (let [at, rows] = [head.next, 0]; at < text.length && rows < MOST; rows += 1) {
    const { cells, next } = record(text, at);
    // The last record may be cut off in the middle.
    if (next >= text.length && rows > 0) break;
    cells.forEach((cell, column) => {
      if (cell.trim() === '' || column >= numbers.length) return;
      filled[column] = true;
      if (!/^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(cell.trim())) numbers[column] = false;
    });
    at = next;
  }
  return head.cells.map((name, at) => column(name, numbers[at] && filled[at] ? 'number' : 'text'));
}
