/** Who has signed, each with what the page found of the signature. */
import { useQuery } from '@tanstack/react-query';
import type { Contract } from '../api/documents';
import { contractEvents } from '../api/queries';
import { t } from '../i18n';
import type { PartySignature } from '../keys/document';
import { role } from './contract-text';
import { signers as tellers, stopping, type Told } from './told';
import { holderOf, type Verdict } from './verdicts';
import { Id, Name, State } from './words';

const WORDS: Record<Verdict, [string, string]> = {
  right: ['good', 'verified in your browser'],
  wrong: ['bad', 'this signature is wrong'],
  keyless: ['wait', 'by no key that counts now'],
  unjudged: ['', 'not judged by this page'],
};

/** `declined`: whether somebody declined this version; the log says who. */
export function Signatures({ of: { contract_id: id, parties }, signatures, verdicts, declined }: { of: Contract; signatures: PartySignature[]; verdicts: Verdict[] | undefined; declined: boolean }) {
  const { data } = useQuery({ ...contractEvents(id), enabled: declined });
  const event = declined ? stopping(data?.events ?? [], 'declined') : undefined;
  const decliners = event ? tellers(event.body as Told) : [];
  // Who signed and is no party countersigned, for the SRO.
  const others = signatures.map(holderOf).filter((did) => parties.every((party) => party.did !== did));
  const signers = [...parties.map((party) => ({ did: party.did, as: role(party.role) })), ...[...new Set(others)].map((did) => ({ did, as: t('countersigned for the SRO') }))];
  return (
    <ul className="list">
      {signers.map(({ did, as }) => {
        const own = signatures.flatMap((signature, at) => (holderOf(signature) === did ? [{ signature, verdict: verdicts?.[at] ?? 'unjudged' }] : []));
        // Of several, a wrong one is told.
        const told = own.find(({ verdict }) => verdict === 'wrong') ?? own[0];
        const [tone, words] = WORDS[told?.verdict ?? 'unjudged'];
        return (
          <li key={did} className="item">
            <div>
              <strong><Name did={did} /></strong>
              <p className="small">{as}{told && <> · <Id value={told.signature.kid} short /></>}</p>
            </div>
            {told ? <span className={`pill ${tone}`}>{verdicts === undefined ? t('being checked') : t(words)}</span> : decliners.includes(did) ? <State word="declined" /> : <span className="pill wait">{t('has not signed')}</span>}
          </li>
        );
      })}
    </ul>
  );
}
