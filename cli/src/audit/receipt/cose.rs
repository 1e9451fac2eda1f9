//! COSE receipts (RFC 9942): alone beside what they are about, or inside a transparent statement.

use schemas::log::Record;
use schemas::{Code, Digest, R, Refusal, canonical};
use signing::Trust;
use signing::scitt::{self, Statement, ccf, receipt};

use super::{Proved, With};

/// Verifies a transparent statement by the first of its receipts that can be checked, or a receipt beside what it is about.
/// A receipt names a root that the registry signed; it carries no cosignatures, so no policy can be asked of it.
pub(super) fn verify(bytes: &[u8], with: &With, trust: &Trust) -> R<Proved> {
    if with.policy.is_some() {
        let sentence = "a COSE receipt carries no cosignatures; ask a policy of the tlog-proof or the JSON receipt";
        return Err(Refusal::new(Code::CosignaturesMissing, sentence));
    }
    if let Ok(statement) = scitt::read(bytes) {
        return transparent(&statement, with, trust);
    }
    match with.about.as_deref() {
        Some(about @ [b'{', ..]) => record(bytes, about, with, trust),
        Some(about) => claims(bytes, &scitt::read(about)?.digest(), with),
        None => {
            let sentence = "pass with --about the file that the receipt is about: the entry's public record (JSON), or the \
                            signed statement";
            Err(Refusal::new(Code::ReceiptMismatch, sentence))
        }
    }
}

fn transparent(statement: &Statement, with: &With, trust: &Trust) -> R<Proved> {
    let mut last = Refusal::new(Code::ReceiptMismatch, "the statement carries no receipt");
    for bytes in &statement.receipts {
        let read = match &with.about {
            Some(about) => record(bytes, about, with, trust).or_else(|_| claims(bytes, &statement.digest(), with)),
            None => claims(bytes, &statement.digest(), with),
        };
        match read {
            Ok(proved) => return Ok(proved),
            Err(refusal) => last = refusal,
        }
    }
    Err(last)
}

/// A receipt over the main tree, or over the second one, of the entry with this public record.
fn record(bytes: &[u8], about: &[u8], with: &With, trust: &Trust) -> R<Proved> {
    let record: Record = canonical::parse_canonical(about)?;
    let (kind, at) = (record.kind, Some(record.at));
    match receipt::verify(bytes, about, trust) {
        Ok(log) => {
            let index = receipt::index(bytes)?;
            Ok(Proved { kind, index, at, log: Some(log), cosigned: vec![] })
        }
        Err(refusal) if with.receipt_key.is_none() => {
            let hint = "; a receipt over the second tree needs --receipt-key";
            Err(Refusal::new(refusal.code, format!("{}{hint}", refusal.sentence)))
        }
        Err(_) => Ok(Proved { kind, at, ..claims(bytes, &record.body_sha256, with)? }),
    }
}

/// A receipt over the second tree of what has this claims digest.
fn claims(bytes: &[u8], claims: &Digest, with: &With) -> R<Proved> {
    let needed = || {
        let sentence =
            "a receipt over the second tree needs the registry's ES256 key: --receipt-key FILE, a JWK of its /jwks";
        Refusal::new(Code::SignerUnknown, sentence)
    };
    let (leaf, _) = ccf::verify(bytes, claims, with.receipt_key.as_ref().ok_or_else(needed)?)?;
    let number = leaf.evidence.strip_prefix("ce:1.").and_then(|rest| rest.split(':').next()?.parse().ok());
    let index = number.ok_or_else(|| Refusal::new(Code::ReceiptMismatch, "the receipt names no entry"))?;
    Ok(Proved { kind: "statement".into(), index, at: None, log: None, cosigned: vec![] })
}
