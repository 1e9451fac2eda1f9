/** Forms of what the SRO lays down: contract templates with their rules, data schemas, changes of datasets, the log's key. */
import { Button, Checkbox, FileButton, Select, Textarea, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { dataSchemas, datasets, templates, trust } from '../../api/queries';
import { t } from '../../i18n';
import { type Bytes, hex, sha256 } from '../../keys/bytes';
import { type PublicJwk, thumbprint } from '../../keys/did';
import { peek, read, Refused, stamp } from '../../keys/document';
import { NumberField } from '../../parts/number-field';
import { Card, Facts, ProblemNote, Read, Terminal } from '../../parts/page';
import type { Act } from '../../parts/acts';
import { Id, Time } from '../../parts/words';
import { SCHEMAS } from './desk';

type Begin = ((act: Act) => void) | undefined;

const lines = (text: string): string[] => text.split(/[\n,]/).map((line) => line.trim()).filter((line) => line !== '');
const digestOf = async (file: File): Promise<string> => hex(await sha256(new Uint8Array(await file.arrayBuffer()) as Bytes));

/** A form that ends in a document; what is wrong with it stands beneath. */
function Draft({ open, make, children }: { open: string; make: () => Act | Promise<Act>; children: ReactNode }) {
  const [problem, setProblem] = useState<unknown>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setProblem(undefined);
    void (async () => make())().catch(setProblem);
  };
  return (
    <details>
      <summary>{open}</summary>
      <form className="stack tight" onSubmit={submit}>
        {children}
        <ProblemNote problem={problem} />
        <div><Button type="submit" size="xs">{t('To the document')}</Button></div>
      </form>
    </details>
  );
}

/** Templates, each with the rule documents that its contracts must name. A new version is a template of a new name. */
export function Templates({ begin }: { begin: Begin }) {
  const all = useQuery(templates);
  const { data: pinned } = useQuery(trust);
  const [name, setName] = useState('');
  const [title, setTitle] = useState('');
  const [url, setUrl] = useState('');
  const [digest, setDigest] = useState('');
  const [purposes, setPurposes] = useState('TRAINING');
  const [places, setPlaces] = useState('');
  const [days, setDays] = useState(365);
  const [lapse, setLapse] = useState(30);
  const [countersigns, setCountersigns] = useState(false);
  const [risk, setRisk] = useState(false);
  const [rules, setRules] = useState<string[]>([]);
  const make = () => {
    if (!/^[a-z0-9-]{1,40}-v[0-9]+$/.test(name)) throw new Refused('SCHEMA_MISMATCH', t('a name is like oncology-v2'));
    if (!/^[0-9a-f]{64}$/.test(digest)) throw new Refused('SCHEMA_MISMATCH', t('a digest has 64 hexadecimal digits'));
    const act: Act = {
      schema: 'template.v1', registry: pinned?.registry ?? '', template: name, title: title.trim(), text_url: url.trim(), text_sha256: digest,
      purposes: lines(purposes), jurisdictions: lines(places), max_days: days, lapse_days: lapse, sro_countersigns: countersigns,
      risk_statement: risk, ...(rules.length > 0 ? { rules } : {}), at: stamp(),
    };
    begin?.(act);
    return act;
  };
  return (
    <Card title={t('Contract templates and rules')}>
      <div className="stack tight">
        <Read of={all}>
          {({ templates: rows }) => (
            <ul className="list">
              <li><strong>{t('Training')}</strong><p className="dim small">training-v1 · {t('built in')}</p></li>
              {rows.map((row) => {
                const shown = peek<{ template: string; title: string; rules?: string[] }>(row.envelope);
                return <li key={shown.template}><strong>{shown.title}</strong><p className="dim small">{shown.template}{shown.rules?.length ? ` · ${t('{n} rule documents', { n: shown.rules.length })}` : ''}</p></li>;
              })}
            </ul>
          )}
        </Read>
        {begin && (
          <Draft open={t('A new template or version')} make={make}>
            <TextInput label={t('Name with its version')} placeholder="oncology-v2" required value={name} onChange={(event) => setName(event.currentTarget.value.trim())} />
            <TextInput label={t('Title')} required maxLength={200} value={title} onChange={(event) => setTitle(event.currentTarget.value)} />
            <TextInput label={t('Where its legal text lies')} type="url" required value={url} onChange={(event) => setUrl(event.currentTarget.value)} />
            <TextInput label={t('SHA-256 of the legal text')} required value={digest} onChange={(event) => setDigest(event.currentTarget.value.trim().toLowerCase())} />
            <div><FileButton onChange={(file) => file && void digestOf(file).then(setDigest)}>{(props) => <Button {...props} size="xs" variant="default">{t('Take it from a file')}</Button>}</FileButton></div>
            <TextInput label={t('Purposes')} required value={purposes} onChange={(event) => setPurposes(event.currentTarget.value)} />
            <TextInput label={t('Countries; none for all')} value={places} onChange={(event) => setPlaces(event.currentTarget.value.toUpperCase())} />
            <div className="row">
              <NumberField label={t('Longest period in days')} value={days} onChange={(value) => setDays(Math.trunc(Number(value)) || 1)} />
              <NumberField label={t('An unsigned proposal lapses after days')} value={lapse} onChange={(value) => setLapse(Math.trunc(Number(value)) || 1)} />
            </div>
            <Checkbox label={t('Two people of the SRO countersign each contract')} checked={countersigns} onChange={(event) => setCountersigns(event.currentTarget.checked)} />
            <Checkbox label={t('A statement of risks is required')} checked={risk} onChange={(event) => setRisk(event.currentTarget.checked)} />
            <Textarea label={t('Rule documents that contracts must name, one SHA-256 a line')} rows={2} value={rules.join('\n')} onChange={(event) => setRules(lines(event.currentTarget.value))} />
            <div><FileButton multiple accept=".rego,text/plain" onChange={(files) => void Promise.all(files.map(digestOf)).then((found) => setRules([...new Set([...rules, ...found])].sort()))}>{(props) => <Button {...props} size="xs" variant="default">{t('Add rule documents (.rego)')}</Button>}</FileButton></div>
          </Draft>
        )}
        <Terminal command={`depa sro template oncology.toml --out template.json --trust trust.json\ndepa sro approve template.json --key sro-a.key --registry ${location.origin}`} />
      </div>
    </Card>
  );
}

/** Columns as they are typed: a line for each, `name type lower upper`. */
function columns(text: string): unknown[] {
  return text.split('\n').map((line) => line.trim()).filter((line) => line !== '').map((line) => {
    const [name = '', type = '', lower = null, upper = null] = line.split(/\s+/);
    if (!['text', 'number', 'image'].includes(type)) throw new Refused('SCHEMA_MISMATCH', t('a column is: name, type (text, number or image), lower and upper bound'));
    return { name, type, lower, upper };
  });
}

interface DataSchema {
  uri: string;
  title: string;
  columns: { name: string; type: string; lower?: string | null; upper?: string | null }[];
  at: string;
}

/** A schema of the register, with its columns and the offers that follow it. */
function Registered({ of }: { of: DataSchema }) {
  const all = useQuery(datasets);
  const followed = (all.data ?? []).filter(({ offer }) => offer.reference.data_schema === of.uri).length;
  return (
    <li>
      <strong>{of.title}</strong>
      <p className="dim small">{of.uri} · <Time at={of.at} date /> · {t('{n} datasets follow it', { n: followed })}</p>
      <details className="small">
        <summary>{t('{n} columns', { n: of.columns.length })}</summary>
        <ul className="list small">{of.columns.map((column) => <li key={column.name}><code>{column.name}</code> {column.type}{column.lower != null && ` ${column.lower} – ${column.upper}`}</li>)}</ul>
      </details>
    </li>
  );
}

export function DataSchemas({ begin }: { begin: Begin }) {
  const all = useQuery(dataSchemas);
  const { data: pinned } = useQuery(trust);
  const [uri, setUri] = useState('urn:depa:schema:');
  const [title, setTitle] = useState('');
  const [text, setText] = useState('');
  const make = () => {
    const act: Act = { schema: 'data-schema.v1', registry: pinned?.registry ?? '', uri: uri.trim(), title: title.trim(), columns: columns(text), at: stamp() };
    begin?.(act);
    return act;
  };
  return (
    <Card title={t('Data schemas')}>
      <div className="stack tight">
        <Read of={all}>
          {({ data_schemas: rows }) => (
            <ul className="list">
              <li><strong>{t('Any table')}</strong><p className="dim small">urn:depa:schema:table-v1 · {t('built in')}</p></li>
              {rows.map((row) => <Registered key={row.envelope.payload} of={peek<DataSchema>(row.envelope)} />)}
            </ul>
          )}
        </Read>
        {begin && (
          <Draft open={t('A new data schema')} make={make}>
            <TextInput label={t('URI by which offers name it')} required value={uri} onChange={(event) => setUri(event.currentTarget.value)} />
            <TextInput label={t('Title')} required maxLength={200} value={title} onChange={(event) => setTitle(event.currentTarget.value)} />
            <Textarea label={t('Columns, one a line: name, type, lower and upper bound')} placeholder={'age number 0 120\ncity text'} required rows={4} value={text} onChange={(event) => setText(event.currentTarget.value)} />
          </Draft>
        )}
        <Terminal command={`depa sro data-schema schema.toml --out data-schema.json --trust trust.json\ndepa sro approve data-schema.json --key sro-a.key --registry ${location.origin}`} />
      </div>
    </Card>
  );
}

export function DatasetActs({ begin }: { begin: Begin }) {
  const all = useQuery(datasets);
  const { data: pinned } = useQuery(trust);
  const [which, setWhich] = useState<string | null>(null);
  const [act, setAct] = useState('suspend');
  const [reason, setReason] = useState('');
  const make = () => {
    const found = all.data?.find(({ offer }) => offer.dataset_id === which)?.offer;
    if (found === undefined) throw new Refused('DATASET_UNKNOWN', t('choose a dataset'));
    const made: Act = { schema: 'dataset-act.v1', registry: pinned?.registry ?? '', dataset_id: found.dataset_id, version: found.version, act, reason: reason.trim(), at: stamp() };
    begin?.(made);
    return made;
  };
  if (!begin) return null;
  return (
    <Card title={t('Datasets')}>
      <Draft open={t('Suspend, resume or withdraw a dataset')} make={make}>
        <Select label={t('Dataset')} searchable data={(all.data ?? []).map(({ offer }) => ({ value: offer.dataset_id, label: `${offer.name} (${t('version {n}', { n: offer.version })})` }))} value={which} onChange={setWhich} />
        <Select label={t('What happens')} data={['suspend', 'resume', 'withdraw'].map((value) => ({ value, label: t(value) }))} value={act} onChange={(value) => setAct(value ?? 'suspend')} allowDeselect={false} />
        <Textarea label={t('Reason, one sentence')} required maxLength={500} rows={2} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
      </Draft>
    </Card>
  );
}

/** The public half of an Ed25519 key, out of what was pasted. */
function publicHalf(text: string): PublicJwk {
  let found: { kty?: string; crv?: string; x?: string; d?: string; jwk?: { kty?: string; crv?: string; x?: string } };
  try {
    found = JSON.parse(text) as typeof found;
  } catch {
    throw new Refused('KEY_FORM', t('paste the public key as JSON'));
  }
  if (found.d !== undefined) throw new Refused('KEY_FORM', t('this is a private key: keep it where it is, and paste its public half'));
  const jwk = found.jwk ?? found;
  if (jwk.kty !== 'OKP' || jwk.crv !== 'Ed25519' || jwk.x === undefined) throw new Refused('KEY_FORM', t('the log is signed by an Ed25519 key'));
  return { kty: 'OKP', crv: 'Ed25519', x: jwk.x };
}

export function LogKeyCard({ begin }: { begin: Begin }) {
  const { data: pinned } = useQuery(trust);
  const [text, setText] = useState('');
  const [days, setDays] = useState(30);
  const make = async () => {
    const now = pinned?.registry_jwk;
    if (pinned === undefined || now === undefined) throw new Refused('KEY_UNKNOWN', t('the key of now is not known'));
    const replaces = await thumbprint({ kty: 'OKP', crv: 'Ed25519', x: now.x });
    const act: Act = {
      schema: 'log-key.v1', registry: pinned.registry, replaces, jwk: publicHalf(text),
      overlap_until: stamp(new Date(Date.now() + days * 86_400_000)), at: stamp(),
    };
    begin?.(act);
    return act;
  };
  return (
    <Card title={t('The log’s key')}>
      <div className="stack tight">
        <Facts of={[[t('Origin'), pinned?.origin], [t('Key'), pinned && <Id key="k" value={pinned.registry_jwk.x} short />]]} />
        {begin && (
          <Draft open={t('Put the next key in use')} make={make}>
            <p className="dim small">{t('The service makes it beside the one of now: contract-service rotate-log-key. Both sign until the overlap ends.')}</p>
            <Textarea label={t('Public half of the next key, as JSON')} required rows={2} value={text} onChange={(event) => setText(event.currentTarget.value)} />
            <NumberField label={t('Days in which both sign')} value={days} onChange={(value) => setDays(Math.trunc(Number(value)) || 1)} />
          </Draft>
        )}
        <Terminal command={`depa sro log-key new-log.jwk --out log-key.json --trust trust.json\ndepa sro approve log-key.json --key sro-a.key --registry ${location.origin}`} />
      </div>
    </Card>
  );
}

/** How an approved image set comes about: measured beside the room, signed by two people. */
export const MEASURED = [
  'depa ccr measure --ccr /usr/bin/ccr --config ccr.toml --json > measured.json',
  "depa image-set new --name 'room 1.4' --pcrs measured.json --out image-set.json --trust trust.json",
  `depa image-set sign image-set.json --key sro-a.key --registry ${location.origin}`,
].join('\n');

/** Drafts of the command line: a measured image set, a log key, any act that two people sign. */
export function FromFile({ begin }: { begin: Begin }) {
  const [problem, setProblem] = useState<unknown>();
  if (!begin) return null;
  const opened = async (file: File | null) => {
    if (file === null) return;
    setProblem(undefined);
    try {
      const found = JSON.parse(await file.text()) as { payload?: string };
      if (typeof found.payload !== 'string') throw new Refused('SCHEMA_MISMATCH', t('this is no draft of a document'));
      const envelope = { payload: found.payload, signatures: [] };
      const { schema } = peek<Act>(envelope);
      if (!SCHEMAS.includes(schema)) throw new Refused('SCHEMA_MISMATCH', t('this page hands no such act in'));
      begin((await read<Act>(envelope, schema)).value);
    } catch (caught) {
      setProblem(caught);
    }
  };
  return (
    <Card title={t('A draft from a file')}>
      <div className="stack tight">
        <p className="dim">{t('Measurements of a room, the log’s next key, a template: what a command has written is read here, signed by you, and waits for a colleague.')}</p>
        <div><FileButton accept=".json,application/json" onChange={(file) => void opened(file)}>{(props) => <Button {...props} variant="default" size="xs">{t('Choose a draft')}</Button>}</FileButton></div>
        <ProblemNote problem={problem} />
        <Terminal command={MEASURED} />
      </div>
    </Card>
  );
}
