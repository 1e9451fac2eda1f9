/** The contracts of who is signed in; of the SRO and auditors, all of them. */
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { oversees } from '../api/calm';
import { MOST_NAMES, namedContracts } from '../api/named';
import { contractRows, contracts, datasets, me, MOST_CONTRACTS, MOST_WHOLE, participants } from '../api/queries';
import { t } from '../i18n';
import { Card, Empty, Page, Read } from '../parts/page';
import { useTitle } from '../parts/titles';
import { Id, Name, State, Time } from '../parts/words';

const COMMAND = `depa contract new contract.toml --out contract.json --trust trust.json --registry ${location.origin}`;

export default function Contracts() {
  const { data: session } = useQuery(me);
  const roles = session?.roles ?? [];
  const composes = roles.includes('tdc_admin');
  return (
    <Page
      title={t('Contracts')}
      lead={t('One document that every party signs over the same bytes.')}
      actions={composes && <Button component={Link} to="/contracts/new">{t('Compose a contract')}</Button>}
    >
      {oversees(session) ? <All /> : <Own composes={composes} />}
    </Page>
  );
}

function Own({ composes }: { composes: boolean }) {
  const all = useQuery(contracts);
  const title = useTitle();
  return (
    <Card>
      <Read of={all}>
        {(rows) => rows.length === 0 ? (
          composes ? <Empty command={COMMAND}>{t('You are party of no contract yet.')}</Empty> : <Empty command={`depa contract list --key YOUR.key --registry ${location.origin}`}>{t('You are party of no contract yet. A data consumer composes one; when it names you, it waits here and on Home for your signature.')}</Empty>
        ) : (
          <div className="scroll">
            <table className="data">
              <thead><tr><th>{t('Contract')}</th><th>{t('Parties')}</th><th>{t('In force')}</th><th className="num">{t('Signed')}</th><th>{t('State')}</th></tr></thead>
              <tbody>
                {rows.map(({ row, view, contract }) => (
                  <tr key={row.contract_id}>
                    <td><Link to={`/contracts/${row.contract_id}`}>{title(contract)}</Link><br /><Id value={row.contract_id} short /></td>
                    <td>{contract.parties.map((party) => <div key={party.did}><Name did={party.did} /></div>)}</td>
                    <td><Time at={contract.effective_from} date /><br /><span className="dim">{t('until')} <Time at={contract.expires_at} date /></span></td>
                    <td className="num">{view.contract.signatures.length} / {contract.parties.length}</td>
                    <td><State word={row.state} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
            {rows.length === MOST_WHOLE && <p className="dim small">{t('The newest {n} are shown; depa contract list has all.', { n: MOST_WHOLE })}</p>}
          </div>
        )}
      </Read>
    </Card>
  );
}

/** Kinds that are party of contracts. */
const CONTRACTING = ['tdp', 'tdc', 'ccrp'];

function All() {
  const all = useQuery(contractRows);
  const people = useQuery(participants);
  const offers = useQuery(datasets);
  const title = useTitle();
  const dids = (people.data ?? []).filter(({ kind, state }) => CONTRACTING.includes(kind) && state !== 'applied').map(({ did }) => did);
  const ids = (offers.data ?? []).map(({ offer }) => offer.dataset_id);
  const few = dids.length <= MOST_NAMES && ids.length <= MOST_NAMES;
  const { data: named } = useQuery({ ...namedContracts(dids, ids), enabled: people.data !== undefined && offers.data !== undefined && few });
  return (
    <Card>
      <p className="dim small">{t('Opening a contract of others is entered in the log before it is shown.')}</p>
      <Read of={all}>
        {(rows) => rows.length === 0 ? <Empty command={`depa contract list --key YOUR.key --registry ${location.origin}`}>{t('There is no contract yet. A data consumer composes one; it stands here from its proposal on.')}</Empty> : (
          <div className="scroll">
            <table className="data">
              <thead><tr><th>{t('Contract')}</th>{few && <th>{t('Parties')}</th>}<th>{t('Digest')}</th><th>{t('State')}</th></tr></thead>
              <tbody>
                {rows.map((row) => {
                  const one = named?.get(row.contract_id);
                  return (
                    <tr key={row.contract_id}>
                      <td>
                        {one && one.datasets.length > 0 && <>{title({ datasets: one.datasets.map((dataset_id) => ({ dataset_id })) })}<br /></>}
                        <Link to={`/contracts/${row.contract_id}`}>{row.contract_id}</Link>
                      </td>
                      {few && <td>{one?.parties.map((did) => <div key={did}><Name did={did} /></div>)}</td>}
                      <td><Id value={row.sha256} short /></td>
                      <td><State word={row.state} /></td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
            {!few && <p className="dim small">{t('There are more participants or datasets than are looked up here: a contract names its parties when it is opened.')}</p>}
            {rows.length === MOST_CONTRACTS && <p className="dim small">{t('The first {n} are shown; depa contract list has all.', { n: MOST_CONTRACTS })}</p>}
          </div>
        )}
      </Read>
    </Card>
  );
}
