/** ε by dataset and consumer, as the statements of key services in the log add up. */
import { useQueries, useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { oversees } from '../api/calm';
import { budget, datasets, me } from '../api/queries';
import { t } from '../i18n';
import { asking, NONE } from '../log/filter';
import { type Facets, useFacets } from './facets';
import { Card, Empty } from './page';
import { epsilon, Gauge, Name, useNames } from './words';

interface Line {
  dataset: string;
  name: string;
  tdc: string;
  runs: number;
  spent: number;
  left: number;
  cap: number;
}

/** How much of its budget a consumer has used, in the words of the facet. */
export function band(spent: number, cap: number): string {
  const share = cap > 0 ? spent / cap : 1;
  if (share >= 0.999) return t('used up');
  return share > 0.8 ? t('above 80 %') : share > 0.5 ? t('50 to 80 %') : t('up to 50 %');
}

/** The most budgets that are read at once. */
const MOST_BUDGETS = 200;

/** `look` leads to the list of entries, which a line of the ledger asks for those that its sums are made of. */
export function Ledger({ look }: { look: () => void }) {
  const { data: session } = useQuery(me);
  const names = useNames();
  const all = useQuery(datasets);
  const sees = oversees(session) || session?.roles.some((role) => role === 'tdc_admin' || role === 'signer');
  const own = (all.data ?? []).filter(({ offer }) => sees || offer.provider === session?.member).slice(0, MOST_BUDGETS);
  const read = useQueries({
    queries: own.map(({ offer }) => budget(offer.dataset_id)),
    combine: (found) => found.flatMap(({ data }, at): Line[] => (data?.lines ?? []).map((line) => ({
      dataset: data?.dataset_id ?? '', name: own[at]?.offer.name ?? '', tdc: line.tdc, runs: line.runs, spent: line.spent_micro, left: line.left_micro, cap: data?.cap_micro ?? 0,
    }))),
  });
  const lines = [...read].sort((a, b) => a.name.localeCompare(b.name) || b.spent - a.spent);
  const facets: Facets<Line> = { Dataset: (line) => [line.name], Consumer: (line) => [names(line.tdc)], 'ε used': (line) => [band(line.spent, line.cap)] };
  const { shown, bar } = useFacets(lines, facets);
  const provides = session?.roles.includes('tdp_admin') ?? false;
  const command = oversees(session) ? `depa audit export --out log.jsonl --key YOUR.key --trust trust.json --registry ${location.origin}`
    : provides ? 'depa kms budget --kms https://kms.acme.example --key YOUR.key' : `depa dataset list --registry ${location.origin}`;
  return (
    <Card title={t('Privacy ledger')} aside={<span className="dim small">{t('ε spent, by dataset and consumer')}</span>}>
      {lines.length === 0 ? (
        <Empty command={command}>{own.length === 0 ? t('No dataset concerns you.') : t('No run has spent anything yet.')}</Empty>
      ) : (
        <div className="stack tight">
          <div className="row top noprint">{bar}<span className="dim small" role="status">{t('{n} of {all}', { n: shown.length, all: lines.length })}</span></div>
          <div className="scroll">
            <table className="data">
              <thead><tr><th>{t('Dataset')}</th><th>{t('Consumer')}</th><th className="num">{t('Runs')}</th><th className="num">{t('ε spent')}</th><th className="num">{t('ε left')}</th><th className="num">{t('of')}</th><th>{t('Share')}</th><th><span className="sr">{t('Acts')}</span></th></tr></thead>
              <tbody>
                {shown.map((line) => (
                  <tr key={`${line.dataset} ${line.tdc}`}>
                    <td><Link to={`/datasets/${line.dataset}`}>{line.name}</Link></td>
                    <td><Name did={line.tdc} /></td>
                    <td className="num">{line.runs}</td>
                    <td className="num">{epsilon(line.spent)}</td>
                    <td className="num">{epsilon(line.left, 'left')}</td>
                    <td className="num">{epsilon(line.cap, 'left')}</td>
                    <td className="share"><Gauge spent={line.spent} cap={line.cap} label={t('ε spent of {name}', { name: line.name })} /></td>
                    <td className="num"><Link to={`/audit?${asking(new URLSearchParams(), { ...NONE, dataset: line.dataset, party: line.tdc })}`} onClick={look}>{t('Its entries')}<span className="sr">: {line.name}, {names(line.tdc)}</span></Link></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {shown.length === 0 && <p className="dim">{t('Nothing fits. Take a filter away.')}</p>}
        </div>
      )}
    </Card>
  );
}
