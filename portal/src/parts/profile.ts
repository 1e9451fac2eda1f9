/** What a CSV file looks like, found out in the page: nothing of it is sent anywhere. */

export interface Profiled {
  name: string;
  columns: { name: string; type: 'text' | 'number' }[];
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
export function profile(name: string, text: string): Profiled {
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
  return { name, columns: head.cells.map((column, at) => ({ name: column.trim(), type: numbers[at] && filled[at] ? 'number' : 'text' })) };
}
