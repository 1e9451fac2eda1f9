/** Signing in: by a passkey, or with a recovery code of somebody who has no passkey at hand. */
import { Button, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { api, ask, rememberCsrf } from '../api/client';
import { configuration } from '../api/queries';
import { t } from '../i18n';
import { applied } from '../keys/applied';
import { get, type Options } from '../keys/passkey';
import { moved } from '../parts/arrival';
import { notLetIn, toProvider } from '../parts/oidc';
import { ProblemNote, Terminal } from '../parts/page';
import { Top } from '../parts/shell';

export function SignIn() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [problem, setProblem] = useState<unknown>(() => notLetIn(location.search));
  const [busy, setBusy] = useState(false);
  const [code, setCode] = useState('');
  const { data: { people_sign_in_by: ways = ['passkey'] } = {} } = useQuery(configuration);
  useEffect(() => {
    document.title = `${t('Sign in')} · DEPA`;
    // A refusal is told once: the page that is opened again begins anew.
    const query = new URLSearchParams(location.search);
    if (!query.has('refused')) return;
    query.delete('refused');
    history.replaceState(history.state, '', location.pathname + (query.size > 0 ? `?${query}` : '') + location.hash);
  }, []);
  // What follows is another page, at the same address.
  useEffect(() => () => moved(null), []);
  const tried = async (act: () => Promise<void>) => {
    setBusy(true);
    setProblem(undefined);
    await act().catch(setProblem);
    setBusy(false);
  };
  const signIn = async () => {
    const begun = await ask(api.POST('/auth/passkey/options'));
    const credential = await get(begun.options as Options);
    const body = { challenge_id: begun.challenge_id, credential };
    const session = await ask(api.POST('/auth/passkey', { body: body as never }));
    rememberCsrf(session.csrf_token);
    await client.refetchQueries({ queryKey: ['me'] });
  };
  const recover = async () => {
    const grant = await ask(api.POST('/auth/recovery', { body: { code: code.trim() } }));
    void navigate(`/enrol#${grant.token}`);
  };
  return (
    <div className="plain">
      <main>
        <Top />
        <div className="card stack">
          <h1>{t('Sign in')}</h1>
          <p className="dim">{t('A passkey of this device or a security key says who you are. What you sign, your own keys sign.')}</p>
          <ProblemNote problem={problem} />
          {ways.includes('passkey') && <Button size="md" loading={busy} onClick={() => void tried(signIn)}>{t('Sign in with a passkey')}</Button>}
          {ways.includes('oidc') && <Button size="md" variant="default" onClick={() => void tried(() => toProvider())}>{t('Sign in with your organisation')}</Button>}
          <details>
            <summary>{t('No passkey at hand?')}</summary>
            <form className="stack tight" onSubmit={(event) => { event.preventDefault(); void tried(recover); }}>
              <TextInput label={t('A recovery code')} description={t('It counts once and lets you make a new passkey.')} value={code} onChange={(event) => setCode(event.currentTarget.value)} autoComplete="off" />
              <div><Button type="submit" variant="default" disabled={code.trim() === ''}>{t('Use the code')}</Button></div>
            </form>
          </details>
        </div>
        <div className="card stack tight">
          <h2>{t('New here?')}</h2>
          <p className="dim">{t('A link that your organisation made lets you in. An organisation that is not registered yet begins with a key; so does the first person of one that holds a key already.')}</p>
          <div><Button component={Link} to="/register" variant="default">{applied() === undefined ? t('Register an organisation') : t('Go on with your registration')}</Button></div>
          <Terminal command={`depa keys new --out acme.key\ndepa party apply --role tdp --name "Acme Labs" --jurisdiction IN --key acme.key --trust trust.json --registry ${location.origin}`} />
        </div>
      </main>
    </div>
  );
}
