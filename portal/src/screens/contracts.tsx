/** The contracts of who is signed in; of the SRO and auditors, all of them by id. */
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { oversees } from '../api/calm';
import { contractRows, contracts, me, MOST_CONTRACTS, MOST_WHOLE } from '../api/queries';
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

function All() {
  const all = useQuery(contractRows);
  return (
    <Card>
      <p className="dim small">{t('Opening a contract of others is entered in the log before it is shown.')}</p>
      <Read of={all}>
        {(rows) => rows.length === 0 ? <Empty command={COMMAND}>{t('There is no contract yet.')}</Empty> : (
          <div className="scroll">
            <table className="data">
              <thead><tr><th>{t('Contract')}</th><th>{t('Digest')}</th><th>{t('State')}</th></tr></thead>
              <tbody>
                {rows.map((row) => (
                  <tr key={row.contract_id}>
                    <td><Link to={`/contracts/${row.contract_id}`}>{row.contract_id}</Link></td>
                    <td><Id value={row.sha256} short /></td>
                    <td><State word={row.state} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
            {rows.length === MOST_CONTRACTS && <p className="dim small">{t('The first {n} are shown; depa contract list has all.', { n: MOST_CONTRACTS })}</p>}
          </div>
        )}
      </Read>
    </Card>
  );
}
