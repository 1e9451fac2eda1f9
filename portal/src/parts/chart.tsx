/** ε over steps: what a plan costs step by step, what is granted or charged, and how far a run is. Figures of the accountant alone. */
import { useElementSize } from '@mantine/hooks';
import { useId } from 'react';
import type { Schemas } from '../api/client';
import { count, epsilon } from './words';

const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [240, 48, 16, 24, 32];
/** Drawn so wide until the page knows its width. */
const USUAL = 720;

/** Round numbers from 0 up to `most`, about so many. */
export function ticks(most: number, about: number): number[] {
  if (!(most > 0)) return [0];
  const rough = most / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const all: number[] = [];
  for (let n = 0; n * step <= most * 1.000001 && n <= 20; n += 1) all.push(n * step);
  return all;
}

/** How far it is, and what that has cost. */
export interface Now {
  steps: number;
  /** Millionths; missing where the accountant was asked for no such step. */
  micro?: number;
  words: string;
}

export function Curve({ points, cap, capped, label, axis, now, heads }: {
  points: Schemas['ForecastPoint'][];
  /** Millionths of ε. */
  cap: number;
  /** What the line of the cap says. */
  capped: string;
  label: string;
  /** What the axis of steps says. */
  axis: string;
  /** Missing where all of it is a forecast. */
  now?: Now;
  heads: [string, string];
}) {
  const { ref, width: measured } = useElementSize();
  const clip = useId();
  const width = Math.max(280, Math.round(measured) || USUAL);
  const most = Math.max(cap, now?.micro ?? 0, ...points.map((point) => point.epsilon_micro)) || 1;
  const steps = points.at(-1)?.steps ?? 1;
  const x = (n: number) => LEFT + (n / steps) * (width - LEFT - RIGHT);
  const y = (micro: number) => HEIGHT - BOTTOM - (micro / most) * (HEIGHT - BOTTOM - TOP);
  const line = points.map((point, at) => `${at === 0 ? 'M' : 'L'}${x(point.steps).toFixed(1)} ${y(point.epsilon_micro).toFixed(1)}`).join(' ');
  const area = `${line} L${x(steps)} ${y(0)} L${x(points[0]?.steps ?? 0)} ${y(0)} Z`;
  const end: Pick<Now, 'steps' | 'micro'> = now ?? { steps, micro: points.at(-1)?.epsilon_micro ?? 0 };
  const across = x(end.steps);
  const right = across > width * 0.6;
  // Both stand above the highest line: where they would meet, the marks below say it, too.
  const meet = y(cap) < 40 && (capped.length + axis.length) * 7 > width - LEFT - RIGHT - 12;
  return (
    <div ref={ref}>
      <svg className="chart" viewBox={`0 0 ${width} ${HEIGHT}`} height={HEIGHT} role="img" aria-label={label}>
        <clipPath id={clip}><rect x="0" y="0" width={across + 1.5} height={HEIGHT} /></clipPath>
        {ticks(most / 1e6, 4).map((tick) => (
          <g key={tick}>
            <line x1={LEFT} x2={width - RIGHT} y1={y(tick * 1e6)} y2={y(tick * 1e6)} className="grid" />
            <text x={LEFT - 8} y={y(tick * 1e6) + 4} textAnchor="end">{Number(tick.toPrecision(3))}</text>
          </g>
        ))}
        {ticks(steps, width > 520 ? 5 : 2).filter((tick) => Number.isInteger(tick)).map((tick) => (
          <text key={tick} x={x(tick)} y={HEIGHT - 10} textAnchor={tick === 0 ? 'start' : x(tick) > width - 40 ? 'end' : 'middle'}>{count(tick)}</text>
        ))}
        <text x={LEFT - 8} y={12} textAnchor="end">ε</text>
        {!meet && <text x={width - RIGHT} y={12} textAnchor="end">{axis}</text>}
        <path d={area} fill="var(--accent-soft)" clipPath={`url(#${clip})`} />
        {now && <path d={line} className="ahead" />}
        <path d={line} className="line" clipPath={`url(#${clip})`} />
        <line x1={LEFT} x2={width - RIGHT} y1={y(cap)} y2={y(cap)} className="cap" />
        <text x={LEFT + 6} y={y(cap) - 7} className="halo">{capped}</text>
        {now && end.steps > 0 && <line x1={across} x2={across} y1={y(end.micro ?? most)} y2={y(0)} className="here" />}
        {end.micro !== undefined && end.steps > 0 && <circle cx={across} cy={y(end.micro)} r="5" className="dot" />}
        {now && end.steps > 0 && <text x={across + (right ? -10 : 10)} y={y(0) - 10} textAnchor={right ? 'end' : 'start'} className={`halo said ${right ? 'over' : ''}`} data-testid="chart-now">{now.words}</text>}
      </svg>
      <div className="sr">
        <table>
          <caption>{label}</caption>
          <thead><tr><th>{heads[0]}</th><th>{heads[1]}</th></tr></thead>
          <tbody>{points.map((point) => <tr key={point.steps}><td>{point.steps}</td><td>{epsilon(point.epsilon_micro)}</td></tr>)}</tbody>
        </table>
      </div>
    </div>
  );
}
