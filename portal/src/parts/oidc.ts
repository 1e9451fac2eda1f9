/** Signing in with the organisation's own identity provider, where the service has one configured. */
import { api, ask } from '../api/client';
import { t } from '../i18n';
import { Refused } from '../keys/document';

/** Goes there; `token` is that of an enrolment link, which ties the account to the person. It comes back signed in. */
export async function toProvider(token?: string): Promise<void> {
  const { url } = await ask(api.POST('/auth/oidc', { body: token === undefined ? {} : { token } }));
  location.assign(url);
}

const LATER = 'The service cannot begin a session now. Try again in a minute.';

/** What ends the way back from the identity provider, and what to do then. */
const REFUSALS = new Map([
  ['SIGN_IN_REFUSED', 'Your organisation’s account did not let you in: you may have turned back there, or nobody here is tied to it. Try again; if it stays so, ask whoever administers your organisation for an enrolment link.'],
  ['CHALLENGE_UNKNOWN', 'This sign-in took too long, or was finished already. Begin again below.'],
  ['NOT_FOUND', 'No identity provider is set up here. Sign in with a passkey.'],
  ['UNAVAILABLE', LATER],
  ['NOT_WRITER', LATER],
  ['READ_ONLY', LATER],
  ['RATE_LIMITED', LATER],
  ['INTERNAL', 'The service failed, and nothing was decided. Try again; if it stays so, tell whoever runs it at what time it happened.'],
]);

/** Why the way back led here. The address names a code of the list, and anything else in it says nothing. */
export function notLetIn(search: string): Refused | undefined {
  const code = new URLSearchParams(search).get('refused') ?? '';
  const sentence = REFUSALS.get(code);
  return sentence === undefined ? undefined : new Refused(code, t(sentence));
}
