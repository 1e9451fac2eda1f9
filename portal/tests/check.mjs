// What every page must keep to: no serious finding of axe, nothing that the policy had to stop.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Serious and critical findings of axe on the page as it stands; how large targets are (WCAG 2.2 AA) it judges only when told to. The context must bypass the policy. */
export async function findings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } }));
  const grave = violations.filter((one) => one.impact === 'serious' || one.impact === 'critical');
  return grave.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join(' | ')}`);
}

/** Nothing went wrong that the browser tells: no script error, nothing that the content security policy stopped. */
export function quiet(page, allowed = []) {
  // Whether somebody is signed in is asked, and 401 is an answer.
  const told = page.troubles.filter((line) => !['401 (Unauthorized)', ...allowed].some((part) => line.includes(part)));
  assert.deepEqual(told, []);
}

/** How long a page may take for anything: the browser shares its processors with all other tests. */
export const PATIENCE = 30_000;

/** Waits until this holds. */
export async function until(what, holds, patience = PATIENCE) {
  const began = Date.now();
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() - began > patience) throw new Error(`not within ${patience} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Waits until the page has read what it shows. The stream of events stays open, so the network is never idle. */
export async function settled(page) {
  await page.waitForFunction(() => document.querySelectorAll('.bone').length === 0, null, { timeout: PATIENCE });
  await page.waitForTimeout(250);
}
