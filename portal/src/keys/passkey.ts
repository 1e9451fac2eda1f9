/** Passkeys (WebAuthn Level 3): the JSON of the service in, the JSON of the browser's answer out. */
import { t } from '../i18n';
import { base64url, fromBase64url } from './bytes';
import { Refused } from './document';

interface Descriptor {
  id: string;
  type: 'public-key';
  transports?: AuthenticatorTransport[];
}

export interface Options {
  publicKey: {
    challenge: string;
    user?: { id: string; name: string; displayName: string };
    excludeCredentials?: Descriptor[];
    allowCredentials?: Descriptor[];
    [member: string]: unknown;
  };
}

const ids = (list: Descriptor[] | undefined) => list?.map((one) => ({ ...one, id: fromBase64url(one.id) }));
const encoded = (buffer: ArrayBuffer) => base64url(new Uint8Array(buffer));

/** Why no passkey came about, by what the browser says of it: its own words are of developers, in its own language. */
const REFUSALS = new Map([
  ['NotAllowedError', ['PASSKEY_REFUSED', 'No passkey was used: you turned it down, or it took too long. Try again.']],
  ['InvalidStateError', ['PASSKEY_EXISTS', 'This device holds a passkey of yours already. Sign in with it, or use another device or security key.']],
  ['SecurityError', ['PASSKEY_UNSUPPORTED', 'No passkey works at this address: open the page at the address of the service, over https.']],
  ['NotSupportedError', ['PASSKEY_UNSUPPORTED', 'This device makes no passkey that the service takes. Use another device or a security key.']],
]);

/** The same in words of the page; what is not known stays as it is. */
export function explained(caught: unknown): unknown {
  const [code, sentence] = REFUSALS.get(caught instanceof Error ? caught.name : '') ?? [];
  return code === undefined || sentence === undefined ? caught : new Refused(code, t(sentence));
}

async function asked(act: (credentials: CredentialsContainer) => Promise<Credential | null>): Promise<PublicKeyCredential> {
  // Browsers offer them in secure contexts alone, whatever the types say.
  const credentials = navigator.credentials as CredentialsContainer | undefined;
  const missing = new DOMException('', credentials === undefined ? 'SecurityError' : 'NotAllowedError');
  const found = credentials && (await act(credentials).catch((caught: unknown) => { throw explained(caught); }));
  if (found == null) throw explained(missing);
  return found as PublicKeyCredential;
}

/** Makes a passkey. */
export async function create(options: Options): Promise<unknown> {
  const { publicKey } = options;
  const user = publicKey.user && { ...publicKey.user, id: fromBase64url(publicKey.user.id) };
  const wanted = {
    ...publicKey,
    challenge: fromBase64url(publicKey.challenge),
    user,
    excludeCredentials: ids(publicKey.excludeCredentials),
  };
  const credential = await asked((by) => by.create({ publicKey: wanted as unknown as PublicKeyCredentialCreationOptions }));
  const response = credential.response as AuthenticatorAttestationResponse;
  return {
    ...common(credential),
    response: {
      attestationObject: encoded(response.attestationObject),
      clientDataJSON: encoded(response.clientDataJSON),
      transports: response.getTransports(),
    },
  };
}

/** Signs in, or proves presence again. */
export async function get(options: Options): Promise<unknown> {
  const { publicKey } = options;
  const wanted = {
    ...publicKey,
    challenge: fromBase64url(publicKey.challenge),
    allowCredentials: ids(publicKey.allowCredentials),
  };
  const credential = await asked((by) => by.get({ publicKey: wanted as unknown as PublicKeyCredentialRequestOptions }));
  const response = credential.response as AuthenticatorAssertionResponse;
  return {
    ...common(credential),
    response: {
      authenticatorData: encoded(response.authenticatorData),
      clientDataJSON: encoded(response.clientDataJSON),
      signature: encoded(response.signature),
      userHandle: response.userHandle === null ? null : encoded(response.userHandle),
    },
  };
}

function common(credential: PublicKeyCredential) {
  return {
    id: credential.id,
    rawId: encoded(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: {},
  };
}
