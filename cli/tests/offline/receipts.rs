//! Receipts and contract bundles, verified offline.

use depa::audit::receipt::{self, With, WithBody};
use depa::contract::verify_bundle;
use depa::exit;
use policies::lifecycle::State;
use schemas::bundle::{BundledParticipant, Logged};
use schemas::desk::ContractBundle;
use schemas::event::Body;
use schemas::{Code, Signer as _, canonical};
use signing::Trust;

use crate::house::House;
use crate::{lived_in, trust};

/// The bundle of the only contract, as the contract service puts it together.
pub(crate) fn bundle(house: &House) -> ContractBundle {
    let state = house.registry.state();
    let state: &State = &state;
    let receipt = |index: u64| house.registry.receipt(index).unwrap();
    let row = state.contracts().next().unwrap();
    let parties = row.contract.parties.iter().map(|p| state.participant(&p.did).unwrap());
    let participants = parties.map(|p| {
        let (index, decision) = p.decision.clone().unwrap();
        BundledParticipant {
            application: p.application.clone(),
            decision: Logged { envelope: decision, receipt: receipt(index) },
            key_events: vec![],
        }
    });
    let offers = row.contract.datasets.iter().map(|d| state.offer(&d.offer_sha256).unwrap());
    let offers = offers.map(|o| Logged { envelope: o.envelope.clone(), receipt: receipt(o.index) });
    let image_sets = row.contract.compute.image_sets.iter().map(|id| state.image_set(id).unwrap());
    let image_sets = image_sets.map(|i| Logged { envelope: i.envelope.clone(), receipt: receipt(i.index) });
    ContractBundle {
        contracts: vec![Logged { envelope: row.envelope(), receipt: receipt(row.executed.unwrap()) }],
        offers: offers.collect(),
        participants: participants.collect(),
        image_sets: image_sets.collect(),
        renewals: vec![],
        log_keys: None,
    }
}

#[test]
fn a_contract_bundle_verifies_offline() {
    let house = lived_in();
    let (bundle, trust) = (bundle(&house), trust(&house));
    let verified = verify_bundle(&bundle, &trust).unwrap();
    assert_eq!((verified.contracts.len(), verified.offers, verified.participants, verified.image_sets), (1, 2, 4, 1));

    type Spoil = fn(&mut ContractBundle);
    let spoil: [(Spoil, Code); 8] = [
        (|b| b.contracts.clear(), Code::ContractUnknown),
        (|b| drop(b.contracts[0].envelope.signatures.pop()), Code::ReceiptMismatch),
        (|b| b.contracts[0].envelope.signatures[0].sig.0[3] ^= 1, Code::SignatureInvalid),
        (|b| b.contracts[0].receipt.path[0].0[0] ^= 1, Code::InclusionInvalid),
        (|b| drop(b.participants.pop()), Code::KeyNotActive),
        (|b| drop(b.participants[0].decision.envelope.signatures.pop()), Code::ReceiptMismatch),
        (|b| drop(b.offers.pop()), Code::DatasetUnknown),
        (|b| b.image_sets[0].envelope.signatures[0].sig.0[0] ^= 1, Code::SignatureInvalid),
    ];
    for (n, (spoil, code)) in spoil.into_iter().enumerate() {
        let mut spoilt = bundle.clone();
        spoil(&mut spoilt);
        assert_eq!(verify_bundle(&spoilt, &trust).unwrap_err().code, code, "{n}");
    }
}

#[test]
fn receipts_verify_with_their_documents_only() {
    let house = lived_in();
    let (bundle, trust) = (bundle(&house), trust(&house));
    let bytes = |value: &dyn erased::Json| value.bytes();
    let documents: [Vec<u8>; 4] = [
        bytes(&bundle.contracts[0]),
        bytes(&bundle.offers[0]),
        bytes(&bundle.participants[0].decision),
        bytes(&bundle.image_sets[0]),
    ];
    let kinds = ["contract_executed", "dataset_registered", "participant_decided", "image_set_approved"];
    for (document, kind) in documents.iter().zip(kinds) {
        assert_eq!(receipt::verify(document, &trust).unwrap().kind, kind);
        // Every byte of document and receipt counts.
        for at in (0..document.len()).step_by(211) {
            let mut spoilt = document.clone();
            spoilt[at] ^= 1;
            assert!(receipt::verify(&spoilt, &trust).is_err(), "{kind} byte {at}");
        }
    }
    let mut other = bundle.offers[0].clone();
    other.receipt = bundle.offers[1].receipt.clone();
    let refusal = receipt::verify(&bytes(&other), &trust).unwrap_err();
    assert_eq!(exit::of(&refusal), exit::VERIFICATION);

    // A body of any kind with its receipt.
    let exported = house.registry.entries(0, 10_000).unwrap();
    let last = exported.iter().rfind(|e| matches!(e.body, Body::ModelHandedOver { .. })).unwrap();
    let with = WithBody { body: last.body.clone(), receipt: house.registry.receipt(last.index).unwrap() };
    assert_eq!(receipt::verify(&bytes(&with), &trust).unwrap().index, last.index);
    for nothing in [&b"{}"[..], b"[]", b"{\"body\":1}", b"x"] {
        assert!(receipt::verify(nothing, &trust).is_err());
    }
}

#[test]
fn receipts_of_other_forms_verify_with_what_they_are_about_only() {
    let house = lived_in();
    let trust = trust(&house);
    let index = 3;
    let own = house.registry.receipt(index).unwrap();
    let record = own.record.bytes().unwrap();
    let head = schemas::log::Checkpoint::parse(&own.checkpoint).unwrap().head;

    let proof = signing::tlog_proof::TlogProof {
        extra: Some(record.clone()),
        index,
        path: own.path.clone(),
        checkpoint: own.checkpoint.clone(),
    };
    let proved = receipt::verify(proof.text().as_bytes(), &trust).unwrap();
    assert_eq!((proved.index, proved.kind.as_str()), (index, own.record.kind.as_str()));
    let other = signing::tlog_proof::TlogProof { index: index + 1, ..proof.clone() };
    assert_eq!(receipt::verify(other.text().as_bytes(), &trust).unwrap_err().code, Code::InclusionInvalid);
    let bare = signing::tlog_proof::TlogProof { extra: None, ..proof.clone() };
    assert!(receipt::verify(bare.text().as_bytes(), &trust).is_err());
    let with = With { about: Some(record.clone()), ..With::default() };
    assert_eq!(receipt::verify_with(bare.text().as_bytes(), &with, &trust).unwrap().index, index);
    // A quorum that nobody met.
    let asked = Trust {
        witnesses: vec![signing::book::WitnessKey { name: "w".into(), jwk: house.tdc.jwk().clone() }],
        quorum: 1,
        ..trust.clone()
    };
    assert_eq!(receipt::verify(proof.text().as_bytes(), &asked).unwrap_err().code, Code::CosignaturesMissing);

    let claims = signing::scitt::receipt::Claims { issuer: trust.registry.as_str(), subject: "x" };
    let place = signing::scitt::receipt::Place { size: head.size, index, path: &own.path, root: head.root };
    let cose = signing::scitt::receipt::write(house.options.signer.as_ref(), &claims, &record, &place).unwrap();
    let proved = receipt::verify_with(&cose, &with, &trust).unwrap();
    assert_eq!((proved.index, proved.log), (index, Some(head)));
    assert_eq!(receipt::verify(&cose, &trust).unwrap_err().code, Code::ReceiptMismatch);
    let wrong = With { about: Some(house.registry.receipt(4).unwrap().record.bytes().unwrap()), ..With::default() };
    assert!(receipt::verify_with(&cose, &wrong, &trust).is_err());
    let none = depa::audit::policy::Policy::parse("quorum none").unwrap();
    let policy = With { policy: Some(none), about: with.about.clone(), ..With::default() };
    assert_eq!(receipt::verify_with(&cose, &policy, &trust).unwrap_err().code, Code::CosignaturesMissing);
    for at in (0..cose.len()).step_by(7) {
        let mut spoilt = cose.clone();
        spoilt[at] ^= 1;
        assert!(receipt::verify_with(&spoilt, &with, &trust).is_err(), "byte {at}");
    }
}

mod erased {
    use super::canonical;

    /// Anything that has canonical bytes.
    pub trait Json {
        fn bytes(&self) -> Vec<u8>;
    }

    impl<T: serde::Serialize> Json for T {
        fn bytes(&self) -> Vec<u8> {
            canonical::to_bytes(self).unwrap()
        }
    }
}
