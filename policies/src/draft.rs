//! Drafts: as much of a `contract.v1` as is known, and what stands in the way of proposing it. A contract in one of
//! DEPA's shapes becomes one; what the shape does not say is asked for, never guessed.

mod payment;
pub mod pipeline;

use schemas::contract::Contract;
use schemas::dataset::DatasetOffer;
use schemas::depa::{DepaContract, DepaDataset, time};
use schemas::digest::Digest;
use schemas::id::{ContractId, DatasetId, Did};
use schemas::problem::{Code, R, Refusal};
use schemas::text::Real;
use schemas::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::reals;

/// A draft made of a foreign contract.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    /// As much of a `contract.v1` as it says.
    pub contract: Value,
    /// What its reader should know: hints that are not taken over.
    pub notices: Vec<String>,
}

/// A draft of a contract in one of DEPA's shapes, under a fresh id of ours.
pub fn of_depa(depa: &DepaContract, registry: &Did, id: &ContractId) -> Draft {
    let mut contract = json!({"schema": "contract.v1", "registry": registry, "contract_id": id, "version": 1,
        "supersedes": null, "parties": parties(depa), "datasets": depa.datasets.iter().map(|d| dataset(depa, d)).collect::<Vec<_>>()});
    let times = [("effective_from", &depa.start), ("expires_at", &depa.expiry)];
    let times = times.map(|(name, text)| (name, text.as_deref().and_then(time).map(|at| json!(at))));
    let texts = [("purpose", &depa.purpose), ("jurisdiction", &depa.jurisdiction)];
    let texts = texts.map(|(name, text)| (name, text.as_deref().filter(|t| !t.is_empty()).map(|t| json!(t))));
    let terms = Some(payment::terms(depa)).filter(|terms| !terms.is_empty());
    put(&mut contract, times.into_iter().chain(texts).chain([("payment", terms.map(|terms| json!(terms)))]));
    Draft { contract, notices: notices(depa) }
}

fn parties(depa: &DepaContract) -> Vec<Value> {
    let tdps = depa.tdps.iter().map(|did| (did.as_str(), "tdp"));
    let others = [(depa.tdc.as_deref(), "tdc"), (depa.ccrp.as_deref(), "ccrp")];
    let all = tdps.chain(others.into_iter().filter_map(|(did, role)| Some((did?, role))));
    all.filter(|(did, _)| Did::parse(did).is_ok()).map(|(did, role)| json!({"did": did, "role": role})).collect()
}

fn dataset(depa: &DepaContract, dataset: &DepaDataset) -> Value {
    let known = |text: &Option<String>| text.as_deref().filter(|t| filled(Some(t))).map(|t| json!(t));
    let mut terms = json!({"target_columns": dataset.targets, "join_keys": dataset.joins});
    let id = dataset.id.as_deref().filter(|id| DatasetId::parse(id).is_ok()).map(|id| json!(id));
    let mut key = Map::new();
    key.extend(known(&dataset.key_endpoint).map(|kms| ("kms".to_owned(), kms)));
    let clause = depa.clause_of(dataset).map(|clause| {
        let mut privacy = json!({});
        let reals = [("epsilon", &clause.epsilon), ("delta", &clause.delta)];
        put(&mut privacy, reals.map(|(name, text)| (name, text.as_deref().and_then(real).map(|r| json!(r)))));
        privacy
    });
    let key = Some(Value::Object(key)).filter(|key| key.as_object().is_some_and(|k| !k.is_empty()));
    put(&mut terms, [("dataset_id", id), ("provider", known(&dataset.provider)), ("key", key), ("privacy", clause)]);
    terms
}

/// What of such a contract is read and not taken over, and why.
pub fn notices(depa: &DepaContract) -> Vec<String> {
    let mut notices = Vec::new();
    let hint = |name: &str, why: &str| format!("{name} is a hint and not taken over: {why}.");
    if depa.privacy.iter().any(|p| p.noise_multiplier.is_some()) {
        notices.push(hint("noise_multiplier", "the noise follows from ε, δ and the job, rounded up"));
    }
    if depa.privacy.iter().any(|p| p.epochs_per_report.is_some()) {
        notices.push(hint("epochs_per_report", "nothing is reported while training"));
    }
    if depa.privacy.iter().any(|p| p.epsilon.is_some() || p.delta.is_some()) {
        notices
            .push("unit, adjacency, accountant, scope and level of each clause are asked of the parties.".to_owned());
    }
    for name in &depa.left_out {
        notices.push(hint(name, "the data provider's key service appraises the evidence itself"));
    }
    if depa.payment && depa.payments.is_empty() {
        notices.push("Terms of payment are not taken over: prices stand in the registered offers.".to_owned());
    }
    notices.extend(payment::notices(depa));
    if depa.revocation {
        notices.push("Terms of revocation are not taken over: they are given as structured conditions.".to_owned());
    }
    notices
}

/// What stands in the way of a contract in one of DEPA's shapes, in this order and no further than the first kind that
/// does: parties, keys and places that are empty or `$VARIABLES`; a period that is over; privacy clauses that are missing
/// or protect nobody. `rows` knows the public count of principals of a dataset, where it is registered.
pub fn verdict(depa: &DepaContract, rows: impl Fn(&DepaDataset) -> Option<u64>, now: Timestamp) -> Vec<Refusal> {
    let mut refusals = incomplete(depa);
    refusals.extend(over(depa, now));
    if !refusals.is_empty() {
        return refusals;
    }
    depa.datasets.iter().filter_map(|dataset| clause(depa, dataset, rows(dataset)).err()).collect()
}

fn incomplete(depa: &DepaContract) -> Vec<Refusal> {
    let mut open = Vec::new();
    let mut ask = |ok: bool, field: String| {
        if !ok {
            let sentence = format!("{field} is empty or a placeholder.");
            open.push(Refusal::new(Code::ContractIncomplete, sentence).at(field));
        }
    };
    ask(did(depa.tdc.as_deref()), "tdc".into());
    ask(!depa.tdps.is_empty() && depa.tdps.iter().all(|tdp| did(Some(tdp))), "tdps".into());
    ask(did(depa.ccrp.as_deref()), "ccrp".into());
    ask(!depa.datasets.is_empty(), "datasets".into());
    for (n, dataset) in depa.datasets.iter().enumerate() {
        ask(did(dataset.provider.as_deref()), format!("datasets[{n}].provider"));
        ask(filled(dataset.url.as_deref()), format!("datasets[{n}].url"));
        let keyed = filled(dataset.key_id.as_deref()) && filled(dataset.key_endpoint.as_deref());
        ask(keyed || dataset.key_id.is_none() && dataset.key_endpoint.is_none(), format!("datasets[{n}].key"));
    }
    open
}

fn over(depa: &DepaContract, now: Timestamp) -> Option<Refusal> {
    let (start, expiry) = (depa.start.as_deref().and_then(time), depa.expiry.as_deref().and_then(time));
    let Some((start, expiry)) = start.zip(expiry) else {
        let sentence = "startTime or expiryTime is missing or no time of RFC 3339 with Z.";
        return Some(Refusal::new(Code::ContractIncomplete, sentence).at("expiryTime"));
    };
    if expiry <= now {
        return Some(Refusal::new(Code::ContractExpired, format!("It expired at {expiry}.")).at("expiryTime"));
    }
    let order = Refusal::new(Code::ContractPeriod, "It must begin before it ends.").at("startTime");
    (start >= expiry).then_some(order)
}

fn clause(depa: &DepaContract, dataset: &DepaDataset, rows: Option<u64>) -> R<()> {
    let name = dataset.name.as_deref().or(dataset.id.as_deref()).unwrap_or("without a name");
    let field = "constraints.privacy";
    let missing = |why: &str| Refusal::new(Code::PrivacyClauseMissing, format!("Dataset {name}: {why}.")).at(field);
    let clause = depa.clause_of(dataset).ok_or_else(|| missing("no privacy clause"))?;
    let epsilon = clause.epsilon.as_deref().and_then(real).ok_or_else(|| missing("no ε that can be read"))?;
    let delta = clause.delta.as_deref().and_then(real).ok_or_else(|| missing("no δ that can be read"))?;
    if reals::is_zero(&epsilon) {
        let sentence = format!("Dataset {name}: ε 0 allows no training.");
        return Err(Refusal::new(Code::EpsilonOutOfRange, sentence).at(field));
    }
    let rows = rows.unwrap_or(1);
    if reals::is_zero(&delta) || !reals::is_below_one_over(&delta, rows) {
        let sentence = format!("Dataset {name}: δ {delta} must be above 0 and below 1/{rows}.");
        return Err(Refusal::new(Code::DeltaTooLarge, sentence).at(field));
    }
    Ok(())
}

/// Fills what the register knows about each dataset that the draft names by our id: version, family, offer, root, key,
/// public rows and columns. What stands there already stays.
pub fn supply<'o>(contract: &mut Value, offer: impl Fn(&DatasetId) -> Option<(Digest, &'o DatasetOffer)>) {
    let Some(datasets) = contract.get_mut("datasets").and_then(Value::as_array_mut) else { return };
    for terms in datasets {
        let id = terms.get("dataset_id").and_then(Value::as_str).and_then(|id| DatasetId::parse(id).ok());
        let Some((sha256, offer)) = id.as_ref().and_then(&offer) else { continue };
        let key = json!({"kms": offer.key.kms, "key_id": offer.key.key_id, "min_assurance": offer.key.min_assurance});
        let usage = &offer.usage;
        let known = [
            ("version", json!(offer.version)),
            ("family", json!(offer.family)),
            ("provider", json!(offer.provider)),
            ("offer_sha256", json!(sha256)),
            ("manifest_root", json!(offer.manifest_root)),
            ("public_rows", json!(offer.public_rows)),
            ("allowed_columns", json!(usage.allowed_columns)),
        ];
        put(terms, known.into_iter().map(|(name, value)| (name, Some(value))));
        if terms.get("key").is_none_or(|key| key.get("key_id").is_none()) {
            overwrite(terms, "key", key);
        }
        for (name, columns) in [("join_keys", &usage.join_keys), ("target_columns", &usage.target_columns)] {
            if terms.get(name).and_then(Value::as_array).is_none_or(Vec::is_empty) {
                overwrite(terms, name, json!(columns));
            }
        }
    }
}

/// The contract that a draft holds, once nothing is missing; else every member that is, as `CONTRACT_INCOMPLETE`.
pub fn complete(draft: &Value) -> Result<Box<Contract>, Vec<Refusal>> {
    let mut missing = absent(draft, &MEMBERS, "");
    for (n, terms) in draft.get("datasets").and_then(Value::as_array).into_iter().flatten().enumerate() {
        missing.extend(absent(terms, &DATASET_MEMBERS, &format!("datasets[{n}].")));
        if let Some(privacy) = terms.get("privacy") {
            missing.extend(absent(privacy, &CLAUSE_MEMBERS, &format!("datasets[{n}].privacy.")));
        }
    }
    for (n, term) in draft.get("payment").and_then(Value::as_array).into_iter().flatten().enumerate() {
        missing.extend(absent(term, &TERM_MEMBERS, &format!("payment[{n}].")));
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    serde_json::from_value(draft.clone())
        .map(Box::new)
        .map_err(|e| vec![Refusal::new(Code::SchemaMismatch, e.to_string())])
}

fn absent(value: &Value, members: &[&str], prefix: &str) -> Vec<Refusal> {
    let open = members.iter().filter(|name| value.get(**name).is_none());
    let refusal = |name: &&str| {
        let field = format!("{prefix}{name}");
        Refusal::new(Code::ContractIncomplete, format!("{field} is still open.")).at(field)
    };
    open.map(refusal).collect()
}

const MEMBERS: [&str; 16] = [
    "schema",
    "registry",
    "contract_id",
    "version",
    "template",
    "parties",
    "purpose",
    "jurisdiction",
    "effective_from",
    "expires_at",
    "datasets",
    "compute",
    "outputs",
    "payment",
    "revocation",
    "obligations",
];
const DATASET_MEMBERS: [&str; 12] = [
    "dataset_id",
    "version",
    "family",
    "provider",
    "offer_sha256",
    "manifest_root",
    "key",
    "public_rows",
    "allowed_columns",
    "join_keys",
    "target_columns",
    "privacy",
];
const TERM_MEMBERS: [&str; 7] = ["term_id", "kind", "payer", "payees", "currency", "amount_minor", "trigger"];
const CLAUSE_MEMBERS: [&str; 7] = ["unit", "adjacency", "epsilon", "delta", "accountant", "scope", "level"];

/// Adds members that are known and not there yet.
fn put<'n>(object: &mut Value, members: impl IntoIterator<Item = (&'n str, Option<Value>)>) {
    let Some(object) = object.as_object_mut() else { return };
    for (name, value) in members {
        if let Some(value) = value {
            object.entry(name).or_insert(value);
        }
    }
}

fn overwrite(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// Text that is there and no `$VARIABLE`.
fn filled(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty() && !text.contains('$'))
}

fn did(text: Option<&str>) -> bool {
    filled(text) && text.is_some_and(|text| Did::parse(text).is_ok())
}

fn real(text: &str) -> Option<Real> {
    Real::parse(text).ok()
}
