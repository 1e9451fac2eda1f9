/** A one-time link becomes a person with a passkey. The secret stands behind `#` and is taken out of the address at once. */
import { Button, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { api, ask, Problem, rememberCsrf } from '../api/client';
import { configuration, me } from '../api/queries';
import { t } from '../i18n';
import { applied, settle } from '../keys/applied';
import { create, type Options } from '../keys/passkey';
import { moved } from '../parts/arrival';
import { ProblemNote } from '../parts/page';
import { toProvider } from '../parts/oidc';
import { Top } from '../parts/shell';
import { saveCodes } from '../parts/save';

/** For whom a link was made: the person and the organisation, as the passkey will be called. */
async function named(token: string): Promise<string | null> {
  const { options } = await ask(api.POST('/auth/enrol/options', { body: { token } }));
  return (options as Options).publicKey.user?.name ?? null;
}

/** What a page begins with is read first, also where another one stood there before. */
const first = (heading: HTMLElement | null) => heading?.focus();

export function Enrol() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [token] = useState(() => location.hash.slice(1));
  const { data: settings } = useQuery(configuration);
  const ways = settings?.people_sign_in_by ?? ['passkey'];
  const [label, setLabel] = useState(t('This device'));
  const [codes, setCodes] = useState<string[]>();
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [kept, setKept] = useState(false);
  // Whom it is for is told before it is used, and so is that it counts no more. Once it is used nobody asks again.
  const unused = token !== '' && !busy && codes === undefined;
  const meant = useQuery({ queryKey: ['link', token], queryFn: () => named(token), enabled: unused && settings !== undefined && ways.includes('passkey'), staleTime: Infinity, gcTime: 0, retry: false });
  const { data: session } = useQuery(me);
  const trouble = problem ?? meant.error;
  // Used, over, or never made: nothing of it can be tried again.
  const spent = trouble instanceof Problem && trouble.code === 'ENROLMENT_INVALID';
  useEffect(() => {
    document.title = `${t('Welcome')} · DEPA`;
    history.replaceState(null, '', location.pathname);
  }, []);
  // What follows is read from its title on.
  useEffect(() => () => moved(null), []);
  // Whoever leaves before the codes were kept has none: the browser asks first.
  useEffect(() => {
    if (!busy && (kept || codes === undefined)) return undefined;
    const stay = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener('beforeunload', stay);
    return () => window.removeEventListener('beforeunload', stay);
  }, [busy, codes, kept]);
  const enrol = async () => {
    const begun = await ask(api.POST('/auth/enrol/options', { body: { token } }));
    const credential = await create(begun.options as Options);
    const body = { token, challenge_id: begun.challenge_id, credential, label };
    const made = await ask(api.POST('/auth/enrol', { body: body as never }));
    rememberCsrf(made.session.csrf_token);
    // Only now: whatever broke off before, the page of the registration goes on where it was left.
    settle(made.session.member);
    setCodes(made.recovery_codes);
    await client.refetchQueries({ queryKey: ['me'] });
    if (made.recovery_codes.length === 0) void navigate('/');
  };
  const tried = async () => {
    setBusy(true);
    setProblem(undefined);
    await enrol().catch(setProblem);
    setBusy(false);
  };
  return (
    <div className="plain">
      <main>
        <Top />
        {codes === undefined ? (
          <form className="card stack" onSubmit={(event) => { event.preventDefault(); void tried(); }}>
            <h1>{t('Welcome')}</h1>
            {spent ? (
              <p>{t('This link counts no more: it was used, or its time is over. If it was you, sign in; else ask who sent it for a new one.')} <Link to="/sign-in">{t('Sign in')}</Link></p>
            ) : <p className="dim">{t('This link makes you a person of your organisation, once. You sign in with a passkey: no password, nothing to remember.')}</p>}
            {session && !spent && <div className="note wait">{t('You are signed in here as {name}. With this link you change over to whom it is for.', { name: session.display_name })}</div>}
            {meant.data != null && <div className="note" role="status">{t('This link is for')} <strong><bdi>{meant.data}</bdi></strong>. {t('If that is somebody else, leave it unused and tell who sent it to you.')}</div>}
            {token === '' && <div className="note wait">{t('The address lacks the secret of the link. Open the whole link as you got it.')}</div>}
            {!spent && <TextInput label={t('A name for this passkey')} value={label} onChange={(event) => setLabel(event.currentTarget.value)} required maxLength={100} />}
            <ProblemNote problem={trouble} />
            {!spent && <Button type="submit" size="md" loading={busy} disabled={token === ''}>{t('Make a passkey')}</Button>}
            {applied() !== undefined && <p className="small"><Link to="/register">{t('Go on with your registration')}</Link></p>}
            {!spent && ways.includes('oidc') && <Button variant="default" disabled={token === ''} onClick={() => void toProvider(token).catch(setProblem)}>{t('Use your organisation’s account instead')}</Button>}
          </form>
        ) : (
          <div className="card stack">
            <h1 tabIndex={-1} id="title" ref={first}>{t('You are in')}</h1>
            <p>{t('These ten codes are shown this once. Each lets you make a new passkey if you lose this one.')}</p>
            <pre className="json" tabIndex={0}>{codes.join('\n')}</pre>
            <div className="row">
              <Button variant="default" onClick={() => { saveCodes(codes); setKept(true); }}>{t('Save as a file')}</Button>
              <Button component={Link} to="/keys">{t('Go on to your signing key')}</Button>
            </div>
          </div>
        )}
      </main>
    </div>
  );
}
