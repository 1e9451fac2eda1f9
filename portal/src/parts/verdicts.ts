/** What this page itself finds of the signatures on a contract, and whether it offers the contract for signing. */
import { useQueries } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { Contract } from '../api/documents';
import { keysOf } from '../api/queries';
import { keyOfDid, thumbprint } from '../keys/did';
import { type Own, type PartySignature, verified } from '../keys/document';

/** `keyless`: the register lists no key for it that counts; `unjudged`: of a kind of key that the page cannot judge. */
export type Verdict = 'right' | 'wrong' | 'keyless' | 'unjudged';

/** Keys as the register lists them, by their holder. */
export type Listed = Record<string, { thumbprint: string; state: string; jwk: unknown }[]>;

export const holderOf = ({ kid }: Pick<PartySignature, 'kid'>): string => kid.split('#')[0] ?? '';

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

/** Whether the register lists an active key of another kind than Ed25519 under this kid, by the key's own fingerprint. */
async function foreign(kid: string, listed: Listed): Promise<boolean> {
  const [holder = '', print] = kid.split('#');
  const known = listed[holder]?.find((key) => key.thumbprint === print);
  const jwk = known?.jwk as { kty?: string; crv?: string } | undefined;
  if (known?.state !== 'active' || jwk?.kty === undefined || jwk.crv === 'Ed25519') return false;
  return (await thumbprint({ ...jwk, kty: jwk.kty })) === print;
}

/** What is found of one signature of a document. */
export async function judged(document: Own<{ schema: string }>, signature: PartySignature, listed: Listed): Promise<Verdict> {
  const x = await keyFor(signature.kid, listed).catch(() => undefined);
  if (x === undefined) return (await foreign(signature.kid, listed).catch(() => false)) ? 'unjudged' : 'keyless';
  const about = { bytes: document.bytes, schema: document.value.schema };
  return (await verified(about, signature, x).catch(() => false)) ? 'right' : 'wrong';
}

/** Why a contract is not offered for signing: `wrong`, a signature is; `unproposed`, no signature of its proposer is there that is right. */
export type Doubt = 'wrong' | 'unproposed';

/**
 * What stands against signing. The first signature is the proposer's, who is a party: without it nobody is bound by the
 * bytes that are shown, and a service that changes them can write their digest anew.
 */
export function doubted(parties: readonly { did: string }[], signatures: readonly PartySignature[], verdicts: readonly Verdict[]): Doubt | undefined {
  if (verdicts.includes('wrong')) return 'wrong';
  const [first] = signatures;
  const party = first !== undefined && parties.some(({ did }) => did === holderOf(first));
  return party && (verdicts[0] === 'right' || verdicts[0] === 'unjudged') ? undefined : 'unproposed';
}

/** The verdict of each signature, in their order; undefined until all are judged. */
export function useVerdicts(document: Own<Contract> | undefined, signatures: PartySignature[]): Verdict[] | undefined {
  const signers = [...new Set(signatures.map(holderOf))];
  const keys = useQueries({ queries: signers.map((did) => keysOf(did)) });
  const [found, setFound] = useState<{ of: Own<Contract>; all: Verdict[] }>();
  const ready = keys.every((query) => !query.isPending);
  const listed = JSON.stringify(Object.fromEntries(signers.map((did, at) => [did, keys[at]?.data?.keys ?? []])));
  useEffect(() => {
    if (!ready || document === undefined) return undefined;
    let gone = false;
    const known = JSON.parse(listed) as Listed;
    void Promise.all(signatures.map((one) => judged(document, one, known))).then((all) => !gone && setFound({ of: document, all }));
    return () => {
      gone = true;
    };
  }, [document, signatures, listed, ready]);
  // A verdict is of the very bytes that are shown, and of every signature there is.
  return found !== undefined && found.of === document && found.all.length === signatures.length ? found.all : undefined;
}
