// The same random texts as `schemas/tests/jcs`, written canonically by the page: the digests must be those of the service.
import canonicalize from 'canonicalize';
import { expect, it } from 'vitest';
import kept from '../../tests/vectors/jcs.json';
import { hex, joined, sha256, utf8 } from './bytes';
import { canonical } from './document';

/** xorshift32, seeded by the number of the text. */
class Dice {
  #state: number;

  constructor(n: number) {
    this.#state = (Math.imul(0x9e3779b9, n + 1) | 1) >>> 0;
  }

  next(): number {
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#state = s >>> 0;
    return this.#state;
  }

  below(n: number): number {
    return this.next() % n;
  }
}

const STRANGE = [0x2028, 0x2029, 0xfeff, 0x7f, 0x85, 0xad, 0x301, 0xfffd, 0xffff, 0x1f600, 0x10ffff, 0xfb33];
const SHORT: Record<number, string> = { 0x22: '\\"', 0x5c: '\\\\', 0x08: '\\b', 0x09: '\\t', 0x0a: '\\n', 0x0c: '\\f', 0x0d: '\\r' };

const space = (dice: Dice): string => ['', ' ', '\n', '\t'][dice.below(4)] ?? '';

function letter(dice: Dice): number {
  const kind = dice.below(8);
  if (kind < 2) return 0x20 + dice.below(0x5f);
  if (kind === 2) return dice.below(0x20);
  if (kind === 3) return [0x22, 0x5c, 0x2f][dice.below(3)] ?? 0;
  if (kind === 4) return 0x80 + dice.below(0xd780);
  if (kind === 5) return 0xe000 + dice.below(0x2000);
  if (kind === 6) return 0x10000 + dice.below(0x100000);
  return STRANGE[dice.below(12)] ?? 0;
}

const escaped = (unit: number): string => `\\u${unit.toString(16).padStart(4, '0')}`;

function spelled(point: number, style: number): string {
  const plain = String.fromCodePoint(point);
  if (style === 0) return SHORT[point] ?? (point < 0x20 ? escaped(point) : plain);
  const units = Array.from({ length: plain.length }, (_, at) => plain.charCodeAt(at));
  return units.map((unit) => (style === 1 ? escaped(unit) : `\\u${unit.toString(16).toUpperCase().padStart(4, '0')}`)).join('');
}

/** A list made one after the other: the dice are thrown in the order of the list. */
function times<T>(n: number, make: () => T): T[] {
  const all: T[] = [];
  for (let at = 0; at < n; at += 1) all.push(make());
  return all;
}

function string(dice: Dice): [string, string] {
  const letters = times(dice.below(8), () => {
    const point = letter(dice);
    return [point, dice.below(3)] as const;
  });
  return [`"${letters.map(([point, style]) => spelled(point, style)).join('')}"`, letters.map(([point]) => point).join()];
}

function integer(dice: Dice): string {
  const kind = dice.below(3);
  const size = kind === 0 ? dice.below(10) : kind === 1 ? dice.next() : (dice.next() & 0x1fffff) * 2 ** 32 + dice.next();
  const minus = dice.below(2) === 1 && size !== 0;
  return `${minus ? '-' : ''}${size}`;
}

const digits = (dice: Dice, n: number): string => times(n, () => dice.below(10)).join('');

function real(dice: Dice): string {
  let text = dice.below(2) === 1 ? '-' : '';
  if (dice.below(3) === 0) text += '0';
  else {
    text += String(1 + dice.below(9));
    text += digits(dice, dice.below(8));
  }
  text += `.${digits(dice, 1 + dice.below(9))}`;
  if (dice.below(2) === 1) {
    text += dice.below(2) === 1 ? 'e' : 'E';
    text += ['', '+', '-'][dice.below(3)];
    text += String(dice.below(290));
  }
  return text;
}

function value(dice: Dice, depth: number, reals: boolean): string {
  const kind = dice.below(depth >= 4 ? 5 : 7);
  if (kind === 0) return 'null';
  if (kind === 1) return dice.below(2) === 1 ? 'true' : 'false';
  if (kind === 2) return reals ? real(dice) : integer(dice);
  if (kind < 5) return string(dice)[0];
  if (kind === 5) return `[${times(dice.below(5), () => `${space(dice)}${value(dice, depth + 1, reals)}${space(dice)}`).join()}]`;
  return members(dice, depth, reals);
}

function members(dice: Dice, depth: number, reals: boolean): string {
  const [names, all]: [Set<string>, string[]] = [new Set(), []];
  for (let left = dice.below(6); left > 0; left -= 1) {
    const [written, name] = string(dice);
    const [before, between] = [space(dice), space(dice)];
    const inner = value(dice, depth + 1, reals);
    const after = space(dice);
    if (!names.has(name)) {
      names.add(name);
      all.push(`${before}${written}${between}:${inner}${after}`);
    }
  }
  return `{${all.join()}}`;
}

async function digests(count: number, from: number, reals: boolean): Promise<string[]> {
  const found: string[] = [];
  for (let first = from; first < from + count; first += 100) {
    const parts: Uint8Array[] = [];
    for (let n = first; n < first + 100; n += 1) {
      const read = JSON.parse(members(new Dice(n), 0, reals)) as unknown;
      parts.push(reals ? utf8(canonicalize(read) ?? '') : canonical(read), utf8('\n'));
    }
    found.push(hex(await sha256(joined(...parts))));
  }
  return found;
}

it('5,000 random documents have the canonical bytes that the service gives them', async () => {
  expect(await digests(5_000, 0, false)).toEqual(kept.documents);
});

it('so have 2,000 values with fractions and exponents, which no signed document holds', async () => {
  expect(await digests(2_000, 5_000, true)).toEqual(kept.reals);
});
