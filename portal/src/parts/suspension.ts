/** Who suspended a dataset version, and who ends that. */
import type { Schemas } from '../api/client';
import { t } from '../i18n';

/** By the word of the service. */
export const SUSPENDED_BY: Record<string, string> = {
  provider: 'Paused by its provider',
  sro: 'Suspended by the SRO',
  service: 'Suspended since a key that signed for it is reported compromised',
};
const ENDERS: Record<string, string> = {
  provider: 'Its provider paused it and resumes it.',
  sro: 'What the SRO suspended, the SRO resumes.',
  service: 'A key that signed for it is reported compromised: the SRO looks at it and resumes it.',
};

/** Who ends a suspension, in a sentence; nothing where it is not told. */
export const ender = ({ suspended_by: by }: Pick<Schemas['DatasetView'], 'suspended_by'>): string => (by == null || ENDERS[by] === undefined ? '' : t(ENDERS[by]));
