/** What a training would cost in ε, step by step, before anything is signed. */
import { NumberInput, TextInput } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useDebouncedValue } from '@mantine/hooks';
import { useState } from 'react';
import { api, ask, type Schemas } from '../api/client';
import { t } from '../i18n';
import { ProblemNote } from './page';
import { count, epsilon } from './words';

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [560, 220, 44, 28, 12];

function Curve({ points, cap }: { points: Schemas['ForecastPoint'][]; cap: number }) {
  const most = Math.max(cap, ...points.map((point) => point.epsilon_micro)) * 1.08;
  const steps = points.at(-1)?.steps ?? 1;
  const x = (n: number) => LEFT + (n / steps) * (WIDTH - LEFT - 12);
  const y = (micro: number) => HEIGHT - BOTTOM - (micro / most) * (HEIGHT - BOTTOM - TOP);
  const line = points.map((point, at) => `${at === 0 ? 'M' : 'L'}${x(point.steps).toFixed(1)} ${y(point.epsilon_micro).toFixed(1)}`).join(' ');
  const last = points.at(-1);
  const label = t('ε after each step: {epsilon} after {steps} steps, with {cap} granted', { epsilon: epsilon(last?.epsilon_micro ?? 0), steps: count(steps), cap: epsilon(cap, 'left') });
  return (
    <>
      <svg className="chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
        <line x1={LEFT} x2={WIDTH - 12} y1={y(0)} y2={y(0)} stroke="var(--line)" />
        <line x1={LEFT} x2={WIDTH - 12} y1={y(cap)} y2={y(cap)} stroke="var(--wait)" strokeDasharray="5 5" />
        <text x={LEFT} y={y(cap) - 6}>{t('granted: ε {cap}', { cap: epsilon(cap, 'left') })}</text>
        <path d={`${line} L${x(steps)} ${y(0)} L${x(points[0]?.steps ?? 0)} ${y(0)} Z`} fill="var(--accent-soft)" />
        <path d={line} fill="none" stroke="var(--accent)" strokeWidth="2.5" strokeLinejoin="round" strokeLinecap="round" />
        {last && <circle cx={x(last.steps)} cy={y(last.epsilon_micro)} r="4.5" fill="var(--accent)" />}
        <text x={LEFT} y={HEIGHT - 8}>0</text>
        <text x={WIDTH - 12} y={HEIGHT - 8} textAnchor="end">{t('{n} steps', { n: count(steps) })}</text>
        <text x={LEFT - 8} y={y(0) + 4} textAnchor="end">0</text>
        <text x={LEFT - 8} y={y(most / 1.08) + 4} textAnchor="end">{epsilon(most / 1.08)}</text>
      </svg>
      <table className="sr">
        <caption>{label}</caption>
        <thead><tr><th>{t('Steps')}</th><th>ε</th></tr></thead>
        <tbody>{points.map((point) => <tr key={point.steps}><td>{point.steps}</td><td>{epsilon(point.epsilon_micro)}</td></tr>)}</tbody>
      </table>
    </>
  );
}

/** The forecast for the least ε and δ granted, of a table of so many people. */
export function Forecast({ granted, delta, rows }: { granted: string; delta: string; rows: number }) {
  const [batch, setBatch] = useState(Math.max(1, Math.min(128, rows)));
  const [epochs, setEpochs] = useState(12);
  const [asked, setAsked] = useState(granted);
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
        <NumberInput label={t('Batch')} value={batch} min={1} max={rows} onChange={(value) => setBatch(Number(value) || 1)} w={110} />
        <NumberInput label={t('Epochs')} value={epochs} min={1} max={10_000} onChange={(value) => setEpochs(Number(value) || 1)} w={110} />
        <TextInput label={t('ε for this run')} value={asked} onChange={(event) => setAsked(event.currentTarget.value)} w={130} />
      </div>
      {found.error ? <ProblemNote problem={found.error} /> : found.data && (
        <>
          <Curve points={found.data.points} cap={cap} />
          <p>
            {t('{steps} steps at batch {batch} cost', { steps: count(steps), batch: count(settled.batch) })} <strong className="num">ε {epsilon(end)}</strong>,{' '}
            {end > cap ? <strong className="pill bad">{t('more than is granted')}</strong> : t('{left} left', { left: epsilon(Math.max(0, cap - end), 'left') })}.{' '}
            <span className="dim">{t('Noise multiplier {sigma}. Metrics and the factor of the join come on top.', { sigma: found.data.noise_multiplier })}</span>
          </p>
        </>
      )}
    </div>
  );
}
