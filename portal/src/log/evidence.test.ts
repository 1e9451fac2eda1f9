import { expect, it } from 'vitest';
import ark from '../../../ccr-runtime/attestation/data/amd-roots/milan-ark.pem?raw';
import ask from '../../../ccr-runtime/attestation/data/amd-roots/milan-ask.pem?raw';
import recorded from '../../tests/vectors/evidence.json';
import { base64url, fromBase64, fromBase64url, hex, sha256 } from '../keys/bytes';
import { canonical } from '../keys/document';
import { certificate } from './certificate';
import { type Evidence, judged, type Known, readFile, shown, verifyCommand } from './evidence';

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
  pcr_values: 'holds', job_pcr: 'fails', measurement: 'holds', signature: 'holds', chain_signatures: 'unjudged', chain_root: 'unjudged', tcb: 'unjudged',
  transcript: 'unjudged',
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
    ['signature', { ...evidence, report: spoilt(evidence.report, 32 + 0x187) }],
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

const der = (pem: string): string => base64url(fromBase64(pem.replace(/-----[A-Z ]+-----|\s/g, '')));
const whole: Evidence = { ...evidence, certificates: [...evidence.certificates, der(ask), der(ark)] };

it('TCB and chain are shown, and a chain whose links do not hold is named', async () => {
  const { tcb, chain } = await shown(whole);
  expect(tcb).toMatch(/^0(\/\d+){4}$/);
  expect(chain.map(({ name, issuer }) => [name, issuer])).toEqual([['SEV-VCEK', 'SEV-Milan'], ['SEV-Milan', 'ARK-Milan'], ['ARK-Milan', 'ARK-Milan']]);
  expect(chain[0]?.until).toBe('2032-01-28T16:33:43Z');
  const root_sha256 = hex(await sha256(chain[2]?.key ?? new Uint8Array()));
  const against = { ...(await known(whole)), tcb, root_sha256 };
  expect(await verdicts(whole, against)).toMatchObject({ signature: 'holds', chain_signatures: 'holds', chain_root: 'holds', tcb: 'holds' });
  expect(await verdicts(whole, { ...against, tcb: '0/0/0/0/1', root_sha256: 'ab'.repeat(32) })).toMatchObject({ chain_root: 'fails', tcb: 'fails' });
  const spoilt = (at: number, byte: number): Evidence => {
    const bytes = fromBase64url(whole.certificates[at] ?? '');
    bytes[byte] = (bytes[byte] ?? 0) ^ 1;
    return { ...whole, certificates: whole.certificates.map((one, place) => (place === at ? base64url(bytes) : one)) };
  };
  // A byte of each certificate's serial number; then of its length, so that it is none any more.
  for (const at of [0, 1, 2]) {
    for (const byte of [15, 1]) expect(await verdicts(spoilt(at, byte), against), `${at} ${byte}`).toMatchObject({ chain_signatures: 'fails' });
  }
  const [chip, authority, root] = whole.certificates as [string, string, string];
  expect(await verdicts({ ...whole, certificates: [authority, chip, root] }, against)).toMatchObject({ signature: 'fails', chain_signatures: 'fails' });
  expect(await verdicts({ ...whole, certificates: [chip, authority, authority] }, against)).toMatchObject({ chain_signatures: 'fails', chain_root: 'fails' });
});

it('what is no certificate is refused', async () => {
  const good = fromBase64url(whole.certificates[0] ?? '');
  for (const bad of [good.slice(0, 0), good.slice(0, 100), good.slice(0, -1), new Uint8Array([0x30, 0x80]), new Uint8Array([0x30, 0x89, 255, 255, 255, 255, 255, 255, 255, 255, 255])]) {
    await expect(certificate(bad)).rejects.toThrow();
  }
});

it('the command fits the run: its level, its time, and the root of software evidence', () => {
  const run = { assurance: 'hardware', checked_in_at: '2026-12-01T10:00:00Z' };
  expect(verifyCommand({ run, platform: { level: 'strict', root_sha256: 'ab' } })).toBe('depa attest verify evidence.json --policy strict --at 2026-12-01T10:00:00Z --image-set image-set.json');
  expect(verifyCommand({ run: { ...run, assurance: 'software' }, platform: { level: 'baseline', root_sha256: 'ab' } })).toMatch(/--policy baseline .* --software-root ab$/);
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
