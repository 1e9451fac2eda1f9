/**
 * Texts. The English sentence is its own key: `t('Sign out')`, with `{name}` for what is put in. Another language is a
 * map from the English sentence; what it lacks is shown in English.
 */
import { hi } from './hi';

export type Language = 'en' | 'hi';

const maps: Record<Language, Record<string, string>> = { en: {}, hi };
const STORED = 'depa-language';

function first(): Language {
  const kept = localStorage.getItem(STORED);
  if (kept === 'en' || kept === 'hi') return kept;
  return navigator.language.startsWith('hi') ? 'hi' : 'en';
}

let language: Language = typeof localStorage === 'undefined' ? 'en' : first();

export const languageNow = (): Language => language;

/** Sets the language and draws the page anew. */
export function speak(next: Language): void {
  localStorage.setItem(STORED, next);
  location.reload();
}

export function t(sentence: string, parts: Record<string, string | number> = {}): string {
  const found = maps[language][sentence] ?? sentence;
  return found.replace(/\{(\w+)\}/g, (whole, name: string) => String(parts[name] ?? whole));
}
