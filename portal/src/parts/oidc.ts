/** Signing in with the organisation's own identity provider, where the service has one configured. */
import { api, ask } from '../api/client';

/** Goes there; `token` is that of an enrolment link, which ties the account to the person. It comes back signed in. */
export async function toProvider(token?: string): Promise<void> {
  const { url } = await ask(api.POST('/auth/oidc', { body: token === undefined ? {} : { token } }));
  location.assign(url);
}
