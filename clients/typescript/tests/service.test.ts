/** Against a real contract service: DEPA_REGISTRY, DEPA_TRUST, DEPA_TEST_SRO and DEPA_TEST_DATASET name it; the test `clients` of the house starts it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { answer, checkpoint, client, countersign, draft, Key, type Receipt, sign, stamp, type Trust, verifyReceipt } from '../src/index.js';

const url = process.env.DEPA_REGISTRY ?? '';
const skip = url === '' && 'no service is named';

test('register, list, read a receipt, verify inclusion', { skip }, async () => {
  const trust = JSON.parse(readFileSync(process.env.DEPA_TRUST ?? '', 'utf8')) as Trust;
  const sro = await Promise.all((process.env.DEPA_TEST_SRO ?? '').split(':').map((path) => Key.of(readFileSync(path, 'utf8'))));
  const key = await Key.generate();
  const c = client(url, { key });
  const open = client(url);
  const header = { 'Idempotency-Key': 'typescript-client' };
  const told = await answer(open.GET('/v1/trust', {}));
  assert.equal((told as unknown as Trust).registry_jwk.x, trust.registry_jwk.x);

  const application = await sign(
    { schema: 'participant.v1', registry: trust.registry, did: key.did, kind: 'tdc', legal_name: 'Script Labs', jurisdiction: 'IN', jwk: key.jwk, applied_at: stamp() },
    key,
  );
  const applied = await answer(open.POST('/v1/participants', { params: { header }, body: application }));
  const entry = { kind: 'participant_applied', application, resolution: null };
  const note = await verifyReceipt(applied.receipt, entry, trust);
  assert.ok(note.size > applied.receipt.index);
  await assert.rejects(verifyReceipt({ ...applied.receipt, index: 0 }, entry, trust), { code: 'INCLUSION_INVALID' });
  await assert.rejects(verifyReceipt(applied.receipt, { ...entry, kind: 'participant_left' }, trust), { code: 'RECEIPT_MISMATCH' });

  const { participants } = await answer(open.GET('/v1/participants', { params: { query: { q: 'Script Labs' } } }));
  const line = participants.find((one) => one.did === key.did);
  assert.equal(line?.state, 'applied');
  const decision = draft({
    schema: 'participant-decision.v1', registry: trust.registry, participant: key.did, participant_sha256: line?.application_sha256,
    decision: 'verified', reason: 'papers were seen', decided_at: stamp(),
  });
  for (const [at, person] of sro.entries()) {
    const body = { ...decision, signatures: [await countersign(decision, person)] };
    const answered = await answer(open.POST('/v1/participants/decisions', { params: { header: { 'Idempotency-Key': `typescript-${at}` } }, body }));
    assert.equal(answered.receipt != null, at === 1, 'one person alone decides nothing');
  }

  const anchored = await answer(c.POST('/v1/log/anchors', { params: { header }, body: { sha256: 'ab'.repeat(32) } }));
  const index = String(anchored.receipt.index);
  // The route has several forms, so its answer is typed by the caller.
  const { receipt } = (await answer(c.GET('/v1/log/receipts/{index}', { params: { path: { index } } }))) as { receipt: Receipt };
  await verifyReceipt(receipt, { kind: 'digest_anchored', by: key.did, sha256: 'ab'.repeat(32) } as { kind: string }, trust);
  const text = await answer(open.GET('/log/checkpoint', { parseAs: 'text' }));
  assert.ok((await checkpoint(String(text), trust)).size >= note.size);

  const { datasets } = await answer(open.GET('/v1/datasets', {}));
  assert.ok(Array.isArray(datasets));
  assert.deepEqual((await answer(c.GET('/v1/contracts', {}))).contracts, []);
});

test('refusals are coded', { skip }, async () => {
  const stranger = client(url, { key: await Key.generate() });
  await assert.rejects(answer(stranger.GET('/v1/contracts', {})), (error: { status?: number }) => error.status === 401);
  const missing = client(url).GET('/v1/datasets/{id}', { params: { path: { id: 'dst_01900000-0000-7000-8000-000000000000' } } });
  await assert.rejects(answer(missing), { code: 'NOT_FOUND', status: 404 });
});
