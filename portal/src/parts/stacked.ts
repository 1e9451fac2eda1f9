/**
 * Tables where there is no room for columns beside each other: each row stands as a card (styles.css), and each cell bears the
 * name of its column. Done here for every table of the portal at once, so that none can be forgotten.
 */
const NARROW = '(max-width: 480px)';

export interface Head {
  name: string;
  /** How many columns it stands over. */
  span: number;
}

/** The name of the column in which each cell of a row begins, by the heads and by how many columns each cell takes. */
export function named(heads: readonly Head[], spans: readonly number[]): string[] {
  const columns = heads.flatMap(({ name, span }) => Array.from({ length: span }, () => name));
  let at = 0;
  return spans.map((span) => {
    const name = columns[at] ?? '';
    at += span;
    return name;
  });
}

/** What a head says to the eye; one for readers of the screen alone says nothing. */
function said(head: Element): string {
  const copy = head.cloneNode(true) as Element;
  for (const hidden of copy.querySelectorAll('.sr')) hidden.remove();
  return copy.textContent?.trim() ?? '';
}

const put = (element: Element, name: string, value: string) => {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};

/** Writes names and roles into a table: cells that are no cells to the style sheet stay cells to readers of the screen. */
function label(table: HTMLTableElement): void {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => ({ name: said(cell), span: cell.colSpan }));
  put(table, 'role', 'table');
  for (const section of table.querySelectorAll(':scope > thead, :scope > tbody, :scope > tfoot')) put(section, 'role', 'rowgroup');
  for (const row of table.rows) {
    put(row, 'role', 'row');
    const cells = [...row.cells];
    const names = named(heads, cells.map((cell) => cell.colSpan));
    const head = row.parentElement === table.tHead;
    for (const [at, cell] of cells.entries()) {
      put(cell, 'role', cell.tagName === 'TD' ? 'cell' : head ? 'columnheader' : 'rowheader');
      if (!head) put(cell, 'data-label', names[at] ?? '');
    }
  }
}

/** Labels all tables of a page while it is narrow, also those that come later. */
export function stack(page: Window): void {
  const narrow = page.matchMedia(NARROW);
  const all = () => {
    if (narrow.matches) for (const table of page.document.querySelectorAll<HTMLTableElement>('table.data')) label(table);
  };
  new MutationObserver(all).observe(page.document.body, { childList: true, subtree: true, characterData: true });
  narrow.addEventListener('change', all);
}
