/** People of an organisation: the roles that they may have, and the one-time link that makes one. */
import { Button, Checkbox, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { acting, api, ask, type Schemas } from '../api/client';
import { me, participants, trust } from '../api/queries';
import { t } from '../i18n';
import { keyMissing, useSigning } from './keys';
import { Card, ProblemNote, Read } from './page';
import { stepUp } from './step-up';
import { Id, State, Time } from './words';

type Role = Schemas['Role'];

/** Roles of the people of each kind; the first person of an organisation has all of them. */
export const ROLES: Record<string, Role[]> = {
  tdp: ['tdp_admin', 'signer'], tdc: ['tdc_admin', 'signer'], ccrp: ['ccr_operator'], auditor: ['sro_auditor'], sro: ['sro_admin', 'sro_auditor'],
};

/** Roles that somebody of this kind can give. Who decides for the SRO has an identifier of their own, and is not made here. */
export const given = (kind: string | undefined): Role[] => (kind === 'sro' ? ['sro_auditor'] : (ROLES[kind ?? ''] ?? []));

const WORDS: Record<Role, string> = {
  tdp_admin: 'manages datasets and people', tdc_admin: 'composes contracts, orders runs, manages people', signer: 'reads and signs contracts',
  ccr_operator: 'runs clean rooms', sro_admin: 'decides for the SRO', sro_auditor: 'reads and audits',
};

/** Who may come in, and a link for one more, made under a key that counts. */
export function People() {
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const { data: all } = useQuery(participants);
  const { ready, known } = useSigning();
  const client = useQueryClient();
  const listed = useQuery({ queryKey: ['people'], queryFn: () => ask(api.GET('/v1/people')) });
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<Role[]>();
  const [link, setLink] = useState<Schemas['EnrolmentLink']>();
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const member = session?.member;
  const kind = pinned?.sro.some(({ did }) => did === member) ? 'sro' : all?.find(({ did }) => did === member)?.kind;
  const may = given(kind);
  const roles = chosen ?? may;
  if (may.length === 0) return null;
  const make = async () => {
    if (ready === undefined) throw keyMissing();
    // Who comes in for the SRO is an act of the SRO.
    if (kind === 'sro') await stepUp(session);
    const body = { display_name: name.trim(), roles };
    setLink(await ask(api.POST('/v1/people/enrolments', { body, headers: await acting(ready) })));
    setName('');
    await client.invalidateQueries({ queryKey: ['people'] });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    void make().catch(setProblem).finally(() => setBusy(false));
  };
  return (
    <Card title={t('People')}>
      <div className="stack tight">
        <p className="dim">{t('A link makes a person of your organisation, once, within a day. They sign in with a passkey of their own.')}</p>
        <Read of={listed}>
          {({ people }) => (
            <ul className="list small">
              {people.map((one) => (
                <li key={one.person_id} className="item"><div><strong>{one.display_name}</strong><p>{one.roles.map((role) => t(WORDS[role])).join(' · ')}</p></div>{one.state !== 'active' && <State word={one.state} />}</li>
              ))}
            </ul>
          )}
        </Read>
        {link !== undefined ? (
          <div className="stack tight" data-testid="invitation">
            <div className="note good" role="status">{t('Hand this link over by a way that you trust. It is shown this once, and whoever opens it first comes in.')}</div>
            <div><Id value={link.url} short /></div>
            <p className="dim small">{t('Counts until')} <Time at={link.expires_at} /></p>
            <div><Button variant="default" size="xs" onClick={() => setLink(undefined)}>{t('Done')}</Button></div>
          </div>
        ) : (
          <form className="stack tight" onSubmit={submit}>
            <TextInput label={t('Name of the person')} value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={100} autoComplete="off" />
            {may.map((role) => (
              <Checkbox key={role} label={t(WORDS[role])} checked={roles.includes(role)} onChange={(event) => setChosen(may.filter((one) => (one === role ? event.currentTarget.checked : roles.includes(one))))} />
            ))}
            <ProblemNote problem={problem} />
            <div><Button type="submit" variant="default" loading={busy} disabled={ready === undefined || name.trim() === '' || roles.length === 0}>{t('Make a link')}</Button></div>
            {known && ready === undefined && <p className="dim small">{t('First take in a key that counts: it must sign for the link.')}</p>}
          </form>
        )}
      </div>
    </Card>
  );
}
