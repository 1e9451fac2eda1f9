import { createElement } from 'react';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { renderToStaticMarkup } from 'react-dom/server';
import { expect, it } from 'vitest';
import example from '../../../schemas/examples/contract.json';
import type { Contract } from '../api/documents';
import { Changes } from './changes';
import { changes, moved } from './diff';
import { counter, formOf, templated } from './draft';

type Members = Record<string, unknown>;
const contract = example as unknown as Contract;

function places(value: unknown, path: string[] = []): string[][] {
  if (value === null || typeof value !== 'object') return [path];
  return Object.entries(value).flatMap(([name, one]) => places(one, [...path, name]));
}

function put(value: unknown, path: string[]): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : `${String(value)}x`;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as Members) }) as Members;
  copy[name] = put(copy[name], rest);
  return copy;
}

const shown = (before: unknown, after: unknown): string =>
  renderToStaticMarkup(createElement(QueryClientProvider, { client: new QueryClient() }, createElement(Changes, { before: before as Contract, after: after as Contract })));

it('the same is no change, and every leaf that differs is one, in words', () => {
  expect(changes(contract, structuredClone(contract))).toEqual([]);
  for (const path of places(contract)) {
    const after = put(contract, path);
    expect(changes(contract, after).length, path.join('.')).toBeGreaterThan(0);
    if (!['version', 'supersedes'].includes(path[0] ?? '')) expect(shown(contract, after), path.join('.')).not.toContain('Nothing differs');
  }
});

it('what is put in and taken out is told apart by its own name', () => {
  const [first, ...others] = contract.datasets;
  const found = changes(contract, { ...contract, datasets: [{ ...first, public_rows: 7 }, ...others] });
  expect(found.map((one) => one.path)).toEqual([['datasets', first?.dataset_id, 'public_rows']]);
  const gone = changes(contract, { ...contract, payment: [] });
  expect(gone.map((one) => [one.path, one.after])).toEqual(contract.payment.map((term) => [['payment', term.term_id], undefined]));
  const turned = changes({ a: [{ did: 'x' }, { did: 'y' }] }, { a: [{ did: 'y' }, { did: 'x' }] });
  expect(turned.map((one) => one.path)).toEqual([['a']]);
  expect(changes({ a: [{ did: 'x' }, { did: 'x' }] }, { a: [{ did: 'x' }] }).length).toBe(1);
  expect(moved(['a', 'b'], ['b', 'c'])).toEqual({ added: ['c'], removed: ['a'] });
  expect(moved(['a', 'b'], ['b', 'a'])).toBeUndefined();
  expect(moved([{}], [])).toBeUndefined();
});

it('a counter-offer keeps parties, datasets and prices, and pins what it follows', () => {
  const form = formOf(contract);
  const next = counter({ value: contract, digest: 'ab'.repeat(32) }, form, []);
  expect(changes(contract, next).map((one) => one.path[0]).sort()).toEqual(['supersedes', 'version']);
  const [id] = Object.keys(form.grants);
  const other = counter({ value: contract, digest: 'ab'.repeat(32) }, { ...form, maxRuns: 3, byTdp: !form.byTdp, roomPrice: 5, ccrp: 'did:web:x', grants: { [id ?? '']: { epsilon: '0.5', delta: '0.00001' } } }, []);
  expect(other).toMatchObject({ version: contract.version + 1, supersedes: 'ab'.repeat(32), max_runs: 3 });
  expect(other.parties).toEqual(contract.parties);
  expect(other.payment).toEqual(contract.payment);
  expect(new Set(changes(contract, other).map((one) => one.path[0]))).toEqual(new Set(['version', 'supersedes', 'max_runs', 'revocation', 'datasets']));
});

it('a template brings its purpose, law, rules and longest period', () => {
  const form = formOf(contract);
  const laid = { schema: 'template.v1' as const, template: 'oncology-v2', title: 'Oncology', text_url: 'https://sro.example/o', text_sha256: 'a', purposes: ['ONCOLOGY'], jurisdictions: ['FR'], max_days: 30, lapse_days: 7, sro_countersigns: true, risk_statement: true, rules: ['ab'] };
  const made = templated({ ...form, from: '2026-01-01T00:00:00Z', until: '2027-01-01T00:00:00Z' }, laid);
  expect(made).toMatchObject({ template: 'oncology-v2', purpose: 'ONCOLOGY', jurisdiction: 'FR', until: '2026-01-31T00:00:00Z', rules: ['ab'] });
});
