/** How somebody comes in again who has lost their passkey: codes for one use each, made anew. */
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, ask } from '../api/client';
import { me } from '../api/queries';
import { t } from '../i18n';
import { Card, ProblemNote } from './page';
import { saveCodes } from './save';
import { stepUp } from './step-up';

export function SignInWays() {
  const { data: session } = useQuery(me);
  const [codes, setCodes] = useState<string[]>();
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  // Accounts of the organisation are recovered there.
  if (session?.method !== 'passkey') return null;
  const make = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      await stepUp(session);
      setCodes((await ask(api.POST('/v1/people/me/recovery-codes'))).codes);
    } catch (caught) {
      setProblem(caught);
    }
    setBusy(false);
  };
  return (
    <Card title={t('Ways to sign in')}>
      <div className="stack tight">
        <p className="dim">{t('You sign in with a passkey. Ten recovery codes let you make a new one if you lose it; new codes replace the earlier ones.')}</p>
        <ProblemNote problem={problem} />
        {codes && (
          <>
            <div className="note wait" role="status">{t('These codes are shown this once.')}</div>
            <pre className="json" tabIndex={0}>{codes.join('\n')}</pre>
            <div><Button variant="default" onClick={() => saveCodes(codes)}>{t('Save as a file')}</Button></div>
          </>
        )}
        <div><Button variant="default" loading={busy} onClick={() => void make()}>{t('New recovery codes')}</Button></div>
      </div>
    </Card>
  );
}
