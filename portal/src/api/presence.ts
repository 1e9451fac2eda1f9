/**
 * Whether a person is at the page. What it reads while nobody is, it reads by itself: the service is told so, and signs a
 * browser that was left alone out in its time.
 */

/** A read so long after what a person did, in milliseconds, is the page's own. */
const AT_HAND = 30_000;
/** What a person does, and neither a script nor a mouse that is nudged. */
const ACTS = ['pointerdown', 'keydown', 'wheel', 'touchmove'];

// Who opens a page is there.
let last = Date.now();

const touched = (event: Event): void => {
  if (event.isTrusted) last = Date.now();
};

/** Notices what a person does, before the page answers it. */
export function notice(target: EventTarget): void {
  for (const act of ACTS) target.addEventListener(act, touched, { capture: true, passive: true });
}

/** Whether somebody was at the page just now. */
export const isAttended = (): boolean => Date.now() - last < AT_HAND;
