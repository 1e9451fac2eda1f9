/** A dispute about money: what each side says, and what two people of the SRO rule. */
import { Button, Modal, Select, Textarea, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useParams } from 'react-router';
import { api, ask, type Schemas } from '../api/client';
import { dispute as query, me, payments, pendingActs, trust } from '../api/queries';
import { t } from '../i18n';
import { type Envelope, peek, stamp } from '../keys/document';
import { Card, Facts, Page, ProblemNote, Read, Terminal } from '../parts/page';
import { SignedAct } from '../parts/signed-act';
import { type Act, member as text, useSaid } from '../parts/acts';
import { RULINGS, waitingOn } from '../parts/disputed';
import { tail, useContractName } from '../parts/titles';
import { TwoPeople, useHanded } from '../parts/two-people';
import { Id, money, Name, State, Time } from '../parts/words';

type View = Schemas['DisputeView'];

const WAY = ['open', 'answered', 'ruled', 'closed'];
const ACTS = ['dispute-ruling.v1', 'dispute-close.v1'];

export default function DisputePage() {
  const { id = '' } = useParams();
  const found = useQuery(query(id));
  return <Read of={found} title={t('Dispute')}>{(view) => <Shown of={view} />}</Read>;
}

/** What was signed about it, with who said it. */
function Said({ title, logged, by }: { title: string; logged: { envelope: Envelope; receipt: { index?: number } } | null | undefined; by?: string }) {
  if (logged == null) return null;
  const words = peek<{ reason: string; at: string; by?: string; opener?: string; ruling?: { is: string; instruction_id?: string } }>(logged.envelope);
  const who = by ?? words.by ?? words.opener;
  return (
    <li>
      <div className="row between"><strong>{title}</strong><span className="dim small"><Time at={words.at} /></span></div>
      {who !== undefined && <p className="dim small"><Name did={who} /></p>}
      {words.ruling && <p><strong>{t(RULINGS[words.ruling.is] ?? words.ruling.is)}</strong>{words.ruling.instruction_id && <> <Id value={words.ruling.instruction_id} short /></>}</p>}
      <p className="words">{words.reason}</p>
    </li>
  );
}

function Shown({ of }: { of: View }) {
  const client = useQueryClient();
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const owed = useQuery(payments);
  const begun = useBegun(of.dispute_id);
  const contractName = useContractName();
  const handed = useHanded(ACTS);
  const [answering, setAnswering] = useState(false);
  const [closing, setClosing] = useState(false);
  const [act, setAct] = useState<Act>();
  useEffect(() => setAct(handed.act), [handed.act]);
  const { dispute_id: id } = of;
  const member = session?.member ?? '';
  const sro = session?.roles.includes('sro_admin') ?? false;
  // Who has ruled already waits for a colleague.
  const signed = begun.some((one) => one.act.schema === 'dispute-ruling.v1' && one.signers.includes(member));
  const payment = owed.data?.payments.find((one) => one.instruction_id === of.instruction_id);
  // Of money in suspense the provider that holds it answers; of an obligation the side that did not open it.
  const other = of.suspense ? member === of.opener || member === payment?.payer || member === payment?.payee : member !== of.opener && (member === payment?.payer || member === payment?.payee);
  const late = Date.parse(of.answer_by) <= Date.now();
  const rulable = of.state === 'answered' || (of.state === 'open' && late);
  const once = () => ({ path: { id }, header: { 'Idempotency-Key': crypto.randomUUID() } });
  const said = async (message: string) => {
    notifications.show({ message });
    await client.invalidateQueries({ queryKey: ['disputes'] });
    await client.invalidateQueries({ queryKey: ['payments'] });
  };
  const hand = async (sealed: Envelope): Promise<boolean> => {
    const ruling = act?.schema === 'dispute-ruling.v1';
    const body = sealed as never;
    const answer = ruling ? await ask(api.POST('/v1/disputes/{id}/ruling', { params: once(), body })) : await ask(api.POST('/v1/disputes/{id}/close', { params: once(), body }));
    if (answer.receipt == null) {
      await client.invalidateQueries({ queryKey: ['sro'] });
      return false;
    }
    await said(ruling ? t('The ruling stands.') : t('The dispute is closed.'));
    return true;
  };
  const at = WAY.indexOf(of.state);
  // What is said where there is no button.
  const idle = (): string | undefined => {
    if (of.state === 'closed') return t('Nothing is left to do.');
    if (sro) return of.state === 'open' && !late ? t('Two people of the SRO rule once it is answered, or the time to answer is over.') : undefined;
    if (of.state === 'ruled') return member === of.opener ? undefined : t('Nothing for now: who opened it closes it.');
    return of.state === 'open' && other ? undefined : t('Nothing for now: two people of the SRO rule once it is answered, or the time to answer is over.');
  };
  return (
    <Page
      title={`${t('Dispute')} ${money(of.amount_minor, of.currency)}`}
      lead={<span className="row"><State word={of.state} /><Id value={id} /></span>}
      crumbs={<><Link to="/payments">{t('Payments')}</Link> / {t('Dispute')} {tail(id)}</>}
    >
      <ProblemNote problem={handed.problem} />
      <Begun all={begun} />
      <Card title={t('How far it is')}>
        <ol className="steps" aria-label={t('The way of this dispute')}>
          {WAY.map((name, place) => <li key={name} className={place < at || at === WAY.length - 1 ? 'done' : place === at ? 'now' : ''} aria-current={place === at ? 'step' : undefined}>{t(name)}</li>)}
        </ol>
        {of.state === 'open' && <p className="dim small">{late ? t('The time to answer is over: it can be ruled without an answer.') : other ? t('You may answer until') : t('The other side may answer until')} {!late && <Time at={of.answer_by} />}</p>}
      </Card>
      <div className="split">
        <Card title={t('What was said')}>
          <ul className="list">
            {of.dispute == null && <li><p className="dim">{t('The service opened it by itself: money came that nothing explains.')}</p></li>}
            <Said title={t('Opened')} logged={of.dispute} />
            <Said title={t('Answered')} logged={of.answer} />
            <Said title={t('Ruled by two people of the SRO')} logged={of.ruled} />
            <Said title={t('Closed')} logged={of.closed} />
          </ul>
        </Card>
        <div className="stack">
          <Card title={t('About')}>
            <Facts of={[
              [t('Sum'), <strong key="s" className="num">{money(of.amount_minor, of.currency)}</strong>],
              [t('Payer'), payment && <Name key="f" did={payment.payer} />],
              [t('Payee'), payment && <Name key="y" did={payment.payee} />],
              [t('Opened by'), <Name key="o" did={of.opener} />],
              [t('Opened'), <Time key="t" at={of.opened_at} />],
              [t('Payment'), of.instruction_id && (payment ? <Link key="p" to={`/payments/${of.instruction_id}`}>{of.instruction_id.slice(0, 16)}…</Link> : <Id key="p" value={of.instruction_id} short />)],
              [t('Contract'), of.contract && <Link key="c" to={`/contracts/${of.contract}`}>{contractName(of.contract)}</Link>],
              [t('Money'), of.suspense ? t('lies in suspense') : undefined],
            ]} />
          </Card>
          <Card title={t('What you can do')}>
            <div className="stack tight">
              {of.state === 'open' && other && <Button onClick={() => setAnswering(true)}>{t('Answer')}</Button>}
              {sro && rulable && pinned && !signed && <Rule of={of} registry={pinned.registry} ruled={setAct} />}
              {of.state === 'ruled' && member === of.opener && <Button onClick={() => setClosing(true)}>{t('Close the dispute')}</Button>}
              {of.state === 'ruled' && sro && pinned && <Button variant="default" onClick={() => setAct({ schema: 'dispute-close.v1', registry: pinned.registry, dispute_id: id, reason: 'The ruling was carried out.', at: stamp() })}>{t('Close it as the SRO')}</Button>}
              {idle() !== undefined && <p className="dim">{idle()}</p>}
              <Terminal command={`depa payment dispute list --key YOUR.key --registry ${location.origin}`} />
            </div>
          </Card>
        </div>
      </div>
      <SignedAct
        opened={answering} close={() => setAnswering(false)} title={t('Answer the dispute')} act={t('Answer')}
        make={(reason, now) => pinned && { schema: 'dispute-answer.v1', registry: pinned.registry, dispute_id: id, by: member, reason, at: now }}
        send={async (sealed) => {
          await ask(api.POST('/v1/disputes/{id}/answer', { params: once(), body: sealed as never }));
          setAnswering(false);
          await said(t('Your answer stands in the log.'));
        }}
      />
      <SignedAct
        opened={closing} close={() => setClosing(false)} title={t('Close the dispute')} act={t('Close the dispute')}
        make={(reason, now) => pinned && { schema: 'dispute-close.v1', registry: pinned.registry, dispute_id: id, reason, at: now }}
        send={async (sealed) => {
          await ask(api.POST('/v1/disputes/{id}/close', { params: once(), body: sealed as never }));
          setClosing(false);
          await said(t('The dispute is closed.'));
        }}
      />
      <TwoPeople act={act} second={act !== undefined && act === handed.act} path={`/disputes/${id}`} hand={hand} done={() => setAct(undefined)} />
    </Page>
  );
}

/** What a first person of the SRO has signed about it, for the SRO's people alone: nobody else reads what is not decided yet. */
function useBegun(id: string): ReturnType<typeof waitingOn> {
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const { data: begun = [] } = useQuery({ ...pendingActs, enabled: pinned?.sro.some(({ did }) => did === session?.member) ?? false });
  return waitingOn(id, begun);
}

function Begun({ all }: { all: ReturnType<typeof waitingOn> }) {
  const { data: session } = useQuery(me);
  const tell = useSaid(all.length > 0);
  return all.map((one) => (
    <div key={one.digest ?? one.since} className="note wait stack tight" role="status" data-testid="begun">
      <strong>{one.act.schema === 'dispute-ruling.v1' ? t('A ruling waits for a second person of the SRO.') : t('The end of this dispute waits for a second person of the SRO.')}</strong>
      <p>{tell(one.act)}</p>
      <p className="words">{text(one.act, 'reason')}</p>
      <p className="small">{t('signed by')} {one.signers.map((holder) => <Name key={holder} did={holder} />)} · <Time at={one.since} /> · {t('forgotten')} <Time at={one.until} /></p>
      <div>{one.signers.includes(session?.member ?? '') ? t('You have signed it: a colleague confirms it at the SRO’s desk.') : <Link to="/admin">{t('Confirm it at the SRO’s desk')}</Link>}</div>
    </div>
  ));
}

/** The ruling of the first of two. */
function Rule({ of, registry, ruled }: { of: View; registry: string; ruled: (act: Act) => void }) {
  const [open, setOpen] = useState(false);
  const choices = of.suspense ? ['refund', 'release'] : ['refund', 'stand'];
  // No ruling stands there before somebody chose one.
  const [is, setIs] = useState<string | null>(null);
  const [pays, setPays] = useState(of.instruction_id ?? '');
  const [reason, setReason] = useState('');
  const make = () => {
    setOpen(false);
    const ruling = is === 'release' ? { is, instruction_id: pays.trim() } : { is };
    ruled({ schema: 'dispute-ruling.v1', registry, dispute_id: of.dispute_id, ruling, reason: reason.trim(), at: stamp() });
  };
  return (
    <>
      <Button onClick={() => setOpen(true)}>{t('Rule')}</Button>
      <Modal opened={open} onClose={() => setOpen(false)} title={t('Rule on the dispute')}>
        <form className="stack tight" onSubmit={(event) => { event.preventDefault(); make(); }}>
          <Select label={t('Ruling')} data={choices.map((value) => ({ value, label: t(RULINGS[value] ?? value) }))} value={is} onChange={setIs} allowDeselect={false} required placeholder={t('Choose one')} />
          {is === 'release' && <TextInput label={t('Which obligation it pays')} required value={pays} maxLength={100} onChange={(event) => setPays(event.currentTarget.value)} />}
          <Textarea label={t('Reason, one sentence')} required maxLength={500} rows={3} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
          <Button type="submit" disabled={is === null || reason.trim() === '' || (is === 'release' && pays.trim() === '')}>{t('To the document')}</Button>
        </form>
      </Modal>
    </>
  );
}
