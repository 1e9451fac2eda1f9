/** One obligation: how far it is in its two phases, every transfer of the books about it, and disputing it. */
import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { api, ask, type Schemas } from '../api/client';
import { disputes, journal, me, payments, trust } from '../api/queries';
import { t } from '../i18n';
import { about, disputable, RULINGS } from '../parts/disputed';
import { uuidV7 } from '../parts/draft';
import { fate } from '../parts/fate';
import { Card, Empty, Facts, Page, Read, Terminal } from '../parts/page';
import { SignedAct } from '../parts/signed-act';
import { useContractName } from '../parts/titles';
import { Id, money, Name, State, Time } from '../parts/words';

type Obligation = Schemas['ObligationView'];

const NAMES: Record<string, string> = {
  asked: 'block asked for', blocked: 'money blocked', due: 'failed, tried again', instructed: 'payment told', settled: 'paid',
  refunding: 'block being undone', refunded: 'no longer owed', void: 'never blocked',
};

/** Of money that moves back; what no money stands behind is only owed no longer. */
const BACK = { refunding: 'being given back', refunded: 'given back' };

/** The way of the instruction that was given last, to where it stands at the payment system. */
export function wayOfInstruction(standing: string): string[] {
  if (standing === 'failed') return ['created', 'failed'];
  return ['created', 'submitted', 'accepted', 'settled', ...(standing === 'returned' ? ['returned'] : [])];
}

/** The states that an obligation goes through, as far as they can be told from the one that it is in. */
export function wayOf({ state, job_sha256 }: Pick<Obligation, 'state' | 'job_sha256'>): string[] {
  if (state === 'void') return ['asked', 'void'];
  // A deposit is blocked before it is owed.
  const first = job_sha256 == null ? [] : ['asked', 'blocked'];
  if (state === 'refunding') return [...first, 'refunding', 'refunded'];
  if (state === 'refunded') return job_sha256 == null ? ['instructed', 'refunded'] : [...first, 'refunding', 'refunded'];
  return [...first, 'instructed', ...(state === 'due' ? ['due'] : []), 'settled'];
}

const PHASES: Record<string, [string, string]> = {
  posted: ['good', 'final at once'],
  pending: ['wait', 'held until it is decided'],
  post: ['good', 'makes final what was held'],
  void: ['bad', 'gives back what was held'],
};

/** Why a transfer was made, where its code alone says too little. */
const CODES: Record<string, string> = { owed_back: 'refund owed', back_paid: 'refund paid', back_got: 'refund received' };

/** Accounts of the books. What is its owner's or owed to it grows by debits, what its owner owes or holds for others by credits. */
const ACCOUNTS: Record<string, string> = {
  receivable: 'receivable', payable: 'payable', cash: 'cash', escrow: 'escrow', principal_pool: 'pool of the data principals', paid_out: 'paid out to principals',
  ccr_fee: 'fee of the clean room', platform_fee: 'fee of the registry', tax_withheld: 'tax withheld', fx: 'exchanged', suspense: 'suspense',
};

export default function PaymentPage() {
  const { id = '' } = useParams();
  const all = useQuery(payments);
  return (
    <Read of={all} title={t('Payment')}>
      {({ payments: rows }) => {
        const found = rows.find((row) => row.instruction_id === id);
        return found ? <Shown of={found} /> : (
          <Page title={t('Payment')} crumbs={<Link to="/payments">{t('Payments')}</Link>}><Empty command={`depa payment list --key YOUR.key --registry ${location.origin}`}>{t('No such payment concerns you.')}</Empty></Page>
        );
      }}
    </Read>
  );
}

function Shown({ of }: { of: Obligation }) {
  const { data: session } = useQuery(me);
  const { data: all } = useQuery(disputes);
  const contractName = useContractName();
  const way = wayOf(of);
  const known = about(of, all ?? []);
  const open = known.find((one) => one.state !== 'closed');
  return (
    <Page
      title={`${t('Payment')} ${money(of.amount_minor, of.currency)}`}
      lead={<span className="row"><State word={of.state} /><Id value={of.instruction_id} /></span>}
      crumbs={<><Link to="/payments">{t('Payments')}</Link> / {of.instruction_id.slice(0, 12)}…</>}
      actions={open ? <Button component={Link} variant="default" to={`/disputes/${open.dispute_id}`}>{t('To its dispute')}</Button> : all && disputable(of, all, session?.member) ? <Open of={of} again={known.length > 0} /> : undefined}
    >
      <Card title={t('How far it is')}>
        <Steps label={t('The way of this payment')} way={way} at={of.state} names={{ ...NAMES, ...(of.standing === 'returned' && { due: 'came back, tried again' }), ...(fate(of).endsWith('given back') && BACK) }} />
        {of.standing != null && (
          <>
            <p className="dim small">{t('The instruction that was given last, as its payment provider says:')}</p>
            <Steps label={t('The way of the instruction')} way={wayOfInstruction(of.standing)} at={of.standing} />
          </>
        )}
        {(of.attempt ?? 0) > 0 && <p className="dim small">{t('{n} attempts failed before.', { n: of.attempt ?? 0 })}</p>}
        <p className="dim small">{t('Nobody pays on this page: your payment provider does as it is instructed.')}</p>
        <p className="dim small">{t('What is held first is made final or given back, once. What is final at once was never held.')}</p>
      </Card>
      <Disputed all={known} />
      <Card title={t('What it is for')}>
        <Facts of={[
          [t('Payer'), <Name key="f" did={of.payer} />],
          [t('Payee'), <Name key="t" did={of.payee} />],
          [t('Sum'), <strong key="s" className="num">{money(of.amount_minor, of.currency)}</strong>],
          [t('Tax line'), of.line == null ? undefined : t(String(of.line).replaceAll('_', ' '))],
          [t('Contract'), <Link key="c" to={`/contracts/${of.contract.id}`}>{contractName(of.contract.id)}</Link>],
          [t('Term'), of.term_id],
          [t('Run'), of.run_id && <Link key="r" to={`/runs/${of.run_id}`}>{of.run_id}</Link>],
          [t('Period'), of.period == null ? undefined : String(of.period)],
          [t('To be paid by'), of.due_at && <Time key="d" at={of.due_at} />],
        ]} />
      </Card>
      <Transfers of={of} />
      <Terminal command={`depa payment list --key YOUR.key --registry ${location.origin}`} />
    </Page>
  );
}

/** What became of its disputes, also of those that are over. */
function Disputed({ all }: { all: Schemas['DisputeView'][] }) {
  if (all.length === 0) return null;
  return (
    <Card title={t('Disputes')}>
      <ul className="list" data-testid="disputed">
        {all.map((one) => (
          <li key={one.dispute_id} className="item">
            <div>
              <Link to={`/disputes/${one.dispute_id}`}>{one.suspense ? t('Money in suspense') : t('Dispute')} {money(one.amount_minor, one.currency)}</Link>
              <p>{one.ruling == null ? t('Not ruled yet.') : <>{t('Ruled by two people of the SRO')}: <strong>{t(RULINGS[one.ruling] ?? one.ruling)}</strong></>}</p>
              <p className="small">{t('Opened by')} <Name did={one.opener} />, <Time at={one.opened_at} /></p>
            </div>
            <State word={one.state} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

const ENDS_BADLY = ['failed', 'returned'];

function Steps({ label, way, at: word, names = {} }: { label: string; way: string[]; at: string; names?: Record<string, string> }) {
  const at = way.indexOf(word);
  return (
    <ol className="steps" aria-label={label}>
      {way.map((name, place) => (
        <li key={name} className={place === at && ENDS_BADLY.includes(name) ? 'bad' : place < at || at === way.length - 1 ? 'done' : place === at ? 'now' : ''} aria-current={place === at ? 'step' : undefined}>{t(names[name] ?? name)}</li>
      ))}
    </ol>
  );
}

function Transfers({ of }: { of: Obligation }) {
  const all = useQuery(journal(of.contract.id));
  return (
    <Card title={t('In the books')} aside={<span className="dim small">{t('double entry: each transfer debits one account and credits another by the same sum')}</span>}>
      <Read of={all}>
        {(lines) => {
          const own = lines.filter((line) => line.reference === of.instruction_id);
          return own.length === 0 ? <Empty folded command={`depa payment export --contract ${of.contract.id} --key YOUR.key --registry ${location.origin}`}>{t('No transfer is about it yet.')}</Empty> : (
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('When')}</th><th>{t('Why')}</th><th>{t('Debit')}</th><th>{t('Credit')}</th><th>{t('Phase')}</th><th>{t('Log entry')}</th></tr></thead>
                <tbody>
                  {own.map((line) => {
                    const [tone, words] = PHASES[line.phase] ?? ['', line.phase];
                    return (
                      <tr key={line.id}>
                        <td><Time at={line.at} /></td>
                        <td>{t(CODES[line.code] ?? line.code.replaceAll('_', ' '))}</td>
                        <td><Posting kind={line.debit_kind} owner={line.debit} sum={money(line.amount_minor, line.currency)} /></td>
                        <td><Posting kind={line.credit_kind} owner={line.credit} sum={money(line.amount_minor, line.currency)} /></td>
                        <td><span className={`pill ${tone}`}>{t(words)}</span></td>
                        <td><Link to={`/audit?entry=${line.index}`}>{line.index}</Link></td>
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </div>
          );
        }}
      </Read>
    </Card>
  );
}

/** One side of a transfer: the account and whose it is, with what is posted to it. */
function Posting({ kind, owner, sum }: { kind: string; owner: string; sum: string }) {
  return <><strong className="num">{sum}</strong><br />{t(ACCOUNTS[kind] ?? kind.replaceAll('_', ' '))}<br /><span className="dim small"><Name did={owner} /></span></>;
}

function Open({ of, again }: { of: Obligation; again: boolean }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const [opened, setOpened] = useState(false);
  const [id, setId] = useState('');
  const begin = () => {
    setId(`dsp_${uuidV7()}`);
    setOpened(true);
  };
  return (
    <>
      <Button color="red" variant="outline" onClick={begin}>{again ? t('Dispute this payment again') : t('Dispute this payment')}</Button>
      <SignedAct
        opened={opened}
        close={() => setOpened(false)}
        title={t('Dispute this payment')}
        lead={<p>{again && t('It was disputed before, and that dispute is over: say what is new.')} {t('The other side has time to answer; then two people of the SRO rule. Money that is not paid yet stands still meanwhile.')}</p>}
        act={t('Open the dispute')}
        grave
        make={(reason, at) => pinned && session ? { schema: 'dispute.v1', registry: pinned.registry, dispute_id: id, contract: of.contract, instruction_id: of.instruction_id, opener: session.member, reason, at } : undefined}
        send={async (sealed) => {
          await ask(api.POST('/v1/disputes', { params: { header: { 'Idempotency-Key': crypto.randomUUID() } }, body: sealed as never }));
          notifications.show({ message: t('The dispute is open.') });
          await client.invalidateQueries({ queryKey: ['disputes'] });
          void navigate(`/disputes/${id}`);
        }}
      />
    </>
  );
}
