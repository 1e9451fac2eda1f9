//! SCITT (RFC 9943): signed statements, read strictly and verified, and the receipts that go into them.
//!
//! A statement is a COSE_Sign1 with issuer and subject in its CWT claims (label 15; 391 and 392 of older tools are read),
//! a kid, and a payload or its hash (labels 258 to 260). What enters the log is the statement with an empty unprotected
//! header, byte for byte; [`receipt`] and [`ccf`] hold the two forms of receipt of RFC 9942.

pub mod ccf;
pub mod receipt;

use ciborium::Value;
use schemas::envelope::Usage;
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::{Code, Digest, KeyBook, R, Refusal};

use crate::cbor;
use crate::check::{self, Alg};
use crate::cose::header::{self, Header, bad};

/// The largest statement that enters the log, without its receipts.
pub const MAX_STATEMENT: usize = 60 * 1024;
/// The largest statement that is read, receipts included.
const MAX_READ: usize = 1024 * 1024;
/// `typ` (RFC 9596).
const TYP: i64 = 16;

const PROTECTED: [i64; 12] = [
    header::ALG,
    header::CRIT,
    header::CONTENT_TYPE,
    header::KID,
    header::CWT_CLAIMS,
    TYP,
    header::HASH_ALG,
    header::PREIMAGE_TYPE,
    header::PREIMAGE_LOCATION,
    header::LEGACY_ISSUER,
    header::LEGACY_FEED,
    header::LEGACY_REGISTRATION_INFO,
];

/// A payload that is the hash of something else (labels 258 to 260).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HashEnvelope {
    /// COSE number of the hash: -16, -43 or -44 (SHA-256, -384, -512).
    pub alg: i64,
    /// Type of what was hashed.
    pub preimage_type: Option<String>,
    /// Where it lies.
    pub location: Option<String>,
}

/// A signed statement, read; its signature is not verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// Who issued it.
    pub issuer: Did,
    /// What it is about.
    pub subject: String,
    /// Which key: the kid without DID and `#`.
    pub key: String,
    /// The algorithm.
    pub alg: Alg,
    /// Type of the payload.
    pub content_type: Option<String>,
    /// The payload.
    pub payload: Vec<u8>,
    /// Present where the payload is a hash.
    pub hash: Option<HashEnvelope>,
    /// The statement with an empty unprotected header: what enters the log.
    pub stripped: Vec<u8>,
    /// Receipts of label 394.
    pub receipts: Vec<Vec<u8>>,
    protected: Vec<u8>,
    sig: Vec<u8>,
}

/// Reads a signed or transparent statement. `COSE_FORM` for what is not in the profile, `BODY_TOO_LARGE` above
/// [`MAX_STATEMENT`].
pub fn read(bytes: &[u8]) -> R<Statement> {
    let Parts { protected, open, payload, sig } = parts(bytes)?;
    let stripped = join(&protected, Value::Map(Vec::new()), &payload, &sig)?;
    if stripped.len() > MAX_STATEMENT {
        let why = "a statement has at most 60 KiB; send the hash of the payload instead (labels 258 to 260)";
        return Err(Refusal::new(Code::BodyTooLarge, why));
    }
    let open = Header::of(open, &[header::RECEIPTS])?;
    let receipts = header::receipts(open.get(header::RECEIPTS))?;
    let head = Header::protected(&protected, &PROTECTED)?;
    let (issuer, subject) = claims(&head)?;
    let kid = head.bytes(header::KID)?.ok_or_else(|| bad("kid stands in the protected header"))?;
    let (issuer, key) = crate::cose::signer_of(Some(issuer), kid)?;
    let alg = head.int(header::ALG)?.ok_or_else(|| bad("alg stands in the protected header"))?;
    Ok(Statement {
        issuer,
        subject,
        key,
        alg: Alg::of_cose(alg)?,
        content_type: media_type(&head, header::CONTENT_TYPE)?,
        hash: hash_envelope(&head, &payload)?,
        stripped,
        receipts,
        payload,
        protected,
        sig,
    })
}

impl Statement {
    /// Verifies the signature with this key.
    pub fn verify_with(&self, jwk: &Jwk) -> R<()> {
        check::verify(jwk, self.alg, &signed1(&self.protected, &self.payload)?, &self.sig)
    }

    /// SHA-256 of the stripped statement: its claims digest in receipts of the CCF shape.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.stripped)
    }
}

/// Verifies a statement with the issuer's document key that the kid names by its RFC 7638 thumbprint.
pub fn verify(statement: &Statement, book: &dyn KeyBook) -> R<KeyId> {
    let kid = KeyId::new(&statement.issuer, &statement.key);
    statement.verify_with(&crate::document::key_of(book, &kid, Usage::Party)?)?;
    Ok(kid)
}

/// The statement with an empty unprotected header; the same bytes whatever receipts it carried.
pub fn strip_unprotected(bytes: &[u8]) -> R<Vec<u8>> {
    let Parts { protected, payload, sig, .. } = parts(bytes)?;
    join(&protected, Value::Map(Vec::new()), &payload, &sig)
}

/// A transparent statement: the statement with exactly these receipts under label 394.
pub fn with_receipts(bytes: &[u8], receipts: &[Vec<u8>]) -> R<Vec<u8>> {
    let Parts { protected, payload, sig, .. } = parts(bytes)?;
    join(&protected, crate::cose::unprotected(header::RECEIPTS, receipts), &payload, &sig)
}

/// The Sig_structure of a COSE_Sign1 without external data.
pub(crate) fn signed1(protected: &[u8], payload: &[u8]) -> R<Vec<u8>> {
    crate::cose::to_be_signed((None, protected), payload)
}

/// A COSE_Sign1 taken apart.
struct Parts {
    protected: Vec<u8>,
    open: Value,
    payload: Vec<u8>,
    sig: Vec<u8>,
}

fn parts(bytes: &[u8]) -> R<Parts> {
    let Value::Tag(crate::cose::SIGN1, inner) = cbor::read(bytes, MAX_READ)? else {
        return Err(bad("a statement is a COSE_Sign1 (tag 18)"));
    };
    let Value::Array(parts) = *inner else {
        return Err(bad("a message is an array"));
    };
    let parts: [Value; 4] = parts.try_into().map_err(|_| bad("four parts are expected"))?;
    match parts {
        [Value::Bytes(protected), open @ Value::Map(_), Value::Bytes(payload), Value::Bytes(sig)] => {
            Ok(Parts { protected, open, payload, sig })
        }
        _ => Err(bad("protected header, unprotected header, payload inside, signature are expected")),
    }
}

fn join(protected: &[u8], open: Value, payload: &[u8], sig: &[u8]) -> R<Vec<u8>> {
    let bytes = |b: &[u8]| Value::Bytes(b.to_vec());
    let parts = vec![bytes(protected), open, bytes(payload), bytes(sig)];
    cbor::write(&Value::Tag(crate::cose::SIGN1, Box::new(Value::Array(parts))))
}

/// Issuer and subject: CWT claims 1 and 2, or labels 391 and 392 where there are no CWT claims.
fn claims(head: &Header) -> R<(Did, String)> {
    let legacy = head.get(header::LEGACY_ISSUER).is_some() || head.get(header::LEGACY_FEED).is_some();
    let (issuer, subject) = match head.get(header::CWT_CLAIMS) {
        Some(_) if legacy => return Err(bad("CWT claims (15) and labels 391 or 392 both stand: ambiguous")),
        Some(Value::Map(claims)) => {
            let claim = |n: i64| claims.iter().find(|(k, _)| *k == Value::from(n)).map(|(_, v)| header::text(v));
            (claim(1).transpose()?, claim(2).transpose()?)
        }
        Some(_) => return Err(bad("CWT claims are a map")),
        None => (head.text(header::LEGACY_ISSUER)?, head.text(header::LEGACY_FEED)?),
    };
    let issuer = issuer.ok_or_else(|| bad("the issuer stands in the CWT claims"))?;
    let subject = subject.ok_or_else(|| bad("the subject stands in the CWT claims"))?;
    Ok((Did::parse(&issuer)?, subject))
}

/// A content type: text, or the number of a CoAP content format.
fn media_type(head: &Header, label: i64) -> R<Option<String>> {
    match head.get(label) {
        Some(Value::Integer(n)) => Ok(Some(i128::from(*n).to_string())),
        _ => head.text(label),
    }
}

fn hash_envelope(head: &Header, payload: &[u8]) -> R<Option<HashEnvelope>> {
    let preimage_type = media_type(head, header::PREIMAGE_TYPE)?;
    let location = head.text(header::PREIMAGE_LOCATION)?;
    let Some(alg) = head.int(header::HASH_ALG)? else {
        return if preimage_type.is_none() && location.is_none() {
            Ok(None)
        } else {
            Err(bad("labels 259 and 260 stand beside 258 only"))
        };
    };
    let size = match alg {
        -16 => 32,
        -43 => 48,
        -44 => 64,
        _ => return Err(Refusal::new(Code::AlgorithmRefused, format!("hash algorithm {alg} is not taken"))),
    };
    if payload.len() != size || head.get(header::CONTENT_TYPE).is_some() {
        return Err(bad("a hash envelope carries the hash as payload and no content type"));
    }
    Ok(Some(HashEnvelope { alg, preimage_type, location }))
}
