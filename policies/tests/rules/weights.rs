//! Weights that a job begins with: what the job says of them, and whose key it is.

use policies::weights::{Keeper, key};
use policies::{Code, R, pipeline};
use schemas::contract::Assurance;
use schemas::digest::Digest;
use schemas::id::KeyId;
use schemas::weights::{MAX_BYTES, SealedWeights, Weights};
use serde_json::json;

use crate::fixtures::{House, Row, TDC, did, expect, id, jwk, read};

fn sealed() -> SealedWeights {
    read(json!({
        "weights_id": id("wgt", 1), "object": {"url": "https://blob.example/w.depa", "bytes": 4096, "media_type": "application/vnd.safetensors"},
        "manifest_root": Digest([9; 32]),
        "key": {"kms": "https://kms.tdc.example", "kms_jwk": jwk(5), "key_id": id("key", 9), "min_assurance": "hardware"},
    }))
}

fn house() -> House {
    let mut house = House::new();
    house.training().weights = Some(Weights { sha256: Digest([8; 32]), fresh: vec![], sealed: Some(sealed()) });
    house.link();
    house
}

fn decide(house: &House) -> R<()> {
    house.judge(|facts| pipeline::decide(facts).map(drop))
}

/// A key service asks for its own key: what it knows of itself may be spoilt.
fn asked(house: &House, spoil: impl FnOnce(&mut Known)) -> R<SealedWeights> {
    let mut known = Known {
        url: "https://kms.tdc.example".into(),
        provider: TDC.into(),
        pinned: KeyId::new(TDC, jwk(1).thumbprint()),
        sign: 5,
        shown: Assurance::Hardware,
    };
    spoil(&mut known);
    let (provider, sign) = (did(&known.provider), jwk(known.sign));
    let keeper = Keeper { url: &known.url, provider: &provider, pinned: &known.pinned, sign_jwk: &sign };
    house.judge(|facts| key(facts, &keeper, known.shown).cloned())
}

struct Known {
    url: String,
    provider: String,
    pinned: KeyId,
    sign: u8,
    shown: Assurance,
}

#[test]
fn the_consumers_own_key_service_gives_the_key_that_the_job_names() {
    assert_eq!(asked(&house(), |_| ()), Ok(sealed()));
    let refused = |code, spoil: fn(&mut Known)| expect(asked(&house(), spoil), code, "a key service");
    refused(Code::WeightsForeign, |known| known.provider = "did:web:tdp0.example".into());
    refused(Code::SignerUnknown, |known| known.pinned = KeyId::new(TDC, jwk(2).thumbprint()));
    refused(Code::JobMismatch, |known| known.url = "https://kms.other.example".into());
    refused(Code::JobMismatch, |known| known.sign = 6);
    refused(Code::AssuranceTooLow, |known| known.shown = Assurance::Software);
    expect(asked(&House::new(), |_| ()), Code::JobMismatch, "a job without weights");
}

#[test]
fn a_job_names_sealed_weights_that_a_model_can_have() {
    assert_eq!(decide(&house()), Ok(()));
    fn weights(house: &mut House) -> &mut Weights {
        house.training().weights.as_mut().unwrap()
    }
    fn sealed(house: &mut House) -> &mut SealedWeights {
        weights(house).sealed.as_mut().unwrap()
    }
    let rows: [Row<House>; 8] = [
        (Code::WeightsUnsealed, |h| weights(h).sealed = None),
        (Code::AddressRefused, |h| sealed(h).object.url = "file:///a/../b".into()),
        (Code::AddressRefused, |h| sealed(h).key.kms = "http://kms.tdc.example".into()),
        (Code::KeyForm, |h| sealed(h).key.kms_jwk = schemas::jwk::Jwk::x25519([9; 32])),
        (Code::LimitExceeded, |h| sealed(h).object.bytes = 2 * MAX_BYTES),
        (Code::PipelineInvalid, |h| weights(h).fresh = vec!["7.".into()]),
        (Code::PipelineInvalid, |h| weights(h).fresh = vec!["0.".into()]),
        (Code::PipelineInvalid, |h| {
            h.training().model =
                read(json!({"kind": "trees", "trees": {"depth": 2, "features_per_tree": 2, "regularization": "1"}}))
        }),
    ];
    for (at, (code, spoil)) in rows.iter().enumerate() {
        let mut house = house();
        spoil(&mut house);
        house.link();
        expect(decide(&house), *code, &format!("row {at}"));
    }
}

/// A file that may come in is one that could leave again.
#[test]
fn weights_are_no_larger_than_a_model() {
    assert_eq!(MAX_BYTES, policies::output::MAX_MODEL as u64);
}
