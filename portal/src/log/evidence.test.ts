import { expect, it } from 'vitest';
import recorded from '../../tests/vectors/evidence.json';
import { base64url, fromBase64url, hex, sha256 } from '../keys/bytes';
import { canonical } from '../keys/document';
import { type Evidence, judged, type Known, readFile } from './evidence';

// Recorded on a machine of Azure; the transcript of that run is nobody's.
const evidence: Evidence = recorded;

async function known(of: Evidence = evidence): Promise<Known> {
  const pcrs = (of.quote?.pcrs ?? []).map((one) => hex(fromBase64url(one)));
  const report = fromBase64url(of.report);
  return {
    run_id: 'run_1', job_sha256: 'ab'.repeat(32), image_set_id: 'img_1', evidence_sha256: hex(await sha256(canonical(of))), run_x: 'a', enc_x: 'b',
    pcrs: { 4: pcrs[4] ?? '', 11: pcrs[11] ?? '' }, measurements: [base64url(report.slice(32 + 0x90, 32 + 0xc0))],
  };
}

const verdicts = async (of: Evidence, against: Known, transcript?: never) =>
  Object.fromEntries((await judged(transcript ? { evidence: of, transcript } : { evidence: of }, against)).map((one) => [one.name, one.verdict]));

const GOOD = {
  evidence_sha256: 'holds', report_data: 'holds', user_data: 'unjudged', quote_nonce: 'unjudged', quote_signature: 'holds', pcr_digest: 'holds',
  pcr_values: 'holds', job_pcr: 'fails', measurement: 'holds', transcript: 'unjudged',
};

it('recorded evidence holds together, and of another job it is seen', async () => {
  const found = await verdicts(evidence, await known());
  // Whoever recorded it drew the nonce apart from the user data.
  expect({ ...found, quote_nonce: 'unjudged' }).toEqual(GOOD);
});

it('a byte that is another one is found by the name of its check', async () => {
  const spoilt = (of: string, at: number): string => {
    const bytes = fromBase64url(of);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return base64url(bytes);
  };
  const { quote } = evidence;
  if (quote == null) throw new Error('no quote');
  const cases: [string, Evidence][] = [
    ['report_data', { ...evidence, report: spoilt(evidence.report, 32 + 0x50) }],
    ['measurement', { ...evidence, report: spoilt(evidence.report, 32 + 0x90) }],
    ['report_data', { ...evidence, report: spoilt(evidence.report, 1300) }],
    ['quote_signature', { ...evidence, quote: { ...quote, signature: spoilt(quote.signature, 9) } }],
    ['pcr_values', { ...evidence, quote: { ...quote, pcrs: quote.pcrs.map((one, at) => (at === 11 ? spoilt(one, 0) : one)) } }],
    ['pcr_digest', { ...evidence, quote: { ...quote, pcrs: quote.pcrs.map((one, at) => (at === 23 ? spoilt(one, 0) : one)) } }],
    ['quote_nonce', { ...evidence, quote: { ...quote, message: spoilt(quote.message, 1) } }],
  ];
  const against = await known();
  for (const [name, bad] of cases) {
    const found = await verdicts(bad, against);
    expect(found[name], name).toBe('fails');
    expect(found['evidence_sha256'], name).toBe('fails');
  }
});

it('a transcript is held against what the report binds', async () => {
  const transcript = { run_id: 'run_1', job_sha256: 'ab'.repeat(32), image_set_id: 'img_1', run_jwk: { x: 'a' }, enc_jwk: { x: 'b' } };
  const found = await verdicts(evidence, await known(), transcript as never);
  expect(found).toMatchObject({ transcript: 'holds', user_data: 'fails', quote_nonce: 'fails' });
});

it('a file that holds no evidence is refused', () => {
  for (const bad of ['', '[]', '{}', '{"evidence":{}}', 'x'.repeat(300_000)]) expect(() => readFile(bad)).toThrow();
  expect(readFile(JSON.stringify({ evidence, transcript: { run_id: 'r' } })).transcript?.run_id).toBe('r');
  expect(readFile(JSON.stringify(evidence)).evidence.kind).toBe('azure-snp');
});
