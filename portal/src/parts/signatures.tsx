/** Who has signed, each signature checked in the page. */
import { useQueries } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { keysOf } from '../api/queries';
import type { Contract } from '../api/documents';
import { t } from '../i18n';
import { keyOfDid, thumbprint } from '../keys/did';
import { type Own, type PartySignature, verified } from '../keys/document';
import { role } from './contract-text';
import { Id, Name } from './words';

type Verdict = 'right' | 'wrong' | 'unjudged';
const WORDS: Record<Verdict, [string, string]> = {
  right: ['good', 'verified in your browser'],
  wrong: ['bad', 'this signature is wrong'],
  unjudged: ['', 'not judged by this page'],
};

/** Keys as the register lists them, by their holder. */
export type Listed = Record<string, { thumbprint: string; state: string; jwk: unknown }[]>;

/**
 * The key behind a kid: an active one of its own holder's at the register; where the register lists none of that
 * fingerprint for the holder, the one that a did:key encodes.
 */
export async function keyFor(kid: string, listed: Listed): Promise<string | undefined> {
  const [holder = '', print] = kid.split('#');
  const known = listed[holder]?.find((key) => key.thumbprint === print);
  const encoded = known === undefined ? keyOfDid(holder) : undefined;
  if (encoded && (await thumbprint(encoded)) === print) return encoded.x;
  if (known?.state !== 'active') return undefined;
  const found = known.jwk as { crv?: string; x?: string };
  if (found.crv !== 'Ed25519' || found.x === undefined) return undefined;
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: found.x } as const;
  return (await thumbprint(jwk)) === print ? found.x : undefined;
}

export function Signatures({ document, signatures }: { document: Own<Contract>; signatures: PartySignature[] }) {
  const parties = document.value.parties;
  // Who signed and is no party countersigned, for the SRO.
  const others = signatures.map(({ kid }) => kid.split('#')[0] ?? '').filter((did) => parties.every((party) => party.did !== did));
  const signers = [...parties.map((party) => ({ did: party.did, as: role(party.role) })), ...[...new Set(others)].map((did) => ({ did, as: t('countersigned for the SRO') }))];
  const keys = useQueries({ queries: signers.map(({ did }) => keysOf(did)) });
  const [verdicts, setVerdicts] = useState<Record<string, Verdict>>({});
  const ready = keys.every((query) => !query.isPending);
  const listed = JSON.stringify(Object.fromEntries(signers.map(({ did }, at) => [did, keys[at]?.data?.keys ?? []])));
  useEffect(() => {
    if (!ready) return undefined;
    let gone = false;
    const all = JSON.parse(listed) as Listed;
    const judge = async (signature: PartySignature): Promise<[string, Verdict]> => {
      const about = { bytes: document.bytes, schema: document.value.schema };
      const right = await verified(about, signature, await keyFor(signature.kid, all)).catch(() => false);
      return [signature.kid, right === undefined ? 'unjudged' : right ? 'right' : 'wrong'];
    };
    void Promise.all(signatures.map(judge)).then((judged) => {
      if (!gone) setVerdicts(Object.fromEntries(judged));
    });
    return () => {
      gone = true;
    };
  }, [document, signatures, listed, ready]);
  return (
    <ul className="list">
      {signers.map(({ did, as }) => {
        const signature = signatures.find((one) => one.kid.startsWith(`${did}#`));
        const [tone, words] = WORDS[(signature && verdicts[signature.kid]) ?? 'unjudged'];
        return (
          <li key={did} className="item">
            <div>
              <strong><Name did={did} /></strong>
              <p className="small">{as}{signature && <> · <Id value={signature.kid} short /></>}</p>
            </div>
            {signature ? <span className={`pill ${tone}`}>{t(words)}</span> : <span className="pill wait">{t('has not signed')}</span>}
          </li>
        );
      })}
    </ul>
  );
}
