/** Passkeys (WebAuthn Level 3): the JSON of the service in, the JSON of the browser's answer out. */
import { base64url, fromBase64url } from './bytes';

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

/** Makes a passkey. */
export async function create(options: Options): Promise<unknown> {
  const { publicKey } = options;
  const user = publicKey.user && { ...publicKey.user, id: fromBase64url(publicKey.user.id) };
  const asked = {
    ...publicKey,
    challenge: fromBase64url(publicKey.challenge),
    user,
    excludeCredentials: ids(publicKey.excludeCredentials),
  };
  const made = await navigator.credentials.create({ publicKey: asked as unknown as PublicKeyCredentialCreationOptions });
  const credential = made as PublicKeyCredential;
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
  const asked = {
    ...publicKey,
    challenge: fromBase64url(publicKey.challenge),
    allowCredentials: ids(publicKey.allowCredentials),
  };
  const found = await navigator.credentials.get({ publicKey: asked as unknown as PublicKeyCredentialRequestOptions });
  const credential = found as PublicKeyCredential;
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
