/** An act of the SRO, begun on the page of what it is about: this person signs first, and a colleague from the queue. */
import { Button, Modal, Select, Textarea } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { trust } from '../../api/queries';
import { t } from '../../i18n';
import { stamp } from '../../keys/document';
import type { Act } from '../../parts/acts';
import { TwoPeople } from '../../parts/two-people';
import { useHandIn } from './desk';

/** Causes for which a contract is stopped; at will nobody stops one. */
export const CAUSES: Record<string, string> = {
  breach: 'A party broke the contract',
  security_incident: 'A security incident',
  consent_withdrawn: 'Principals withdrew their consent',
  legal_order: 'A law, court or regulator demands it',
  non_payment: 'What was owed was not paid',
  party_gone: 'A party left the registry or was suspended',
};

/** What the person gave: the members that every act of this kind has. */
export interface Given {
  registry: string;
  reason: string;
  at: string;
  cause: string;
}

export function ByTwo({ label, lead, caused, make }: {
  /** What the button says, and the title of its form. */
  label: string;
  lead: string;
  /** Whether the act names a cause. */
  caused?: boolean;
  make: (given: Given) => Act;
}) {
  const hand = useHandIn();
  const { data: pinned } = useQuery(trust);
  const [open, setOpen] = useState(false);
  const [reason, setReason] = useState('');
  const [cause, setCause] = useState('breach');
  const [act, setAct] = useState<Act>();
  const written = (event: FormEvent) => {
    event.preventDefault();
    setOpen(false);
    setAct(make({ registry: pinned?.registry ?? '', reason: reason.trim(), at: stamp(), cause }));
  };
  return (
    <>
      <Button variant="outline" color="red" onClick={() => setOpen(true)}>{label}</Button>
      <Modal opened={open} onClose={() => setOpen(false)} title={label}>
        <form className="stack tight" onSubmit={written}>
          <p>{lead}</p>
          {caused && <Select label={t('Cause')} data={Object.entries(CAUSES).map(([value, words]) => ({ value, label: t(words) }))} value={cause} onChange={(value) => setCause(value ?? cause)} allowDeselect={false} />}
          <Textarea label={t('Reason, one sentence')} required maxLength={500} rows={3} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
          <Button type="submit" disabled={reason.trim() === ''}>{t('To the document')}</Button>
        </form>
      </Modal>
      <TwoPeople
        act={act}
        second={false}
        path="/admin"
        done={() => setAct(undefined)}
        hand={(sealed) => hand(act, sealed)}
      />
    </>
  );
}
