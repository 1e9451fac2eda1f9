/** A long form on its way: what was typed into it stays in this tab, and each of its steps is read from its heading on. */
import { useEffect, useRef } from 'react';

/** What was typed before and neither sent nor dropped. */
export function leftAt<T>(place: string): T | undefined {
  try {
    return (JSON.parse(sessionStorage.getItem(place) ?? 'null') as T | null) ?? undefined;
  } catch {
    return undefined;
  }
}

export const drop = (place: string): void => sessionStorage.removeItem(place);

/** Keeps the form from its first change on. */
export function useKeeping(place: string, form: unknown): void {
  const now = JSON.stringify(form);
  const last = useRef(now);
  useEffect(() => {
    if (last.current === now) return;
    last.current = now;
    sessionStorage.setItem(place, now);
  }, [place, now]);
}

/** The button that led to another step is gone with the step before: the heading of the new one takes the focus. */
export function useHeadOf(step: number): void {
  const last = useRef(step);
  useEffect(() => {
    if (last.current === step) return;
    last.current = step;
    const head = document.querySelector<HTMLElement>('main .card h2');
    if (head === null) return;
    head.tabIndex = -1;
    head.focus();
  }, [step]);
}
