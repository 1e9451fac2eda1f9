/**
 * Who is party of which contract, and over which datasets, for those who oversee: told by the list's own filters, since a
 * document of others is read one by one, with an entry in the log.
 */
import { queryOptions } from '@tanstack/react-query';
import { api, ask } from './client';
import { pages } from './queries';

/** The most participants and datasets that are asked about at once; beyond that no contract is named. */
export const MOST_NAMES = 40;
/** The most contracts of one of them. */
const MOST_EACH = 2_000;

export interface Named {
  parties: string[];
  datasets: string[];
}

/** The answers by contract. */
export function byContract(parties: [string, string[]][], datasets: [string, string[]][]): Map<string, Named> {
  const all = new Map<string, Named>();
  const of = (id: string): Named => {
    const found = all.get(id) ?? { parties: [], datasets: [] };
    all.set(id, found);
    return found;
  };
  for (const [did, ids] of parties) for (const id of ids) of(id).parties.push(did);
  for (const [dataset, ids] of datasets) for (const id of ids) of(id).datasets.push(dataset);
  return all;
}

/** The contracts that a filter of the list leaves. */
const under = (by: { party: string } | { dataset: string }): Promise<string[]> =>
  pages(async (cursor) => {
    const page = await ask(api.GET('/v1/contracts', { params: { query: { ...by, limit: 200, cursor } } }));
    return { items: page.contracts.map((row) => row.contract_id), next: page.next };
  }, MOST_EACH);

export const namedContracts = (parties: string[], datasets: string[]) =>
  queryOptions({
    queryKey: ['contracts', 'named', parties, datasets],
    queryFn: async () => {
      const ofParties = await Promise.all(parties.map(async (did): Promise<[string, string[]]> => [did, await under({ party: did })]));
      const ofDatasets = await Promise.all(datasets.map(async (id): Promise<[string, string[]]> => [id, await under({ dataset: id })]));
      return byContract(ofParties, ofDatasets);
    },
  });
