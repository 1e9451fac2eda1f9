//! Receipts of every form as they were given out once, kept under `tests/data`: whatever becomes of the code, they verify.
//! `UPDATE=1` makes them anew, which voids receipts that others hold: do it only before the first release.

use std::path::{Path, PathBuf};

use schemas::desk::{ContractReceipt, Receipted};
use schemas::event::Body;
use schemas::jwk::Jwk;
use schemas::log::leaf_hash;
use signing::tlog_proof::TlogProof;
use signing::{Trust, scitt, verify_receipt};

use crate::house::House;
use crate::wire::{es256, get, hear, http, record, register, statement, token};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap_or_else(|e| panic!("{name}: {e}; UPDATE=1 makes it"))
}

fn make() {
    let keep = |name: &str, bytes: &[u8]| std::fs::write(data(name), bytes).unwrap();
    std::fs::create_dir_all(data("")).unwrap();
    let house = House::furnished();
    let heard = register(&house, &statement(&house.tdps[0], "models/safe", b"{\"model\":\"safe\"}"), "*/*");
    let id = heard.word("OperationId");
    let index: u64 = id.strip_prefix("1.").unwrap().parse().unwrap();
    keep("statement.cose", &get(&house, &format!("/entries/{id}/statement"), "*/*").body);
    keep("statement.record", &record(&house, index));
    keep("statement.vds1.cose", &get(&house, &format!("/entries/{id}?vds=1"), "*/*").body);
    keep("statement.vds2.cose", &get(&house, &format!("/entries/{id}?vds=2"), "*/*").body);
    keep("trust.json", &serde_json::to_vec_pretty(house.trust()).unwrap());
    keep("es256.jwk", &serde_json::to_vec_pretty(&es256(&house)).unwrap());
    let contract = house.executed();
    let executed = house.as_(&house.tdc).contract(&contract.id).unwrap().executed.unwrap().index;
    let bearer = token(&house, &house.tdc);
    for (name, form) in [("receipt.json", "json"), ("receipt.tlog-proof", "tlog-proof"), ("contract.json", "bundle")] {
        let url = format!("{}/v1/log/receipts/{executed}?form={form}", house.url());
        keep(name, &hear(http().get(url).bearer_auth(&bearer)).body);
    }
    keep("contract.record", &record(&house, executed));
}

#[test]
fn receipts_of_every_form_still_verify() {
    if std::env::var_os("UPDATE").is_some() {
        make();
    }
    let trust: Trust = serde_json::from_slice(&read("trust.json")).unwrap();
    let second: Jwk = serde_json::from_slice(&read("es256.jwk")).unwrap();
    let statement = scitt::read(&read("statement.cose")).unwrap();
    assert_eq!(
        (statement.subject.as_str(), statement.payload.as_slice()),
        ("models/safe", &b"{\"model\":\"safe\"}"[..])
    );
    let leaf = read("statement.record");
    let one = read("statement.vds1.cose");
    scitt::receipt::verify(&one, &leaf, &trust.registry_jwk).unwrap();
    let two = read("statement.vds2.cose");
    scitt::ccf::verify(&two, &statement.digest(), &second).unwrap();
    assert_eq!(statement.receipts.len(), 1);
    scitt::ccf::verify(&statement.receipts[0], &statement.digest(), &second).unwrap();

    let bundle: ContractReceipt = serde_json::from_slice(&read("contract.json")).unwrap();
    let body = Body::ContractExecuted { contract: bundle.contract.envelope.clone() };
    verify_receipt(&bundle.contract.receipt, &body, &trust.origin, &trust.registry_jwk).unwrap();
    let plain: Receipted = serde_json::from_slice(&read("receipt.json")).unwrap();
    verify_receipt(&plain.receipt, &body, &trust.origin, &trust.registry_jwk).unwrap();
    let proof = TlogProof::parse(std::str::from_utf8(&read("receipt.tlog-proof")).unwrap()).unwrap();
    proof.verify(leaf_hash(&read("contract.record")), &trust.origin, &trust.registry_jwk).unwrap();
    // And none of them for anything else.
    assert!(scitt::receipt::verify(&one, &read("contract.record"), &trust.registry_jwk).is_err());
    assert!(scitt::ccf::verify(&two, &schemas::Digest([0; 32]), &second).is_err());
    assert!(proof.verify(leaf_hash(&leaf), &trust.origin, &trust.registry_jwk).is_err());
}
