/** A contract, and signing it: only the bytes that the page made itself of what it shows, with their digest in sight. */
import { Button, Checkbox, Modal, SegmentedControl, Textarea } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { get, set } from 'idb-keyval';
import { useEffect, useState } from 'react';
import { Link, useParams } from 'react-router';
import { api, ask } from '../api/client';
import type { Contract } from '../api/documents';
import { contract as query, contractEvents, me, trust } from '../api/queries';
import { t } from '../i18n';
import { envelope, type Own, read, Refused, sign, stamp } from '../keys/document';
import { ContractText } from '../parts/contract-text';
import { Json } from '../parts/json';
import { useSigning } from '../parts/keys';
import { Card, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { save } from '../parts/save';
import { Signatures } from '../parts/signatures';
import { Id, State, Time } from '../parts/words';
import type { Schemas } from '../api/client';

/** The contract in the page's own bytes; refused where the service serves others than it says. */
function useOwn(view: Schemas['ContractView'], id: string, registry: string): { own?: Own<Contract>; problem?: unknown } {
  const [made, setMade] = useState<{ own?: Own<Contract>; problem?: unknown }>({});
  const { contract, sha256 } = view;
  useEffect(() => {
    let gone = false;
    const check = async () => {
      const own = await read<Contract>(contract, 'contract.v1', sha256);
      if (own.value.contract_id !== id) throw new Refused('CONTRACT_MISMATCH', t('the service sent another contract than was asked for'));
      if (own.value.registry !== registry) throw new Refused('WRONG_REGISTRY', t('this contract counts in another registry'));
      return own;
    };
    check().then((own) => !gone && setMade({ own }), (problem: unknown) => !gone && setMade({ problem }));
    return () => {
      gone = true;
    };
  }, [contract, sha256, id, registry]);
  return made;
}

/**
 * Whether this person saw other bytes of this contract before. What was opened first is remembered; after that only what
 * was signed, or acknowledged.
 */
function useSeen(own: Own<Contract> | undefined): { before: string | undefined; acknowledge: () => void } {
  const [before, setBefore] = useState<string>();
  useEffect(() => {
    if (own === undefined) return undefined;
    let gone = false;
    const name = `seen-${own.value.contract_id}`;
    void get<string>(name).then((known) => {
      if (gone) return undefined;
      setBefore(known === own.digest ? undefined : known);
      return known === undefined ? set(name, own.digest) : undefined;
    });
    return () => {
      gone = true;
    };
  }, [own]);
  const acknowledge = () => {
    if (own === undefined) return;
    setBefore(undefined);
    void set(`seen-${own.value.contract_id}`, own.digest);
  };
  return { before, acknowledge };
}

export default function ContractPage() {
  const { id = '' } = useParams();
  const view = useQuery(query(id));
  const pinned = useQuery(trust);
  return (
    <Read of={view}>{(found) => <Read of={pinned}>{({ registry }) => <Shown view={found} id={id} registry={registry} />}</Read>}</Read>
  );
}

function Shown({ view, id, registry }: { view: Schemas['ContractView']; id: string; registry: string }) {
  const { own, problem } = useOwn(view, id, registry);
  const { before, acknowledge } = useSeen(own);
  const [shown, setShown] = useState('words');
  const crumbs = <><Link to="/contracts">{t('Contracts')}</Link> / {id.slice(0, 16)}…</>;
  return (
    <Page
      title={t('Contract')}
      lead={<span className="row"><State word={view.state} /><Id value={id} /></span>}
      crumbs={crumbs}
      actions={<Button variant="default" onClick={() => window.print()}>{t('Print')}</Button>}
    >
      {problem !== undefined && (
        <>
          <div className="note bad" role="alert"><strong>{t('This page refuses the contract.')}</strong> {t('What the service sent is not what would be signed. Nothing is offered for signing.')}</div>
          <ProblemNote problem={problem} />
        </>
      )}
      {before !== undefined && (
        <div className="note wait" role="status">
          {t('The contract has changed since you last saw it.')} <Id value={before} short />{' '}
          <button type="button" className="quiet" onClick={acknowledge}>{t('I have seen the change')}</button>
        </div>
      )}
      {own && (
        <div className="split">
          <div className="stack">
            <Card
              title={shown === 'words' ? t('In plain words') : t('The bytes that are signed')}
              aside={<SegmentedControl className="noprint" size="xs" value={shown} onChange={setShown} data={[{ value: 'words', label: t('Words') }, { value: 'json', label: 'JSON' }]} aria-label={t('How the contract is shown')} />}
            >
              {shown === 'words' ? <ContractText of={own.value} /> : <Json of={own.value} />}
            </Card>
            <History id={id} />
          </div>
          <div className="stack">
            <Card title={t('Digest')}>
              <div className="digest" data-testid="digest">{own.digest}</div>
              <p className="dim small">{t('SHA-256 of {n} canonical bytes, made in your browser of what is shown here.', { n: own.bytes.length })}</p>
            </Card>
            <Card title={t('Signatures')}><Signatures document={own} signatures={view.contract.signatures} /></Card>
            {/* Another version is read anew: nothing that was ticked or written for this one counts for it. */}
            <Acts key={own.digest} own={own} view={view} signed={acknowledge} />
          </div>
        </div>
      )}
    </Page>
  );
}

function Acts({ own, view, signed: done }: { own: Own<Contract>; view: Schemas['ContractView']; signed: () => void }) {
  const client = useQueryClient();
  const { data: session } = useQuery(me);
  const { ready, known } = useSigning();
  const [read_, setRead] = useState(false);
  const [declining, setDeclining] = useState(false);
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const { contract_id: id, registry } = own.value;
  const mine = own.value.parties.find((party) => party.did === session?.member);
  const signed = view.contract.signatures.some((one) => one.kid.startsWith(`${session?.member}#`));
  const open = view.state === 'proposed' || view.state === 'partially_signed';
  const once = { params: { path: { id }, header: { 'Idempotency-Key': crypto.randomUUID() } } };
  const tried = async (act: () => Promise<string>) => {
    setBusy(true);
    setProblem(undefined);
    try {
      notifications.show({ message: await act() });
      setDeclining(false);
      await client.invalidateQueries({ queryKey: ['contracts'] });
    } catch (caught) {
      setProblem(caught);
    }
    setBusy(false);
  };
  const put = async () => {
    if (ready === undefined) throw new Refused('KEY_MISSING', t('This browser holds no key that may sign for you.'));
    const signature = await sign(own, ready);
    const answer = await ask(api.POST('/v1/contracts/{id}/signatures', { ...once, body: { contract_sha256: own.digest, signature } }));
    done();
    return answer.executed ? t('All have signed: the contract stands.') : t('Your signature stands in the log.');
  };
  const decline = async () => {
    if (ready === undefined) throw new Refused('KEY_MISSING', t('This browser holds no key that may sign for you.'));
    const act = { schema: 'contract-decline.v1', registry, contract: { id, sha256: own.digest }, reason: reason.trim(), declined_at: stamp() };
    await ask(api.POST('/v1/contracts/{id}/decline', { ...once, body: (await envelope(act, ready)) as never }));
    return t('You declined. The contract never comes into force.');
  };
  const bundle = async () => {
    const found = await ask(api.GET('/v1/contracts/{id}/bundle', { params: { path: { id } } }));
    save(`${id}.bundle.json`, JSON.stringify(found));
    return t('Saved.');
  };
  return (
    <Card title={t('What you can do')}>
      <div className="stack tight noprint">
        <ProblemNote problem={problem} />
        {mine && open && !signed && (
          <>
            {known && !ready && <div className="note wait">{t('This browser holds no key that may sign for you.')} <Link to="/keys">{t('Set up a key')}</Link></div>}
            <Checkbox checked={read_} onChange={(event) => setRead(event.currentTarget.checked)} label={t('I have read the contract and compared the digest')} />
            <Button disabled={!read_ || !ready} loading={busy} onClick={() => void tried(put)}>{t('Sign this contract')}</Button>
            <Button variant="default" disabled={!ready} onClick={() => setDeclining(true)}>{t('Decline')}</Button>
          </>
        )}
        {signed && open && <p className="dim">{t('You have signed. The others are still to sign.')}</p>}
        {view.executed && <Button variant="default" loading={busy} onClick={() => void tried(bundle)}>{t('Save the signed bundle')}</Button>}
        {view.executed && <Terminal command={`depa audit verify-contract ${id}.bundle.json --trust trust.json`} />}
        {!view.executed && <Terminal command={`depa contract fetch ${id} --out contract.json --key YOUR.key --registry ${location.origin}\ndepa contract sign contract.json --out mine.json --key YOUR.key --trust trust.json\ndepa contract submit contract.json --signature mine.json --registry ${location.origin}`} />}
      </div>
      <Modal opened={declining} onClose={() => setDeclining(false)} title={t('Decline this contract')}>
        <form className="stack tight" onSubmit={(event) => { event.preventDefault(); void tried(decline); }}>
          <Textarea label={t('Reason, one sentence')} required maxLength={500} value={reason} onChange={(event) => setReason(event.currentTarget.value)} autosize={false} rows={3} />
          <ProblemNote problem={problem} />
          <Button type="submit" color="red" loading={busy} disabled={reason.trim() === ''}>{t('Decline')}</Button>
        </form>
      </Modal>
    </Card>
  );
}

function History({ id }: { id: string }) {
  const events = useQuery(contractEvents(id));
  return (
    <Card title={t('History')}>
      <Read of={events}>
        {({ events: all }) => (
          <ul className="list">
            {all.map((event) => (
              <li key={event.index} className="item">
                <div>
                  {t((event.body as { kind: string }).kind.replaceAll('_', ' '))}
                  <p className="small"><Link to={`/audit?entry=${event.index}`}>{t('entry {n} of the log', { n: event.index })}</Link></p>
                </div>
                <span className="dim small"><Time at={event.at} /></span>
              </li>
            ))}
          </ul>
        )}
      </Read>
    </Card>
  );
}
