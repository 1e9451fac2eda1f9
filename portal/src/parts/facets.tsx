/** Facets that count: each shows its values within what the others leave. */
import { Checkbox } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { t } from '../i18n';

/** How each facet sorts a row into its values. */
export type Facets<T> = Record<string, (row: T) => string[]>;
export type Chosen = Record<string, string[]>;

/** Whether a row has a chosen value of every facet, `but` left out. */
export const fits = <T,>(row: T, facets: Facets<T>, chosen: Chosen, but?: string): boolean =>
  Object.entries(facets).every(([facet, of]) => facet === but || !chosen[facet]?.length || of(row).some((value) => chosen[facet]?.includes(value)));

/** The values of a facet with how many rows have each, within what the other facets leave. */
export function counts<T>(rows: T[], facets: Facets<T>, chosen: Chosen, facet: string): [string, number][] {
  const found = new Map<string, number>();
  for (const row of rows.filter((one) => fits(one, facets, chosen, facet))) for (const value of facets[facet]?.(row) ?? []) found.set(value, (found.get(value) ?? 0) + 1);
  return [...found].sort(([a], [b]) => a.localeCompare(b));
}

/** Rows as the facets leave them, and the facets to choose from. */
export function useFacets<T>(rows: T[], facets: Facets<T>): { shown: T[]; bar: ReactNode } {
  const [chosen, setChosen] = useState<Chosen>({});
  const bar = Object.keys(facets).map((facet) => (
    <details key={facet} className="quiet">
      <summary>{t(facet)}{chosen[facet]?.length ? ` (${chosen[facet].length})` : ''}</summary>
      <fieldset className="facet">
        <legend className="sr">{t(facet)}</legend>
        {counts(rows, facets, chosen, facet).map(([value, n]) => (
          <Checkbox
            key={value}
            size="sm"
            label={`${value} (${n})`}
            checked={chosen[facet]?.includes(value) ?? false}
            onChange={(event) => {
              const now = chosen[facet] ?? [];
              const checked = event.currentTarget.checked;
              setChosen({ ...chosen, [facet]: checked ? [...now, value] : now.filter((one) => one !== value) });
            }}
          />
        ))}
      </fieldset>
    </details>
  ));
  return { shown: rows.filter((row) => fits(row, facets, chosen)), bar };
}
