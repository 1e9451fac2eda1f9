import { expect, it } from 'vitest';
import desk from '../screens/admin/desk.ts?raw';
import { said, subject } from './acts';

const act = (schema: string, members: object) => ({ schema, registry: 'did:web:sro.example', ...members });
const called = (id: string) => (id === 'did:web:acme.example' ? 'Acme Laboratories' : id);

it('an act is told by its verb and by whom it is about', () => {
  expect(said(act('participant-decision.v1', { participant: 'did:web:acme.example', decision: 'verified' }), called)).toBe('Admit Acme Laboratories');
  expect(said(act('key-event.v1', { participant: 'did:web:acme.example', event: { act: 'add' } }), called)).toBe('Enter a key of Acme Laboratories');
  expect(said(act('contract-suspend.v1', { contract: { id: 'ctr_1' } }), called)).toBe('Suspend the contract ctr_1');
  expect(said(act('participant-decision.v1', { participant: 'did:web:acme.example', decision: 'unheard' }), called)).toBe('participant-decision.v1 unheard');
  expect(subject(act('contract-suspend.v1', { contract: { id: 'ctr_1' } }))).toBe('ctr_1');
});

it('every act that the desk hands in has words', () => {
  const words: Record<string, string> = { 'participant-decision.v1': 'verified', 'key-event.v1': 'add', 'dataset-act.v1': 'suspend' };
  const schemas = [...desk.matchAll(/'([a-z-]+\.v1)': \(/g)].map((found) => found[1] ?? '');
  expect(schemas.length).toBeGreaterThan(12);
  for (const schema of schemas) expect(said(act(schema, { act: words[schema] }), called), schema).not.toContain('.v1');
});
