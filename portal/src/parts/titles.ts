/** What datasets are called, and contracts: by the names of their datasets. */
import { useQuery } from '@tanstack/react-query';
import { oversees } from '../api/calm';
import { contracts, datasets, me } from '../api/queries';
import { t } from '../i18n';

/** What a contract is about, by the names of its datasets: two of them, and how many more. */
export function about(ids: string[], named: ReadonlyMap<string, string>): string {
  const known = ids.flatMap((id) => named.get(id) ?? []);
  if (known.length === 0) return ids.length === 1 ? t('One dataset') : t('{n} datasets', { n: ids.length });
  const more = ids.length - Math.min(2, known.length);
  const said = known.slice(0, 2).join(', ');
  return more > 0 ? t('{said} and {n} more', { said, n: more }) : said;
}

function useNamed(enabled = true): ReadonlyMap<string, string> {
  const { data: offers } = useQuery({ ...datasets, enabled });
  return new Map((offers ?? []).map(({ offer }) => [offer.dataset_id, offer.name]));
}

/** The name of a dataset by its id, where there is one that the register shows and, unless `enabled`, that was read anyway. */
export function useDatasetName(enabled = true): (id: string) => string | undefined {
  const named = useNamed(enabled);
  return (id) => named.get(id);
}

/** The name of a contract over these datasets. */
export function useTitle(): (of: { datasets: { dataset_id: string }[] }) => string {
  const named = useNamed();
  return (contract) => about(contract.datasets.map((one) => one.dataset_id), named);
}

/** What tells ids of one kind apart: their end. They are ordered by time, so those of one hour begin alike. */
export const tail = (id: string): string => id.slice(-8);

/** What one's own contract is called, by its id: by its datasets, else by a part of the id. Those of others an overseer opens one by one. */
export function useContractName(): (id: string) => string {
  const { data: session } = useQuery(me);
  const { data: own } = useQuery({ ...contracts, enabled: session != null && !oversees(session) });
  const title = useTitle();
  return (id) => {
    const found = own?.find(({ row }) => row.contract_id === id);
    return found ? title(found.contract) : `…${tail(id)}`;
  };
}
