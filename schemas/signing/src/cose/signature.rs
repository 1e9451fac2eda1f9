//! One COSE signature as it is kept: its protected headers byte for byte, who made it, and what it covers.

use ciborium::Value;
use schemas::envelope::{Form, PartySignature};
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal};

use super::header::{self, Header, bad};
use crate::cbor;
use crate::check::{self, Alg};

const BODY: [i64; 5] = [header::CRIT, header::CONTENT_TYPE, header::PARTICIPANTS, header::FEED, header::LEGACY_FEED];
const SIGNER: [i64; 6] =
    [header::ALG, header::CRIT, header::CONTENT_TYPE, header::KID, header::DID, header::LEGACY_DID];
const ALONE: [i64; 9] = [
    header::ALG,
    header::CRIT,
    header::CONTENT_TYPE,
    header::KID,
    header::DID,
    header::LEGACY_DID,
    header::PARTICIPANTS,
    header::FEED,
    header::LEGACY_FEED,
];

/// What the body of a message says about all of its signatures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BodyHeader {
    pub(super) content_type: String,
    pub(super) participants: Vec<Did>,
    pub(super) feed: Option<String>,
}

/// One signature of a COSE message, read but not verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CoseSignature {
    /// Who signed: the DID of label 494 (or 493), or of the kid.
    pub did: Did,
    /// Which key: the kid without DID and `#`. Ours are RFC 7638 thumbprints; DEPA tools write fingerprints.
    pub key: String,
    /// The algorithm.
    pub alg: Alg,
    /// The protected headers as a CBOR array of byte strings, as [`PartySignature::protected`] keeps them.
    pub protected: Bytes,
    /// The raw signature.
    pub sig: Bytes,
    body: BodyHeader,
    signed: Signed,
}

/// The parts of the Sig_structure (RFC 9052 4.4).
#[derive(Clone, PartialEq, Eq, Debug)]
enum Signed {
    Many { body: Vec<u8>, signer: Vec<u8> },
    Alone { protected: Vec<u8> },
}

impl CoseSignature {
    /// Reads the framed protected headers of a signature.
    pub(super) fn read(protected: &Bytes, sig: Bytes) -> R<CoseSignature> {
        let framed = cbor::read(&protected.0, 2 * super::MAX_HEADER + 16)?;
        let parts: Option<Vec<&Vec<u8>>> = framed.as_array().and_then(|a| a.iter().map(Value::as_bytes).collect());
        let (body, signer, signed) = match parts.as_deref() {
            Some([body, signer]) => {
                let signed = Signed::Many { body: body.to_vec(), signer: signer.to_vec() };
                (read_body(&Header::protected(body, &BODY)?, true)?, Header::protected(signer, &SIGNER)?, signed)
            }
            Some([one]) => {
                let head = Header::protected(one, &ALONE)?;
                (read_body(&head, false)?, head, Signed::Alone { protected: one.to_vec() })
            }
            _ => return Err(bad("one or two protected headers are expected")),
        };
        // Which label holds the content type of a signature is free, but it never says anything else than the body.
        if signer.text(header::CONTENT_TYPE)?.is_some_and(|t| t != body.content_type) {
            return Err(Refusal::new(Code::SignatureContext, "body and signature name different content types"));
        }
        let alg = signer.int(header::ALG)?.ok_or_else(|| bad("alg stands in the protected header"))?;
        let (did, key) = read_signer(&signer)?;
        if !body.participants.is_empty() && !body.participants.contains(&did) {
            return Err(Refusal::new(
                Code::SignerNotParty,
                format!("{did} is not among the participants of label 491"),
            ));
        }
        Ok(CoseSignature { did, key, alg: Alg::of_cose(alg)?, protected: protected.clone(), sig, body, signed })
    }

    /// What the body says.
    pub(super) fn body(&self) -> &BodyHeader {
        &self.body
    }

    /// The bytes of the protected headers: body and signer, or the one.
    pub(super) fn headers(&self) -> (Option<&[u8]>, &[u8]) {
        match &self.signed {
            Signed::Many { body, signer } => (Some(body), signer),
            Signed::Alone { protected } => (None, protected),
        }
    }

    /// The signature as an envelope keeps it; the kid must name a key by its RFC 7638 thumbprint.
    pub fn party(&self) -> R<PartySignature> {
        let kid = KeyId::parse(&format!("{}#{}", self.did, self.key));
        let kid = kid.map_err(|_| bad("kid is not <did>#<RFC 7638 thumbprint> or #<thumbprint> beside the DID"))?;
        Ok(PartySignature { form: Form::Cose, protected: self.protected.clone(), kid, sig: self.sig.clone() })
    }

    /// Verifies the signature over a payload with this key.
    pub fn verify(&self, payload: &[u8], jwk: &Jwk) -> R<()> {
        check::verify(jwk, self.alg, &to_be_signed(self.headers(), payload)?, &self.sig.0)
    }
}

/// The Sig_structure over body and signer headers, or over the one of a COSE_Sign1; there is no external data.
pub(crate) fn to_be_signed((body, signer): (Option<&[u8]>, &[u8]), payload: &[u8]) -> R<Vec<u8>> {
    let bytes = |b: &[u8]| Value::Bytes(b.to_vec());
    let mut parts = match body {
        Some(body) => vec![Value::Text("Signature".into()), bytes(body)],
        None => vec![Value::Text("Signature1".into())],
    };
    parts.extend([bytes(signer), bytes(&[]), bytes(payload)]);
    cbor::write(&Value::Array(parts))
}

/// The frame in which the protected headers of a signature are kept.
pub(super) fn frame(headers: &[&[u8]]) -> R<Bytes> {
    cbor::write(&Value::Array(headers.iter().map(|h| Value::Bytes(h.to_vec())).collect())).map(Bytes)
}

fn read_body(header: &Header, many: bool) -> R<BodyHeader> {
    let content_type = header.text(header::CONTENT_TYPE)?;
    let content_type = content_type
        .ok_or_else(|| Refusal::new(Code::SignatureContext, "the content type (label 3) must be protected"))?;
    let feed = header.either(header::FEED, header::LEGACY_FEED)?.map(header::text).transpose()?;
    let participants = match header.get(header::PARTICIPANTS) {
        Some(value) => header::list(value, schemas::envelope::MAX_SIGNATURES)?
            .iter()
            .map(|p| Did::parse(&header::text(p)?))
            .collect::<R<Vec<Did>>>()?,
        None => Vec::new(),
    };
    if many && (participants.is_empty() || feed.is_none()) {
        return Err(bad("participants (491) and feed (492) stand in the protected header of a contract"));
    }
    Ok(BodyHeader { content_type, participants, feed })
}

/// Who signed, from the labels 494 or 493 and the kid: `<did>#<key>`, `#<key>` or `<key>`; the DID must stand in one of
/// them, and where it stands in both it is the same.
fn read_signer(header: &Header) -> R<(Did, String)> {
    let named = header.either(header::DID, header::LEGACY_DID)?;
    let named = named.map(|v| Did::parse(&header::text(v)?)).transpose()?;
    let kid = header.bytes(header::KID)?.ok_or_else(|| bad("kid stands in the protected header"))?;
    crate::cose::signer_of(named, kid)
}
