import { expect, it } from 'vitest';
import { base64url } from '../keys/bytes';
import { canonical, own } from '../keys/document';
import { lineage } from './lineage';

const version = (n: number, supersedes: string | null, more = {}) => ({ schema: 'contract.v1', contract_id: 'ctr_1', version: n, supersedes, ...more });
const entry = (index: number, value: unknown) =>
  ({ index, at: '2026-01-01T00:00:00Z', body: { kind: 'contract_proposed', contract: { payload: base64url(canonical(value)), signatures: [{ kid: 'did:web:a#x' }] } } }) as never;

it('versions are followed by their pins, and one that pins nothing known is told', async () => {
  const first = version(1, null);
  const { digest } = await own(first);
  const second = version(2, digest);
  const events = [entry(1, first), { index: 2, at: '', body: { kind: 'contract_signed' } } as never, entry(3, second), entry(4, version(3, 'ab'.repeat(32))), entry(5, version(4, digest)), entry(6, version(2, digest, { contract_id: 'ctr_2' }))];
  const found = await lineage(events);
  expect(found.map((one) => [one.index, one.follows])).toEqual([[1, true], [3, true], [4, false], [5, false], [6, false]]);
  expect(found[0]?.by).toBe('did:web:a');
  const spoilt = { index: 1, at: '', body: { kind: 'contract_proposed', contract: { payload: base64url(new TextEncoder().encode('{"version":1,"schema":"contract.v1"}')), signatures: [] } } } as never;
  await expect(lineage([spoilt])).rejects.toThrow('canonical');
});
