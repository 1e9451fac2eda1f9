// What is another provider's own stands in no answer that any page of the portal gets: not in a list, an event or a signed document.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { settled } from '../check.mjs';
import { overheard } from '../house.mjs';

/** A text with what is packed in it: payloads of envelopes, and what is packed in those. */
function unpacked(text, depth = 3) {
  if (depth === 0) return text;
  const packed = text.match(/[A-Za-z0-9_-]{32,}/g) ?? [];
  return [text, ...packed.map((one) => Buffer.from(one, 'base64url').toString()).filter((one) => one.startsWith('{')).map((one) => unpacked(one, depth - 1))].join('\n');
}

/** What a provider has for itself, as it reads it: nothing of it is empty. */
async function owned(house, page) {
  const read = (path) => page.evaluate(async (at) => (await fetch(at)).json(), path);
  const draft = join(house.dir, `draft-${Date.now()}.json`);
  writeFileSync(draft, JSON.stringify({ obligations: { risk_statement: 'Nobody else reads what we think of this' } }));
  await house.depa('tdp', 'contract', 'draft', 'save', draft);
  await house.depa('tdp', 'webhook', 'endpoint', 'add', '--url', 'http://localhost:9/hooks-of-the-laboratories', '--event', '*', '--out', `${draft}.endpoint`);
  const { datasets } = await house.get('/v1/datasets?limit=200');
  const ids = datasets.map(({ offer }) => offer).filter((offer) => offer.provider === house.people.tdp.did).map((offer) => offer.dataset_id);
  const offers = await Promise.all(ids.map((id) => house.signedOffer(page, id)));
  const { drafts } = await read('/v1/drafts');
  const kept = await Promise.all(drafts.map(({ draft_id }) => read(`/v1/drafts/${draft_id}`)));
  const { endpoints } = await read('/v1/webhooks/endpoints');
  const budgets = await Promise.all(ids.map((id) => read(`/v1/datasets/${id}/budget`)));
  const own = {
    keys: [...new Set(offers.flatMap(({ key }) => [key.kms, key.key_id]))],
    'key of the key service': [...new Set(offers.map(({ key }) => key.kms_jwk.x))],
    endpoints: [...new Set(endpoints.flatMap((one) => [one.endpoint_id, one.url]))],
    people: [...new Set((await read('/v1/people')).people.flatMap((one) => [one.person_id, one.display_name]))],
    drafts: drafts.map((one) => one.draft_id),
    'words of drafts': [...new Set(kept.map((one) => one.contract.obligations.risk_statement))],
    contracts: (await read('/v1/contracts?limit=200')).contracts.map((one) => one.contract_id),
    runs: (await read('/v1/runs?limit=200')).runs.map((one) => one.run_id),
    payments: (await read('/v1/payments')).payments.map((one) => one.instruction_id),
  };
  for (const [what, all] of Object.entries(own)) assert.ok(all.length > 0 && all.every((one) => typeof one === 'string' && one.length > 8), `${what}: ${all}`);
  assert.ok(budgets.some(({ lines }) => lines.length > 0), 'somebody has spent of its budgets');
  const { disputes } = await read('/v1/disputes');
  return { own: { ...own, disputes: disputes.map((one) => one.dispute_id) }, ids };
}

/** Walks every page, and those of what is the other one's, too; gives every answer and every event. */
async function walked(house, who, { own, ids }) {
  const page = await house.signer(who);
  const [answers, told] = [[], await overheard(page)];
  page.on('response', (response) => {
    if (!response.headers()['content-type']?.includes('event-stream')) answers.push(response.text().then((text) => ({ path: new URL(response.url()).pathname, text }), () => undefined));
  });
  const [contract, run, payment] = [own.contracts[0], own.runs.at(-1), own.payments[0]];
  const paths = [
    '/', '/datasets', '/datasets/new', ...ids.map((id) => `/datasets/${id}`), '/contracts', `/contracts/${contract}`, '/contracts/new', `/contracts/new?counter=${contract}`,
    '/runs', `/runs/${run}`, `/runs/${run}/evidence`, '/audit', '/payments', `/payments/${payment}`, ...own.disputes.slice(0, 1).map((id) => `/disputes/${id}`), '/keys', '/admin',
  ];
  for (const path of paths) {
    await page.goto(`${house.url}/portal${path}`);
    // Of what is another one's there is a refusal in place of a page.
    await page.locator('h1, [role=alert]').first().waitFor();
    await settled(page);
  }
  const asked = await page.evaluate((all) => Promise.all(all.map(async (path) => {
    const answer = await fetch(path);
    return { path, text: await answer.text() };
  })), [
    '/v1/people', '/v1/drafts', '/v1/webhooks/endpoints', '/v1/webhooks/deliveries', '/v1/datasets?limit=200', '/v1/participants?limit=200',
    ...ids.flatMap((id) => [`/v1/datasets/${id}`, `/v1/datasets/${id}/offer`, `/v1/datasets/${id}/versions`, `/v1/datasets/${id}/croissant`, `/v1/datasets/${id}/budget`]),
    ...own.drafts.map((id) => `/v1/drafts/${id}`), ...own.endpoints.map((id) => `/v1/webhooks/endpoints/${encodeURIComponent(id)}`),
  ]);
  for (const { path, text } of asked.filter((one) => one.path.endsWith('/budget'))) assert.deepEqual(JSON.parse(text).lines, [], path);
  const all = [...(await Promise.all(answers)).filter(Boolean), ...asked, ...told.map(({ data }) => ({ path: 'an event', text: data }))];
  assert.ok(all.filter(({ path }) => path.startsWith('/v1/')).length > 40, `${all.length} answers`);
  return all;
}

/** None of these stands in any of the answers, but where it may. */
function absent(own, kinds, answers, may = () => false) {
  const texts = answers.map(({ path, text }) => ({ path, text: unpacked(text) }));
  for (const kind of kinds) {
    for (const value of own[kind]) {
      const found = texts.filter(({ path, text }) => text.includes(value) && !path.includes(encodeURIComponent(value)) && !may(path)).map(({ path }) => path);
      assert.deepEqual(found, [], `${kind}: ${value}`);
    }
  }
}

export async function a_provider_that_has_nothing_to_do_with_another_one_reads_nothing_of_its_own(house) {
  const found = await owned(house, await house.person('tdp'));
  const answers = await walked(house, 'stranger', found);
  absent(found.own, Object.keys(found.own), answers);
}

export async function a_provider_reads_of_another_one_in_the_same_contract_what_that_contract_says_alone(house) {
  const found = await owned(house, await house.person('tdp'));
  const answers = await walked(house, 'tdp2', found);
  absent(found.own, ['endpoints', 'people', 'drafts', 'words of drafts'], answers);
  // All its parties sign which key opens which dataset, as it was offered; the key service's receipts are of the run.
  const together = (path) => /^\/v1\/((contracts|runs)\/|datasets\/[^/]+\/offer$)/.test(path);
  absent(found.own, ['keys', 'key of the key service'], answers, together);
  assert.ok(answers.some(({ path, text }) => together(path) && unpacked(text).includes(found.own.keys[0])), 'what is packed is looked through');
}
