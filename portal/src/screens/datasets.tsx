/** The catalogue: what is on offer, with facets that count. */
import { Button, Checkbox, TextInput } from '@mantine/core';
import { useQueries, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { oversees } from '../api/calm';
import type { PublicOffer } from '../api/documents';
import { budget, datasets, type Listed, me, participants } from '../api/queries';
import { t } from '../i18n';
import { type Facets, useFacets } from '../parts/facets';
import { Empty, Page, Read } from '../parts/page';
import { per, price } from '../parts/terms';
import { count, decimals, epsilon, Name, State, useNames } from '../parts/words';
import { useBasket } from '../parts/basket';
import { Compare, lines, MOST } from '../parts/compare';

/** Which band a price lies in, in its own currency; what is only known later is said in words. */
function band(term: PublicOffer['payment'][number]): string {
  const sum = term.amount_minor / 10 ** decimals(term.currency);
  if (term.kind === 'free') return t('free');
  return sum === 0 ? per(term) : `${term.currency} ${sum <= 1_000 ? t('to 1,000') : sum <= 10_000 ? t('1,000 to 10,000') : t('above 10,000')}`;
}

/** How a facet sorts a dataset into its values. */
const FACETS: Record<string, (one: Listed, name: (did: string) => string, regions: (one: Listed) => string[]) => string[]> = {
  Format: ({ offer }) => offer.objects.map((object) => object.media_type),
  Purpose: ({ offer }) => offer.usage.purposes,
  Price: ({ offer }) => (offer.payment.length === 0 ? [t('free')] : [...new Set(offer.payment.map(band))]),
  'ε offered': ({ offer }) => {
    const cap = Number(offer.privacy_cap.epsilon);
    return [cap < 1 ? t('below 1') : cap <= 3 ? t('1 to 3') : t('above 3')];
  },
  Provider: ({ offer }, name) => [name(offer.provider)],
  Region: (one, _, regions) => regions(one),
};

/** What is left to the reader of each dataset's budget, in millionths of ε, by its id; missing where it was not read. */
export type Left = ReadonlyMap<string, number>;

/** The facet of what is left; for those who oversee it does not exist: what they read of others is entered in the log. */
const leftBand = (micro: number | undefined): string => {
  if (micro === undefined) return t('not known');
  const left = micro / 1e6;
  return left <= 0 ? t('used up') : left < 1 ? t('below 1') : left <= 3 ? t('1 to 3') : t('above 3');
};

/** Budgets that are asked for; a catalogue of more shows the facet for the first ones. */
const MOST_BUDGETS = 100;

function useLeft(all: Listed[]): Left {
  const { data: session } = useQuery(me);
  const asked = session && !oversees(session) ? all.slice(0, MOST_BUDGETS) : [];
  return useQueries({
    queries: asked.map(({ offer }) => ({ ...budget(offer.dataset_id), staleTime: 60_000 })),
    combine: (read) => new Map(read.flatMap(({ data }): [string, number][] => {
      if (data === undefined) return [];
      const lines = data.lines.map((line) => line.left_micro);
      return [[data.dataset_id, lines.length === 0 ? data.cap_micro : Math.min(...lines)]];
    })),
  });
}

export default function Datasets() {
  const all = useQuery(datasets);
  const { data: session } = useQuery(me);
  return (
    <Page
      title={t('Datasets')}
      lead={t('Sealed tables on offer: the same terms for everyone, and never a row.')}
      actions={session?.roles.includes('tdp_admin') && <Button component={Link} to="/datasets/new">{t('Register a dataset')}</Button>}
    >
      <Read of={all}>{(found) => <Catalogue all={found} />}</Read>
    </Page>
  );
}

function Catalogue({ all }: { all: Listed[] }) {
  const names = useNames();
  const { data: people } = useQuery(participants);
  // Where an offer does not say where its people live, the country of its provider stands for it.
  const regions = ({ offer }: Listed) => offer.reference.regions ?? [people?.find((one) => one.did === offer.provider)?.jurisdiction ?? t('not known')];
  const left = useLeft(all);
  const own: Facets<Listed> = left.size === 0 ? {} : { 'ε left for you': ({ offer }) => [leftBand(left.get(offer.dataset_id))] };
  const named = Object.entries(FACETS).map(([facet, of]): [string, (one: Listed) => string[]] => [facet, (one) => of(one, names, regions)]);
  const [beside, setBeside] = useState<string[]>([]);
  const [open, setOpen] = useState(false);
  const compared = all.filter(({ offer }) => beside.includes(offer.dataset_id));
  const choose = (id: string, inside: boolean) => setBeside(inside ? [...beside, id] : beside.filter((one) => one !== id));
  const [words, setWords] = useState('');
  const { picked } = useBasket();
  const { data: session } = useQuery(me);
  const consumes = people?.some((one) => one.did === session?.member && one.kind === 'tdc');
  const said = ({ offer }: Listed) => {
    const parts = { left: epsilon(left.get(offer.dataset_id) ?? 0, 'left') };
    if (!left.has(offer.dataset_id)) return '';
    return offer.provider === session?.member ? ` · ${t('ε {left}: least left of any consumer', parts)}` : consumes ? ` · ${t('ε {left} left for you', parts)}` : '';
  };
  const texts = ({ offer }: Listed) => [offer.name, offer.data_card.description, ...offer.reference.keywords, ...offer.columns.map((column) => column.name)].join(' ').toLowerCase();
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((one) => wanted.every((word) => texts(one).includes(word)));
  const { shown, bar } = useFacets(found, { ...Object.fromEntries(named), ...own });
  if (all.length === 0) {
    const provides = session?.roles.includes('tdp_admin');
    return <Empty command={provides ? `depa dataset publish offer.json --registry ${location.origin}` : `depa dataset list --registry ${location.origin}`}>{t('No dataset is on offer yet.')} {t('A data provider registers one; everybody finds it here then.')}</Empty>;
  }
  return (
    <>
      <TextInput aria-label={t('Search')} placeholder={t('Search names, columns, keywords')} value={words} onChange={(event) => setWords(event.currentTarget.value)} />
      <div className="row top">
        {bar}
        <span className="dim small" role="status">{t('{n} of {all}', { n: shown.length, all: all.length })}</span>
        {beside.length > 0 && <Button size="xs" variant="default" disabled={beside.length < 2} onClick={() => setOpen(true)}>{t('Compare {n} of at most {most}', { n: beside.length, most: MOST })}</Button>}
        {beside.length === 1 && <span className="dim small">{t('Choose one more to compare.')}</span>}
        {picked.length > 0 && <Button component={Link} to="/contracts/new" size="xs">{picked.length === 1 ? t('Contract over 1 dataset') : t('Contract over {n} datasets', { n: picked.length })}</Button>}
      </div>
      {open && compared.length >= 2 && <Compare all={compared} of={lines(compared, price, (one) => regions(one).join(', '))} close={() => setOpen(false)} />}
      {shown.length === 0 && <Empty folded command={`depa dataset search --registry ${location.origin}`}>{t('Nothing fits. Take a filter away.')}</Empty>}
      <ul className="cards">
        {shown.map((one) => (
          <li key={one.offer.dataset_id} className="card link">
            <div className="row between"><State word={one.view.state} /><span className="dim small">ε ≤ {one.offer.privacy_cap.epsilon}{said(one)}</span></div>
            <Link to={`/datasets/${one.offer.dataset_id}`}>{one.offer.name}</Link>
            <span className="dim small"><Name did={one.offer.provider} /></span>
            <p className="small">{one.offer.data_card.description}</p>
            <div className="row between small dim">
              <span>{t('{n} people, {m} columns', { n: count(one.offer.public_rows), m: one.offer.columns.length })}</span>
              <span>{price(one)}</span>
            </div>
            <div className="row above">
              {one.view.state === 'registered' && <Pick id={one.offer.dataset_id} name={one.offer.name} />}
              <Checkbox size="sm" label={<>{t('Compare')}<span className="sr">: {one.offer.name}</span></>} checked={beside.includes(one.offer.dataset_id)} disabled={!beside.includes(one.offer.dataset_id) && beside.length >= MOST} onChange={(event) => choose(one.offer.dataset_id, event.currentTarget.checked)} />
            </div>
          </li>
        ))}
      </ul>
    </>
  );
}

function Pick({ id, name }: { id: string; name: string }) {
  const { picked: all, put } = useBasket();
  const picked = all.includes(id);
  const { data: session } = useQuery(me);
  if (!session?.roles.includes('tdc_admin')) return null;
  return (
    <div>
      <Button size="xs" variant={picked ? 'filled' : 'default'} aria-pressed={picked} onClick={() => put(id, !picked)}>
        {picked ? t('In the draft') : t('Add to a contract')}<span className="sr">: {name}</span>
      </Button>
    </div>
  );
}
