/** What a training would cost in ε, step by step, before anything is signed. */
import { TextInput } from '@mantine/core';
import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query';
import { useDebouncedValue } from '@mantine/hooks';
import { useState } from 'react';
import { api, ask } from '../api/client';
import { budget, me } from '../api/queries';
import { t } from '../i18n';
import { Curve } from './chart';
import { NumberField } from './number-field';
import { leftOf, within } from './order';
import { ProblemNote } from './page';
import { count, epsilon } from './words';

/** The least that is left of these datasets' budgets to who is signed in, in millionths of ε; undefined while one is unread. */
function useRest(datasets: string[]): number | undefined {
  const { data: session } = useQuery(me);
  return useQueries({
    queries: datasets.map((id) => budget(id)),
    combine: (found) => {
      const left = found.map(({ data }) => leftOf(data, session?.member));
      return left.every((one) => one !== undefined) && left.length > 0 ? Math.min(...left) : undefined;
    },
  });
}

/** The forecast for the least ε and δ granted, of a table of so many people, and what the ledgers of the datasets leave. */
export function Forecast({ granted, delta, rows, datasets }: { granted: string; delta: string; rows: number; datasets: string[] }) {
  const rest = useRest(datasets);
  const [batch, setBatch] = useState(Math.max(1, Math.min(128, rows)));
  const [epochs, setEpochs] = useState(12);
  // Until somebody says otherwise, as much as is granted and left.
  const [typed, setTyped] = useState<string>();
  const asked = typed ?? within(granted, rest);
  const wish = { epsilon: Number(asked) > 0 ? asked : granted, delta, batch, epochs };
  const [{ epsilon: want, ...settled }] = useDebouncedValue(wish, 250);
  const rate = Math.min(1, settled.batch / Math.max(1, rows)).toFixed(7).replace(/0+$/, '').replace(/\.$/, '');
  const steps = Math.max(1, Math.round((settled.epochs * rows) / settled.batch));
  const query = { epsilon: want, delta: settled.delta, sample_rate: rate, steps };
  const found = useQuery({
    queryKey: ['forecast', query],
    queryFn: () => ask(api.GET('/v1/forecast', { params: { query } })),
    placeholderData: keepPreviousData,
    enabled: /^\d+(\.\d+)?$/.test(want) && rows > 0,
    retry: false,
  });
  const cap = Math.round(Number(granted) * 1e6);
  const end = found.data?.points.at(-1)?.epsilon_micro ?? 0;
  return (
    <div className="stack tight">
      <div className="row">
        <NumberField label={t('Batch')} value={batch} onChange={(value) => setBatch(Number(value) || 1)} w={110} />
        <NumberField label={t('Epochs')} value={epochs} onChange={(value) => setEpochs(Number(value) || 1)} w={110} />
        <TextInput label={t('ε for this run')} value={asked} onChange={(event) => setTyped(event.currentTarget.value)} w={130} />
      </div>
      {found.error ? <ProblemNote problem={found.error} /> : found.data && (
        <>
          <Curve
            points={found.data.points}
            cap={cap}
            capped={t('granted: ε {cap}', { cap: epsilon(cap, 'left') })}
            label={t('ε after each step: {epsilon} after {steps} steps, with {cap} granted', { epsilon: epsilon(end), steps: count(steps), cap: epsilon(cap, 'left') })}
            axis={t('{n} steps', { n: count(steps) })}
            heads={[t('Steps'), 'ε']}
          />
          <p>
            {t('{steps} steps at batch {batch} cost', { steps: count(steps), batch: count(settled.batch) })} <strong className="num">ε {epsilon(end)}</strong>,{' '}
            {end > cap ? <strong className="pill bad">{t('more than is granted')}</strong> : rest !== undefined && end > rest ? <strong className="pill bad">{t('more than is left')}</strong> : t('{left} left', { left: epsilon(Math.max(0, Math.min(cap, rest ?? cap) - end), 'left') })}.{' '}
            {rest !== undefined && rest < cap && t('Earlier runs left ε {rest} of the budget.', { rest: epsilon(rest, 'left') })}{' '}
            <span className="dim">{t('Noise multiplier {sigma}. Metrics and the factor of the join come on top.', { sigma: found.data.noise_multiplier })}</span>
          </p>
        </>
      )}
    </div>
  );
}
