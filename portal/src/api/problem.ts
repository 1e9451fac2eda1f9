/** What went wrong between the page and the service, in one sentence that says what to do next. */
import { t } from '../i18n';

/** A refusal of the service (RFC 9457): its code says which rule, its sentence why. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    sentence: string,
    readonly field?: string,
  ) {
    super(sentence);
  }
}

/** Whether a request only reads. */
export const reads = (method: string): boolean => method === 'GET' || method === 'HEAD';

/** Nothing came back. What was only to be read was not; of anything else nobody here knows whether it arrived. */
export function unanswered(method: string): Problem {
  const sentence = reads(method) ? t('The service did not answer. Look at your connection, and try again.') : t('The service did not answer. What you did may have arrived: look before you try again.');
  return new Problem(0, 'UNREACHABLE', sentence);
}

/** Whether the service keeps the answer to this act by its key, so that the act done again counts once. */
export function keyed(method: string, address: string): boolean {
  const { pathname } = new URL(address, location.origin);
  return method === 'POST' && pathname.startsWith('/v1/') && !pathname.startsWith('/v1/people');
}

/** Nothing came back in time. */
export function late(method: string, address: string, seconds: number): Problem {
  if (!reads(method) && !keyed(method, address)) {
    const sentence = t('The service did not answer in {n} seconds. What you did may have arrived: look before you try again.', { n: seconds });
    return new Problem(0, 'TIMED_OUT', sentence);
  }
  const sentence = reads(method)
    ? t('The service did not answer in {n} seconds. See that it is reachable, and try again.', { n: seconds })
    : t('The service did not answer in {n} seconds. See that it is reachable, and try again: what you did may have arrived, and done again as it is it counts once.', { n: seconds });
  return new Problem(0, 'TIMED_OUT', sentence);
}
