//! Which entries tell of a contract, a dataset or a party, and who acted in them.

use std::collections::BTreeSet;

use schemas::dispute::{Dispute, DisputeAnswer};
use schemas::event::{Obligation, PaymentResult, RunEventKind};
use schemas::id::DisputeId;
use schemas::party::Kind;
use schemas::{Code, Document};
use serde_json::Value;
use signing::FileKey;

use crate::house::House;
use crate::http::{bearer, code, get};
use crate::room::Run;

fn read(house: &House, who: &FileKey, path: &str) -> Value {
    let response = get(house, path).bearer_auth(bearer(house, who)).send().unwrap();
    assert_eq!(response.status(), 200, "{path}: {}", response.text().unwrap());
    response.json().unwrap()
}

fn refused(house: &House, who: &FileKey, path: &str) -> Code {
    code(get(house, path).bearer_auth(bearer(house, who)).send().unwrap())
}

/// The entries that are about what is asked for.
fn story(house: &House, who: &FileKey, query: &str) -> BTreeSet<u64> {
    let told = read(house, who, &format!("/v1/log/entries?{query}"));
    assert!(told["next"].is_null());
    let all: Vec<u64> = told["entries"].as_array().unwrap().iter().map(|index| index.as_u64().unwrap()).collect();
    assert!(all.is_sorted(), "oldest first: {all:?}");
    all.into_iter().collect()
}

/// A run that reported, completed and was paid for; one payment is disputed, and the dispute answered.
fn told() -> (House, Run, Vec<Obligation>, DisputeId) {
    let mut house = House::furnished();
    let run = house.running();
    house.client.report(&run.run_id, &house.event(&run, RunEventKind::KeysReleased {})).unwrap();
    let completion = house.completion(&run);
    let owed = house.client.complete(&run.run_id, &house.sign(&completion, &run.key)).unwrap().obligations;
    house.client.payment_callback(&house.callback(&owed[0], PaymentResult::Settled)).unwrap();
    let dispute_id = DisputeId::new(uuid::Uuid::now_v7());
    let dispute = Dispute {
        schema: Dispute::SCHEMA.into(),
        registry: house.registry(),
        dispute_id: dispute_id.clone(),
        contract: owed[0].contract.clone(),
        instruction_id: owed[0].instruction_id.clone(),
        opener: house.tdc.did().unwrap(),
        reason: "It was paid twice".into(),
        at: house.now(),
    };
    house.client.open_dispute(&house.sign(&dispute, &house.tdc)).unwrap();
    let payee = house.tdps.iter().find(|tdp| tdp.did().unwrap() == owed[0].payee).unwrap();
    let answer = DisputeAnswer {
        schema: DisputeAnswer::SCHEMA.into(),
        registry: house.registry(),
        dispute_id: dispute_id.clone(),
        by: payee.did().unwrap(),
        reason: "It came once".into(),
        at: house.now(),
    };
    house.client.answer_dispute(&dispute_id, &house.sign(&answer, payee)).unwrap();
    (house, run, owed, dispute_id)
}

/// Every entry with its kind, as an auditor's export has it.
fn kinds(house: &House) -> Vec<String> {
    house.as_(&house.sro[1]).export(0, 1000).unwrap().entries.into_iter().map(|entry| entry.record.kind).collect()
}

const OF_CONTRACT: [&str; 9] = [
    "contract_proposed",
    "contract_signed",
    "contract_executed",
    "run_ordered",
    "run_checked_in",
    "run_reported",
    "run_completed",
    "payment_answered",
    "dispute_opened",
];

#[test]
fn a_contract_is_told_with_its_runs_its_payments_and_what_was_disputed() {
    let (house, run, ..) = told();
    let contract = run.job.contracts[0].id.clone();
    // Another contract of the same parties over the same datasets: none of it belongs to the first one.
    let other = house.executed();
    let kinds = kinds(&house);
    let found = story(&house, &house.sro[0], &format!("contract={contract}"));
    let of_kind = |kind: &str| found.iter().filter(|index| kinds[**index as usize] == kind).count();
    for kind in OF_CONTRACT.into_iter().chain(["dispute_answered"]) {
        assert!(of_kind(kind) > 0, "{kind} in {found:?}");
    }
    assert_eq!((of_kind("run_ordered"), of_kind("run_checked_in"), of_kind("contract_proposed")), (1, 1, 1));
    for kind in ["participant_applied", "dataset_registered", "twin_root", "bodies_read", "genesis"] {
        assert_eq!(of_kind(kind), 0, "{kind}");
    }
    // A party finds the same; who is no party learns nothing, not even that there is such a contract.
    assert_eq!(story(&house, &house.tdps[0], &format!("contract={contract}")), found);
    let stranger = FileKey::generate().unwrap();
    house.admit(&stranger, Kind::Tdp);
    assert_eq!(refused(&house, &stranger, &format!("/v1/log/entries?contract={contract}")), Code::ContractUnknown);
    let second = story(&house, &house.sro[0], &format!("contract={}", other.id));
    assert!(!second.is_empty() && second.is_disjoint(&found));
    // In pages: what begins behind an entry has only the later ones.
    let last = *found.last().unwrap();
    assert_eq!(story(&house, &house.sro[0], &format!("contract={contract}&from={last}")), BTreeSet::from([last]));
    assert_eq!(refused(&house, &house.sro[0], "/v1/log/entries"), Code::SchemaMismatch, "of nothing in particular");
}

#[test]
fn a_dataset_is_told_with_what_moves_its_budget_and_a_party_with_its_contracts() {
    let (house, run, ..) = told();
    let (kinds, dataset) = (kinds(&house), run.job.datasets[0].dataset_id.clone());
    let tdc = house.tdc.did().unwrap();
    let has = |found: &BTreeSet<u64>, kind: &str| found.iter().any(|index| kinds[*index as usize] == kind);
    // From a line of the ledger: the cap in the offer, and the completion that carries the statements of the key services.
    let ledger = story(&house, &house.sro[0], &format!("dataset={dataset}&party={tdc}"));
    for kind in ["dataset_registered", "run_ordered", "run_completed", "contract_proposed"] {
        assert!(has(&ledger, kind), "{kind}");
    }
    assert!(!has(&ledger, "participant_applied"));
    let registered =
        |found: &BTreeSet<u64>| found.iter().filter(|i| kinds[**i as usize] == "dataset_registered").count();
    assert_eq!(registered(&ledger), 1, "the other dataset's offer is not about this one");
    let party = story(&house, &house.sro[0], &format!("party={tdc}"));
    for kind in ["participant_applied", "participant_decided", "contract_proposed", "dispute_answered"] {
        assert!(has(&party, kind), "{kind}");
    }
    assert!(!has(&party, "dataset_registered"), "it offers none");
    // Who has no contract with it finds what is public of both.
    let stranger = FileKey::generate().unwrap();
    house.admit(&stranger, Kind::Tdc);
    let public = story(&house, &stranger, &format!("party={tdc}"));
    assert!(has(&public, "participant_applied") && !has(&public, "contract_proposed") && !has(&public, "run_ordered"));
    let public = story(&house, &stranger, &format!("dataset={dataset}"));
    assert!(has(&public, "dataset_registered") && !has(&public, "run_completed"));
    let provider = house.psp.did().unwrap();
    assert!(has(&story(&house, &house.sro[0], &format!("party={provider}")), "payment_answered"));
    assert!(!has(&story(&house, &stranger, &format!("party={provider}")), "payment_answered"));
    let unknown = "/v1/log/entries?dataset=dst_01900000-0000-7000-8000-0000000000ff";
    assert_eq!(refused(&house, &house.sro[0], unknown), Code::NotFound);
}

#[test]
fn lines_say_who_acted_and_what_about_to_those_whom_it_concerns() {
    let (house, run, owed, dispute) = told();
    let kinds = kinds(&house);
    let lines = |who: &FileKey| -> Vec<Value> {
        read(&house, who, "/v1/log/lines?from=0&limit=200")["lines"].as_array().unwrap().clone()
    };
    let seen = lines(&house.sro[0]);
    let line = |kind: &str| {
        let of_kind = |line: &&Value| kinds.get(line["index"].as_u64().unwrap() as usize).is_some_and(|k| k == kind);
        seen.iter().find(of_kind).unwrap_or_else(|| panic!("no line of {kind}")).clone()
    };
    let [contract, ran] = [run.job.contracts[0].id.to_string(), run.run_id.to_string()];
    let (tdc, ccrp) = (house.tdc.did().unwrap().to_string(), house.ccrp.did().unwrap().to_string());
    for (kind, by) in [
        ("contract_proposed", &tdc),
        ("run_ordered", &tdc),
        ("run_checked_in", &ccrp),
        ("run_reported", &ccrp),
        ("run_completed", &ccrp),
        ("dispute_opened", &tdc),
    ] {
        let line = line(kind);
        assert_eq!(line["by"], serde_json::json!([by]), "{kind}");
        assert_eq!(line["contracts"], serde_json::json!([contract]), "{kind}");
    }
    assert_eq!(line("run_reported")["run_id"], ran.as_str());
    assert_eq!(line("participant_decided")["by"].as_array().unwrap().len(), 2, "two people of the SRO");
    assert_eq!(line("dispute_answered")["dispute"], dispute.as_str());
    assert_eq!(line("payment_answered")["payments"], serde_json::json!([owed[0].instruction_id]));
    assert_eq!(line("run_completed")["payments"].as_array().unwrap().len(), owed.len());
    // That an overseer read something is the SRO's business alone.
    let reading = line("bodies_read");
    assert_eq!(reading["by"], serde_json::json!([house.sro[1].did().unwrap()]));
    assert!(reading["read"]["count"].as_u64().unwrap() > 0);
    let stranger = FileKey::generate().unwrap();
    house.admit(&stranger, Kind::Tdp);
    let public = [
        "genesis",
        "participant_applied",
        "participant_decided",
        "image_set_approved",
        "dataset_registered",
        "twin_root",
    ];
    for line in lines(&stranger) {
        let index = line["index"].as_u64().unwrap() as usize;
        assert!(kinds.get(index).is_none_or(|kind| public.contains(&kind.as_str())), "{line}");
    }
    assert!(lines(&house.tdps[0]).iter().any(|line| line["run_id"] == ran.as_str()));
    assert!(lines(&house.tdps[0]).iter().all(|line| line["read"].is_null()));
}
