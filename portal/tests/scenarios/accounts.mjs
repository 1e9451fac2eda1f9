// Screen 1: signing in with the organisation's own accounts, at a service that has an identity provider configured.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { CLIENT, Identity, SECRET } from '../identity.mjs';
import { bin, program } from '../house.mjs';
import { quiet, until } from '../check.mjs';

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** A registry of its own with this identity provider; nobody is registered in it but the SRO's people. */
async function desk(house, identity) {
  const [dir, url] = [join(house.dir, 'with-accounts'), `http://localhost:${await freePort()}`];
  const sro = ['sro', 'sro2'].flatMap((who) => ['--sro', `${who}=${house.people[who].did}`]);
  await program('contract-service', ['init', '--dir', dir, '--url', url, ...sro]);
  const secret = join(dir, 'oidc.secret');
  writeFileSync(secret, `${SECRET}\n`, { mode: 0o600 });
  const config = join(dir, 'config.toml');
  const settings = { ISSUER: identity.url, CLIENT_ID: CLIENT, CLIENT_SECRET_FILE: secret };
  const named = Object.fromEntries(Object.entries(settings).map(([name, value]) => [`DEPA_CONTRACT_SERVICE__PEOPLE__OIDC__${name}`, value]));
  const service = spawn(join(bin, 'contract-service'), ['serve', '--config', config], { stdio: 'ignore', env: { ...process.env, ...named } });
  await until('the service is ready', async () => {
    assert.equal(service.exitCode, null, 'the service runs');
    return (await fetch(`${url}/readyz`).catch(() => undefined))?.ok;
  }, 60_000);
  const link = async () => (await program('contract-service', ['enrol', '--config', config, '--did', house.people.sro.did, '--name', 'Asha with an account', '--role', 'sro_auditor'])).trim();
  return { url, link, service };
}

export async function an_account_of_the_organisation_signs_a_linked_person_in_and_nobody_else(house) {
  // Where no provider is configured there is no such button.
  const without = await house.profile();
  await house.open(without, '/');
  await without.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
  assert.equal(await without.getByRole('button', { name: 'Sign in with your organisation' }).count(), 0);
  const identity = await Identity.start();
  const { url, link, service } = await desk(house, identity);
  try {
    const there = Object.assign(Object.create(house), { url });
    const page = await there.profile();
    const me = () => page.evaluate(async () => {
      const answer = await fetch('/v1/people/me');
      return answer.ok ? answer.json() : answer.status;
    });
    const button = page.getByRole('button', { name: 'Sign in with your organisation' });
    // An account alone lets nobody in.
    identity.account = 'stranger';
    await there.open(page, '/');
    await button.click();
    const refusal = page.getByRole('alert').filter({ hasText: 'SIGN_IN_REFUSED' });
    await refusal.getByText('ask whoever administers your organisation for an enrolment link').waitFor({ timeout: 30_000 });
    await page.getByRole('heading', { name: 'Sign in', level: 1 }).waitFor();
    assert.equal(page.url(), `${url}/portal/`, 'the address says it once');
    assert.equal(await me(), 401);
    // The page says what it has words for, and nothing that stands in an address.
    for (const planted of ['SIGN_IN_REFUSED%20call%20me', 'CALL_ME', '%3Cimg%20src%3Dx%3E']) {
      await page.goto(`${url}/portal/?refused=${planted}`);
      await button.waitFor();
      assert.equal(await page.getByRole('alert').count(), 0, planted);
      assert.ok(!(await page.content()).includes('CALL_ME'), planted);
    }
    await page.goto(`${url}/auth/oidc/callback?state=x&code=y&error=CALL_ME&error_description=call+me`);
    await refusal.waitFor();
    assert.ok(!(await page.content()).includes('call me'));
    await there.open(page, '/');
    await button.waitFor();
    assert.equal(await page.getByRole('alert').count(), 0);
    // A link of the organisation ties an account to a person, and whoever comes with it is that person.
    identity.account = 'asha';
    await page.goto((await link()).replace('/auth/enrol', '/portal/enrol'));
    await page.getByRole('button', { name: 'Use your organisation’s account instead' }).click();
    await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor({ timeout: 30_000 });
    const { method, display_name } = await me();
    assert.deepEqual([method, display_name], ['oidc', 'Asha with an account']);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await button.click();
    await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor({ timeout: 30_000 });
    assert.equal((await me()).display_name, 'Asha with an account');
    // Another account is still nobody.
    await page.getByRole('button', { name: 'Sign out' }).click();
    identity.account = 'stranger';
    await button.click();
    await refusal.waitFor({ timeout: 30_000 });
    quiet(page, ['404 (Not Found)']);
  } finally {
    service.kill('SIGTERM');
    identity.stop();
  }
}
