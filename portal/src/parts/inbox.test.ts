import { expect, it } from 'vitest';
import type { Schemas } from '../api/client';
import type { Listed, ListedContract, Pending } from '../api/queries';
import { named, pins, stopped, suspended, unanswered, undecided, unfinished, unruled, unsigned, whole } from './inbox';

const ACME = 'did:web:acme.example';
const run = (at: number, state: string, contract = 'ctr_1', tdc = ACME) =>
  ({ run_id: `run_${at}`, tdc, state, contracts: [{ id: contract, sha256: 'a' }], checked_in_at: `2026-01-01T00:00:${String(at).padStart(2, '0')}Z` }) as unknown as Schemas['RunLine'];
const waiting = (all: Schemas['RunLine'][], seen: string[] = []) => unanswered(all, ACME, seen).map((one) => one.run_id);

it('a run without a model waits until it is looked at, or another follows under its contract', () => {
  expect(waiting([run(1, 'aborted')])).toEqual(['run_1']);
  expect(waiting([run(1, 'aborted')], ['run_1'])).toEqual([]);
  expect(waiting([run(2, 'training'), run(1, 'aborted')])).toEqual([]);
  expect(waiting([run(2, 'aborted'), run(1, 'aborted')])).toEqual(['run_2']);
  expect(waiting([run(2, 'completed', 'ctr_2'), run(1, 'aborted')])).toEqual(['run_1']);
  expect(waiting([run(2, 'aborted'), run(1, 'completed')])).toEqual(['run_2']);
  expect(waiting([run(1, 'aborted', 'ctr_1', 'did:web:other.example')])).toEqual([]);
});

it('what is open and not signed waits, whichever version it is', () => {
  const view = (state: string, ...signed: string[]) => ({ state, contract: { payload: '', signatures: signed.map((who) => ({ kid: `${who}#key` })) } }) as unknown as Schemas['ContractView'];
  const all = [view('proposed'), view('partially_signed', 'did:web:other.example'), view('partially_signed', ACME), view('awaiting_sro'), view('active', 'did:web:other.example'), view('proposed', `${ACME}.not`)];
  expect(unsigned(all, ACME).map((one) => all.indexOf(one))).toEqual([0, 1, 5]);
});

const contract = (id: string, state: string, offers: [string, string][]) =>
  ({ row: { contract_id: id, state }, contract: { datasets: offers.map(([dataset_id, offer_sha256]) => ({ dataset_id, offer_sha256 })) } }) as unknown as ListedContract;
const offer = (sha256: string, state: string) => ({ sha256, view: { state }, offer: { name: sha256 } }) as unknown as Listed;

it('what a contract in force pins is told where it may not be used now', () => {
  const all = pins([contract('a', 'active', [['d1', 'v1'], ['d2', 'w1']]), contract('b', 'suspended', [['d1', 'v2']]), contract('c', 'revoked', [['d1', 'v1']]), contract('d', 'proposed', [['d1', 'v1']])]);
  expect(all.map((pin) => `${pin.contract} ${pin.offer}`)).toEqual(['a v1', 'a w1', 'b v2']);
  const told = (versions: Listed[]) => stopped(all, versions).map(({ pin, offer: found }) => `${pin.contract} ${pin.dataset} ${found.view.state}`);
  expect(told([offer('v1', 'withdrawn'), offer('v2', 'registered'), offer('w1', 'deprecated')])).toEqual(['a d1 withdrawn']);
  expect(told([offer('v2', 'suspended')])).toEqual(['b d1 suspended']);
  expect(told([])).toEqual([]);
});

it('the newest offer says enough where it is the one that is pinned and stands', () => {
  const pin = { contract: 'a', dataset: 'd1', offer: 'v1' };
  expect(whole(pin, offer('v1', 'registered'))).toBe(true);
  expect(whole(pin, offer('v1', 'suspended'))).toBe(false);
  expect(whole(pin, offer('v2', 'registered'))).toBe(false);
});

it('who applies waits for a decision until a first person of the SRO has signed one', () => {
  const people = ['a', 'b', 'c'].map((did, at) => ({ did, state: at === 2 ? 'verified' : 'applied' })) as Schemas['ParticipantLine'][];
  const act = (schema: string, participant: string) => ({ act: { schema, registry: '', participant }, signers: [], since: '', until: '' }) as Pending;
  const waits = (begun: Pending[]) => undecided(people, begun).map(({ did }) => did);
  expect(waits([])).toEqual(['a', 'b']);
  expect(waits([act('participant-decision.v1', 'a'), act('key-event.v1', 'b')])).toEqual(['b']);
  expect(waits([{ signers: [], since: '', until: '' }])).toEqual(['a', 'b']);
});

it('a dispute waits for a ruling until a first person of the SRO has signed one', () => {
  const one = (dispute_id: string, state: string, answer_by = '2026-01-02T00:00:00Z') => ({ dispute_id, state, answer_by });
  const all = [one('a', 'answered'), one('b', 'open'), one('c', 'open', '2025-12-31T00:00:00Z'), one('d', 'ruled'), one('e', 'closed')];
  const waits = (begun: Pending[]) => unruled(all, begun, Date.parse('2026-01-01T00:00:00Z')).map((found) => found.dispute_id);
  const ruling = { act: { schema: 'dispute-ruling.v1', registry: '', dispute_id: 'a' }, signers: [], since: '', until: '' };
  expect(waits([])).toEqual(['a', 'c']);
  expect(waits([ruling])).toEqual(['c']);
});

it('own datasets are told while they are suspended, and nobody else’s', () => {
  const all = [['a', 'suspended', ACME], ['b', 'registered', ACME], ['c', 'suspended', 'did:web:other.example']].map(([sha256, state, provider]) => ({ sha256, view: { state }, offer: { provider } })) as unknown as Listed[];
  expect(suspended(all, ACME).map(({ sha256 }) => sha256)).toEqual(['a']);
});

it('a contract that waits says which one it is: its title and the other parties', () => {
  const parties = (...dids: string[]) => ({ parties: dids.map((did) => ({ did, role: 'tdp' as const })) }) as unknown as ListedContract['contract'];
  const names = (did: string) => did.split(':').at(-1) ?? did;
  expect(named(parties('did:web:b.example', ACME, 'did:web:c.example'), 'Tests', ACME, names)).toBe('Tests, with b.example, c.example');
  expect(named(parties(ACME), 'Tests', ACME, names)).toBe('Tests');
});

it('what is signed here and not by all waits for others', () => {
  const one = (state: string, ...signed: string[]) => ({ row: { state }, view: { state, contract: { payload: '', signatures: signed.map((who) => ({ kid: `${who}#key` })) } } }) as unknown as ListedContract;
  const all = [one('proposed', ACME), one('partially_signed', 'did:web:other.example'), one('awaiting_sro', ACME), one('active', ACME), one('declined', ACME)];
  expect(unfinished(all, ACME).map((found) => all.indexOf(found))).toEqual([0, 2]);
});
