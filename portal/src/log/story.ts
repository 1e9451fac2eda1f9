/** What the service knows of entries beside their public records: which belong together, who acted, and what about. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, ask, type Schemas } from '../api/client';
import { asksAbout, type Filter } from './filter';

export type Line = Schemas['EntryLine'];

/** Entries of one page of the log. */
export const PAGE = 256;
/** Lines that the service tells at once. */
const LINES = 128;
/** The most entries that are looked for: more are no story that anybody reads. */
const MOST = 200_000;

export const pageOf = (index: number): number => Math.floor(index / PAGE);

/** The entries about the contract, dataset and party of a filter, oldest first. Asking is entered nowhere. */
export const story = (of: Filter) =>
  queryOptions({
    queryKey: ['log', 'story', of.contract, of.dataset, of.party],
    enabled: asksAbout(of),
    queryFn: async (): Promise<number[]> => {
      const { contract, dataset, party } = of;
      const all: number[] = [];
      for (let from: number | undefined = 0; from !== undefined && all.length < MOST; ) {
        const page: Schemas['LogStory'] = await ask(api.GET('/v1/log/entries', { params: { query: { contract, dataset, party, from } } }));
        all.push(...page.entries);
        from = page.next ?? undefined;
      }
      return all;
    },
  });

/** Who acted in the entries of a page of the log, so many of them, as far as they concern the person. Asking is entered nowhere. */
export const lines = (page: number, entries: number) =>
  queryOptions({
    queryKey: ['log', 'lines', page, entries],
    enabled: entries > 0,
    placeholderData: keepPreviousData,
    queryFn: async (): Promise<Line[]> => {
      const parts = Array.from({ length: Math.ceil(entries / LINES) }, (_, at) => page * PAGE + at * LINES);
      const told = await Promise.all(parts.map((from) => ask(api.GET('/v1/log/lines', { params: { query: { from, limit: LINES } } }))));
      return told.flatMap((one) => one.lines);
    },
  });

/** Those of the lines that tell of an overseer who read one of these entries; they stand in order. */
export function readingsOf(told: readonly Line[], entries: readonly number[]): number[] {
  const reads = ({ read }: Line) => {
    if (!read) return false;
    let [low, high] = [0, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((entries[middle] ?? 0) < read.from) low = middle + 1;
      else high = middle;
    }
    const first = entries[low];
    return first !== undefined && first < read.from + read.count;
  };
  return told.filter(reads).map((line) => line.index);
}

/** The pages of the log around this one that are worth a look: those next to it, or the next ones with such entries. */
export function around(page: number, last: number, entries: readonly number[] | undefined): { older: number | undefined; newer: number | undefined } {
  if (entries === undefined) return { older: page > 0 ? page - 1 : undefined, newer: page < last ? page + 1 : undefined };
  const pages = entries.map(pageOf).filter((one) => one <= last);
  return { older: pages.filter((one) => one < page).at(-1), newer: pages.find((one) => one > page) };
}
