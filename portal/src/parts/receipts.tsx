/** The receipt of a completed run: what its entry says, and the proof that it stands in the log, for whoever was not there. */
import { Button } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schemas } from '../api/client';
import { runView } from '../api/queries';
import { t } from '../i18n';
import { ProblemNote } from './page';
import { save } from './save';

/** The entry of the completion with its receipt, as `depa audit verify-receipt` takes them; nothing while there is none. */
export function receiptOf({ completion, receipt, listed }: Pick<Schemas['RunView'], 'completion' | 'receipt' | 'listed'>): object | undefined {
  if (completion == null || receipt == null) return undefined;
  return { body: { kind: 'run_completed', completion, obligations: listed ?? [] }, receipt };
}

export const verifyReceipt = (run: string): string => `depa audit verify-receipt ${run}.receipt.json --trust trust.json`;

export function SaveReceipt({ run }: { run: string }) {
  const client = useQueryClient();
  const [problem, setProblem] = useState<unknown>();
  const put = async () => {
    const found = receiptOf(await client.fetchQuery(runView(run)));
    if (found) save(`${run}.receipt.json`, JSON.stringify(found));
  };
  return (
    <>
      <Button variant="default" size="xs" onClick={() => void put().then(() => setProblem(undefined), setProblem)}>{t('Save the receipt')}</Button>
      <ProblemNote problem={problem} />
    </>
  );
}
