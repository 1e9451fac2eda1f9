/**
 * A new page is read from its title on. The frame says that the address changed; the title takes the focus then, or as soon
 * as it is there where its page is still being read.
 */

/** The part of an element that is used. */
interface Focusable {
  focus: (how: { preventScroll: boolean }) => void;
}

/** What held the focus when the page was left whose successor has no title yet. */
let left: { held: unknown } | undefined;

/** What has the focus, if not the document as a whole. */
const holder = (): unknown => (document.activeElement === document.body ? null : document.activeElement);

/** Focuses a title; whether it took. What is hidden or gone takes none. */
function took(title: Focusable): boolean {
  title.focus({ preventScroll: true });
  return document.activeElement === (title as unknown);
}

/** The address has changed, and this title stands in the page, or none does yet. */
export function moved(title: Focusable | null): void {
  left = title !== null && took(title) ? undefined : { held: holder() };
}

/** A title has come: it takes the focus once for a move, unless somebody went on with the keyboard meanwhile. */
export function arrived(title: Focusable | null): void {
  if (left === undefined || title === null) return;
  const now = holder();
  if (now !== null && now !== left.held) left = undefined;
  else if (took(title)) left = undefined;
}
