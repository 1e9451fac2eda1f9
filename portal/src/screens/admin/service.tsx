/** How the service itself is: whether it is ready, what it runs as, what is switched on. */
import { useQuery } from '@tanstack/react-query';
import { configuration, health, trust, version } from '../../api/queries';
import { t } from '../../i18n';
import { Card, Facts, ProblemNote, Read, Terminal } from '../../parts/page';
import { count, Time } from '../../parts/words';

/** What `/readyz` says in its lines. */
export interface Health {
  ready: boolean;
  /** Whether this process writes the log; another one does where it only reads. */
  writes: boolean;
  /** Microseconds that its writer is behind. */
  lag?: number;
  /** Entries that the comparison in the background has looked at in this pass, of how many, and passes before it. */
  scrub?: { checked: number; size: number; passes: number };
}

export function read(text: string): Health {
  const lag = /^writer lag (\d+) us$/m.exec(text)?.[1];
  const scrub = /^scrub (\d+) of (\d+), (\d+) passes$/m.exec(text);
  return {
    ready: /^ready$/m.test(text),
    writes: lag !== undefined,
    ...(lag === undefined ? {} : { lag: Number(lag) }),
    ...(scrub === null ? {} : { scrub: { checked: Number(scrub[1]), size: Number(scrub[2]), passes: Number(scrub[3]) } }),
  };
}

export function ServiceHealth() {
  const found = useQuery(health);
  const built = useQuery(version);
  return (
    <Card title={t('Health')} aside={found.dataUpdatedAt > 0 && <span className="dim small">{t('read at')} <Time at={new Date(found.dataUpdatedAt).toISOString()} /></span>}>
      <div className="stack tight" data-testid="health">
        {found.error ? (
          <>
            <p><span className="pill bad">{t('not ready')}</span></p>
            <ProblemNote problem={found.error} />
          </>
        ) : (
          <Read of={found}>
            {(text) => {
              const { ready, writes, lag, scrub } = read(text);
              return (
                <Facts of={[
                  [t('State'), <span key="s" className={`pill ${ready ? 'good' : 'bad'}`}>{ready ? t('ready') : t('not ready')}</span>],
                  [t('This process'), writes ? t('writes the log, {n} ms behind', { n: count(Math.ceil((lag ?? 0) / 1000)) }) : t('reads; another process writes')],
                  [t('Comparison with the log'), scrub && t('{n} of {all} entries in this pass, {passes} passes before', { n: count(scrub.checked), all: count(scrub.size), passes: count(scrub.passes) })],
                  [t('Version'), built.data],
                ]} />
              );
            }}
          </Read>
        )}
        <Terminal command={`depa doctor --registry ${location.origin}`} />
      </div>
    </Card>
  );
}

function Switch({ on, children }: { on: boolean; children: string }) {
  return <li className="item"><span>{children}</span><span className={`pill ${on ? 'good' : ''}`}>{on ? t('on') : t('off')}</span></li>;
}

/** Nobody switches here: its operator's configuration does, and `contract-service config show` says where each value comes from. */
export function Switches() {
  const found = useQuery(configuration);
  const { data: pinned } = useQuery(trust);
  return (
    <Card title={t('Switched on')}>
      <Read of={found}>
        {({ profile, bound_tokens_only, people_sign_in_by: ways = [] }) => (
          <div className="stack tight" data-testid="switches">
            {profile === 'demo' && <div className="simulated" role="note">{t('The demo profile: rooms with SIMULATED evidence are let in, and plain http on this machine.')}</div>}
            <ul className="list">
              <Switch on={profile === 'demo'}>{t('Demo profile')}</Switch>
              <Switch on={ways.includes('passkey')}>{t('Sign-in by passkeys')}</Switch>
              <Switch on={ways.includes('oidc')}>{t('Sign-in by an identity provider')}</Switch>
              <Switch on={bound_tokens_only === true}>{t('Tokens that are bound to a key alone')}</Switch>
              <Switch on={(pinned?.witnesses?.length ?? 0) > 0}>{t('Log witnesses')}</Switch>
            </ul>
            {pinned?.witnesses?.length ? <p className="dim small">{t('{n} witnesses; relying parties ask for {quorum}: {names}', { n: pinned.witnesses.length, quorum: pinned.quorum ?? 0, names: pinned.witnesses.map(({ name }) => name).join(', ') })}</p> : null}
            <p className="dim small">{t('The operator’s configuration decides; contract-service config show says where each value comes from.')}</p>
          </div>
        )}
      </Read>
    </Card>
  );
}
