/** What is looked for in the log, and what was looked for before. */
import { Button, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { get, set } from 'idb-keyval';
import { useEffect, useState } from 'react';
import { contractRows, datasets, me, participants } from '../api/queries';
import { t } from '../i18n';
import { ACTS, type Filter, keep, kept, type Saved } from '../log/filter';
import { kindOf } from './words';

interface Choice { value: string; label: string }

/** The choices, and what is chosen already though it is none of them: an address may name anything. */
const among = (all: Choice[], chosen: string): Choice[] => (chosen === '' || all.some(({ value }) => value === chosen) ? all : [...all, { value: chosen, label: chosen }]);

export function Filters({ of, change, kinds }: { of: Filter; change: (next: Filter) => void; kinds: string[] }) {
  const { data: session } = useQuery(me);
  const people = useQuery(participants);
  const rows = useQuery(contractRows);
  const offers = useQuery(datasets);
  const place = `audit-queries ${session?.member ?? ''}`;
  const [saved, setSaved] = useState<Saved[]>([]);
  const [name, setName] = useState('');
  useEffect(() => {
    void get(place).then((found) => setSaved(kept(found)));
  }, [place]);
  const store = (next: Saved[]) => {
    setSaved(next);
    void set(place, next);
  };
  const chosen = saved.find((one) => one.name === name);
  const put = (part: Partial<Filter>) => change({ ...of, ...part });
  const words = kinds.map((value) => ({ value, label: kindOf(value) }));
  const every = [{ value: ACTS, label: t('All acts') }, { value: '', label: t('Every entry') }, ...words];
  return (
    <div className="stack tight noprint">
      <div className="filters">
        <Select label={t('Kind')} value={of.kind} onChange={(value) => put({ kind: value ?? '' })} data={every.some(({ value }) => value === of.kind) ? every : [...every, { value: of.kind, label: kindOf(of.kind) }]} allowDeselect={false} />
        <Select label={t('Party')} placeholder={t('Every party')} searchable clearable value={of.party === '' ? null : of.party} onChange={(value) => put({ party: value ?? '' })} data={among((people.data ?? []).map((one) => ({ value: one.did, label: one.legal_name })), of.party)} />
        <Select label={t('Dataset')} placeholder={t('Every dataset')} searchable clearable value={of.dataset === '' ? null : of.dataset} onChange={(value) => put({ dataset: value ?? '' })} data={among((offers.data ?? []).map(({ offer }) => ({ value: offer.dataset_id, label: offer.name })), of.dataset)} />
        <Select label={t('Contract')} placeholder={t('Every contract')} searchable clearable value={of.contract === '' ? null : of.contract} onChange={(value) => put({ contract: value ?? '' })} data={among((rows.data ?? []).map((one) => ({ value: one.contract_id, label: one.contract_id })), of.contract)} />
        <TextInput type="date" label={t('Since')} value={of.since} onChange={(event) => put({ since: event.currentTarget.value })} />
        <TextInput type="date" label={t('Until')} value={of.until} onChange={(event) => put({ until: event.currentTarget.value })} />
      </div>
      <form className="row" onSubmit={(event) => { event.preventDefault(); if (name.trim() !== '') store(keep(saved, { ...of, name: name.trim() })); }}>
        {saved.length > 0 && <Select aria-label={t('Saved queries')} placeholder={t('Saved queries')} value={chosen?.name ?? null} data={saved.map((one) => one.name)} onChange={(value) => { const found = saved.find((one) => one.name === value); if (found) { setName(found.name); const { name: _, ...query } = found; change(query); } }} />}
        <TextInput aria-label={t('Name of the query')} placeholder={t('Name of the query')} maxLength={60} value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <Button type="submit" variant="default" disabled={name.trim() === ''}>{t('Keep this query')}</Button>
        {chosen && <Button variant="default" onClick={() => { store(saved.filter((one) => one !== chosen)); setName(''); }}>{t('Forget it')}</Button>}
        <span className="dim small">{name.trim() === '' ? t('Give the query a name to keep it. It stays in this browser.') : t('Queries stay in this browser.')}</span>
      </form>
    </div>
  );
}
