/** What is owed and paid under one's contracts, and how the service told one's own systems. */
import { Button, Modal, MultiSelect, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { api, ask, acting, type Schemas } from '../api/client';
import { TOPICS } from '../api/topics';
import { deliveries, disputes, endpoints, me, participants, payments } from '../api/queries';
import { languageNow, t } from '../i18n';
import { keyMissing, useSigning } from '../parts/keys';
import { Disputes } from '../parts/disputes';
import { sums } from '../parts/fate';
import { Card, Empty, Facts, Page, ProblemNote, Read } from '../parts/page';
import { Revenue } from '../parts/revenue';
import { tail } from '../parts/titles';
import { Id, money, Name, Paid, State, Time } from '../parts/words';

/** The same, by what they are about. */
const GROUPS = [...new Set(TOPICS.map((topic) => topic.split('.')[0] ?? ''))].map((group) => ({ group, items: TOPICS.filter((topic) => topic.startsWith(`${group}.`)) }));

/** Who may have webhooks, as the service has it. */
const HEARS = ['psp', 'tdp', 'tdc'];

export default function Payments() {
  const { data: session } = useQuery(me);
  const all = useQuery(payments);
  const { data: people } = useQuery(participants);
  const hears = people?.some((one) => one.did === session?.member && HEARS.includes(one.kind));
  const open = useQuery(disputes);
  // Of several about one payment, that which is not over; else the newest.
  const disputed = new Map((open.data ?? []).toReversed().sort((a, b) => Number(b.state === 'closed') - Number(a.state === 'closed')).map((one) => [one.instruction_id, one]));
  return (
    <Page title={t('Payments')} lead={t('What falls due stands in the same log entry as the completion that owes it.')}>
      <Card title={t('Instructions')}>
        <Read of={all}>
          {({ payments: rows }) => rows.length === 0 ? (
            <Empty command={`depa payment list --key YOUR.key --registry ${location.origin}`}>{t('Nothing is owed. Payment falls due when a run completes.')}</Empty>
          ) : (
            <>
              <Sums rows={rows} member={session?.member ?? ''} />
              <div className="scroll">
                <table className="data">
                  <thead><tr><th>{t('From')}</th><th>{t('To')}</th><th>{t('For')}</th><th className="num">{t('Sum')}</th><th>{t('State')}</th></tr></thead>
                  <tbody>
                    {rows.map((row) => (
                      <tr key={row.instruction_id}>
                        <td><Name did={row.payer} /></td>
                        <td><Name did={row.payee} /></td>
                        <td>{row.run_id ? <Link to={`/runs/${row.run_id}`}>{t('Run')} {tail(row.run_id)}</Link> : t('period')}<br /><span className="dim small">{t('term {term}', { term: row.term_id })} · <Id value={row.instruction_id} short /></span></td>
                        <td className="num"><Link to={`/payments/${row.instruction_id}`}>{money(row.amount_minor, row.currency)}</Link></td>
                        <td><Paid of={row} /><DisputeOf one={disputed.get(row.instruction_id)} /></td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            </>
          )}
        </Read>
      </Card>
      <Revenue />
      <Disputes />
      {hears && <Webhooks />}
    </Page>
  );
}

function DisputeOf({ one }: { one: Schemas['DisputeView'] | undefined }) {
  if (one === undefined) return null;
  const [tone, words] = one.state === 'closed' ? ['', t('was disputed')] : one.state === 'ruled' ? ['accent', t('dispute ruled')] : ['bad', t('disputed')];
  return <Link to={`/disputes/${one.dispute_id}`}><span className={`pill ${tone}`}>{words}</span></Link>;
}

function Sums({ rows, member }: { rows: Schemas['ObligationView'][]; member: string }) {
  return (
    <Facts of={sums(rows, member).map(({ side, fate, currency, minor }) => [
      fate === 'paid' ? t(side) : `${t(side)} (${t(fate)})`,
      <strong key={`${side}${fate}${currency}`} className="num">{money(minor, currency)}</strong>,
    ])} />
  );
}

/** A time to the second: attempts follow each other within a minute. */
function Moment({ at }: { at: string }) {
  const form = new Intl.DateTimeFormat(languageNow() === 'hi' ? 'hi-IN' : 'en-IN', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' });
  return <time dateTime={at} title={at}>{form.format(new Date(at))}</time>;
}

function Webhooks() {
  const client = useQueryClient();
  const { ready, known } = useSigning();
  // How deliveries fare changes both, and no event tells of it.
  const listed = useQuery({ ...endpoints, refetchInterval: 5_000 });
  const sent = useQuery({ ...deliveries, refetchInterval: 5_000 });
  const [open, setOpen] = useState(false);
  const [url, setUrl] = useState('');
  const [events, setEvents] = useState<string[]>(['run.completed']);
  const [made, setMade] = useState<{ secret: string; public_key: string }>();
  const [problem, setProblem] = useState<unknown>();
  const tried = async (act: () => Promise<void>) => {
    setProblem(undefined);
    await act().catch(setProblem);
    await client.invalidateQueries({ queryKey: ['webhooks'] });
  };
  const close = () => {
    setOpen(false);
    setProblem(undefined);
  };
  const keyed = async () => {
    if (!ready) throw keyMissing();
    return acting(ready);
  };
  const add = async () => {
    const header = { 'Idempotency-Key': crypto.randomUUID() };
    setMade(await ask(api.POST('/v1/webhooks/endpoints', { params: { header }, body: { url, events, ordered: false }, headers: await keyed() })));
  };
  const replay = async (id: string) => {
    const header = { 'Idempotency-Key': crypto.randomUUID() };
    await ask(api.POST('/v1/webhooks/deliveries/{id}/replay', { params: { path: { id }, header }, headers: await keyed() }));
    notifications.show({ message: t('It is sent again.') });
  };
  const rotate = async (id: string) => {
    const { response } = await api.GET('/v1/webhooks/endpoints/{id}', { params: { path: { id } } });
    const header = { 'Idempotency-Key': crypto.randomUUID(), 'If-Match': response.headers.get('etag') ?? '' };
    const body = { overlap_seconds: 86_400 };
    setMade(await ask(api.POST('/v1/webhooks/endpoints/{id}/rotate', { params: { path: { id }, header }, body, headers: await keyed() })));
    setOpen(true);
  };
  const ping = async (id: string) => {
    const header = { 'Idempotency-Key': crypto.randomUUID() };
    await ask(api.POST('/v1/webhooks/endpoints/{id}/ping', { params: { path: { id }, header }, headers: await keyed() }));
    notifications.show({ message: t('A test message is on its way.') });
  };
  const disable = async (id: string) => {
    const { response } = await api.GET('/v1/webhooks/endpoints/{id}', { params: { path: { id } } });
    const header = { 'Idempotency-Key': crypto.randomUUID(), 'If-Match': response.headers.get('etag') ?? '' };
    await ask(api.POST('/v1/webhooks/endpoints/{id}/disable', { params: { path: { id }, header }, headers: await keyed() }));
    notifications.show({ message: t('Switched off.') });
  };
  return (
    <>
      <Card title={t('Webhooks')} aside={<Button size="xs" onClick={() => { setMade(undefined); setOpen(true); }} disabled={!ready}>{t('Add an endpoint')}</Button>}>
        {!open && <ProblemNote problem={problem} />}
        {known && !ready && <div className="note wait">{t('To change endpoints or to send again, your key signs; this browser holds none that counts.')} <Link to="/keys">{t('Set up a key')}</Link></div>}
        <Read of={listed}>
          {({ endpoints: rows }) => rows.length === 0 ? (
            <Empty command={`depa webhook endpoint add --url https://acme.example/depa --event run.completed --out endpoint.json --key YOUR.key --registry ${location.origin}`}>{t('Your systems hear nothing yet. An endpoint gets signed messages.')}</Empty>
          ) : (
            <ul className="list">
              {rows.map((one) => (
                <li key={one.endpoint_id} className="item">
                  <div><strong>{one.url}</strong><p className="small">{one.events.join(', ')} · <Id value={one.endpoint_id} short /></p></div>
                  <div className="row">
                    <State word={one.state} />
                    {one.failing_since && <span className="pill bad">{t('failing since')} <Time at={one.failing_since} /></span>}
                    {one.state === 'active' && <Button size="xs" variant="default" disabled={!ready} onClick={() => void tried(() => ping(one.endpoint_id))}>{t('Send a test')}<span className="sr">: {one.url}</span></Button>}
                    {one.state === 'active' && <Button size="xs" variant="default" disabled={!ready} onClick={() => void tried(() => rotate(one.endpoint_id))}>{t('New secret')}</Button>}
                    {one.state === 'active' && <Button size="xs" variant="default" disabled={!ready} onClick={() => void tried(() => disable(one.endpoint_id))}>{t('Switch off')}</Button>}
                  </div>
                </li>
              ))}
            </ul>
          )}
        </Read>
      </Card>
      <Card title={t('Deliveries')} aside={<span className="dim small">{t('the newest first')}</span>}>
        <Read of={sent}>
          {({ deliveries: rows }) => rows.length === 0 ? <Empty folded command={`depa webhook deliveries --key YOUR.key --registry ${location.origin}`}>{t('Nothing was sent yet.')}</Empty> : (
            <div className="scroll">
              <table className="data">
                <thead><tr><th>{t('Event')}</th><th>{t('Message')}</th><th className="num">{t('Attempts since last sent')}</th><th>{t('Last answer')}</th><th>{t('When')}</th><th>{t('State')}</th><th><span className="sr">{t('Acts')}</span></th></tr></thead>
                <tbody>
                  {rows.map((row) => (
                    <tr key={`${row.message_id}${row.endpoint_id}`}>
                      <td>{row.event}</td>
                      <td><Id value={row.message_id} short /></td>
                      <td className="num">{row.attempts}</td>
                      <td>{row.attempts === 0 ? '–' : `${row.status ?? t('no answer')}${row.millis == null ? '' : `, ${row.millis} ms`}`}</td>
                      <td>{row.state === 'pending' && <span className="dim">{t('next try')} </span>}<Moment at={row.at} /></td>
                      <td><State word={row.state} /></td>
                      <td className="num"><Button size="xs" variant="default" disabled={!ready} onClick={() => void tried(() => replay(row.delivery_id))}>{t('Send again')}<span className="sr">: {row.message_id}</span></Button></td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Read>
      </Card>
      <Modal opened={open} onClose={close} title={made ? t('A new secret') : t('Add an endpoint')}>
        {made ? (
          <div className="stack tight">
            <p>{t('The secret is shown this once. Your receiver checks messages with it, or with the public key.')}</p>
            <Facts of={[[t('Secret'), <Id key="s" value={made.secret} />], [t('Public key'), <Id key="p" value={made.public_key} />]]} />
            <Button onClick={close}>{t('I have kept it')}</Button>
          </div>
        ) : (
          <form className="stack tight" onSubmit={(event) => { event.preventDefault(); void tried(add); }}>
            <TextInput label={t('Where to')} type="url" required value={url} onChange={(event) => setUrl(event.currentTarget.value)} placeholder="https://acme.example/depa" />
            <MultiSelect label={t('Events')} data={GROUPS} searchable maxDropdownHeight={320} value={events} onChange={setEvents} />
            <ProblemNote problem={problem} />
            <Button type="submit" disabled={url === '' || events.length === 0}>{t('Add an endpoint')}</Button>
          </form>
        )}
      </Modal>
    </>
  );
}
