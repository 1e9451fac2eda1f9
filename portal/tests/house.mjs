// A house to test in: the demo's processes with what they did, and browsers of its people.
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { PATIENCE } from './check.mjs';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
export const shots = join(root, '.build/portal-shots');
export const bin = process.env.DEPA_BIN ?? resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug');

/** The browser of Debian, or another one that the environment names. */
export const browserPath = [process.env.CHROMIUM, '/usr/bin/chromium'].find((path) => path && existsSync(path));

/** A program of the house, run to its end; what it printed. */
export async function program(name, args) {
  const { stdout } = await run(join(bin, name), args, { maxBuffer: 64 << 20 });
  return stdout;
}

/** For work on the page: serves the folder DEPA_PORTAL_DIST in place of what the service was built with, under the service's own policy. */
async function fromDist(context, url) {
  const dist = process.env.DEPA_PORTAL_DIST;
  const headers = Object.fromEntries((await fetch(`${url}/portal/`)).headers);
  await context.route(`${url}/portal/**`, (route) => {
    const name = new URL(route.request().url()).pathname.replace('/portal/', '');
    // A page that came by a redirection is the service's own, and so are its parts.
    if (name.startsWith('assets/') && !existsSync(join(dist, name))) return route.continue();
    const path = name !== '' && existsSync(join(dist, name)) ? name : 'index.html';
    const media = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml', woff2: 'font/woff2', json: 'application/json' }[path.split('.').at(-1)];
    const { 'content-encoding': _, 'content-length': __, ...rest } = headers;
    return route.fulfill({ status: 200, headers: { ...rest, 'content-type': media }, body: readFileSync(join(dist, path)) });
  });
}

/** What streams of events tell this page from now on, of every kind, also those that it does not listen for. */
export async function overheard(page) {
  const told = [];
  const cdp = await page.context().newCDPSession(page);
  cdp.on('Network.eventSourceMessageReceived', ({ eventName, data }) => told.push({ kind: eventName, data }));
  await cdp.send('Network.enable');
  return told;
}

export class House {
  /** Starts the demo and leaves its roles running. */
  static async start() {
    const house = new House();
    house.dir = join(tmpdir(), `depa-portal-${process.pid}`);
    rmSync(house.dir, { recursive: true, force: true });
    const demo = spawn(join(bin, 'demo'), ['run', '--keep', '--json', '--dir', house.dir], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, talk] = ['', ''];
    demo.stdout.on('data', (chunk) => (out += chunk));
    demo.stderr.on('data', (chunk) => (talk += chunk));
    const code = await new Promise((done) => demo.on('close', done));
    house.pids = (/End them with: kill ([\d ]+)/.exec(talk)?.[1] ?? '').trim().split(' ').filter(Boolean).map(Number);
    if (code !== 0) {
      house.stop();
      throw new Error(`the demo ended with ${code}\n${talk.slice(-2000)}`);
    }
    house.talk = talk;
    await house.furnish(JSON.parse(out), /contract-service\s+process \d+\s+(http:\S+)/.exec(talk)[1]);
    await house.stranger();
    return house;
  }

  /** A provider with whom nobody has a contract. Once people of the SRO have passkeys, they decide with these at hand alone. */
  async stranger() {
    const did = await this.applicant('stranger');
    const draft = join(this.dir, this.people.stranger.key, 'decision.json');
    await this.depa('sro', 'party', 'decide', did, '--decision', 'verified', '--out', draft);
    await this.depa('sro2', 'party', 'decide', '--draft', draft);
  }

  /** Learns who lives in a house whose roles run, and opens the browser. */
  async furnish(report, url) {
    [this.report, this.url] = [report, url];
    const people = (await this.get('/v1/participants?limit=200')).participants;
    const trust = await this.get('/v1/trust');
    const named = (name) => people.find((one) => one.legal_name.startsWith(name)).did;
    this.people = {
      tdp: { did: named('Laboratories'), roles: ['tdp_admin', 'signer'], key: 'icmr', name: 'Asha of the laboratories' },
      tdp2: { did: named('Vaccination'), roles: ['tdp_admin', 'signer'], key: 'cowin', name: 'Bina of the register' },
      tdp3: { did: named('State war room'), roles: ['tdp_admin', 'signer'], key: 'statewarroom', name: 'Chitra of the war room' },
      tdc: { did: named('Model Builders'), roles: ['tdc_admin', 'signer'], key: 'tdc', name: 'Dev the data scientist' },
      ccrp: { did: named('Clean Rooms'), roles: ['ccr_operator'], key: 'ccrp', name: 'Esha the operator' },
      sro: { did: trust.sro[0].did, roles: ['sro_admin', 'sro_auditor'], key: 'sro-asha', name: 'Asha of the SRO' },
      sro2: { did: trust.sro[1].did, roles: ['sro_admin'], key: 'sro-bela', name: 'Bela of the SRO' },
    };
    this.browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
  }

  async get(path) {
    return (await fetch(this.url + path)).json();
  }

  /** An offer as it was signed, asked for by the session of a page: it says where its key lies. */
  async signedOffer(page, id) {
    const { envelope } = await page.evaluate(async (name) => (await fetch(`/v1/datasets/${name}/offer`)).json(), id);
    return JSON.parse(Buffer.from(envelope.payload, 'base64url'));
  }

  /** A provider that has applied, named `who` from now on. */
  async applicant(who) {
    const key = relative(this.dir, mkdtempSync(join(this.dir, `${who}-`)));
    this.people[who] = { roles: ['tdp_admin', 'signer'], key, name: `Farid of ${who}` };
    await program('depa', ['keys', 'new', '--out', this.keyFile(who)]);
    await this.depa(who, 'party', 'apply', '--role', 'tdp', '--name', `Organisation ${key}`, '--jurisdiction', 'IN');
    const { participants } = await this.get(`/v1/participants?q=${key}`);
    this.people[who].did = participants[0].did;
    return participants[0].did;
  }

  keyFile(who) {
    return join(this.dir, this.people[who].key, 'signing.key');
  }

  get trustFile() {
    return join(this.dir, 'contract-service', 'trust.json');
  }

  /** `depa`, acting for one of the house's people. */
  depa(who, ...args) {
    return program('depa', [...args, '--key', this.keyFile(who), '--trust', this.trustFile, '--registry', this.url]);
  }

  /** A one-time enrolment link, for somebody of this name. */
  async link(who, name = this.people[who].name) {
    const { did, roles } = this.people[who];
    const config = join(this.dir, 'contract-service', 'config.toml');
    const asked = roles.flatMap((role) => ['--role', role]);
    return this.reached((await program('contract-service', ['enrol', '--config', config, '--did', did, '--name', name, ...asked])).trim());
  }

  /** Where a link leads: redirections are not served from the folder. */
  reached(link) {
    return process.env.DEPA_PORTAL_DIST ? link.replace('/auth/enrol', '/portal/enrol') : link;
  }

  /** A browser profile of its own, with an authenticator. */
  async profile(options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1360, height: 900 }, reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(PATIENCE);
    if (process.env.DEPA_PORTAL_DIST) await fromDist(context, this.url);
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: this.url });
    const page = await context.newPage();
    page.sent = [];
    page.troubles = [];
    page.on('request', (request) => page.sent.push({ url: request.url(), body: request.postData() ?? '', auth: request.headers().authorization ?? '' }));
    page.on('console', (message) => message.type() === 'error' && page.troubles.push(message.text()));
    page.on('pageerror', (error) => page.troubles.push(String(error)));
    const cdp = await context.newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    const authenticator = {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      hasPrf: true, automaticPresenceSimulation: true,
    };
    await cdp.send('WebAuthn.addVirtualAuthenticator', { options: authenticator });
    return page;
  }

  /** Somebody of the house, signed in by a fresh link. */
  async person(who, { as, ...options } = {}) {
    const page = await this.profile(options);
    await page.goto(await this.link(who, as));
    await page.getByRole('button', { name: 'Make a passkey' }).click();
    await page.getByRole('heading', { name: 'You are in' }).waitFor();
    await page.goto(`${this.url}/portal/`);
    await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
    return page;
  }

  /** The same, with the key file taken in. */
  async signer(who, options) {
    const page = await this.person(who, options);
    await this.takeKey(page, who);
    return page;
  }

  async takeKey(page, who) {
    await page.goto(`${this.url}/portal/keys`);
    await page.locator('input[type=file]').setInputFiles(this.keyFile(who));
    await page.getByText('from a key file').waitFor();
  }

  async open(page, path) {
    await page.goto(`${this.url}/portal${path}`);
    await page.locator('h1').waitFor();
  }

  /** Processes of this name below those of the house. */
  below(name) {
    const all = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).flatMap((pid) => {
      try {
        const [, comm, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'));
        return [{ pid: Number(pid), comm, parent: Number(parent) }];
      } catch {
        return [];
      }
    });
    const own = new Set(this.pids);
    for (let before = 0; before !== own.size; ) {
      before = own.size;
      for (const { pid, parent } of all) if (own.has(parent)) own.add(pid);
    }
    return all.filter(({ pid, comm }) => own.has(pid) && comm === name).map(({ pid }) => pid);
  }

  async shot(page, name) {
    mkdirSync(shots, { recursive: true });
    await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  }

  stop() {
    for (const pid of this.pids ?? []) {
      try {
        process.kill(pid, 'SIGTERM');
      } catch {
        // Gone already.
      }
    }
    if (!process.env.DEPA_KEEP) rmSync(this.dir, { recursive: true, force: true });
  }

  read(...path) {
    return readFileSync(join(this.dir, ...path), 'utf8');
  }
}
