/** A fresh passkey assertion before acts of the SRO: that the person is there now, and not only the open page. */
import { api, ask } from '../api/client';
import type { Session } from '../api/queries';
import { get, type Options } from '../keys/passkey';

/** Nothing where the last assertion is younger than five minutes. */
export async function stepUp(session: Session | null | undefined): Promise<void> {
  const until = session?.stepped_up_until;
  if (until && new Date(until).getTime() > Date.now() + 5_000) return;
  const begun = await ask(api.POST('/auth/step-up/options'));
  const credential = await get(begun.options as Options);
  await ask(api.POST('/auth/step-up', { body: { challenge_id: begun.challenge_id, credential } as never }));
}
