/** One entry of the log: its record for everyone, what it tells and its receipt for those whom it concerns. */
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, useEffect, useRef } from 'react';
import { api, ask } from '../api/client';
import { t } from '../i18n';
import { hex } from '../keys/bytes';
import type { Line } from '../log/story';
import type { Proved } from '../log/watch';
import { About, Who } from './entry-about';
import { Json } from './json';
import { Facts, Terminal } from './page';
import { save } from './save';
import { Id, kindOf, Time } from './words';

export function Opened({ index, size, entry, line, close }: { index: number; size: number; entry: Proved | undefined; line: Line | undefined; close: () => void }) {
  const there = index < size;
  const receipt = useQuery({
    queryKey: ['receipt', index, 'tlog-proof'],
    // As a tlog-proof, which carries the record that it proves.
    queryFn: async () => String(await ask(api.GET('/v1/log/receipts/{index}', { params: { path: { index: String(index) }, query: { form: 'tlog-proof' } }, parseAs: 'text' }))),
    enabled: there,
    retry: false,
  });
  // It stands below its list: who opens it is led there.
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    place.current?.focus({ preventScroll: true });
    place.current?.scrollIntoView({ block: 'start' });
  }, []);
  const escape = (event: KeyboardEvent) => {
    if (event.key === 'Escape') close();
  };
  return (
    <section className="note opened" ref={place} tabIndex={-1} aria-label={t('Entry {n}', { n: index })} onKeyDown={escape}>
      <div className="row between"><h3>{t('Entry {n}', { n: index })}</h3><button type="button" className="quiet" onClick={close}>{t('Close')}</button></div>
      {entry ? (
        <Facts of={[
          [t('What'), kindOf(entry.record.kind)],
          [t('Who'), <Who key="w" line={line} full />],
          [t('Concerns'), line && concerns(line) ? <About key="a" line={line} full /> : undefined],
          [t('When'), <Time key="t" at={entry.record.at} />],
          [t('Inclusion'), entry.included ? t('Verified in your browser: index {n}', { n: index }) : t('TAMPERED')],
          [t('Leaf'), <Id key="l" value={hex(entry.leaf)} short />],
          [t('Body, salted'), <Id key="b" value={entry.record.body_sha256} short />],
        ]} />
      ) : <p>{there ? t('It lies on another page of the log.') : t('The log has no such entry.')}</p>}
      {receipt.data && <div><Button size="xs" variant="default" onClick={() => save(`receipt-${index}.tlog-proof`, receipt.data, 'text/plain')}>{t('Save the receipt')}</Button><Terminal command={`depa audit verify-receipt receipt-${index}.tlog-proof --trust trust.json`} /></div>}
      {receipt.error !== null && <p className="dim small">{t('Its body concerns others; the record above is public.')}</p>}
      {entry && <details><summary className="small">{t('The public record')}</summary><Json of={entry.record} /></details>}
    </section>
  );
}

/** Whether there is anything that an entry is about. */
const concerns = ({ participant, dispute, run_id, payments, datasets, contracts, read }: Line): boolean =>
  [participant, dispute, run_id, read].some((one) => one != null) || payments.length + datasets.length + contracts.length > 0;
