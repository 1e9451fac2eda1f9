/** What stands in place of a page that failed while it was drawn, with a way back. */
import { Component, type ReactNode } from 'react';
import { t } from '../i18n';
import { ProblemNote } from './page';

interface Props {
  /** Another place is another page: it is drawn anew. */
  place: string;
  children: ReactNode;
}

interface Failure {
  problem: unknown;
  place: string;
}

export class Boundary extends Component<Props, { failure: Failure | undefined }> {
  override state: { failure: Failure | undefined } = { failure: undefined };

  static getDerivedStateFromError(problem: unknown) {
    return { failure: { problem, place: '' } };
  }

  static getDerivedStateFromProps({ place }: Props, { failure }: { failure: Failure | undefined }) {
    if (failure === undefined || failure.place === place) return null;
    return { failure: failure.place === '' ? { ...failure, place } : undefined };
  }

  override render() {
    const { failure } = this.state;
    if (failure === undefined) return this.props.children;
    return (
      <div className="stack">
        <h1 tabIndex={-1} id="title">{t('This page could not be shown')}</h1>
        <ProblemNote problem={failure.problem ?? new Error('unknown')} />
        <p>{t('Nothing was signed or changed by this.')}</p>
        <div className="row">
          <button type="button" className="quiet" onClick={() => this.setState({ failure: undefined })}>{t('Try again')}</button>
          <a href="/portal/">{t('Back to the beginning')}</a>
        </div>
      </div>
    );
  }
}
