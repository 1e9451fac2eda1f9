/** The frame of every page of somebody who is signed in: where to go, who one is, language and colours. */
import { useMantineColorScheme } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useRef } from 'react';
import { NavLink, useLocation } from 'react-router';
import { oversees } from '../api/calm';
import { useNotes } from '../api/live';
import { api, ask, rememberCsrf } from '../api/client';
import { forgetActs } from '../api/patience';
import { me } from '../api/queries';
import { languageNow, speak, t } from '../i18n';
import { moved } from './arrival';
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

/** The word for Hindi as an outline (of Noto Sans Devanagari): its letters are loaded by those who read Hindi alone. */
const HINDI =
  'M9 -62Q7 -64 6 -67Q5 -70 5 -73Q5 -81 11 -85Q16 -90 26 -90Q35 -90 44 -86Q52 -83 58 -77Q65 -70 70 -62H62Q58 -68 52 -73Q47 -78 40 -80Q34 -82 27 -82Q21 -82 17 -80Q13 -77 13 -72Q13 -69 14 -66Q15 -64 17 -62ZM17 -55V0H9V-55H0V-62H27V-55ZM41 -23Q37 -26 35 -29Q33 -32 33 -35Q33 -41 37 -44Q40 -46 48 -46H62V-55H26V-62H80V-55H70V-39H49Q45 -39 43 -38Q41 -37 41 -34Q41 -32 42 -30Q43 -29 45 -27ZM59 -6Q63 -8 65 -10Q66 -12 66 -15Q66 -18 64 -20Q61 -22 55 -22Q48 -22 44 -19Q41 -16 41 -11Q41 -7 44 -4Q46 -1 52 2Q57 4 64 7L60 14Q52 11 46 7Q40 4 36 -1Q33 -5 33 -12Q33 -18 36 -22Q39 -26 44 -27Q49 -29 55 -29Q62 -29 66 -27Q70 -25 72 -22Q74 -18 74 -14Q74 -10 72 -7Q70 -3 65 -1ZM94 -19Q92 -19 90 -20Q88 -21 87 -23Q85 -25 84 -27Q83 -30 83 -32Q83 -34 84 -36Q85 -37 89 -37H119V-30H99V-24Q99 -22 98 -20Q97 -19 94 -19ZM79 -55V-62H116V-55ZM151 6Q149 2 148 -2Q146 -6 145 -10L144 -13Q143 -15 143 -16Q142 -18 142 -20Q142 -22 144 -24Q146 -26 149 -26Q153 -26 155 -23Q158 -21 158 -18Q158 -15 156 -13Q154 -11 151 -10L149 -9Q147 -8 145 -8Q143 -8 139 -8Q135 -8 130 -9Q126 -10 123 -12Q119 -14 117 -18Q115 -22 115 -28Q115 -37 121 -41Q128 -46 140 -46H147L145 -42V-55H110V-62H164V-55H153V-38H141Q132 -38 128 -36Q123 -33 123 -27Q123 -21 128 -18Q132 -15 139 -15Q141 -15 143 -15Q145 -15 147 -16L152 -11Q153 -8 155 -4Q156 -1 159 3ZM144 -62Q143 -65 142 -68Q141 -72 141 -75Q141 -82 145 -86Q149 -90 156 -90Q163 -90 167 -86Q172 -83 175 -77Q177 -71 179 -62H172Q170 -72 166 -77Q162 -82 157 -82Q153 -82 151 -80Q149 -78 149 -74Q149 -71 150 -68Q151 -65 152 -62ZM180 -55V0H172V-55H163V-62H190V-55Z';

/** Language and colours. */
export function Tools() {
  // It would else write a style element while colours change, which the page's policy stops.
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const next = { auto: 'light', light: 'dark', dark: 'auto' } as const;
  const words = { auto: t('Colours: as the system'), light: t('Colours: light'), dark: t('Colours: dark') };
  return (
    <div className="tools">
      <button type="button" className="quiet" onClick={() => setColorScheme(next[colorScheme])}>
        {words[colorScheme]}
      </button>
      <button type="button" className="quiet" lang={languageNow() === 'en' ? 'hi' : 'en'} aria-label={languageNow() === 'en' ? 'हिन्दी' : 'English'} onClick={() => speak(languageNow() === 'en' ? 'hi' : 'en')}>
        {languageNow() === 'en' ? <svg className="word" viewBox="0 -92 190 108" aria-hidden="true"><path d={HINDI} /></svg> : 'English'}
      </button>
    </div>
  );
}

/** The head of pages for those who are not signed in. */
export function Top() {
  return <div className="row between"><span className="brand"><Mark /><span>DEPA<small>{t('clean room')}</small></span></span><Tools /></div>;
}

export function Shell({ children }: { children: ReactNode }) {
  const { data: session } = useQuery(me);
  const client = useQueryClient();
  const names = useNames();
  const inbox = useInbox();
  const { state } = useNotes();
  const where = useLocation();
  const main = useRef<HTMLElement>(null);
  const sro = oversees(session);
  const pages: [string, string][] = [
    ['/', t('Home')],
    ['/datasets', t('Datasets')],
    ['/contracts', t('Contracts')],
    ['/runs', t('Runs')],
    ['/audit', t('Audit')],
    ['/payments', t('Payments')],
    ...(sro ? [['/admin', t('Admin')] as [string, string]] : []),
    ['/keys', t('Keys')],
  ];
  // Who opens an address anew begins at the top, where the skip link is; whose title is late then is not led past it.
  const opened = useRef(false);
  useEffect(() => {
    window.scrollTo(0, 0);
    const title = main.current?.querySelector<HTMLElement>('#title') ?? null;
    if (title !== null || opened.current) moved(title);
    opened.current = true;
  }, [where.pathname]);
  const signOut = async () => {
    await ask(api.POST('/auth/sign-out')).catch(() => undefined);
    rememberCsrf(undefined);
    forgetActs();
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
            {pages.map(([to, name]) => (
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
