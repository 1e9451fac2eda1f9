//! Stock confidential-container guests: what they bind into their evidence, and the form in which it comes.
//!
//! Source: the KBS attestation protocol 0.4.0 of Confidential Containers, and the evidence of its attester `az-snp-vtpm`
//! (version 2). The evidence is the house's own in other clothes, so [`appraise`](crate::appraise()) judges it like any
//! other; only what it must say comes from [`Expected::from_guest`](crate::Expected::from_guest).

use openssl::hash::{MessageDigest, hash};
use schemas::evidence::{Evidence, EvidenceKind, Quote};
use schemas::problem::{Code, R, Refusal};
use schemas::text::Bytes;
use schemas::{Digest, canonical};
use serde_json::{Map, Value, json};

/// What a guest says: its SHA-384 is bound into the evidence like a room's transcript.
#[derive(Clone, PartialEq, Debug)]
pub struct GuestTranscript {
    /// The key to which keys are wrapped, as it was sent.
    pub tee_pubkey: Value,
    /// The challenge's nonce as it was told: base64 of 32 bytes.
    pub nonce: String,
    /// Evidence of further devices, as text.
    pub additional_evidence: String,
}

impl GuestTranscript {
    /// JCS of `{"tee-pubkey", "nonce", "additional-evidence"}`.
    pub fn to_bytes(&self) -> R<Vec<u8>> {
        canonical::to_bytes(&json!({
            "tee-pubkey": self.tee_pubkey, "nonce": self.nonce, "additional-evidence": self.additional_evidence,
        }))
    }

    /// SHA-384 of these bytes: the quote's nonce and the first 48 bytes of the user data.
    pub fn binding(&self) -> R<[u8; 48]> {
        let internal = || Refusal::new(Code::Internal, "SHA-384 is not available");
        let digest = hash(MessageDigest::sha384(), &self.to_bytes()?).map_err(|_| internal())?;
        digest.as_ref().try_into().map_err(|_| internal())
    }

    /// The nonce's bytes; empty where it is no base64.
    pub(crate) fn nonce_bytes(&self) -> Vec<u8> {
        openssl::base64::decode_block(&self.nonce).unwrap_or_default()
    }
}

/// PCR 8 of a guest: this init-data extended once into it, or nothing at all.
pub fn init_data_pcr(init_data: Option<&Digest>) -> Digest {
    init_data.map_or(Digest([0; 32]), crate::job_pcr)
}

fn form(why: &str) -> Refusal {
    Refusal::new(Code::EvidenceForm, format!("guest evidence: {why}")).at("tee-evidence.primary_evidence")
}

/// Reads evidence as attesters of kind `az-snp-vtpm` write it: `{version: 2, tpm_quote: {signature, message, pcrs},
/// hcl_report, vcek}`, the quote in hexadecimal, the rest in base64url. AMD's own certificates are added to the VCEK.
///
/// Software evidence comes in the same form and brings the certificates above its VCEK along, as `chain`.
pub fn read(kind: EvidenceKind, primary: &Value) -> R<Evidence> {
    let software = kind == EvidenceKind::Software;
    let names: &[&str] = if software {
        &["version", "tpm_quote", "hcl_report", "vcek", "chain"]
    } else {
        &["version", "tpm_quote", "hcl_report", "vcek"]
    };
    let members = exactly(primary, names)?;
    if members.get("version").and_then(Value::as_u64) != Some(2) {
        return Err(form("version 2 is expected"));
    }
    let quote = exactly(members.get("tpm_quote").unwrap_or(&Value::Null), &["signature", "message", "pcrs"])?;
    let pcrs = quote.get("pcrs").and_then(Value::as_array).ok_or_else(|| form("a list of PCRs is expected"))?;
    if pcrs.len() > 24 {
        return Err(form("more than 24 PCRs"));
    }
    let vcek = base64url(members.get("vcek"))?;
    let certificates = if software {
        let chain = members.get("chain").and_then(Value::as_array).filter(|c| c.len() == 2);
        let above = chain.ok_or_else(|| form("two certificates are expected"))?.iter();
        [Ok(vcek)].into_iter().chain(above.map(|c| base64url(Some(c)))).collect::<R<Vec<Bytes>>>()?
    } else {
        crate::chain_of(&vcek.0)?
    };
    Ok(Evidence {
        kind,
        report: base64url(members.get("hcl_report"))?,
        quote: Some(Quote {
            message: hexadecimal(quote.get("message"))?,
            signature: hexadecimal(quote.get("signature"))?,
            pcrs: pcrs.iter().map(|pcr| hexadecimal(Some(pcr))).collect::<R<_>>()?,
        }),
        certificates,
        ak_certificate: None,
    })
}

fn exactly<'a>(value: &'a Value, names: &[&str]) -> R<&'a Map<String, Value>> {
    let members = value.as_object().ok_or_else(|| form("an object is expected"))?;
    if members.len() == names.len() && names.iter().all(|name| members.contains_key(*name)) {
        return Ok(members);
    }
    Err(form("a member is missing or unknown"))
}

/// Guests write the padding, and some readers of theirs do not ask for it.
fn base64url(value: Option<&Value>) -> R<Bytes> {
    let text = value.and_then(Value::as_str).ok_or_else(|| form("text is expected"))?;
    Bytes::parse(text.trim_end_matches('=')).map_err(|_| form("base64url is expected"))
}

fn hexadecimal(value: Option<&Value>) -> R<Bytes> {
    let text = value.and_then(Value::as_str).ok_or_else(|| form("text is expected"))?;
    hex::decode(text).map(Bytes).map_err(|_| form("hexadecimal is expected"))
}

/// Evidence of a vTPM as such attesters write it.
#[cfg(feature = "software-attester")]
pub fn write(evidence: &Evidence) -> Value {
    let hexadecimal = |bytes: &Bytes| hex::encode(&bytes.0);
    let quote = evidence.quote.as_ref();
    let mut written = json!({
        "version": 2,
        "tpm_quote": {
            "signature": quote.map(|q| hexadecimal(&q.signature)),
            "message": quote.map(|q| hexadecimal(&q.message)),
            "pcrs": quote.map(|q| q.pcrs.iter().map(hexadecimal).collect::<Vec<_>>()),
        },
        "hcl_report": evidence.report.text(),
        "vcek": evidence.certificates.first().map(Bytes::text),
    });
    if let (EvidenceKind::Software, Some(members)) = (evidence.kind, written.as_object_mut()) {
        let above: Vec<String> = evidence.certificates.iter().skip(1).map(Bytes::text).collect();
        members.insert("chain".into(), json!(above));
    }
    written
}

#[cfg(all(test, feature = "software-attester"))]
mod tests {
    use schemas::Timestamp;
    use schemas::evidence::ImageSet;
    use schemas::id::ImageSetId;

    use super::*;
    use crate::software::{SoftwareAttester, SoftwareRoot, id_key_digest, image_set_pcrs, launch_measurement};
    use crate::{Expected, Level, PlatformPolicy, Profile, appraise};

    fn said() -> GuestTranscript {
        GuestTranscript {
            tee_pubkey: json!({"kty": "EC", "alg": "ECDH-ES+A256KW", "crv": "P-256", "x": "AQ", "y": "Ag"}),
            nonce: openssl::base64::encode_block(&[5; 32]),
            additional_evidence: "{}".into(),
        }
    }

    /// RFC 8785 sorts the members by name, whatever order they came in.
    #[test]
    fn what_is_bound_is_the_canonical_text_of_three_members() {
        let text = concat!(
            r#"{"additional-evidence":"{}","nonce":"BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=","#,
            r#""tee-pubkey":{"alg":"ECDH-ES+A256KW","crv":"P-256","kty":"EC","x":"AQ","y":"Ag"}}"#
        );
        assert_eq!(String::from_utf8(said().to_bytes().unwrap()).unwrap(), text);
        let sha384 = hash(MessageDigest::sha384(), text.as_bytes()).unwrap();
        assert_eq!(said().binding().unwrap().as_slice(), sha384.as_ref());
        assert_eq!(said().nonce_bytes(), [5; 32]);
    }

    #[test]
    fn evidence_of_a_guest_is_judged_like_a_rooms_and_binds_init_data() {
        let now = Timestamp::parse("2026-12-01T00:00:00Z").unwrap();
        let root = SoftwareRoot::create_with(2048, now).unwrap();
        let code = Digest::of(b"image");
        let attester = SoftwareAttester::new(root.clone(), code).unwrap();
        let set = ImageSet {
            schema: "image-set.v1".into(),
            registry: schemas::id::Did::parse("did:web:sro.example").unwrap(),
            image_set_id: ImageSetId::parse("img_01900000-0000-7000-8000-000000000001").unwrap(),
            name: "guest".into(),
            profile: EvidenceKind::Software,
            pcrs: image_set_pcrs(&code),
            measurements: vec![launch_measurement()],
            id_key_digests: vec![id_key_digest()],
            host_data: None,
            valid_from: now,
            valid_to: now.plus_seconds(60),
        };
        let policy = |profile| PlatformPolicy::new(profile, Level::named("baseline").unwrap(), vec![root.pin()]);
        let init_data = Digest::of(b"version = 1");
        let judged = |shown: Option<&Digest>, expected: Option<&Digest>, said: &GuestTranscript| {
            let evidence = attester.show(&super::tests::said().binding().unwrap(), init_data_pcr(shown)).unwrap();
            // Over the wire and back nothing is lost.
            let read = read(EvidenceKind::Software, &write(&evidence)).unwrap();
            assert_eq!(read, evidence);
            let expected = Expected::from_guest(said, expected, &set).unwrap();
            let expected = expected.of_challenge(&Bytes(vec![5; 32]), now.plus_seconds(60));
            let appraisal = appraise(&read, &expected, &policy(Profile::Demo), now);
            appraisal.failed().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(judged(None, None, &said()), Vec::<String>::new());
        assert_eq!(judged(Some(&init_data), Some(&init_data), &said()), Vec::<String>::new());
        assert_eq!(judged(Some(&init_data), None, &said()), ["job_pcr"]);
        assert_eq!(judged(None, Some(&init_data), &said()), ["job_pcr"]);
        let mut other = said();
        other.tee_pubkey["x"] = json!("AA");
        assert_eq!(judged(None, None, &other), ["user_data", "quote_nonce"]);
        let mut later = said();
        later.nonce = openssl::base64::encode_block(&[6; 32]);
        assert_eq!(judged(None, None, &later), ["user_data", "quote_nonce", "nonce"]);
    }

    #[test]
    fn other_forms_are_refused() {
        let whole = json!({"version": 2, "tpm_quote": {"signature": "00", "message": "00", "pcrs": ["00"]},
            "hcl_report": "AA==", "vcek": "AA", "chain": ["AA", "AA"]});
        assert!(read(EvidenceKind::Software, &whole).is_ok());
        let spoilt = |pointer: &str, value: Value| {
            let mut evidence = whole.clone();
            *evidence.pointer_mut(pointer).unwrap() = value;
            read(EvidenceKind::Software, &evidence).unwrap_err().code
        };
        for (pointer, value) in [
            ("/version", json!(1)),
            ("/version", json!("2")),
            ("/tpm_quote/signature", json!("zz")),
            ("/tpm_quote/pcrs", json!(vec!["00"; 25])),
            ("/tpm_quote", json!({"signature": "00", "message": "00", "pcrs": [], "more": 1})),
            ("/hcl_report", json!("+/")),
            ("/vcek", json!(null)),
            ("/chain", json!(["AA"])),
        ] {
            assert_eq!(spoilt(pointer, value), Code::EvidenceForm, "{pointer}");
        }
        // Only software evidence brings its own authorities along, and a VCEK must be of AMD's form.
        assert_eq!(read(EvidenceKind::AzureSnp, &whole).unwrap_err().code, Code::EvidenceForm);
        let mut azure = whole.clone();
        azure.as_object_mut().unwrap().remove("chain");
        assert_eq!(read(EvidenceKind::AzureSnp, &azure).unwrap_err().code, Code::EvidenceForm);
        assert_eq!(read(EvidenceKind::Software, &azure).unwrap_err().code, Code::EvidenceForm);
    }
}
