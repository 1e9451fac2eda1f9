import { expect, it } from 'vitest';
import { hi } from './hi';

const sources = Object.values(import.meta.glob('../**/*.{ts,tsx}', { query: '?raw', import: 'default', eager: true }) as Record<string, string>);

/** States stand in the service's answers, in lower_snake. */
const STATES = ['active', 'proposed', 'partially signed', 'completed', 'revoked', 'expired', 'settled'];

it('every Hindi text belongs to an English sentence of the page, with the same parts', () => {
  for (const [sentence, words] of Object.entries(hi)) {
    const used = STATES.includes(sentence) || sources.some((text) => text.includes(`'${sentence}'`));
    expect(used, sentence).toBe(true);
    const parts = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();
    expect(parts(words), sentence).toEqual(parts(sentence));
  }
});
