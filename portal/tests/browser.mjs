// The portal in a real browser against the demo's real processes: one scenario after the other, each with its time.
import assert from 'node:assert/strict';
import { browserPath, House } from './house.mjs';
import * as accounts from './scenarios/accounts.mjs';
import * as audit from './scenarios/audit.mjs';
import * as contracts from './scenarios/contracts.mjs';
import * as craft from './scenarios/craft.mjs';
import * as desk from './scenarios/desk.mjs';
import * as disputes from './scenarios/disputes.mjs';
import * as evidence from './scenarios/evidence.mjs';
import * as explorer from './scenarios/explorer.mjs';
import * as focus from './scenarios/focus.mjs';
import * as hostile from './scenarios/hostile.mjs';
import * as orders from './scenarios/orders.mjs';
import * as people from './scenarios/people.mjs';
import * as runs from './scenarios/runs.mjs';
import * as stored from './scenarios/stored.mjs';
import * as story from './scenarios/story.mjs';
import * as strangers from './scenarios/strangers.mjs';
import * as versions from './scenarios/versions.mjs';
import * as views from './scenarios/views.mjs';
import * as wizard from './scenarios/wizard.mjs';

if (browserPath === undefined) {
  console.log('NOT RUN portal in a browser: Chromium is not installed (apt install chromium)');
  process.exit(0);
}

const wanted = process.argv[2] ?? '';
const scenarios = [people, accounts, contracts, versions, views, focus, evidence, audit, explorer, disputes, hostile, strangers, stored, craft, story, wizard, orders, runs, desk].flatMap((part) => Object.entries(part));
const chosen = scenarios.filter(([name]) => name.includes(wanted));
let [passed, failed] = [0, 0];
const house = await House.start();
try {
  const page = await fetch(`${house.url}/portal/`);
  if (!process.env.DEPA_PORTAL_DIST) assert.match(await page.text(), /id="root"/, 'the service was built without its portal: sh infra/portal.sh, then build it');
  for (const [name, scenario] of chosen) {
    const began = Date.now();
    const words = name.replaceAll('_', ' ');
    try {
      await scenario(house);
      passed += 1;
      console.log(`test portal: ${words} ... ok (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`test portal: ${words} ... FAILED`);
      console.log(String(error?.stack ?? error).split('\n').slice(0, 30).join('\n'));
      for (const context of house.browser.contexts()) {
        for (const page of context.pages()) await house.shot(page, `failed-${name}`).catch(() => undefined);
      }
    }
    for (const context of house.browser.contexts()) await context.close();
  }
} catch (error) {
  failed += 1;
  console.log(String(error?.stack ?? error));
} finally {
  await house.browser?.close();
  house.stop();
}
console.log(`test result: ${failed === 0 ? 'ok' : 'FAILED'}. ${passed} passed; ${failed} failed; portal in a browser`);
process.exit(failed === 0 ? 0 : 1);
