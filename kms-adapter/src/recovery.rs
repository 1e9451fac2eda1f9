//! The recovery key: backups are sealed to its public half; its secret half exists only as parts, of which so many are
//! needed together (Shamir 1979, over GF(256)).

use std::path::Path;

use blahaj::{Share, Sharks};
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, canonical};
use serde::{Deserialize, Serialize};
use signing::jose::EncKey;
use zeroize::Zeroizing;

/// One part of a recovery key, for one person to keep.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// `kms-recovery-part.v1`.
    pub schema: String,
    /// Thumbprint of the recovery key (RFC 7638).
    pub recovery_key: String,
    /// Parts that are needed together.
    pub needed: u8,
    /// The share.
    pub share: Bytes,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part(of {}, hidden)", self.recovery_key)
    }
}

const SCHEMA: &str = "kms-recovery-part.v1";

fn refused(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::RecoveryRefused, why)
}

/// Makes a recovery key and splits it. The key itself is forgotten.
pub fn make(needed: u8, parts: u8) -> R<(Jwk, Vec<Part>)> {
    if needed < 2 || parts < needed {
        return Err(refused("at least two parts are needed together, and not more than are made").at("needed"));
    }
    let seed = Zeroizing::new(signing::signer::random::<32>()?);
    let jwk = EncKey::from_seed(&seed)?.jwk().clone();
    let of = |share: Share| Part {
        schema: SCHEMA.into(),
        recovery_key: jwk.thumbprint(),
        needed,
        share: Bytes(Vec::from(&share)),
    };
    let dealt = Sharks(needed).dealer(seed.as_slice()).take(parts.into()).map(of).collect();
    Ok((jwk, dealt))
}

/// Puts parts together. Refused where they are too few, of two keys, or changed.
pub fn join(parts: &[Part]) -> R<EncKey> {
    let first = parts.first().ok_or_else(|| refused("no part was given"))?;
    if parts.iter().any(|p| p.schema != SCHEMA || p.recovery_key != first.recovery_key || p.needed != first.needed) {
        return Err(refused("the parts are not of one recovery key"));
    }
    let shares = parts.iter().map(|part| Share::try_from(part.share.0.as_slice()));
    let shares: Vec<Share> = shares.collect::<Result<_, _>>().map_err(|_| refused("a part does not read"))?;
    let too_few = |_| refused(format!("{} different parts are needed together", first.needed));
    let seed = Zeroizing::new(Sharks(first.needed).recover(&shares).map_err(too_few)?);
    let seed = <[u8; 32]>::try_from(seed.as_slice()).map_err(|_| refused("the parts do not fit together"))?;
    let key = EncKey::from_seed(&Zeroizing::new(seed))?;
    if key.jwk().thumbprint() != first.recovery_key {
        return Err(refused("the parts do not give the recovery key that they name: one was changed"));
    }
    Ok(key)
}

/// Reads a part's file.
pub fn read(path: &Path) -> R<Part> {
    let bytes = std::fs::read(path).map_err(|e| refused(format!("{}: {e}", path.display())))?;
    canonical::parse(&Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_three_of_five_parts_give_the_key_and_two_do_not() {
        let (jwk, parts) = make(3, 5).unwrap();
        for chosen in [[0, 1, 2], [4, 2, 0], [1, 3, 4]] {
            let chosen: Vec<Part> = chosen.iter().map(|n| parts[*n].clone()).collect();
            assert_eq!(*join(&chosen).unwrap().jwk(), jwk);
        }
        let twice = [parts[0].clone(), parts[1].clone(), parts[1].clone()];
        assert_eq!(join(&parts[..2]).unwrap_err().code, Code::RecoveryRefused);
        assert_eq!(join(&twice).unwrap_err().code, Code::RecoveryRefused, "one part twice");
        assert_eq!(join(&[]).unwrap_err().code, Code::RecoveryRefused);
        assert!(!format!("{:?}", parts[0]).contains(&hex(&parts[0].share.0)));
    }

    #[test]
    fn parts_that_were_changed_or_are_of_two_keys_are_refused() {
        let ((_, mut parts), (_, other)) = (make(2, 3).unwrap(), make(2, 3).unwrap());
        assert_eq!(join(&[parts[0].clone(), other[1].clone()]).unwrap_err().code, Code::RecoveryRefused);
        let mut fewer = parts.clone();
        fewer.iter_mut().for_each(|part| part.needed = 1);
        assert_eq!(join(&fewer[..1]).unwrap_err().code, Code::RecoveryRefused, "a part that asks for fewer");
        parts[1].share.0[5] ^= 1;
        assert_eq!(join(&parts[..2]).unwrap_err().code, Code::RecoveryRefused);
        for (needed, made) in [(1, 3), (0, 0), (4, 3)] {
            assert_eq!(make(needed, made).unwrap_err().code, Code::RecoveryRefused, "{needed} of {made}");
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
