/** A second key in a file, for the day this browser is lost: the step after the first key, which a person may put off. */
import { Button, PasswordInput } from '@mantine/core';
import { useState } from 'react';
import { t } from '../i18n';
import { ENOUGH_KEYS } from './keys';
import { Card } from './page';

/** Where somebody stands with their keys. */
export interface Standing {
  /** Whether a key that counts is at hand here. */
  ready: boolean;
  /** How many keys count for them at the register. */
  active: number;
  /** Whether a recovery key was made here that is not entered yet. */
  made: boolean;
  /** Whether they said that they put it off. */
  later: boolean;
}

/** Whether a recovery key is the next thing to do. */
export const isDue = ({ ready, active, made, later }: Standing): boolean => ready && active < ENOUGH_KEYS && !made && !later;

const name = (member: string): string => `depa-recovery-later ${member}`;

/** Whether this member has put it off in this browser, and how they do. */
export function useLater(member: string): { later: boolean; putOff: (now: boolean) => void } {
  const [said, setSaid] = useState<{ of: string; later: boolean }>();
  const later = said?.of === member ? said.later : localStorage.getItem(name(member)) !== null;
  const putOff = (now: boolean) => {
    if (now) localStorage.setItem(name(member), new Date().toISOString());
    else localStorage.removeItem(name(member));
    setSaid({ of: member, later: now });
  };
  return { later, putOff };
}

export function Recovery({ due, ready, known, busy, passphrase, again, type, repeat, make, putOff }: {
  /** Whether it stands as the next step. */
  due: boolean;
  ready: boolean;
  known: boolean;
  busy: boolean;
  passphrase: string;
  again: string;
  type: (passphrase: string) => void;
  repeat: (passphrase: string) => void;
  make: () => void;
  putOff: () => void;
}) {
  return (
    <Card title={t('Recovery')} aside={due && <span className="pill accent">{t('next step')}</span>}>
      <div className="stack tight">
        {due
          ? <p>{t('Only one key signs for you. If this browser loses it, nobody can sign for you until two people of the SRO help. Make a recovery key.')}</p>
          : <p className="dim">{t('A second key in a file under a passphrase, for the day this browser is lost.')}</p>}
        <PasswordInput label={t('Passphrase')} description={t('At least 12 characters')} value={passphrase} onChange={(event) => type(event.currentTarget.value)} autoComplete="new-password" />
        <PasswordInput label={t('The same again')} description={t('To make a key; to open a file, once is enough')} value={again} onChange={(event) => repeat(event.currentTarget.value)} autoComplete="new-password" error={again !== '' && again !== passphrase && t('These two differ')} />
        <div className="row">
          <Button variant={due ? 'filled' : 'default'} onClick={make} loading={busy} disabled={!ready || passphrase.length < 12 || again !== passphrase}>{t('Make a recovery key')}</Button>
          {due && <Button variant="default" onClick={putOff}>{t('Put it off: I accept that I may lose my only key')}</Button>}
        </div>
        {known && !ready && <p className="dim small">{t('First take in a key that counts: it must sign for the new one.')}</p>}
      </div>
    </Card>
  );
}
