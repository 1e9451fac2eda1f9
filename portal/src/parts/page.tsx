/** What every page is made of: its head, cards, facts, and what stands where there is nothing yet or something failed. */
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { Problem } from '../api/client';
import { t } from '../i18n';
import { Refused } from '../keys/document';
import { arrived } from './arrival';

export function Page({ title, lead, actions, crumbs, children }: {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  crumbs?: ReactNode;
  children: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · DEPA`;
  }, [title]);
  useEffect(() => arrived(heading.current), []);
  return (
    <>
      {crumbs && <nav className="crumbs" aria-label={t('Where you are')}>{crumbs}</nav>}
      <header className="head">
        <div>
          <h1 tabIndex={-1} id="title" ref={heading}>{title}</h1>
          {lead && <div className="lead">{lead}</div>}
        </div>
        {actions && <div className="row noprint">{actions}</div>}
      </header>
      <div className="stack">{children}</div>
    </>
  );
}

export function Card({ title, aside, children }: { title?: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className="card" aria-label={title}>
      {title && (aside ? <div className="row between"><h2>{title}</h2>{aside}</div> : <h2>{title}</h2>)}
      {children}
    </section>
  );
}

export function Facts({ of }: { of: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {of.filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => [
        <dt key={`${name}-t`}>{name}</dt>,
        <dd key={`${name}-d`}>{value}</dd>,
      ])}
    </dl>
  );
}

/** The same step at a terminal; where it needs the pinned trust, also where that comes from. */
export function Terminal({ command, open }: { command: string; open?: boolean }) {
  return (
    <details className="terminal" open={open}>
      <summary>{t('Do this from the terminal')}</summary>
      <pre tabIndex={0}><code>{command}</code></pre>
      {command.includes('trust.json') && (
        <p className="dim small">{t('No trust.json yet? Make it once, and compare its fingerprints with the SRO out of band:')} <code className="words">depa trust fetch --registry {location.origin} --out trust.json</code></p>
      )}
    </details>
  );
}

/** Where there is nothing yet: the same step as a command, folded where it stands beside others. */
export function Empty({ children, command, action, folded }: { children: ReactNode; command: string; action?: ReactNode; folded?: boolean }) {
  return (
    <div className="empty">
      <p>{children}</p>
      {action}
      <Terminal command={command} open={!folded} />
    </div>
  );
}

/** Why something was refused: the rule's code, and one sentence. */
export function ProblemNote({ problem }: { problem: unknown }) {
  if (problem === undefined || problem === null) return null;
  const coded = problem instanceof Problem || problem instanceof Refused;
  const code = coded ? problem.code : problem instanceof Error ? problem.name : 'UNKNOWN';
  const field = problem instanceof Problem && problem.field ? ` (${problem.field})` : '';
  const sentence = problem instanceof Error ? problem.message : String(problem);
  return (
    <div className="note bad" role="alert">
      <strong><code>{code}</code></strong>{field}<br />{sentence}
    </div>
  );
}

interface Reading<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
}

/** What was read, or that it is being read, or why it could not be; a page as a whole names its title, under which that stands. */
export function Read<T>({ of, title, children }: { of: Reading<T>; title?: string; children: (data: T) => ReactNode }) {
  if (of.data !== undefined) return <>{children(of.data)}</>;
  const again = () => void of.refetch();
  if (!of.error) return <Waiting again={again} />;
  // What is refused for what it is stays so; what took too long, or was too much at once, may go another time.
  const status = of.error instanceof Problem ? of.error.status : 0;
  const final = status >= 400 && status < 500 && status !== 408 && status !== 429;
  const refused = <div className="stack tight"><ProblemNote problem={of.error} />{!final && <div><Again act={again} /></div>}</div>;
  return title === undefined ? refused : <Page title={title}>{refused}</Page>;
}

const Again = ({ act }: { act: () => void }) => <button type="button" className="quiet" onClick={act}>{t('Try again')}</button>;

/** While something is read or fetched. It has an end: after ten seconds it says so. */
export function Waiting({ again = () => location.reload() }: { again?: () => void }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 10_000);
    return () => clearTimeout(timer);
  }, []);
  if (late) return <div className="note wait" role="status">{t('No answer for ten seconds.')} <Again act={again} /></div>;
  return (
    <div role="status" aria-label={t('Reading')}>
      <div className="bone w70" /><div className="bone" /><div className="bone w40" />
    </div>
  );
}
