/**
 * Texts. The English sentence is its own key: `t('Sign out')`, with `{name}` for what is put in. Another language is a
 * map from the English sentence; what it lacks is shown in English. It is loaded with its letters before the page is
 * drawn, by those who read it alone.
 */
export type Language = 'en' | 'hi';

let words: Record<string, string> = {};
const STORED = 'depa-language';

function first(): Language {
  const kept = localStorage.getItem(STORED);
  if (kept === 'en' || kept === 'hi') return kept;
  return navigator.language.startsWith('hi') ? 'hi' : 'en';
}

let language: Language = typeof localStorage === 'undefined' ? 'en' : first();

export const languageNow = (): Language => language;

/** The letters, in both weights, so that nothing is drawn without them; a page that waits for them longer is drawn. */
async function letters(): Promise<void> {
  const load = (weight: number) => document.fonts.load(`${weight} 16px "Noto Sans Devanagari"`, 'अ');
  const patience = new Promise((done) => setTimeout(done, 2_000));
  await Promise.race([Promise.all([load(400), load(600)]), patience]).catch(() => undefined);
}

/** Loads the language of now. Without it the page is drawn in English. */
export async function ready(): Promise<void> {
  if (language !== 'hi') return;
  try {
    // Texts are no script: the build writes them beside the page (vite.config.ts).
    const texts = import.meta.env.DEV
      ? import('./hi').then(({ hi }) => hi)
      : fetch(`${import.meta.env.BASE_URL}hi.json`, { signal: AbortSignal.timeout(30_000) }).then((answer) => answer.json() as Promise<Record<string, string>>);
    [words] = await Promise.all([texts, import('./hi.css').then(letters)]);
  } catch {
    words = {};
  }
}

/** Sets the language and draws the page anew. */
export function speak(next: Language): void {
  localStorage.setItem(STORED, next);
  location.reload();
}

export function t(sentence: string, parts: Record<string, string | number> = {}): string {
  // Some sentences come from an address: only what the map itself holds is a text.
  const found = Object.hasOwn(words, sentence) ? words[sentence]! : sentence;
  return found.replace(/\{(\w+)\}/g, (whole, name: string) => String(Object.hasOwn(parts, name) ? parts[name] : whole));
}
