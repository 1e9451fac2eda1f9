/**
 * What this page can judge of a room's evidence by itself: what the evidence binds, from the file to the log, and that chip
 * and chain signed it. Whose chip it is, and whether its software is good enough, it cannot: AMD's roots, revocation lists
 * and levels are `depa attest verify`'s.
 */
import { type Bytes, fromBase64url, fromHex, hex, joined, same, sha256, text } from '../keys/bytes';
import { canonical } from '../keys/document';
import { type Certificate, certificate, follow, reported } from './certificate';

export type Verdict = 'holds' | 'fails' | 'unjudged';

export interface Finding {
  /** The name of the check, as `depa attest verify` calls it where it has one. */
  name: string;
  verdict: Verdict;
  why: string;
}

export interface Evidence {
  kind: string;
  report: string;
  quote?: { message: string; signature: string; pcrs: string[] } | null;
  certificates: string[];
  ak_certificate?: string | null;
}

/** What the room said to the service, where the file holds it. */
export interface Transcript {
  run_id: string;
  job_sha256: string;
  image_set_id: string;
  run_jwk: { x?: string };
  enc_jwk: { x?: string };
  [member: string]: unknown;
}

/** What the log and the run's page say, against which a file is held. */
export interface Known {
  run_id: string;
  job_sha256: string;
  image_set_id: string;
  evidence_sha256: string;
  run_x: string;
  enc_x: string;
  pcrs: Record<string, string>;
  measurements: string[];
  /** What the service wrote down of the platform, where the entry has it. */
  tcb?: string | null | undefined;
  root_sha256?: string | null | undefined;
}

const MOST = 256 * 1024;
const QUOTED = [0xff, 0x54, 0x43, 0x47, 0x80, 0x18];

/** A file of evidence: alone, or with the transcript that it is over. */
export function readFile(written: string): { evidence: Evidence; transcript?: Transcript } {
  if (written.length > MOST) throw new Error('larger than any evidence');
  const found = JSON.parse(written) as Partial<Evidence> & { evidence?: Evidence; transcript?: Transcript };
  const evidence = (found.evidence ?? found) as Evidence;
  if (typeof evidence.report !== 'string' || typeof evidence.kind !== 'string' || !Array.isArray(evidence.certificates)) throw new Error('this file holds no evidence');
  return found.transcript === undefined ? { evidence } : { evidence, transcript: found.transcript };
}

/** The report, and the runtime data that an Azure (or SIMULATED) report binds. */
function parts(blob: Bytes): { report: Bytes; runtime?: Bytes } {
  const magic = text(blob.slice(0, 4).map((byte) => byte & 0x7f));
  if (magic !== 'HCLA') return { report: blob };
  const length = new DataView(blob.buffer, blob.byteOffset).getUint32(1232, true);
  return { report: blob.slice(32, 1216), runtime: blob.slice(1236, 1236 + length) };
}

/** The reported TCB as fmc/bl/tee/snp/ucode, as the service writes it. Turin has the parts in places of their own. */
function tcbOf(report: Bytes): string {
  const turin = (report[0] ?? 0) > 2 && report[0x188] === 0x1a;
  return (turin ? [0, 1, 2, 3, 7] : [-1, 0, 1, 6, 7]).map((at) => (at < 0 ? 0 : report[0x180 + at] ?? 0)).join('/');
}

const chainOf = ({ certificates }: Evidence): Promise<Certificate[]> => Promise.all(certificates.map((one) => certificate(fromBase64url(one))));

/** What a file of evidence shows of its platform. */
export const shown = async (evidence: Evidence): Promise<{ tcb: string; chain: Certificate[] }> => ({
  tcb: tcbOf(parts(fromBase64url(evidence.report)).report), chain: await chainOf(evidence),
});

/** The command that judges the evidence at a terminal, at the level and the time at which the service did. */
export function verifyCommand({ run, platform }: { run: { assurance: string; checked_in_at: string }; platform?: { level?: string | null; root_sha256?: string | null } | null }): string {
  const root = run.assurance === 'software' ? ` --software-root ${platform?.root_sha256 ?? 'SHA256'}` : '';
  return `depa attest verify evidence.json --policy ${platform?.level ?? 'baseline'} --at ${run.checked_in_at} --image-set image-set.json${root}`;
}

/** What a quote says: the nonce, and the digest over the PCRs. */
function quoted(message: Bytes): { nonce: Bytes; digest: Bytes } {
  if (!QUOTED.every((byte, at) => message[at] === byte)) throw new Error('not a quote of a TPM');
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = QUOTED.length;
  const sized = (): Bytes => {
    const length = view.getUint16(at);
    at += 2 + length;
    if (at > message.length) throw new Error('the quote is cut off');
    return message.slice(at - length, at);
  };
  sized();
  const nonce = sized();
  at += 8 + 4 + 4 + 1 + 8;
  const banks = view.getUint32(at);
  at += 4;
  for (let n = 0; n < banks && n < 16; n += 1) at += 3 + view.getUint8(at + 2);
  return { nonce, digest: sized() };
}

async function quoteSigned(runtime: { keys?: { kid?: string; n?: string; e?: string; kty?: string }[] }, quote: NonNullable<Evidence['quote']>): Promise<boolean> {
  const found = (runtime.keys ?? []).filter((key) => key.kid === 'HCLAkPub');
  const [key] = found;
  if (found.length !== 1 || key?.kty !== 'RSA' || key.e !== 'AQAB' || key.n === undefined) throw new Error('exactly one RSA key HCLAkPub is expected');
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const imported = await crypto.subtle.importKey('jwk', { kty: 'RSA', n: key.n, e: key.e, alg: 'RS256' }, algorithm, false, ['verify']);
  return crypto.subtle.verify(algorithm, imported, fromBase64url(quote.signature), fromBase64url(quote.message));
}

/** Every check that this page can make of a file, each by its name; what throws, fails. */
export async function judged({ evidence, transcript }: { evidence: Evidence; transcript?: Transcript }, known: Known): Promise<Finding[]> {
  const found: Finding[] = [];
  const check = async (name: string, why: string, holds: () => boolean | undefined | Promise<boolean | undefined>) => {
    try {
      const verdict = await holds();
      found.push({ name, why, verdict: verdict === undefined ? 'unjudged' : verdict ? 'holds' : 'fails' });
    } catch (problem) {
      found.push({ name, why: problem instanceof Error ? problem.message : String(problem), verdict: 'fails' });
    }
  };
  const bound = transcript && joined(new Uint8Array(await crypto.subtle.digest('SHA-384', canonical(transcript))), new Uint8Array(16));
  const { report, runtime } = parts(fromBase64url(evidence.report));
  const data = report.slice(0x50, 0x90);
  const says = () => (runtime === undefined ? undefined : (JSON.parse(text(runtime)) as { 'user-data'?: string; keys?: [] }));
  const user = () => (runtime === undefined ? hex(data) : (says()?.['user-data'] ?? '').toLowerCase());
  const { quote } = evidence;
  await check('evidence_sha256', 'the file is the evidence whose digest stands in the log', async () => hex(await sha256(canonical(evidence))) === known.evidence_sha256);
  await check('report_data', 'the report binds the runtime data', async () => runtime === undefined ? undefined : same(data, joined(await sha256(runtime), new Uint8Array(32))));
  await check('user_data', 'the report binds what the room said to the service', () => bound && user() === hex(bound));
  await check('quote_nonce', 'the quote was made for it', () => quote == null ? undefined : hex(quoted(fromBase64url(quote.message)).nonce) === (bound ? hex(bound.slice(0, 48)) : user().slice(0, 96)));
  await check('quote_signature', 'the quote is signed by the key in the runtime data', () => quote == null || runtime === undefined ? undefined : quoteSigned(says() ?? {}, quote));
  await check('pcr_digest', 'the quote covers the values beside it', async () => quote == null ? undefined : same(await sha256(...quote.pcrs.map(fromBase64url)), quoted(fromBase64url(quote.message)).digest));
  await check('pcr_values', 'the values are those that the SRO approved', () => quote == null ? undefined : Object.entries(known.pcrs).every(([at, value]) => hex(fromBase64url(quote.pcrs[Number(at)] ?? '')) === value));
  await check('job_pcr', 'the room measured this very job', async () => quote == null ? undefined : hex(await sha256(new Uint8Array(32), fromHex(known.job_sha256))) === hex(fromBase64url(quote.pcrs[8] ?? '')));
  await check('measurement', 'the launch measurement is one that the SRO approved', () => known.measurements.some((one) => same(fromBase64url(one), report.slice(0x90, 0xc0))));
  await check('signature', 'the report is signed by the key of the chip’s certificate', async () => {
    const [chip] = await chainOf(evidence);
    return chip && reported(report, chip);
  });
  // An authority that is missing is looked for elsewhere.
  await check('chain_signatures', 'each certificate is signed by the next one, and the root by itself', () => evidence.certificates.length < 3 ? undefined : chainOf(evidence).then(follow));
  await check('chain_root', 'the root is the one that the service judged by', async () => known.root_sha256 == null ? undefined : hex(await sha256((await chainOf(evidence)).at(-1)?.key ?? new Uint8Array())) === known.root_sha256);
  await check('tcb', 'the TCB is the one that the service read', () => known.tcb == null ? undefined : tcbOf(report) === known.tcb);
  await check('transcript', 'what the room said names this run, job, image set and keys', () => transcript && transcript.run_id === known.run_id && transcript.job_sha256 === known.job_sha256 && transcript.image_set_id === known.image_set_id && transcript.run_jwk.x === known.run_x && transcript.enc_jwk.x === known.enc_x);
  return found;
}
