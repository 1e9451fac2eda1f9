/** The frame of every page of somebody who is signed in: where to go, who one is, language and colours. */
import { useMantineColorScheme } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useRef } from 'react';
import { NavLink, useLocation } from 'react-router';
import { oversees } from '../api/calm';
import { useNotes } from '../api/live';
import { api, ask, rememberCsrf } from '../api/client';
import { me } from '../api/queries';
import { languageNow, speak, t } from '../i18n';
import { useInbox } from './inbox';
import { useNames } from './words';

export function Mark() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <path d="M9 22V10h6a6 6 0 0 1 0 12zm14-9v6" fill="none" stroke="var(--paper)" strokeWidth="3" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}

/** Language and colours. */
export function Tools() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const next = { auto: 'light', light: 'dark', dark: 'auto' } as const;
  const words = { auto: t('as the system'), light: t('light'), dark: t('dark') };
  return (
    <div className="tools">
      <button type="button" className="quiet" onClick={() => setColorScheme(next[colorScheme])} aria-label={`${t('Light or dark')}: ${words[colorScheme]}`}>
        {words[colorScheme]}
      </button>
      <button type="button" className="quiet" lang={languageNow() === 'en' ? 'hi' : 'en'} onClick={() => speak(languageNow() === 'en' ? 'hi' : 'en')}>
        {languageNow() === 'en' ? 'हिन्दी' : 'English'}
      </button>
    </div>
  );
}

export function Shell({ children }: { children: ReactNode }) {
  const { data: session } = useQuery(me);
  const client = useQueryClient();
  const names = useNames();
  const inbox = useInbox();
  const { state } = useNotes();
  const where = useLocation();
  const main = useRef<HTMLElement>(null);
  const roles = session?.roles ?? [];
  const sro = oversees(session);
  const party = roles.some((role) => role === 'tdp_admin' || role === 'tdc_admin' || role === 'signer');
  const pages: [string, string, boolean][] = [
    ['/', t('Home'), true],
    ['/datasets', t('Datasets'), true],
    ['/contracts', t('Contracts'), true],
    ['/runs', t('Runs'), true],
    ['/audit', t('Audit'), true],
    ['/payments', t('Payments'), party || sro],
    ['/admin', t('Admin'), sro],
    ['/keys', t('Keys'), !sro || roles.includes('sro_admin')],
  ];
  // A new page is read from its title on.
  useEffect(() => {
    window.scrollTo(0, 0);
    main.current?.querySelector<HTMLElement>('#title')?.focus({ preventScroll: true });
  }, [where.pathname]);
  const signOut = async () => {
    await ask(api.POST('/auth/sign-out')).catch(() => undefined);
    rememberCsrf(undefined);
    client.clear();
    await client.refetchQueries(me);
    location.assign('/portal/');
  };
  return (
    <div className="shell">
      <a className="skip" href="#main">{t('To the content')}</a>
      <aside className="rail">
        <NavLink className="brand" to="/"><Mark /><span>DEPA<small>{t('clean room')}</small></span></NavLink>
        <nav aria-label={t('Pages')}>
          <ul className="nav">
            {pages.filter(([, , shown]) => shown).map(([to, name]) => (
              <li key={to}>
                <NavLink to={to} end={to === '/'}>
                  {name}
                  {to === '/' && inbox.length > 0 && <span className="count" aria-label={t('{n} wait for you', { n: inbox.length })}>{inbox.length}</span>}
                </NavLink>
              </li>
            ))}
          </ul>
        </nav>
        <div className="me">
          <div>
            <strong>{session?.display_name}</strong>
            <span className="dim" title={session?.member}>{session && names(session.member)}</span>
          </div>
          <div className="row dim" role="status">
            <span className={`pulse ${state === 'live' ? '' : 'off'}`} />
            {state === 'live' ? t('live') : state === 'connecting' ? t('connecting') : t('not live')}
          </div>
          {sro && (
            <div>
              <button type="button" className="quiet" title={t('What you read of others is entered in the log, so nothing is read again by itself.')} onClick={() => void client.refetchQueries({ type: 'active' })}>{t('Refresh')}</button>
            </div>
          )}
          <Tools />
          <div><button type="button" className="quiet" onClick={() => void signOut()}>{t('Sign out')}</button></div>
        </div>
      </aside>
      <main className="main" id="main" ref={main} tabIndex={-1}>{children}</main>
    </div>
  );
}
