/** What the SRO has laid down, version by version: in force since when, under which digest, and by which two people. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'react-router';
import type { Schemas } from '../../api/client';
import { dataSchemas, imageSets, templates } from '../../api/queries';
import { t } from '../../i18n';
import { type Envelope, read } from '../../keys/document';
import { Card, Empty, Read } from '../../parts/page';
import { type Act, subject } from '../../parts/acts';
import { Id, Name, State, Time } from '../../parts/words';
import { TITLES } from './desk';

export interface Laid {
  schema: string;
  name: string;
  digest: string;
  /** When it was entered: it counts from there. */
  at: string;
  index: number;
  /** In the order in which they signed. */
  signers: string[];
  /** Rule documents that go with it, by their digests. */
  rules: string[];
  /** `approved`, `revoked`, `expired`; of what nothing ends, whether a newer version stands beside it. */
  state: string;
}

interface Logged {
  envelope: Envelope;
  receipt: Pick<Schemas['Receipt'], 'index'> & { record: Pick<Schemas['Record'], 'at'> };
}

/** One version, in the page's own bytes. */
export async function laid(schema: string, { envelope, receipt }: Logged, state = ''): Promise<Laid> {
  const { value, digest } = await read<Act>(envelope, schema);
  const signers = envelope.signatures.map(({ kid }) => kid.split('#')[0] ?? '');
  const name = schema === 'image-set.v1' ? String(value['name']) : subject(value);
  return { schema, name, digest, at: receipt.record.at, index: receipt.index, signers, rules: (value['rules'] as string[] | undefined) ?? [], state };
}

/** The name without its version: `oncology` of `oncology-v2`. */
const stem = ({ schema, name }: Laid): string => `${schema} ${name.replace(/[-_:/]v\d+$/, '')}`;

/** The newest first; of what has versions by its name, each but the newest is an earlier one. */
export function ordered(all: Laid[]): Laid[] {
  const sorted = all.toSorted((a, b) => b.index - a.index);
  return sorted.map((one) => ({ ...one, state: one.state || (sorted.find((other) => stem(other) === stem(one)) === one ? 'active' : 'earlier version') }));
}

export function Versions() {
  const client = useQueryClient();
  const all = useQuery({
    queryKey: ['templates', 'versions'],
    queryFn: async () => {
      const [forms, columns, sets] = await Promise.all([client.fetchQuery(templates), client.fetchQuery(dataSchemas), client.fetchQuery(imageSets)]);
      return ordered(await Promise.all([
        ...forms.templates.map((one) => laid('template.v1', one)),
        ...columns.data_schemas.map((one) => laid('data-schema.v1', one)),
        ...sets.image_sets.map((one) => laid('image-set.v1', one.image_set, one.state)),
      ]));
    },
  });
  return (
    <Card title={t('Versions of what was laid down')}>
      <Read of={all}>
        {(rows) => rows.length === 0 ? <Empty command={`depa sro template template.toml --out template.json --trust trust.json\ndepa sro approve template.json --key sro-a.key --registry ${location.origin}`}>{t('Nothing is laid down yet. Templates, data schemas and image sets stand here, version by version.')}</Empty> : (
          <div className="scroll">
            <table className="data" data-testid="versions">
              <thead><tr><th>{t('Version')}</th><th>{t('State')}</th><th>{t('In force since')}</th><th>{t('Digest')}</th><th>{t('Proposed by')}</th><th>{t('Confirmed by')}</th></tr></thead>
              <tbody>
                {rows.map((one) => (
                  <tr key={one.index}>
                    <td><strong>{one.name}</strong><p className="dim small">{t(TITLES[one.schema] ?? one.schema)}</p>{one.rules.map((rule) => <Id key={rule} value={rule} short />)}</td>
                    <td><State word={one.state} /></td>
                    <td><Time at={one.at} /><br /><Link to={`/audit?entry=${one.index}`}>{t('entry {n} of the log', { n: one.index })}</Link></td>
                    <td><Id value={one.digest} short /></td>
                    {[0, 1].map((at) => <td key={at}>{one.signers[at] && <Name did={one.signers[at]} />}</td>)}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Read>
    </Card>
  );
}
