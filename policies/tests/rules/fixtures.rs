//! A correct job of three tables, one contract, one consumer: what every test spoils one thing of.

use std::sync::LazyLock;

use policies::{Code, Facts, R};
use schemas::contract::{Contract, ContractRef, ContractState};
use schemas::dataset::DatasetOffer;
use schemas::digest::Digest;
use schemas::envelope::{Document, Entered, Envelope, Form, PartySignature, Signed};
use schemas::evidence::ImageSet;
use schemas::id::{Did, KeyId};
use schemas::job::JobSpec;
use schemas::jwk::Jwk;
use schemas::log::{Receipt, Record};
use schemas::pipeline::{Join, Output, Stage, Training};
use schemas::privacy::{Clause, Plan};
use schemas::release::ContractStatus;
use schemas::text::{Bytes, Real};
use schemas::time::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub const TDC: &str = "did:web:tdc.example";
pub const CCRP: &str = "did:web:ccrp.example";
pub const REGISTRY: &str = "did:web:sro.example";
pub const TABLES: [&str; 3] = ["icmr", "cowin", "index"];

/// A job with everything that it names. After spoiling a document, [`House::link`] mends the digests that pin it.
#[derive(Clone)]
pub struct House {
    pub job: JobSpec,
    pub contracts: Vec<Contract>,
    pub offers: Vec<DatasetOffer>,
    pub image_set: ImageSet,
    pub states: Vec<ContractState>,
    /// Replaces the signers of every document that they sign.
    pub absent: Option<&'static str>,
}

impl House {
    pub fn new() -> House {
        let offers: Vec<DatasetOffer> = (0..3).map(|n| read(offer(n))).collect();
        let contracts = vec![read(contract(&[0, 1, 2]))];
        let mut house = House {
            job: read(job()),
            contracts,
            offers,
            image_set: read(image_set()),
            states: vec![ContractState::Active],
            absent: None,
        };
        house.link();
        house
    }

    /// The same job under two contracts: the first gives one dataset, the second the other two.
    pub fn of_two_contracts() -> House {
        let mut house = House::new();
        let mut second: Contract = read(contract(&[1, 2]));
        second.contract_id = read(json!(id("ctr", 2)));
        house.contracts = vec![read(contract(&[0])), second];
        house.states = vec![ContractState::Active; 2];
        house.job.contracts.push(house.job.contracts[0].clone());
        house.link();
        house
    }

    /// Pins offers in contracts and contracts in the job by the digests they have now.
    pub fn link(&mut self) {
        for terms in self.contracts.iter_mut().flat_map(|c| &mut c.datasets) {
            if let Some(offer) = self.offers.iter().find(|o| o.dataset_id == terms.dataset_id) {
                terms.offer_sha256 = digest(offer);
            }
        }
        for (named, contract) in self.job.contracts.iter_mut().zip(&self.contracts) {
            *named = ContractRef { id: contract.contract_id.clone(), sha256: digest(contract) };
        }
    }

    pub fn judge<T>(&self, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
        let job = self.signed(&self.job, &[TDC]);
        let contracts: Vec<_> = self.contracts.iter().map(|c| self.entered(c, &dids(c))).collect();
        let offers: Vec<_> = self.offers.iter().map(|o| self.entered(o, &[o.provider.as_str()])).collect();
        let image_set = self.entered(&self.image_set, &["did:key:z6MkSroOne", "did:key:z6MkSroTwo"]);
        judge(&Facts { job: &job, contracts: &contracts, offers: &offers, image_set: &image_set })
    }

    pub fn statuses(&self) -> Vec<ContractStatus> {
        let status = |(contract, state): (&Contract, &ContractState)| ContractStatus {
            id: contract.contract_id.clone(),
            sha256: digest(contract),
            state: *state,
        };
        self.contracts.iter().zip(&self.states).map(status).collect()
    }

    pub fn join(&mut self) -> &mut Join {
        self.job.stages.iter_mut().find_map(|s| if let Stage::Join(join) = s { Some(join) } else { None }).unwrap()
    }

    pub fn training(&mut self) -> &mut Training {
        self.job.stages.iter_mut().find_map(|s| if let Stage::Train(train) = s { Some(train) } else { None }).unwrap()
    }

    pub fn output(&mut self) -> &mut Output {
        self.job.stages.iter_mut().find_map(|s| if let Stage::Output(out) = s { Some(out) } else { None }).unwrap()
    }

    fn signed<T: Document + Clone>(&self, value: &T, holders: &[&str]) -> Signed<T> {
        let present: Vec<&str> = holders.iter().copied().filter(|h| Some(*h) != self.absent).collect();
        signed(value, &present)
    }

    fn entered<T: Document + Clone>(&self, value: &T, holders: &[&str]) -> Entered<T> {
        Entered::vouched_by_signing(self.signed(value, holders), receipt())
    }
}

/// A signed document, as `signing` would vouch for it. The key of a holder has the holder's thumbprint of [`jwk`].
pub fn signed<T: Document + Clone>(value: &T, holders: &[&str]) -> Signed<T> {
    let kids = holders.iter().map(|holder| KeyId::new(holder, jwk(1).thumbprint())).collect();
    Signed::vouched_by_signing(value.clone(), Envelope::draft(value).unwrap(), kids)
}

/// An envelope with one signature in name.
pub fn envelope<T: Document>(value: &T, kid: KeyId) -> Envelope<T> {
    let signature = PartySignature { form: Form::Jws, protected: Bytes(vec![]), kid, sig: Bytes(vec![0; 64]) };
    Envelope::new(Envelope::draft(value).unwrap().payload.0, vec![signature])
}

/// A row of a test of refusals: the code expected, and what is spoilt.
pub type Row<T> = (Code, fn(&mut T));

/// Spoils a correct house in each way, mends the digests, and expects the code of the row.
pub fn spoilt(judge: impl Fn(&House) -> R<()>, rows: &[Row<House>]) {
    assert_eq!(judge(&House::new()), Ok(()), "the correct house");
    for (at, (code, spoil)) in rows.iter().enumerate() {
        let mut house = House::new();
        spoil(&mut house);
        house.link();
        expect(judge(&house), *code, &format!("row {at}"));
    }
}

pub fn expect<T: std::fmt::Debug>(judged: R<T>, code: Code, what: &str) {
    match judged {
        Ok(value) => panic!("{what}: allowed ({value:?}), {code} expected"),
        Err(refusal) => assert_eq!(refusal.code, code, "{what}: {refusal}"),
    }
}

/// The plan of the correct house, made once.
pub fn plan() -> Plan {
    static PLAN: LazyLock<Plan> = LazyLock::new(|| House::new().judge(policies::privacy::plan).unwrap());
    PLAN.clone()
}

/// Adds the first once more.
pub fn again<T: Clone>(list: &mut Vec<T>) {
    list.push(list[0].clone());
}

pub fn now() -> Timestamp {
    at("2026-12-01T10:00:00Z")
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub fn did(text: &str) -> Did {
    Did::parse(text).unwrap()
}

pub fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

pub fn digest<T: Document>(value: &T) -> Digest {
    Envelope::draft(value).unwrap().digest()
}

pub fn jwk(n: u8) -> Jwk {
    Jwk::ed25519([n; 32])
}

pub fn id(prefix: &str, n: u32) -> String {
    format!("{prefix}_01900000-0000-7000-8000-{n:012}")
}

pub fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub fn provider(n: usize) -> String {
    format!("did:web:tdp{n}.example")
}

pub fn clause(epsilon: &str, delta: &str) -> Clause {
    read(clause_json(epsilon, delta))
}

/// The parties of a contract.
fn dids(contract: &Contract) -> Vec<&str> {
    contract.parties.iter().map(|p| p.did.as_str()).collect()
}

fn clause_json(epsilon: &str, delta: &str) -> Value {
    json!({"unit": "principal", "adjacency": "add_remove", "epsilon": epsilon, "delta": delta,
        "accountant": "rdp", "scope": "per_tdc", "level": 1})
}

/// Allowed columns, join keys and targets of each table.
fn lists(n: usize) -> [Value; 3] {
    match n {
        0 => [json!(["ct", "strain"]), json!(["mobno", "icmrno"]), json!(["result"])],
        1 => [json!(["age", "vaccine"]), json!(["mobno"]), json!([])],
        _ => [json!(["page"]), json!(["mobno", "icmrno"]), json!(["page"])],
    }
}

fn columns(n: usize) -> Value {
    let text = |name: &str| json!({"name": name, "type": "text", "lower": null, "upper": null});
    let number = |name: &str, lower, upper| json!({"name": name, "type": "number", "lower": lower, "upper": upper});
    match n {
        0 => {
            json!([text("mobno"), text("icmrno"), number("ct", "10", "40"), number("strain", "0", "1"), text("result")])
        }
        1 => json!([text("mobno"), number("age", "0", "100"), text("vaccine"), text("address")]),
        _ => json!([text("mobno"), text("icmrno"), number("page", "0", "100")]),
    }
}

fn payees(n: usize) -> Value {
    json!([{"did": provider(n), "share_ppm": 1_000_000}])
}

fn offer(n: usize) -> Value {
    let [allowed, keys, targets] = lists(n);
    json!({
        "schema": "dataset-offer.v1", "registry": REGISTRY, "dataset_id": id("dst", n as u32), "version": 1, "offer_version": 1,
        "family": id("fam", n as u32), "provider": provider(n), "name": TABLES[n], "reference": schemas::dataset::Reference::plain("Ministry"), "columns": columns(n),
        "objects": [{"url": "https://blob.example/x.depa", "bytes": 4096, "media_type": "text/csv"}],
        "manifest_root": Digest([n as u8; 32]),
        "key": {"kms": format!("https://kms{n}.example"), "kms_jwk": jwk(1), "key_id": id("key", n as u32), "min_assurance": "hardware"},
        "public_rows": 2119,
        "usage": {"purposes": ["TRAINING"], "allowed_columns": allowed, "join_keys": keys, "target_columns": targets},
        "privacy_cap": clause_json("3.0", "0.0000472"),
        "payment": [{"term_id": "run", "kind": "per_run", "payees": payees(n), "currency": "INR", "amount_minor": 500_000, "trigger": "completed"}],
        "data_card": {"description": "d", "collection": "c", "limitations": "l", "personal_data": "p", "licence": "CC0"},
        "offered_at": "2026-11-01T00:00:00Z",
    })
}

fn contract(datasets: &[usize]) -> Value {
    let terms = |n: &usize| {
        let [allowed, keys, targets] = lists(*n);
        json!({
            "dataset_id": id("dst", *n as u32), "version": 1, "family": id("fam", *n as u32), "provider": provider(*n),
            "offer_sha256": Digest([0; 32]), "manifest_root": Digest([*n as u8; 32]),
            "key": {"kms": format!("https://kms{n}.example"), "key_id": id("key", *n as u32), "min_assurance": "hardware"},
            "public_rows": 2119, "allowed_columns": allowed, "join_keys": keys, "target_columns": targets,
            "privacy": clause_json("1.5", "0.0000472"),
        })
    };
    let price = |n: &usize| {
        json!({"term_id": format!("p{n}"), "kind": "per_run", "payer": TDC, "payees": payees(*n), "currency": "INR",
            "amount_minor": 500_000, "trigger": "completed"})
    };
    let mut parties: Vec<Value> = datasets.iter().map(|n| json!({"did": provider(*n), "role": "tdp"})).collect();
    parties.extend([json!({"did": TDC, "role": "tdc"}), json!({"did": CCRP, "role": "ccrp"})]);
    json!({
        "schema": "contract.v1", "registry": REGISTRY, "contract_id": id("ctr", 1), "version": 1, "supersedes": null,
        "template": "training-v1", "parties": parties, "purpose": "TRAINING", "jurisdiction": "IN",
        "effective_from": "2026-12-01T00:00:00Z", "expires_at": "2027-12-01T00:00:00Z",
        "datasets": datasets.iter().map(terms).collect::<Vec<_>>(),
        "compute": {"image_sets": [id("img", 1)], "evidence": ["azure-snp", "snp"], "platform_level": "baseline"},
        "outputs": {"kinds": ["model"], "recipient": TDC, "release": "encrypted_to_recipient"},
        "payment": datasets.iter().map(price).collect::<Vec<_>>(),
        "revocation": {"by": ["tdp", "sro"], "notice_seconds": 0, "running": "abort"},
        "obligations": {"risk_statement": "The parties accept what remains."},
    })
}

fn job() -> Value {
    let column = |handle: &str, column: &str| json!({"handle": handle, "column": column});
    let step = |handle: &str| json!({"handle": handle, "kind": "inner", "left": column("icmr", "mobno"), "right": column(handle, "mobno")});
    let feature = |handle: &str, name: &str, lower: &str, upper: &str| json!({"column": column(handle, name), "lower": lower, "upper": upper});
    let datasets: Vec<Value> =
        (0..3).map(|n| json!({"dataset_id": id("dst", n), "version": 1, "handle": TABLES[n as usize]})).collect();
    json!({
        "schema": "job.v1", "registry": REGISTRY, "job_id": id("job", 1), "tdc": TDC, "ccrp": CCRP,
        "contracts": [{"id": id("ctr", 1), "sha256": Digest([0; 32])}], "image_set_id": id("img", 1), "purpose": "TRAINING",
        "datasets": datasets, "expires_at": "2026-12-02T00:00:00Z",
        "stages": [
            {"op": "join", "name": "joined", "first": "icmr", "steps": [step("cowin"), step("index")],
                "projection": [column("icmr", "ct"), column("icmr", "strain"), column("icmr", "result"),
                    column("cowin", "age"), column("cowin", "vaccine"), column("index", "page")],
                "filters": [{"column": column("cowin", "age"), "op": "ge", "value": "18"}]},
            {"op": "train", "name": "model", "input": "joined", "private": true, "model": {"kind": "logistic_regression"},
                "features": [feature("icmr", "ct", "10", "40"), feature("icmr", "strain", "0", "1"),
                    feature("cowin", "age", "0", "100"), feature("index", "page", "0", "100")],
                "target": column("icmr", "result"), "positive": "1", "principal": column("icmr", "mobno"),
                "epsilon": "1.0", "delta": "0.0000472", "steps": 198, "sample_rate": "0.0755", "clipping_norm": "1.0",
                "learning_rate": "0.5", "split_salt": Bytes(vec![7; 32]), "train_ppm": 800_000, "init_seed": 1,
                "metrics": {"noise_multiplier": "20"}},
            {"op": "output", "input": "model", "kind": "model", "recipient": TDC, "recipient_jwk": Jwk::x25519([9; 32]),
                "upload": "https://blob.example/models"},
        ],
    })
}

fn image_set() -> Value {
    let pcrs: Vec<(String, Digest)> = [4, 7, 9, 11, 12].map(|n: u8| (n.to_string(), Digest([n; 32]))).into();
    json!({
        "schema": "image-set.v1", "registry": REGISTRY, "image_set_id": id("img", 1), "name": "ccr 0.1.0",
        "profile": "azure-snp", "pcrs": pcrs.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "measurements": [Bytes(vec![1; 48])], "id_key_digests": [], "host_data": null,
        "valid_from": "2026-11-01T00:00:00Z", "valid_to": "2027-11-01T00:00:00Z",
    })
}

pub fn receipt() -> Receipt {
    let zero = Digest([0; 32]);
    let record = Record { v: 1, kind: "test".into(), subject: zero, seq: 1, at: now(), body_sha256: zero, prev: zero };
    Receipt { index: 0, record, body_salt: Bytes(vec![0; 32]), path: vec![], checkpoint: String::new() }
}
