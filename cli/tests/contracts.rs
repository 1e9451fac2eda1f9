//! Contracts offline: a draft is read, signed and checked without any service.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use depa::contract;
use schemas::contract::{Compute, Contract, ContractRef, Obligations, Outputs, Party, Revocation, Running};
use schemas::evidence::EvidenceKind;
use schemas::id::{ContractId, Did, ImageSetId};
use schemas::party::Kind;
use schemas::{Code, Envelope, Signer as _, Timestamp};
use signing::{FileKey, Trust};
use uuid::Uuid;

fn now() -> Timestamp {
    Timestamp::parse("2026-12-01T00:00:00Z").unwrap()
}

fn trust(registry: &str) -> Trust {
    let key = FileKey::generate().unwrap();
    let registry = Did::parse(registry).unwrap();
    Trust {
        registry,
        registry_jwk: key.jwk().clone(),
        origin: "sro.example/log".into(),
        sro: vec![],
        witnesses: vec![],
        quorum: 0,
        lineage: Default::default(),
    }
}

fn draft(tdp: &FileKey, tdc: &FileKey, ccrp: &FileKey) -> Envelope<Contract> {
    let party = |key: &FileKey, role| Party { did: key.did().unwrap(), role };
    let uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
    Envelope::draft(&Contract {
        schema: "contract.v1".into(),
        registry: Did::parse("did:web:sro.example").unwrap(),
        contract_id: ContractId::new(uuid),
        version: 1,
        supersedes: None,
        template: "training-v1".into(),
        parties: vec![party(tdp, Kind::Tdp), party(tdc, Kind::Tdc), party(ccrp, Kind::Ccrp)],
        purpose: "TRAINING".into(),
        jurisdiction: "IN".into(),
        effective_from: now(),
        expires_at: now().plus_seconds(86_400),
        datasets: vec![],
        compute: Compute {
            image_sets: vec![ImageSetId::new(uuid)],
            evidence: vec![EvidenceKind::Software],
            platform_level: "baseline".into(),
            rooms_max: None,
        },
        outputs: Outputs {
            kinds: vec!["model".into()],
            recipient: tdc.did().unwrap(),
            release: "encrypted_to_recipient".into(),
        },
        payment: vec![],
        revocation: Revocation { by: vec![Kind::Tdp], notice_seconds: 0, running: Running::Abort, conditions: vec![] },
        obligations: Obligations { risk_statement: "none but the usual".into() },
        max_runs: None,
        rules: Vec::new(),
    })
    .unwrap()
}

#[test]
fn software_evidence_is_called_simulated_in_plain_language() {
    let [tdp, tdc, ccrp] = [(); 3].map(|()| FileKey::generate().unwrap());
    let text = contract::plain_language(&draft(&tdp, &tdc, &ccrp)).unwrap();
    assert!(text.contains("shown by SIMULATED evidence"), "{text}");
}

#[test]
fn every_party_signs_the_same_bytes_alone_and_offline() {
    let [tdp, tdc, ccrp] = [(); 3].map(|()| FileKey::generate().unwrap());
    let contract = draft(&tdp, &tdc, &ccrp);
    let trust = trust("did:web:sro.example");
    let mut book = signing::book::PinnedBook::new(trust.clone());
    let mut merged = contract.clone();
    for (key, kind) in [(&ccrp, Kind::Ccrp), (&tdp, Kind::Tdp), (&tdc, Kind::Tdc)] {
        let signature = contract::sign(&contract, key, &trust, now()).unwrap();
        assert_eq!(signature.contract_sha256, contract.digest());
        merged.signatures.push(signature.signature);
        book.add_party(&key.did().unwrap(), kind, key.jwk().clone());
    }
    let signed = signing::verify(merged, &trust.registry, &book).unwrap();
    signing::book::fully_signed(&signed).unwrap();
}

#[test]
fn what_should_not_be_signed_is_not() {
    let [tdp, tdc, ccrp, stranger] = [(); 4].map(|()| FileKey::generate().unwrap());
    let contract = draft(&tdp, &tdc, &ccrp);
    let refused = |contract: &Envelope<Contract>, key: &FileKey, trust: &Trust| {
        contract::sign(contract, key, trust, now()).unwrap_err().code
    };
    let here = trust("did:web:sro.example");
    assert_eq!(refused(&contract, &stranger, &here), Code::SignerNotParty);
    assert_eq!(refused(&contract, &tdp, &trust("did:web:other.example")), Code::WrongRegistry);
    let mut spaced = contract.clone();
    spaced.payload.0.push(b' ');
    assert_eq!(refused(&spaced, &tdp, &here), Code::NotCanonical);
    let text = String::from_utf8(contract.payload.0.clone()).unwrap();
    let other = Envelope::new(text.replace("contract.v1", "contract.v2").into_bytes(), vec![]);
    assert_eq!(refused(&other, &tdp, &here), Code::SchemaMismatch);
}

#[test]
fn a_signature_over_other_bytes_is_not_handed_in() {
    let [tdp, tdc, ccrp] = [(); 3].map(|()| FileKey::generate().unwrap());
    let (one, other) = (draft(&tdp, &tdc, &ccrp), draft(&tdp, &tdc, &FileKey::generate().unwrap()));
    let trust = trust("did:web:sro.example");
    let signature = contract::sign(&one, &tdp, &trust, now()).unwrap();
    // No service is there: the refusal comes before any call.
    let client = contract_client::Client::new("http://127.0.0.1:1", None).unwrap();
    assert_eq!(contract::submit(&client, &other, &signature, false).unwrap_err().code, Code::SignatureInvalid);
}

#[test]
fn a_contract_is_read_in_plain_language_beside_its_digest() {
    let [tdp, tdc, ccrp] = [(); 3].map(|()| FileKey::generate().unwrap());
    let contract = draft(&tdp, &tdc, &ccrp);
    let text = contract::plain_language(&contract).unwrap();
    for words in [
        contract.digest().to_string(),
        format!("data provider: {}", tdp.did().unwrap()),
        "in force from 2026-12-01T00:00:00Z until 2026-12-02T00:00:00Z (exclusive)".into(),
        "may be revoked at once by tdp".into(),
        "nothing is owed".into(),
        "nobody yet".into(),
    ] {
        assert!(text.contains(&words), "{words}: {text}");
    }
}

#[test]
fn revocations_collect_signatures_over_the_same_bytes() {
    let [a, b] = [(); 2].map(|()| FileKey::generate().unwrap());
    let trust = trust("did:web:sro.example");
    let reference = ContractRef { id: ContractId::new(Uuid::from_u128(1)), sha256: schemas::Digest([1; 32]) };
    let draft = contract::draft_revoke(&reference, "consent withdrawn", &trust, now()).unwrap();
    let one = contract::sign_revoke(&draft, &a, now()).unwrap();
    let two = contract::sign_revoke(&one, &b, now()).unwrap();
    assert_eq!((one.signatures.len(), two.signatures.len(), two.digest()), (1, 2, draft.digest()));
}
