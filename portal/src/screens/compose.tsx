/** Composing a contract, or the next version of one: a form on the left, the very document on the right, judged by every rule before it is proposed. */
import { Button, Checkbox, MultiSelect, SegmentedControl, Select, Textarea, TextInput } from '@mantine/core';
import { useQueries, useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { api, ask, acting, type Schemas } from '../api/client';
import type { Contract, ImageSet } from '../api/documents';
import { contract as contractQuery, contractVersion, datasets, imageSets, me, participants, signedOffer, templates, trust } from '../api/queries';
import { t } from '../i18n';
import { type Own, peek, read, seal, stamp } from '../keys/document';
import { BUILT_IN, counter, draft, type Form, formOf, leastGrant, type Template, templated, uuidV7 } from '../parts/draft';
import { useBasket } from '../parts/basket';
import { Changes } from '../parts/changes';
import { ContractText } from '../parts/contract-text';
import { Forecast } from '../parts/forecast';
import { Json } from '../parts/json';
import { keyMissing, NoKey, useSigning } from '../parts/keys';
import { NumberField } from '../parts/number-field';
import { Card, Empty, Page, ProblemNote, Read, Terminal, Waiting } from '../parts/page';
import { useOwn } from '../parts/signed';
import { tail } from '../parts/titles';
import { price } from '../parts/terms';
import { decimals, Id } from '../parts/words';

const DAY = 86_400_000;
const RISK = 'The parties accept that a model may reveal about a person what the ε and δ of this contract allow, and no more.';

const fresh = (): Form => ({
  template: BUILT_IN.template, purpose: 'TRAINING', rules: [], ccrp: '', imageSets: [], roomPrice: 0, currency: 'INR', jurisdiction: 'IN',
  from: stamp(new Date()), until: stamp(new Date(Date.now() + 365 * DAY)), maxRuns: 0, byTdp: true, notice: 0, running: 'abort', risk: RISK,
  grants: {}, columns: {},
});

export default function Compose() {
  const [params] = useSearchParams();
  const [id, version] = [params.get('counter'), params.get('version')];
  return id === null ? <Composer /> : <Counter key={`${id} ${version}`} id={id} version={version} />;
}

/** The version that the next one follows, read and checked as for signing. */
function Counter({ id, version }: { id: string; version: string | null }) {
  const view = useQuery(version === null ? contractQuery(id) : contractVersion(id, version));
  const [base, setBase] = useState<Own<Contract>>();
  const [problem, setProblem] = useState<unknown>();
  const { contract, sha256 } = view.data ?? {};
  useEffect(() => {
    if (contract !== undefined) void read<Contract>(contract, 'contract.v1', sha256).then(setBase, setProblem);
  }, [contract, sha256]);
  return <Read of={view} title={t('Compose a contract')}>{() => (base ? <Composer base={base} /> : problem === undefined ? <Waiting /> : <Page title={t('Compose a contract')}><ProblemNote problem={problem} /></Page>)}</Read>;
}

function Composer({ base }: { base?: Own<Contract> }) {
  const { data: session } = useQuery(me);
  const { data: pinned } = useQuery(trust);
  const all = useQuery(datasets);
  const people = useQuery(participants);
  const sets = useQuery(imageSets);
  const laid = useQuery(templates);
  const basket = useBasket();
  const picked = base ? base.value.datasets.map((one) => one.dataset_id) : basket.picked;
  const { ready } = useSigning();
  const navigate = useNavigate();
  const [id] = useState(() => base?.value.contract_id ?? `ctr_${uuidV7()}`);
  const [shown, setShown] = useState(base ? 'changes' : 'words');
  const [form, setForm] = useState<Form>(() => (base ? formOf(base.value) : fresh()));
  const change = (part: Partial<Form>) => setForm((now) => ({ ...now, ...part }));
  // The signed offers: a contract pins their digests and says where their keys lie.
  const { chosen, unread } = useQueries({
    queries: picked.slice().sort().map(signedOffer),
    combine: (found) => ({ chosen: found.flatMap(({ data }) => data ?? []), unread: found.find(({ error }) => error !== null)?.error }),
  });
  const rooms = (people.data ?? []).filter((one) => one.kind === 'ccrp' && one.state === 'verified');
  const approved = useMemo(
    () => (sets.data?.image_sets ?? []).filter((one) => one.state === 'approved').map((one) => peek<ImageSet>(one.image_set.envelope)),
    [sets.data],
  );
  const forms = useMemo(() => (laid.data?.templates ?? []).map((one) => peek<Template>(one.envelope)), [laid.data]);
  const template = forms.find((one) => one.template === form.template);
  const written = useMemo(() => {
    if (base) return counter(base, form, approved);
    return session && pinned ? draft({ id, registry: pinned.registry, tdc: session.member, form, chosen, approved }) : undefined;
  }, [base, session, pinned, id, form, chosen, approved]);
  const { own: mine, problem: unmade } = useOwn(written);
  // What was made last stays in sight until the next bytes are made; nothing is signed meanwhile.
  const [last, setLast] = useState<Own<Contract>>();
  useEffect(() => {
    if (mine) setLast(mine);
  }, [mine]);
  const seen = mine ?? last;
  const [checked, setChecked] = useState<{ digest: string; refusals: Schemas['Fault'][] }>();
  // Read is the very document that is in sight: a change asks for another look.
  const [readOf, setReadOf] = useState<string>();
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState('');
  // The first room and the first approved image set are the usual choice.
  useEffect(() => {
    if (base) return;
    if (form.ccrp === '' && rooms[0]) change({ ccrp: rooms[0].did });
    if (form.imageSets.length === 0 && approved[0]) change({ imageSets: [approved[0].image_set_id] });
  }, [rooms.length, approved.length]);

  const tried = async (name: string, act: () => Promise<void>) => {
    setBusy(name);
    setProblem(undefined);
    await act().catch(setProblem);
    setBusy('');
  };
  const header = () => ({ 'Idempotency-Key': crypto.randomUUID() });
  const check = async () => {
    if (!ready || !mine) throw keyMissing();
    const answer = await ask(api.POST('/v1/contracts/check', { body: mine.value, params: { header: header() }, headers: await acting(ready) }));
    setChecked({ digest: mine.digest, refusals: answer.refusals });
  };
  const propose = async () => {
    if (!ready || !mine) throw keyMissing();
    await ask(api.POST('/v1/contracts', { params: { header: header() }, body: (await seal(mine, ready)) as never }));
    if (!base) for (const one of picked) basket.put(one, false);
    void navigate(base ? `/contracts/${id}?version=${mine.digest}` : `/contracts/${id}`);
  };
  const read_ = readOf !== undefined && readOf === mine?.digest;
  const current = checked !== undefined && checked.digest === mine?.digest;
  const least = chosen.slice().sort((a, b) => a.offer.public_rows - b.offer.public_rows)[0];
  const granted = leastGrant(chosen.map(({ offer }) => offer), form.grants);
  const views = [...(base ? [{ value: 'changes', label: t('Changes') }] : []), { value: 'words', label: t('Words') }, { value: 'json', label: 'JSON' }];
  return (
    <Page
      title={base ? t('Next version') : t('Compose a contract')}
      lead={base ? <span className="row">{t('Version {n} follows version {old}; parties, datasets and prices stay.', { n: base.value.version + 1, old: base.value.version })} <Id value={base.digest} short /></span> : t('Every provider’s terms are taken over as they are offered; a price is never bargained over.')}
      crumbs={<><Link to="/contracts">{t('Contracts')}</Link> / {base ? <Link to={`/contracts/${id}`}>…{tail(id)}</Link> : t('new')}</>}
    >
      <NoKey />
      {!base && session && !session.roles.includes('tdc_admin') && <div className="note wait">{t('A data consumer composes a contract. You answer one with a counter-offer, on its own page.')} <Link to="/contracts">{t('Contracts')}</Link></div>}
      <Card title={t('Datasets')}>
        <div className="stack tight">
          <ProblemNote problem={unread} />
          {!base && (
            <MultiSelect
              aria-label={t('Datasets')}
              placeholder={t('Choose datasets')}
              searchable
              data={(all.data ?? []).filter(({ view }) => view.state === 'registered').map(({ offer }) => ({ value: offer.dataset_id, label: offer.name }))}
              value={picked}
              onChange={(next) => { for (const one of new Set([...picked, ...next])) basket.put(one, next.includes(one)); }}
            />
          )}
          {picked.length === 0 && <Empty command={`depa dataset search --registry ${location.origin}`} action={<Link to="/datasets">{t('To the catalogue')}</Link>}>{t('A contract is about datasets. Choose at least one.')}</Empty>}
          {chosen.map(({ offer }) => {
            const grant = form.grants[offer.dataset_id] ?? { epsilon: offer.privacy_cap.epsilon, delta: offer.privacy_cap.delta };
            const set = (part: Partial<typeof grant>) => change({ grants: { ...form.grants, [offer.dataset_id]: { ...grant, ...part } } });
            const allowed = offer.usage.allowed_columns;
            return (
              <div key={offer.dataset_id} className="stack tight">
                <div className="row end">
                  <TextInput label={t('ε of {name}, at most {cap}', { name: offer.name, cap: offer.privacy_cap.epsilon })} value={grant.epsilon} onChange={(event) => set({ epsilon: event.currentTarget.value.trim() })} w={320} />
                  <TextInput label={t('δ, at most {cap}', { cap: offer.privacy_cap.delta })} value={grant.delta} onChange={(event) => set({ delta: event.currentTarget.value.trim() })} w={200} />
                  <span className="dim small line">{price({ offer })}</span>
                </div>
                <MultiSelect label={t('Columns of {name} that may be read', { name: offer.name })} data={allowed} value={form.columns[offer.dataset_id] ?? allowed} onChange={(names) => change({ columns: { ...form.columns, [offer.dataset_id]: allowed.filter((one) => names.includes(one)) } })} searchable hidePickedOptions />
              </div>
            );
          })}
        </div>
      </Card>
      {(chosen.length > 0 || base) && (
        <>
          {chosen.length > 0 && (
            <Card title={t('What a training would cost')}>
              <Forecast granted={granted.epsilon} delta={granted.delta} rows={least?.offer.public_rows ?? 0} datasets={chosen.map(({ offer }) => offer.dataset_id)} />
            </Card>
          )}
          <div className="split half">
            <div className="stack">
              <Card title={t('Terms')}>
                <div className="stack tight">
                  {base ? <p className="dim small">{t('template')} {form.template}</p> : (
                    <Select
                      label={t('Template')}
                      data={[BUILT_IN, ...forms].map((one) => ({ value: one.template, label: `${one.title} (${one.template})` }))}
                      value={form.template}
                      onChange={(value) => setForm((now) => templated(now, forms.find((one) => one.template === value) ?? BUILT_IN))}
                      allowDeselect={false}
                    />
                  )}
                  {template && <Laid of={template} />}
                  <Select label={t('Purpose')} data={[...new Set([...(template ?? BUILT_IN).purposes, form.purpose])]} value={form.purpose} onChange={(value) => change({ purpose: value ?? form.purpose })} allowDeselect={false} />
                  {template && template.jurisdictions.length > 0
                    ? <Select label={t('Under the law of')} data={[...new Set([...template.jurisdictions, form.jurisdiction])]} value={form.jurisdiction} onChange={(value) => change({ jurisdiction: value ?? form.jurisdiction })} allowDeselect={false} />
                    : <TextInput label={t('Under the law of')} value={form.jurisdiction} maxLength={2} w={220} onChange={(event) => change({ jurisdiction: event.currentTarget.value.toUpperCase() })} />}
                  {!base && <Select label={t('Clean room of')} description={people.data && rooms.length === 0 ? t('No clean-room provider is verified yet.') : undefined} data={rooms.map((one) => ({ value: one.did, label: one.legal_name }))} value={form.ccrp} onChange={(value) => change({ ccrp: value ?? '' })} allowDeselect={false} />}
                  <MultiSelect label={t('Approved image sets')} description={sets.data && approved.length === 0 ? t('No image set is approved yet: two people of the SRO approve one.') : undefined} data={approved.map((one) => ({ value: one.image_set_id, label: String(one['name'] ?? one.image_set_id) }))} value={form.imageSets} onChange={(value) => change({ imageSets: value })} />
                  {!base && (
                    <div className="row">
                      <NumberField label={t('Price of the room, per run')} value={form.roomPrice / 10 ** decimals(form.currency)} digits={decimals(form.currency)} onChange={(value) => change({ roomPrice: Math.round(Number(value) * 10 ** decimals(form.currency)) })} />
                      <TextInput label={t('Currency')} value={form.currency} maxLength={3} w={100} onChange={(event) => change({ currency: event.currentTarget.value.toUpperCase() })} />
                    </div>
                  )}
                  <div className="row">
                    <TextInput type="datetime-local" label={t('In force from (UTC)')} value={form.from.slice(0, 16)} onChange={(event) => event.currentTarget.value && change({ from: `${event.currentTarget.value}:00Z` })} />
                    <TextInput type="datetime-local" label={t('Until (UTC)')} value={form.until.slice(0, 16)} onChange={(event) => event.currentTarget.value && change({ until: `${event.currentTarget.value}:00Z` })} />
                  </div>
                  <NumberField label={t('At most so many runs')} description={t('0: as many as the budget pays')} value={form.maxRuns} onChange={(value) => change({ maxRuns: Number(value) || 0 })} />
                  <Checkbox label={t('Providers may revoke at once')} checked={form.byTdp} onChange={(event) => change({ byTdp: event.currentTarget.checked })} />
                  <Textarea label={t('Risk that all parties accept')} value={form.risk} rows={3} maxLength={4000} onChange={(event) => change({ risk: event.currentTarget.value })} />
                </div>
              </Card>
              <Card title={t('Check and propose')}>
                <div className="stack tight">
                  <ProblemNote problem={problem ?? unmade} />
                  {current && checked.refusals.length === 0 && <div className="note good" role="status">{t('Every rule of the register and of every provider says yes.')}</div>}
                  {current && checked.refusals.map((fault) => (
                    <div key={`${fault.code}${fault.field}`} className="note bad" role="alert"><strong><code>{fault.code}</code></strong>{fault.field && ` (${fault.field})`}<br />{fault.detail}</div>
                  ))}
                  <Checkbox checked={read_} disabled={!mine} onChange={(event) => setReadOf(event.currentTarget.checked ? mine?.digest : undefined)} label={t('I have read the contract')} />
                  <div className="row">
                    <Button variant="default" loading={busy === 'check'} disabled={!ready || !mine} onClick={() => void tried('check', check)}>{t('Check every rule')}</Button>
                    <Button loading={busy === 'propose'} disabled={!ready || !current || !read_ || checked.refusals.length > 0} onClick={() => void tried('propose', propose)}>{t('Sign and propose')}</Button>
                  </div>
                  {ready && !current && <p className="dim small">{t('First check every rule; a change asks for another check.')}</p>}
                  {ready && current && checked.refusals.length === 0 && !read_ && <p className="dim small">{t('Tick that you have read it.')}</p>}
                  <Terminal command={`depa contract check contract.json --key tdc.key --trust trust.json --registry ${location.origin}\ndepa contract sign contract.json --out tdc.signature.json --key tdc.key --trust trust.json\ndepa contract propose contract.json --signature tdc.signature.json --registry ${location.origin}`} />
                </div>
              </Card>
            </div>
            {seen && (
              <div className="stack">
                <Card title={t('Digest')}><div className="digest" data-testid="digest">{seen.digest}</div></Card>
                <Card title={t('The contract')} aside={<SegmentedControl size="xs" value={shown} onChange={setShown} data={views} aria-label={t('How the contract is shown')} />}>
                  {shown === 'changes' && base ? <Changes before={base.value} after={seen.value} /> : shown === 'json' ? <Json of={seen.value} /> : <ContractText of={seen.value} />}
                </Card>
              </div>
            )}
          </div>
        </>
      )}
    </Page>
  );
}

/** What the SRO laid down with a template. */
function Laid({ of }: { of: Template }) {
  return (
    <div className="note small">
      {t('Laid down by the SRO')}: {t('at most {n} days', { n: of.max_days })}; {t('a proposal lapses after {n} days', { n: of.lapse_days })};{' '}
      {of.sro_countersigns ? t('two people of the SRO countersign') : t('the SRO does not countersign')}
      {(of.rules ?? []).length > 0 && <>; {t('{n} further rules of the SRO apply', { n: of.rules?.length ?? 0 })}</>}.{' '}
      {t('Its legal text')}: <code className="words">{of.text_url}</code> <Id value={of.text_sha256} short />
    </div>
  );
}
