//! DEPA's five reference contracts: they become drafts, and each has its verdict (`depa-spec.md` 8.3).

use std::path::PathBuf;

use policies::{Code, draft};
use schemas::contract::Contract;
use schemas::depa::DepaContract;
use schemas::id::{ContractId, DatasetId};
use serde_json::{Value, json};

use crate::fixtures::{House, REGISTRY, did, digest, id, now, read};

/// Scenario, public rows, datasets, verdict once parties, keys, places and dates are filled in.
const SCENARIOS: [(&str, u64, usize, Code); 5] = [
    ("covid", 2119, 3, Code::DeltaTooLarge),
    ("credit-risk", 7548, 6, Code::DeltaTooLarge),
    ("brats", 327, 4, Code::DeltaTooLarge),
    ("mnist", 60_000, 1, Code::PrivacyClauseMissing),
    ("cifar10", 50_000, 1, Code::PrivacyClauseMissing),
];

/// The contract as it lies; none where the shared data is not at hand.
fn file(scenario: &str) -> Option<Vec<u8>> {
    named(scenario, "contract.json")
}

fn named(scenario: &str, name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/depa-scenarios");
    if !path.is_dir() {
        println!("NOT RUN reference contracts: no folder {}", path.display());
        return None;
    }
    Some(std::fs::read(path.join(scenario).join(name)).unwrap())
}

fn codes(refusals: &[policies::Refusal]) -> Vec<Code> {
    let mut codes: Vec<Code> = refusals.iter().map(|r| r.code).collect();
    codes.dedup();
    codes
}

/// Parties, keys, places and dates, and nothing else.
fn filled(bytes: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(bytes).unwrap();
    value["tdc"] = json!("did:web:tdc.example");
    value["tdps"] = json!(["did:web:tdp0.example"]);
    value["ccrp"] = json!("did:web:ccrp.example");
    value["startTime"] = json!("2026-12-01T00:00:00.000Z");
    value["expiryTime"] = json!("2027-12-01T00:00:00.000Z");
    for dataset in value["datasets"].as_array_mut().unwrap() {
        dataset["provider"] = json!("did:web:tdp0.example");
        dataset["url"] = json!("https://blob.example/data.img");
        dataset["key"]["properties"]["endpoint"] = json!("https://kms0.example");
    }
    value
}

#[test]
fn the_five_reference_contracts_have_their_verdicts() {
    for (scenario, rows, datasets, code) in SCENARIOS {
        let Some(bytes) = file(scenario) else { return };
        let depa = DepaContract::read(&bytes).unwrap();
        assert_eq!(depa.id.as_deref(), Some("f4f72a88-bab1-11ed-afa1-0242ac120002"), "{scenario}");
        assert_eq!(depa.datasets.len(), datasets, "{scenario}");
        let unmodified = draft::verdict(&depa, |_| Some(rows), now());
        assert_eq!(codes(&unmodified), [Code::ContractIncomplete, Code::ContractExpired], "{scenario}");
        let fields: Vec<&str> = unmodified.iter().filter_map(|r| r.field.as_deref()).collect();
        for field in ["tdc", "tdps", "ccrp", "datasets[0].provider", "datasets[0].url", "datasets[0].key"] {
            assert!(fields.contains(&field), "{scenario}: {field} in {fields:?}");
        }
        let whole = DepaContract::read(filled(&bytes).to_string().as_bytes()).unwrap();
        let verdict = draft::verdict(&whole, |_| Some(rows), now());
        assert_eq!((codes(&verdict), verdict.len()), (vec![code], datasets), "{scenario}, filled in");
        println!("{scenario}: CONTRACT_INCOMPLETE, CONTRACT_EXPIRED; filled in: {code}");
    }
}

#[test]
fn the_five_reference_pipelines_have_their_verdicts() {
    let judge = |value: &Value, rows, bounds| {
        let verdict = draft::pipeline::verdict(value, rows, bounds);
        (verdict.refusal.map(|r| r.code), verdict.notices)
    };
    // Scenario, rows, as it lies, with δ mended, with δ mended and public bounds.
    let rows = [
        ("covid", 2119, Some(Code::DeltaTooLarge), Some(Code::PipelineRowCoupling), None),
        ("credit-risk", 7548, Some(Code::PipelineRowCoupling), Some(Code::PipelineRowCoupling), None),
        ("brats", 327, Some(Code::DeltaTooLarge), None, None),
        (
            "mnist",
            60_000,
            Some(Code::PrivacyClauseMissing),
            Some(Code::PrivacyClauseMissing),
            Some(Code::PrivacyClauseMissing),
        ),
        (
            "cifar10",
            50_000,
            Some(Code::PrivacyClauseMissing),
            Some(Code::PrivacyClauseMissing),
            Some(Code::PrivacyClauseMissing),
        ),
    ];
    for (scenario, rows, as_it_lies, mended, bounded) in rows {
        let Some(bytes) = named(scenario, "pipeline_config.json") else { return };
        let mut value = schemas::canonical::parse_loose(&bytes).unwrap();
        let (code, notices) = judge(&value, rows, false);
        assert_eq!(code, as_it_lies, "{scenario}");
        assert!(notices.iter().any(|n| n.starts_with("random_state")), "{scenario}: {notices:?}");
        for stage in value["pipeline"].as_array_mut().unwrap() {
            if let Some(params) = stage["config"].get_mut("privacy_params") {
                params["delta"] = json!("0.00001");
            }
        }
        assert_eq!(judge(&value, rows, false).0, mended, "{scenario}, δ mended");
        assert_eq!(judge(&value, rows, true).0, bounded, "{scenario}, δ mended and bounds brought");
    }
}

#[test]
fn what_couples_rows_is_refused() {
    let file = |change: fn(&mut Value)| {
        let mut file = json!({"pipeline": [{"name": "Train_DL", "config": {"is_private": true,
            "privacy_params": {"epsilon": 1.0, "delta": 0.00001}, "dataset_config": {"missing_strategy": "drop"}}}]});
        change(&mut file["pipeline"][0]);
        draft::pipeline::verdict(&file, 2119, false).refusal.map(|r| r.code)
    };
    assert_eq!(file(|_| ()), None);
    type Row = (Code, fn(&mut Value));
    let rows: [Row; 7] = [
        (Code::PipelineRowCoupling, |s| s["config"]["dataset_config"]["preprocessing"] = json!({"scaler": "minmax"})),
        (Code::PipelineRowCoupling, |s| s["config"]["dataset_config"]["missing_strategy"] = json!("forward_fill")),
        (Code::PipelineRowCoupling, |s| s["config"]["dataset_config"]["missing_strategy"] = json!("backward_fill")),
        (Code::PipelineRowCoupling, |s| s["name"] = json!("Train_XGB")),
        (Code::PrivacyClauseMissing, |s| s["config"]["is_private"] = json!(false)),
        (Code::DeltaTooLarge, |s| s["config"]["privacy_params"]["delta"] = json!(1.0)),
        (Code::ImportInvalid, |s| s["name"] = json!("SparkJoin")),
    ];
    for (code, spoil) in rows {
        assert_eq!(file(spoil), Some(code));
    }
}

#[test]
fn a_clause_that_protects_is_accepted() {
    let Some(bytes) = file("covid") else { return };
    let mut value = filled(&bytes);
    for clause in value["constraints"][0]["privacy"].as_array_mut().unwrap() {
        clause["delta"] = json!("0.0000472");
    }
    let judge = |value: &Value| {
        let depa = DepaContract::read(value.to_string().as_bytes()).unwrap();
        codes(&draft::verdict(&depa, |_| Some(2119), now()))
    };
    assert_eq!(judge(&value), []);
    value["constraints"][0]["privacy"][1]["epsilon_threshold"] = json!("0");
    assert_eq!(judge(&value), [Code::EpsilonOutOfRange]);
    value["constraints"][0]["privacy"][1]["epsilon_threshold"] = json!("a lot");
    assert_eq!(judge(&value), [Code::PrivacyClauseMissing]);
    value["expiryTime"] = json!("2026-11-01T00:00:00Z");
    assert_eq!(judge(&value), [Code::ContractExpired]);
    value["startTime"] = json!("tomorrow");
    assert_eq!(judge(&value), [Code::ContractIncomplete]);
}

#[test]
fn a_reference_contract_becomes_a_draft_that_asks_for_the_rest() {
    let Some(bytes) = file("covid") else { return };
    let depa = DepaContract::read(&bytes).unwrap();
    let ours: ContractId = read(json!(id("ctr", 7)));
    let made = draft::of_depa(&depa, &did(REGISTRY), &ours);
    let contract = &made.contract;
    assert_eq!(
        (contract["contract_id"].as_str(), contract["purpose"].as_str()),
        (Some(ours.as_str()), Some("TRAINING"))
    );
    assert_eq!(contract["parties"], json!([]), "an empty string or a variable is a gap, not a party");
    assert_eq!(contract["expires_at"], json!("2024-03-14T00:00:00Z"));
    assert_eq!(contract["datasets"][0]["privacy"], json!({"epsilon": "1.5", "delta": "0.01"}));
    assert!(contract["datasets"][0].get("dataset_id").is_none(), "foreign ids are chosen anew");
    let told = made.notices.join(" ");
    for hint in ["noise_multiplier", "epochs_per_report", "unit, adjacency"] {
        assert!(told.contains(hint), "{hint} in {told}");
    }
    let open = draft::complete(contract).unwrap_err();
    assert!(open.iter().all(|r| r.code == Code::ContractIncomplete));
    let fields: Vec<&str> = open.iter().filter_map(|r| r.field.as_deref()).collect();
    for field in
        ["template", "jurisdiction", "compute", "payment", "datasets[2].offer_sha256", "datasets[0].privacy.unit"]
    {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
}

#[test]
fn terms_of_payment_of_depas_shapes_are_read_as_far_as_they_say_anything() {
    let (tdp, tdc, ccrp) = ("did:web:a.example", "did:web:tdc.example", "did:web:c.example");
    let depa = json!({"tdc": tdc, "tdps": [tdp], "ccrp": ccrp, "datasets": [{"id": "d"}], "terms": {"payment": {
        "tdp": [{"tdp": tdp, "paymentType": "once", "amount": "500", "paymentSchedule": ["2026-01-01"]},
            {"tdp": tdp, "paymentType": "Pay-per-use", "amount": 7}, {"tdp": tdp, "paymentType": "barter"}],
        "tdc": {"tdc": tdc, "paymentProcessor": "bank", "paymentDetails": {"paymentMode": "card"}},
        "ccrp": {"ccrp": ccrp, "paymentType": "recurring"}, "mc": {"mc": "market", "amount": "3"}}}});
    let depa = DepaContract::read(depa.to_string().as_bytes()).unwrap();
    let made = draft::of_depa(&depa, &did(REGISTRY), &read(json!(id("ctr", 7))));
    let shown: Vec<_> = made.contract["payment"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| (t["kind"].as_str().unwrap(), t["payees"][0]["did"].as_str().unwrap()))
        .collect();
    assert_eq!(shown, [("fixed", tdp), ("per_run", tdp), ("subscription", ccrp)]);
    assert!(
        made.contract["payment"]
            .as_array()
            .unwrap()
            .iter()
            .all(|t| t["payer"] == tdc && t.get("amount_minor").is_none())
    );
    let told = made.notices.join(" ");
    for hint in [
        "the amount 500 is not taken over: no currency",
        "type barter is none of",
        "paymentSchedule",
        "paymentProcessor",
        "paymentDetails",
        "the consumer pays",
        "the MC is no party",
        "that of its registered offer",
    ] {
        assert!(told.contains(hint), "{hint} in {told}");
    }
    let open = draft::complete(&made.contract).unwrap_err();
    for field in ["payment[0].amount_minor", "payment[0].currency", "payment[2].currency"] {
        assert!(
            open.iter().any(|r| r.field.as_deref() == Some(field) && r.code == Code::ContractIncomplete),
            "{field}"
        );
    }
}

#[test]
fn the_register_supplies_what_it_knows() {
    let house = House::new();
    let offer = &house.offers[0];
    let mut partial = json!({"datasets": [{"dataset_id": id("dst", 0), "join_keys": [], "privacy": {"epsilon": "1.0"}},
        {"dataset_id": id("dst", 9)}]});
    let find = |wanted: &DatasetId| (*wanted == offer.dataset_id).then(|| (digest(offer), offer));
    draft::supply(&mut partial, find);
    let terms = &partial["datasets"][0];
    assert_eq!((terms["public_rows"].as_u64(), terms["offer_sha256"] == json!(digest(offer))), (Some(2119), true));
    assert_eq!((&terms["join_keys"], &terms["privacy"]), (&json!(["mobno", "icmrno"]), &json!({"epsilon": "1.0"})));
    assert_eq!(partial["datasets"][1], json!({"dataset_id": id("dst", 9)}), "an unknown dataset stays open");
}

#[test]
fn a_whole_contract_is_no_draft_any_more() {
    let contract = House::new().contracts.remove(0);
    let value = serde_json::to_value(&contract).unwrap();
    assert_eq!(draft::complete(&value).map(|c| *c), Ok(contract));
    let mut strange = value.clone();
    strange["parties"] = json!("nobody");
    assert_eq!(codes(&draft::complete(&strange).unwrap_err()), [Code::SchemaMismatch]);
    let kept: Contract = read(value);
    assert_eq!(kept.version, 1);
}
