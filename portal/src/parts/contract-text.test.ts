import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import example from '../../../schemas/examples/contract.json';
import type { Contract } from '../api/documents';
import { ContractText } from './contract-text';

type Members = Record<string, unknown>;

/** What a person reads, with the exact values behind shortened ids and times. */
const shown = (of: unknown): string =>
  renderToStaticMarkup(createElement(QueryClientProvider, { client: new QueryClient() }, createElement(ContractText, { of: of as Contract })));

const DIGEST = 'ab'.repeat(32);

/** The example of the schemas with every optional member. */
function full(kind = 'per_epoch'): Members {
  const { datasets, payment, compute, revocation, ...others } = structuredClone(example);
  return {
    ...others,
    supersedes: DIGEST,
    max_runs: 7,
    rules: [DIGEST],
    datasets: datasets.map((one) => ({
      ...one, privacy: { ...one.privacy, without_differential_privacy: true }, kbs: { init_data: [DIGEST] },
    })),
    compute: { ...compute, rooms_max: 3 },
    payment: payment.map((term) => ({
      ...term,
      kind,
      dataset_id: datasets[0]?.dataset_id,
      pricing: {
        unit_count: 50, tiers: [{ from: 10, amount_minor: 400_000 }], cap_minor: 900_000, floor_minor: 100_000,
        due_days: 30, period_days: 90, share_ppm: 50_000, rounding: 'half_up',
        tax: { gst_ppm: 180_000, gst_payee: 'did:web:gst.example', tds_ppm: 100_000, tds_payee: 'did:web:tds.example' },
      },
      discount: { discount_id: 'early', off_ppm: 20_000, purpose: 'TRAINING', after_runs: 5 },
    })),
    revocation: { ...revocation, notice_seconds: 3600, conditions: [{ cause: 'breach', by: ['tdc'], notice_seconds: 60 }] },
  };
}

/** Every place of a value, as its path. */
function places(value: unknown, kind: 'leaf' | 'object', path: string[] = []): string[][] {
  if (value === null || typeof value !== 'object') return kind === 'leaf' ? [path] : [];
  const inner = Object.entries(value).flatMap(([name, one]) => places(one, kind, [...path, name]));
  return kind === 'object' && !Array.isArray(value) ? [path, ...inner] : inner;
}

const at = (value: unknown, path: string[]): unknown => path.reduce((inner, name) => (inner as Members)[name], value);

function changed(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  const text = String(value);
  return /^\d{4}-\d\d-\d\dT/.test(text) ? text.replace(/^\d/, '3') : `${text.slice(0, -1)}${text.endsWith('z') ? 'y' : 'z'}`;
}

describe('the words of a contract', () => {
  const kinds = ['free', 'per_run', 'fixed', 'per_epoch', 'per_record', 'per_epsilon', 'per_compute_hour', 'subscription', 'revenue_share', 'escrow'];

  it.each(kinds)('change with every leaf of a full one: %s', (kind) => {
    const contract = full(kind);
    const before = shown(contract);
    expect(before).not.toContain('Further terms');
    expect(before).not.toContain(`>${kind}<`);
    for (const path of places(contract, 'leaf')) {
      const other = structuredClone(contract);
      const last = path.at(-1) ?? '';
      const holder = at(other, path.slice(0, -1)) as Members;
      holder[last] = changed(holder[last]);
      expect(shown(other), path.join('.')).not.toBe(before);
    }
  });

  it('show a member that the page does not know, wherever it stands, as it was written', () => {
    const contract = full();
    const objects = places(contract, 'object');
    expect(objects.length).toBeGreaterThan(15);
    for (const path of objects) {
      const other = structuredClone(contract);
      (at(other, path) as Members)['penalty'] = { of: 'a million' };
      const found = shown(other);
      expect(found, path.join('.')).toContain('Further terms');
      expect(found, path.join('.')).toContain('a million');
    }
  });

  it('name no further terms where there are none, and what absence means', () => {
    const found = shown(example);
    expect(found).not.toContain('Further terms');
    expect(found).toContain('One room for each run');
    expect(found).toContain('As many runs may complete under it as the budget pays.');
  });
});
