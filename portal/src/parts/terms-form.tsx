/** The form of an offer's terms: what it may be used for, what all runs may reveal, and what it costs. */
import { Checkbox, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { DatasetOffer } from '../api/documents';
import { configuration, datasets, me } from '../api/queries';
import { t } from '../i18n';
import { BUILT_IN } from './draft';
import { NumberField } from './number-field';
import { per, PER, type Price, priceTerms, type Terms, usualDelta } from './terms';
import { decimals } from './words';

export function TermsForm({ of, change, before, kept }: {
  of: Terms;
  change: (part: Partial<Terms>) => void;
  before: DatasetOffer | undefined;
  /** Whether the prices of the version before stay as they are. */
  kept: boolean;
}) {
  const { data: service } = useQuery(configuration);
  const { data: all } = useQuery(datasets);
  const { data: session } = useQuery(me);
  const { price } = of;
  const own = (all ?? []).filter(({ offer }) => offer.provider === session?.member);
  const families = new Map(own.map(({ offer }) => [offer.family, offer.name]));
  const priced = (part: Partial<Price>) => change({ price: { ...price, ...part } });
  const called = (kind: string) => per(priceTerms({ ...price, kind }, '')[0] ?? { kind: 'free' });
  return (
    <>
      <div className="row" role="group" aria-label={t('Purposes')}>
        {t('Purposes')}
        {(service?.purposes_supported ?? BUILT_IN.purposes).map((purpose) => (
          <Checkbox key={purpose} label={purpose} checked={of.purposes.includes(purpose)} onChange={(event) => change({ purposes: event.currentTarget.checked ? [...of.purposes, purpose] : of.purposes.filter((one) => one !== purpose) })} />
        ))}
      </div>
      <NumberField label={t('People in it')} description={t('A public count, known beforehand, never counted from the table')} value={of.people} onChange={(value) => change({ people: Number(value) || 0, ...(before?.public_rows === of.people ? { delta: '' } : {}) })} />
      <div className="row">
        <TextInput label={of.scope === 'global' ? t('ε that all runs of all consumers together may reveal') : t('ε that all runs of one consumer may reveal')} value={of.epsilon} onChange={(event) => change({ epsilon: event.currentTarget.value.trim() })} />
        <TextInput label={t('at this δ')} placeholder={usualDelta(of.people) || t('worked out from the people')} value={of.delta} onChange={(event) => change({ delta: event.currentTarget.value.trim() })} />
      </div>
      {of.delta === '' && of.people > 0 && <p className="dim small">{t('δ is {delta}: a tenth of 1 in {n}.', { delta: usualDelta(of.people), n: of.people })}</p>}
      <Select label={t('The budget counts')} value={of.scope} onChange={(value) => change({ scope: value === 'global' ? 'global' : 'per_tdc' })} data={[{ value: 'per_tdc', label: t('for each consumer alone') }, { value: 'global', label: t('for all consumers together') }]} allowDeselect={false} />
      {!before && families.size > 0 && <Select label={t('Whose budget it is')} description={t('Tables about the same people draw on one budget: choose the other table.')} value={of.family} onChange={(value) => change({ family: value ?? '' })} data={[{ value: '', label: t('its own') }, ...[...families].map(([value, name]) => ({ value, label: t('that of {name}', { name }) }))]} allowDeselect={false} />}
      <TextInput label={t('Countries where these people live')} description={t('Two letters each, like IN NP; without any, catalogues show your own.')} value={of.regions} onChange={(event) => change({ regions: event.currentTarget.value })} />
      {kept ? <p className="dim small">{t('Its prices are more than one plain price: they stay as they are.')}</p> : (
        <div className="row end">
          <Select label={t('Price')} value={price.kind} onChange={(kind) => priced({ kind: kind ?? price.kind })} data={Object.keys(PER).map((value) => ({ value, label: called(value) }))} allowDeselect={false} />
          {price.kind !== 'free' && <NumberField label={t('Sum')} digits={decimals(price.currency)} value={price.amount} onChange={(value) => priced({ amount: Number(value) || 0 })} />}
          {price.kind !== 'free' && <TextInput label={t('Currency')} w={100} maxLength={3} value={price.currency} onChange={(event) => priced({ currency: event.currentTarget.value.toUpperCase() })} />}
          {price.kind === 'subscription' && <NumberField label={t('Days of a period')} w={140} value={price.days} onChange={(value) => priced({ days: Number(value) || 0 })} />}
        </div>
      )}
    </>
  );
}
