/** One obligation: how far it is in its two phases, every transfer of the books about it, and disputing it. */
import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { api, ask, type Schemas } from '../api/client';
import { disputes, journal, me, payments, trust } from '../api/queries';
import { t } from '../i18n';
import { uuidV7 } from '../parts/draft';
import { Card, Empty, Facts, Page, Read, Terminal } from '../parts/page';
import { SignedAct } from '../parts/signed-act';
import { Id, money, Name, State, Time } from '../parts/words';

type Obligation = Schemas['ObligationView'];

const NAMES: Record<string, string> = {
  asked: 'block asked for', blocked: 'money blocked', due: 'failed, tried again', instructed: 'payment told', settled: 'paid',
  refunding: 'block being undone', refunded: 'no longer owed', void: 'never blocked',
};

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
  const open = useQuery(disputes);
  const way = wayOf(of);
  const known = (open.data ?? []).find((one) => one.instruction_id === of.instruction_id && one.state !== 'closed');
  const party = session?.member === of.payer || session?.member === of.payee;
  return (
    <Page
      title={`${t('Payment')} ${money(of.amount_minor, of.currency)}`}
      lead={<span className="row"><State word={of.state} /><Id value={of.instruction_id} /></span>}
      crumbs={<><Link to="/payments">{t('Payments')}</Link> / {of.instruction_id.slice(0, 12)}…</>}
      actions={known ? <Button component={Link} variant="default" to={`/disputes/${known.dispute_id}`}>{t('To its dispute')}</Button> : party && open.data ? <Open of={of} /> : undefined}
    >
      <Card title={t('How far it is')}>
        <Steps label={t('The way of this payment')} way={way} at={of.state} names={of.standing === 'returned' ? { ...NAMES, due: 'came back, tried again' } : NAMES} />
        {of.standing != null && (
          <>
            <p className="dim small">{t('The instruction that was given last, as its payment provider says:')}</p>
            <Steps label={t('The way of the instruction')} way={wayOfInstruction(of.standing)} at={of.standing} />
          </>
        )}
        {(of.attempt ?? 0) > 0 && <p className="dim small">{t('{n} attempts failed before.', { n: of.attempt ?? 0 })}</p>}
        <p className="dim small">{t('Nobody pays on this page: your payment provider does as it is instructed.')}</p>
        <p className="dim small">{t('Money moves in two phases: it is held first, and made final or given back once. No phase is skipped or done twice.')}</p>
      </Card>
      <Card title={t('What it is for')}>
        <Facts of={[
          [t('From'), <Name key="f" did={of.payer} />],
          [t('To'), <Name key="t" did={of.payee} />],
          [t('Sum'), <strong key="s" className="num">{money(of.amount_minor, of.currency)}</strong>],
          [t('Tax line'), of.line == null ? undefined : t(String(of.line).replaceAll('_', ' '))],
          [t('Contract'), <Link key="c" to={`/contracts/${of.contract.id}`}>{of.contract.id}</Link>],
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
    <Card title={t('In the books')} aside={<span className="dim small">{t('double entry: what leaves one account reaches another')}</span>}>
      <Read of={all}>
        {(lines) => {
          const own = lines.filter((line) => line.reference === of.instruction_id);
          return own.length === 0 ? <Empty folded command={`depa payment export --contract ${of.contract.id} --key YOUR.key --registry ${location.origin}`}>{t('No transfer is about it yet.')}</Empty> : (
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('When')}</th><th>{t('Why')}</th><th>{t('From')}</th><th>{t('To')}</th><th className="num">{t('Sum')}</th><th>{t('Phase')}</th><th>{t('Log entry')}</th></tr></thead>
                <tbody>
                  {own.map((line) => {
                    const [tone, words] = PHASES[line.phase] ?? ['', line.phase];
                    return (
                      <tr key={line.id}>
                        <td><Time at={line.at} /></td>
                        <td>{t(line.code.replaceAll('_', ' '))}</td>
                        <td><Name did={line.debit} /><br /><span className="dim small">{line.debit_kind.replaceAll('_', ' ')}</span></td>
                        <td><Name did={line.credit} /><br /><span className="dim small">{line.credit_kind.replaceAll('_', ' ')}</span></td>
                        <td className="num">{money(line.amount_minor, line.currency)}</td>
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

function Open({ of }: { of: Obligation }) {
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
      <Button color="red" variant="outline" onClick={begin}>{t('Dispute this payment')}</Button>
      <SignedAct
        opened={opened}
        close={() => setOpened(false)}
        title={t('Dispute this payment')}
        lead={<p>{t('The other side has time to answer; then two people of the SRO rule. Money that is not paid yet stands still meanwhile.')}</p>}
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
