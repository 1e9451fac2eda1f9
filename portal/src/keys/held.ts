/**
 * Keys that this browser holds: non-extractable Ed25519 keys in IndexedDB. No private byte of them is ever readable by
 * the page again; a recovery key is made extractable once, to be written into a file under a passphrase, and forgotten.
 */
import { createStore, del, entries, set } from 'idb-keyval';
import { t } from '../i18n';
import { base64url, fromBase64url, text, utf8 } from './bytes';
import { didKey, type PublicJwk, thumbprint } from './did';
import { Refused } from './document';

export interface HeldKey {
  /** The participant or person of the SRO under whose name it signs. */
  holder: string;
  thumbprint: string;
  /** `holder#thumbprint`. */
  kid: string;
  jwk: PublicJwk;
  /** Made here, read from a file of `depa keys new`, or from a recovery file. */
  source: 'made' | 'file' | 'recovery';
  createdAt: string;
  key: CryptoKey;
}

const store = createStore('depa-portal', 'keys');

export async function heldKeys(holder?: string): Promise<HeldKey[]> {
  const all = (await entries<string, HeldKey>(store)).map(([, key]) => key);
  const own = all.filter((key) => holder === undefined || key.holder === holder);
  return own.sort((a, b) => a.createdAt.localeCompare(b.createdAt));
}

/**
 * Keeps a key. A new one is kept before anything that enters it is sent: a key that counts at the register without its
 * private half would be nobody's.
 */
export const keep = (key: HeldKey): Promise<void> => set(key.kid, key, store);
export const forget = (key: HeldKey): Promise<void> => del(key.kid, store);

async function publicOf(key: CryptoKey): Promise<PublicJwk> {
  const { x } = await crypto.subtle.exportKey('jwk', key);
  if (x === undefined) throw new Refused('KEY_FORM', t('the browser made no Ed25519 key'));
  return { kty: 'OKP', crv: 'Ed25519', x };
}

async function held(jwk: PublicJwk, key: CryptoKey, source: HeldKey['source'], holder?: string): Promise<HeldKey> {
  const [name, print] = [holder ?? didKey(jwk), await thumbprint(jwk)];
  return { holder: name, thumbprint: print, kid: `${name}#${print}`, jwk, source, createdAt: new Date().toISOString(), key };
}

/** Makes a key whose private half never leaves the browser's key store; it is not kept yet. */
export async function make(holder?: string): Promise<HeldKey> {
  const pair = (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])) as CryptoKeyPair;
  return held(await publicOf(pair.publicKey), pair.privateKey, 'made', holder);
}

interface KeyFile {
  holder: string;
  x: string;
  d: string;
}

async function imported(file: KeyFile, source: HeldKey['source']): Promise<HeldKey> {
  const [jwk, usages]: [PublicJwk, KeyUsage[]] = [{ kty: 'OKP', crv: 'Ed25519', x: file.x }, ['sign']];
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey('jwk', { ...jwk, d: file.d }, 'Ed25519', false, usages);
  } catch {
    throw new Refused('KEY_FORM', t('this file holds no Ed25519 signing key'));
  }
  const probe = utf8('depa portal probe');
  const signature = await crypto.subtle.sign('Ed25519', key, probe);
  const half = await crypto.subtle.importKey('jwk', jwk, 'Ed25519', false, ['verify']);
  if (!(await crypto.subtle.verify('Ed25519', half, signature, probe))) {
    throw new Refused('KEY_FORM', t('public and private half of this key do not belong together'));
  }
  return held(jwk, key, source, file.holder);
}

function keyFile(content: string): KeyFile {
  let file: Partial<KeyFile>;
  try {
    file = JSON.parse(content) as Partial<KeyFile>;
  } catch {
    throw new Refused('KEY_FORM', t('this is no key file of depa keys new'));
  }
  const { holder, x, d } = file;
  if (typeof holder !== 'string' || typeof x !== 'string' || typeof d !== 'string') {
    throw new Refused('KEY_FORM', t('this is no key file of depa keys new'));
  }
  return { holder, x, d };
}

/** Takes in a file of `depa keys new`. It is read here and sent nowhere; in the browser it cannot be exported again. */
export const fromFile = (content: string): Promise<HeldKey> => imported(keyFile(content), 'file');

/** What is written into a recovery file: a key file under a passphrase (PBKDF2-SHA-256, AES-256-GCM). */
export interface RecoveryFile {
  schema: 'depa-recovery.v1';
  holder: string;
  thumbprint: string;
  iterations: number;
  salt: string;
  iv: string;
  sealed: string;
}

/**
 * A recovery key that was made here. It is kept with its sealed file until the person says that the file is safe; its
 * private half, until the register knows the key.
 */
export interface MadeRecovery extends Omit<HeldKey, 'key' | 'source'> {
  source: 'recovery';
  file: RecoveryFile;
  key?: CryptoKey;
}

const recoveries = createStore('depa-portal-recovery', 'keys');

export async function madeRecoveries(holder: string): Promise<MadeRecovery[]> {
  const all = (await entries<string, MadeRecovery>(recoveries)).map(([, key]) => key);
  return all.filter((key) => key.holder === holder).sort((a, b) => a.createdAt.localeCompare(b.createdAt));
}

export const keepRecovery = (made: MadeRecovery): Promise<void> => set(made.kid, made, recoveries);
export const forgetRecovery = (made: MadeRecovery): Promise<void> => del(made.kid, recoveries);

/** What is left of a recovery key once the register knows it: its sealed file. */
export const withoutKey = ({ key: _, ...made }: MadeRecovery): MadeRecovery => made;

const ITERATIONS = 600_000;

async function wrapping(passphrase: string, salt: Uint8Array<ArrayBuffer>, iterations: number): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey('raw', utf8(passphrase.normalize('NFKC')), 'PBKDF2', false, ['deriveKey']);
  const kdf = { name: 'PBKDF2', hash: 'SHA-256', salt, iterations };
  return crypto.subtle.deriveKey(kdf, base, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
}

/** Makes a second key for this holder, written into a file under a passphrase; it is not kept yet. */
export async function makeRecovery(holder: string, passphrase: string): Promise<MadeRecovery & HeldKey> {
  if (passphrase.length < 12) throw new Refused('PASSPHRASE_SHORT', t('a passphrase has at least 12 characters'));
  const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const { x, d } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  if (x === undefined || d === undefined) throw new Refused('KEY_FORM', t('the browser made no Ed25519 key'));
  const key = await imported({ holder, x, d }, 'recovery');
  const [salt, iv] = [crypto.getRandomValues(new Uint8Array(16)), crypto.getRandomValues(new Uint8Array(12))];
  const wrap = await wrapping(passphrase, salt, ITERATIONS);
  const plain = utf8(JSON.stringify({ holder, x, d } satisfies KeyFile));
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, wrap, plain));
  const file: RecoveryFile = {
    schema: 'depa-recovery.v1',
    holder,
    thumbprint: key.thumbprint,
    iterations: ITERATIONS,
    salt: base64url(salt),
    iv: base64url(iv),
    sealed: base64url(sealed),
  };
  return { ...key, source: 'recovery', file };
}

/** A recovery file, read; one that was cut or altered is told apart from a wrong passphrase as far as that goes. */
export function recoveryFile(content: string) {
  try {
    const file = JSON.parse(content) as RecoveryFile;
    const { schema, iterations } = file;
    const [salt, iv, sealed] = [fromBase64url(file.salt), fromBase64url(file.iv), fromBase64url(file.sealed)];
    const formed = schema === 'depa-recovery.v1' && iterations >= 100_000 && iterations <= 10_000_000 && iv.length === 12 && sealed.length > 16;
    if (formed) return { iterations, salt, iv, sealed };
  } catch {
    // Refused below, like every other file that is none.
  }
  throw new Refused('KEY_FORM', t('this is no whole recovery file: take another copy of it'));
}

/** Opens a recovery file. */
export async function fromRecovery(content: string, passphrase: string): Promise<HeldKey> {
  const { iterations, salt, iv, sealed } = recoveryFile(content);
  const wrap = await wrapping(passphrase, salt, iterations);
  let plain: ArrayBuffer;
  try {
    plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, wrap, sealed);
  } catch {
    throw new Refused('PASSPHRASE_WRONG', t('the passphrase does not open this file'));
  }
  return imported(keyFile(text(new Uint8Array(plain))), 'recovery');
}
