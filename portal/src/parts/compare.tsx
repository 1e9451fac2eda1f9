/** Terms of two to four datasets side by side; what differs is marked. */
import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import type { Listed } from '../api/queries';
import { t } from '../i18n';
import { Card } from './page';
import { count, Name } from './words';

/** A table of more columns is read by nobody. */
export const MOST = 4;

/** A term: what it is called, what it is compared by, and how it is shown where that is not the same. */
export interface Line {
  name: string;
  values: string[];
  differs: boolean;
}

/** Who keeps a budget, by the level of its clause. */
export const LEVELS = ['kept by law alone', 'kept by the key service', 'kept by the key service; no model leaves the room'];

/** The terms of every dataset, line by line. */
export function lines(all: Listed[], price: (one: Listed) => string, regions: (one: Listed) => string): Line[] {
  const terms: [string, (one: Listed) => string][] = [
    [t('Provider'), ({ offer }) => offer.provider],
    [t('Region'), regions],
    [t('Price'), price],
    [t('Purposes'), ({ offer }) => offer.usage.purposes.toSorted().join(', ')],
    [t('People'), ({ offer }) => count(offer.public_rows)],
    [t('At most'), ({ offer }) => `ε ${offer.privacy_cap.epsilon}, δ ${offer.privacy_cap.delta}`],
    [t('Counted'), ({ offer }) => (offer.privacy_cap.scope === 'global' ? t('for all consumers together') : t('for each consumer alone'))],
    [t('The budget is'), ({ offer }) => t(LEVELS[offer.privacy_cap.level] ?? '')],
    [t('Opens for'), ({ offer }) => (offer.key.min_assurance === 'software' ? t('SIMULATED evidence too') : t('hardware evidence only'))],
    [t('Format'), ({ offer }) => [...new Set(offer.objects.map((object) => object.media_type))].toSorted().join(', ')],
    [t('May be read'), ({ offer }) => offer.usage.allowed_columns.toSorted().join(', ')],
    [t('Joined on'), ({ offer }) => offer.usage.join_keys.toSorted().join(', ')],
    [t('Predicted'), ({ offer }) => offer.usage.target_columns.toSorted().join(', ')],
    [t('Personal data'), ({ offer }) => offer.data_card.personal_data],
    [t('Licence'), ({ offer }) => offer.data_card.licence],
  ];
  return terms.map(([name, of]) => {
    const values = all.map(of);
    return { name, values, differs: new Set(values).size > 1 };
  });
}

export function Compare({ all, of, close }: { all: Listed[]; of: Line[]; close: () => void }) {
  const shown = (line: Line, value: string): ReactNode => (line === of[0] ? <Name did={value} /> : value || <span className="dim">{t('nothing')}</span>);
  return (
    <Card title={t('Compared')} aside={<Button size="xs" variant="default" onClick={close}>{t('Close')}</Button>}>
      <div className="scroll" tabIndex={0} role="region" aria-label={t('Compared')}>
        <table className="data" data-testid="compared">
          <thead><tr><th>{t('Term')}</th>{all.map(({ offer }) => <th key={offer.dataset_id} scope="col"><Link to={`/datasets/${offer.dataset_id}`}>{offer.name}</Link></th>)}</tr></thead>
          <tbody>
            {of.map((line) => (
              <tr key={line.name} className={line.differs ? 'differs' : ''}>
                <th scope="row">{line.name}{line.differs && <> <span className="pill wait">{t('differs')}</span></>}</th>
                {line.values.map((value, at) => <td key={all[at]?.offer.dataset_id}>{shown(line, value)}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
