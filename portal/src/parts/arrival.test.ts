import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { arrived, moved } from './arrival';

const body = {};
const page: { body: unknown; activeElement: unknown } = { body, activeElement: body };

const title = (shown = true) => {
  const one = { focus: vi.fn(() => { if (shown) page.activeElement = one; }) };
  return one;
};

beforeEach(() => {
  page.activeElement = body;
  vi.stubGlobal('document', page);
  // Whatever a test before left open.
  moved(title());
  page.activeElement = body;
});
afterEach(() => vi.unstubAllGlobals());

it('a title that is there takes the focus at once, and one that comes later is none of a move', () => {
  const [here, reloaded] = [title(), title()];
  moved(here);
  expect(page.activeElement).toBe(here);
  // Live updates draw a title anew: nobody moved.
  page.activeElement = body;
  arrived(reloaded);
  expect(reloaded.focus).not.toHaveBeenCalled();
});

it('a title that comes late takes the focus once', () => {
  const [late, again] = [title(), title()];
  moved(null);
  arrived(null);
  arrived(late);
  expect(page.activeElement).toBe(late);
  page.activeElement = body;
  arrived(again);
  expect(again.focus).not.toHaveBeenCalled();
});

it('a link of the frame that still has the focus lets it go; what was reached meanwhile keeps it', () => {
  const [link, field, late] = [{}, {}, title()];
  page.activeElement = link;
  moved(null);
  arrived(late);
  expect(page.activeElement).toBe(late);
  page.activeElement = link;
  moved(null);
  page.activeElement = field;
  arrived(title());
  expect(page.activeElement).toBe(field);
  page.activeElement = body;
  const never = title();
  arrived(never);
  expect(never.focus).not.toHaveBeenCalled();
});

it('the title of a page that is hidden while the next one is fetched takes no focus from it', () => {
  const [hidden, late] = [title(false), title()];
  moved(hidden);
  arrived(late);
  expect(page.activeElement).toBe(late);
});
