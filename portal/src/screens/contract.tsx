/** A contract, and signing it: only the bytes that the page made itself of what it shows, with their digest in sight. */
import { Button, Checkbox, SegmentedControl } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { get, set } from 'idb-keyval';
import { useEffect, useRef, useState } from 'react';
import { Link, useParams, useSearchParams } from 'react-router';
import { api, ask } from '../api/client';
import type { Contract } from '../api/documents';
import { contract as query, contractEvents, contractVersion, me, runsUnder, trust } from '../api/queries';
import { t } from '../i18n';
import { type Envelope, type Own, read, Refused, sign } from '../keys/document';
import { moved } from '../parts/arrival';
import { Changes } from '../parts/changes';
import { isOpen, may as mayOf } from '../parts/contract-acts';
import { ContractText } from '../parts/contract-text';
import { History, Stopped } from '../parts/history';
import { Json } from '../parts/json';
import { keyMissing, NoKey, useSigning } from '../parts/keys';
import { lineage, type Version } from '../parts/lineage';
import { mark } from '../parts/marks';
import { OrderRun } from '../parts/order-dialog';
import { Card, Empty, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { SaveReceipt } from '../parts/receipts';
import { save } from '../parts/save';
import { Signatures } from '../parts/signatures';
import { SignedAct } from '../parts/signed-act';
import { stepUp } from '../parts/step-up';
import { tail, useTitle } from '../parts/titles';
import { type Doubt, doubted, useVerdicts, type Verdict } from '../parts/verdicts';
import { CopyDigest, Id, Name, State, Time } from '../parts/words';
import type { Schemas } from '../api/client';
import { ByTwo } from './admin/by-two';

/** The contract in the page's own bytes; refused where the service serves others than it says. */
function useRead(view: Schemas['ContractView'], id: string, registry: string): { own?: Own<Contract>; problem?: unknown } {
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
  const [params] = useSearchParams();
  const version = params.get('version');
  const view = useQuery(version === null ? query(id) : contractVersion(id, version));
  const pinned = useQuery(trust);
  // Another version is another page at the same path.
  const before = useRef(version);
  useEffect(() => {
    if (before.current !== version) moved(document.getElementById('title'));
    before.current = version;
  }, [version]);
  return (
    <Read of={view} title={t('Contract')}>{(found) => <Read of={pinned} title={t('Contract')}>{({ registry }) => <Shown view={found} id={id} registry={registry} />}</Read>}</Read>
  );
}

/** Every version of the contract in the page's own bytes, as the log holds them. */
function useLineage(id: string): { versions: Version[]; problem?: unknown } {
  const events = useQuery(contractEvents(id));
  const [made, setMade] = useState<{ versions: Version[]; problem?: unknown }>({ versions: [] });
  const all = events.data?.events;
  useEffect(() => {
    if (all === undefined) return undefined;
    let gone = false;
    lineage(all).then((versions) => !gone && setMade({ versions }), (problem: unknown) => !gone && setMade({ versions: [], problem }));
    return () => {
      gone = true;
    };
  }, [all]);
  return made;
}

function Shown({ view, id, registry }: { view: Schemas['ContractView']; id: string; registry: string }) {
  const { own, problem } = useRead(view, id, registry);
  const { before, acknowledge } = useSeen(own);
  const verdicts = useVerdicts(own, view.contract.signatures);
  const { versions, problem: unfollowed } = useLineage(id);
  const [shown, setShown] = useState('words');
  const title = useTitle();
  const crumbs = <><Link to="/contracts">{t('Contracts')}</Link> / …{tail(id)}</>;
  const known = versions.find((one) => one.own.digest === before);
  const newest = versions.at(-1);
  return (
    <Page
      title={own ? `${t('Contract')}: ${title(own.value)}` : t('Contract')}
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
      <Stopped id={id} state={view.state} />
      {before !== undefined && (
        <div className="note wait stack tight" role="status">
          <div>
            {t('The contract has changed since you last saw it.')} <Id value={before} short />{' '}
            <button type="button" className="quiet" onClick={acknowledge}>{t('I have seen the change')}</button>
          </div>
          {known && own && <Changes before={known.own.value} after={own.value} />}
        </div>
      )}
      {view.amendment != null && view.amendment !== own?.digest && newest?.own.digest === view.amendment && (
        <div className="note" role="status">{t('A next version is proposed to take its place.')} <Link to={`/contracts/${id}?version=${view.amendment}`}>{t('To the proposed version')}</Link></div>
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
            <Versions id={id} all={versions} shown={own.digest} problem={unfollowed} />
            <RunsUnder id={id} stands={view.state === 'active'} />
            <History id={id} />
          </div>
          <div className="stack">
            <Card title={t('Digest')}>
              <div className="digest" data-testid="digest">{own.digest}</div>
              <div><CopyDigest of={own.digest} /></div>
              <p className="dim small">{t('SHA-256 of {n} canonical bytes, made in your browser of what is shown here.', { n: own.bytes.length })}</p>
            </Card>
            <Card title={t('Signatures')}><Signatures of={own.value} signatures={view.contract.signatures} verdicts={verdicts} declined={view.state === 'declined'} /></Card>
            {/* Another version is read anew: nothing that was ticked or written for this one counts for it. */}
            <div className="noprint"><Acts key={own.digest} own={own} view={view} verdicts={verdicts} signed={acknowledge} /></div>
          </div>
        </div>
      )}
    </Page>
  );
}

/** The versions, each with the one that it follows by its pin, and what it changes. */
function Versions({ id, all, shown, problem }: { id: string; all: Version[]; shown: string; problem: unknown }) {
  if (problem === undefined && all.length < 2 && all.every((one) => one.follows)) return null;
  return (
    <Card title={t('Versions')} aside={<span className="dim small">{t('each pins the digest of the one it replaces')}</span>}>
      <ProblemNote problem={problem} />
      <ul className="list">
        {all.toReversed().map((one) => {
          const { value, digest } = one.own;
          const old = all.find((other) => other.own.digest === value.supersedes);
          return (
            <li key={digest}>
              <div className="row between">
                {digest === shown ? <strong>{t('Version {n}', { n: value.version })}</strong> : <Link to={`/contracts/${id}?version=${digest}`}>{t('Version {n}', { n: value.version })}</Link>}
                <span className={`pill ${one.follows ? 'good' : 'bad'}`}>{value.supersedes == null && one.follows ? t('the first') : one.follows ? t('follows by its pin') : t('FOLLOWS NOTHING KNOWN')}</span>
              </div>
              <p className="small dim"><Name did={one.by} />, <Time at={one.at} /> · <Id value={digest} short /></p>
              {old && <details className="terminal" open={digest === shown}><summary>{t('What it changes in version {n}', { n: old.own.value.version })}</summary><Changes before={old.own.value} after={value} /></details>}
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

/** Why the page offers no signing, and what to do then. */
const DOUBTS: Record<Doubt, string> = {
  wrong: 'A signature here is wrong: these are not the bytes that were signed. Ask the one who proposed the contract for its digest, and tell the SRO.',
  unproposed: 'No signature of the one who proposed this contract is there that this browser finds right. Ask them to sign it anew with a key that counts.',
};

function Acts({ own, view, verdicts, signed: done }: { own: Own<Contract>; view: Schemas['ContractView']; verdicts: Verdict[] | undefined; signed: () => void }) {
  const client = useQueryClient();
  const { data: session } = useQuery(me);
  const { ready } = useSigning();
  const [read_, setRead] = useState(false);
  const [acting, setActing] = useState<'decline' | 'withdraw' | 'revoke'>();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const { contract_id: id, registry } = own.value;
  const mine = own.value.parties.find((party) => party.did === session?.member);
  const signed = view.contract.signatures.some((one) => one.kid.startsWith(`${session?.member}#`));
  const sro = session?.roles.includes('sro_admin') ?? false;
  const [open, awaiting] = [isOpen(view.state), view.state === 'awaiting_sro'];
  const once = { params: { path: { id }, header: { 'Idempotency-Key': crypto.randomUUID() } } };
  const tried = async (act: () => Promise<string>) => {
    setBusy(true);
    setProblem(undefined);
    try {
      notifications.show({ message: await act() });
      await client.invalidateQueries({ queryKey: ['contracts'] });
    } catch (caught) {
      setProblem(caught);
    }
    setBusy(false);
  };
  const put = async () => {
    if (ready === undefined) throw keyMissing();
    if (!may.sign) throw new Refused('SIGNATURE_INVALID', t('This page does not offer to sign it.'));
    // Who is no party countersigns: an act of the SRO.
    if (mine === undefined) await stepUp(session);
    const signature = await sign(own, ready);
    const answer = await ask(api.POST('/v1/contracts/{id}/signatures', { ...once, body: { contract_sha256: own.digest, signature } }));
    done();
    if (mine === undefined) await mark(client, 'countersigned', session?.member ?? '', own.digest);
    return answer.executed ? t('All have signed: the contract stands.') : t('Your signature stands in the log.');
  };
  const reference = { id, sha256: own.digest };
  const proposed = view.contract.signatures[0]?.kid.startsWith(`${session?.member}#`) ?? false;
  const doubt = verdicts && doubted(own.value.parties, view.contract.signatures, verdicts);
  const vouched = verdicts !== undefined && doubt === undefined;
  const may = mayOf({ state: view.state, role: mine?.role, sro, signed, proposed, revokers: own.value.revocation.by, vouched });
  const made = (reason: string, at: string) => {
    if (acting === 'revoke') return { schema: 'contract-revoke.v1', registry, contract: reference, reason, revoked_at: at };
    if (acting === 'withdraw') return { schema: 'contract-withdraw.v1', registry, contract: reference, cause: 'at_will', reason, at };
    return { schema: 'contract-decline.v1', registry, contract: reference, reason, declined_at: at };
  };
  const handed = async (sealed: Envelope) => {
    const body = sealed as never;
    if (acting === 'revoke') await ask(api.POST('/v1/contracts/{id}/revoke', { ...once, body }));
    else if (acting === 'withdraw') await ask(api.POST('/v1/contracts/{id}/withdraw', { ...once, body }));
    else await ask(api.POST('/v1/contracts/{id}/decline', { ...once, body }));
    const said = { decline: t('You declined. The contract never comes into force.'), withdraw: t('You took the proposal back.'), revoke: t('The contract is revoked.') };
    notifications.show({ message: said[acting ?? 'decline'] });
    setActing(undefined);
    await client.invalidateQueries({ queryKey: ['contracts'] });
  };
  const bundle = async () => {
    const found = await ask(api.GET('/v1/contracts/{id}/bundle', { params: { path: { id } } }));
    save(`${id}.bundle.json`, JSON.stringify(found));
    return t('Saved.');
  };
  return (
    <Card title={t('What you can do')}>
      <div className="stack tight">
        <ProblemNote problem={problem} />
        {awaiting && <div className="note wait">{t('Every party has signed. Two people of the SRO countersign before it stands.')}</div>}
        {view.state === 'scheduled' && <p>{t('It comes into force at')} <Time at={own.value.effective_from} />.</p>}
        {may.order && <div><OrderRun contract={id} /></div>}
        {(may.asked || may.withdraw || may.revoke) && <NoKey />}
        {may.asked && doubt && <div className="note bad" role="alert"><strong>{t('This page does not offer to sign it.')}</strong> {t(DOUBTS[doubt])}</div>}
        {may.sign && (
          <>
            {verdicts?.some((one) => one !== 'right') && <div className="note wait">{t('This page could not judge every signature here. Compare the digest with who made them before you sign.')}</div>}
            <Checkbox checked={read_} onChange={(event) => setRead(event.currentTarget.checked)} label={t('I have read the contract and compared the digest with the other parties, over another channel')} />
            {ready && !read_ && <p className="dim small">{t('Tick that you have read it.')}</p>}
            <Button disabled={!read_ || !ready} loading={busy} onClick={() => void tried(put)}>{mine ? t('Sign this contract') : t('Countersign for the SRO')}</Button>
          </>
        )}
        {may.decline && <Button variant="default" disabled={!ready} onClick={() => setActing('decline')}>{t('Decline')}</Button>}
        {may.next && <Button component={Link} variant="default" to={`/contracts/new?counter=${id}&version=${own.digest}`}>{open ? t('Make a counter-offer') : t('Propose a next version')}</Button>}
        {may.withdraw && <Button variant="default" disabled={!ready} onClick={() => setActing('withdraw')}>{t('Take it back')}</Button>}
        {may.revoke && <Button variant="outline" color="red" disabled={!ready} onClick={() => setActing('revoke')}>{t('Revoke this contract')}</Button>}
        {signed && open && <p className="dim">{t('You have signed. The others are still to sign.')}</p>}
        {signed && sro && awaiting && <p className="dim">{t('You have countersigned. Another person of the SRO is still to sign.')}</p>}
        {may.refuse && <ByTwo label={t('Refuse to countersign')} lead={t('Two people of the SRO refuse together; the contract then never comes into force.')} make={({ registry: here, reason, at }) => ({ schema: 'contract-decline.v1', registry: here, contract: reference, reason, declined_at: at })} />}
        {may.suspend && <ByTwo label={t('Suspend this contract')} lead={t('No run starts under it until two people of the SRO end the suspension.')} caused make={(given) => ({ schema: 'contract-suspend.v1', contract: reference, ...given })} />}
        {may.resume && <ByTwo label={t('End the suspension')} lead={t('Runs start under it again once two people of the SRO have signed.')} make={(given) => ({ schema: 'contract-resume.v1', contract: reference, ...given, cause: 'at_will' })} />}
        {may.decline && <Colleague id={id} digest={own.digest} />}
        {view.executed ? <Button variant="default" loading={busy} onClick={() => void tried(bundle)}>{t('Save the signed bundle')}</Button> : <Button variant="default" onClick={() => save(`${id}.contract.json`, JSON.stringify(view.contract))}>{t('Save it as signed so far')}</Button>}
        {view.executed && <Terminal command={`depa audit verify-contract ${id}.bundle.json --trust trust.json`} />}
        {!view.executed && <Terminal command={`depa contract fetch ${id} --out contract.json --key YOUR.key --registry ${location.origin}\ndepa contract sign contract.json --out mine.json --key YOUR.key --trust trust.json\ndepa contract submit contract.json --signature mine.json --registry ${location.origin}`} />}
      </div>
      <SignedAct
        opened={acting !== undefined}
        close={() => setActing(undefined)}
        title={acting === 'revoke' ? t('Revoke this contract') : acting === 'withdraw' ? t('Take it back') : t('Decline this contract')}
        lead={acting === 'revoke' ? <p>{t('No run starts under it from then on. What was charged and owed before stands.')}</p> : undefined}
        act={acting === 'revoke' ? t('Revoke') : acting === 'withdraw' ? t('Take it back') : t('Decline')}
        grave
        make={made}
        send={handed}
      />
    </Card>
  );
}

/** Who else may sign: nobody by proxy, and everybody of the organisation who holds a key of it. */
function Colleague({ id, digest }: { id: string; digest: string }) {
  return (
    <details className="terminal" data-testid="colleague">
      <summary>{t('Let a colleague sign')}</summary>
      <div className="stack tight">
        <p className="small">{t('A signature is not delegated: it is your organisation’s, by any of its active keys. A colleague who has a key of their own signs these very bytes at this address; it holds no secret, and opens for who is signed in alone.')}</p>
        <Id value={`${location.origin}/portal/contracts/${id}?version=${digest}`} short />
        <p className="small dim">{t('A key for them is entered under Keys, signed by one that counts already.')} <Link to="/keys">{t('Keys')}</Link></p>
      </div>
    </details>
  );
}

/** The runs under the contract, with the receipts of those that completed. */
function RunsUnder({ id, stands }: { id: string; stands: boolean }) {
  const all = useQuery(runsUnder(id));
  if (all.data === undefined || (all.data.runs.length === 0 && !stands)) return null;
  if (all.data.runs.length === 0) {
    return <Card title={t('Runs')}><Empty folded command={`depa run start job.bundle.json --registry ${location.origin}`}>{t('No run under this contract yet. Its consumer orders one with a signed job.')}</Empty></Card>;
  }
  return (
    <Card title={t('Runs')}>
      <ul className="list">
        {all.data.runs.map((run) => (
          <li key={run.run_id} className="item">
            <div><Link to={`/runs/${run.run_id}`}>{t('Run')} {tail(run.run_id)}</Link> <State word={run.state} /></div>
            {run.completed_at != null && <SaveReceipt run={run.run_id} />}
          </li>
        ))}
      </ul>
    </Card>
  );
}
