//! DEPA's own contract shapes (`depa-spec.md` 2.2): the sample of the text, the OpenAPI object and the reference files,
//! read leniently into one struct. Nobody signs them to bring a contract into force; they become drafts.

use serde_json::{Map, Value};

use crate::canonical;
use crate::problem::{Code, R, Refusal};
use crate::time::Timestamp;

/// The most datasets, parties or clauses in one file.
const MOST: usize = 64;
/// The longest text.
const LONGEST: usize = 4096;

/// A contract in one of DEPA's shapes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DepaContract {
    /// Its id, which need not be unique.
    pub id: Option<String>,
    /// The version, as text.
    pub version: Option<String>,
    /// When it begins, as text.
    pub start: Option<String>,
    /// When it ends, as text.
    pub expiry: Option<String>,
    /// The law that applies.
    pub jurisdiction: Option<String>,
    /// What for.
    pub purpose: Option<String>,
    /// The consumer.
    pub tdc: Option<String>,
    /// The providers.
    pub tdps: Vec<String>,
    /// The clean-room provider.
    pub ccrp: Option<String>,
    /// The datasets.
    pub datasets: Vec<DepaDataset>,
    /// Privacy clauses.
    pub privacy: Vec<DepaPrivacy>,
    /// Whether anything is said about money.
    pub payment: bool,
    /// What is said about money, entry by entry.
    pub payments: Vec<DepaPayment>,
    /// Whether anything is said about revocation.
    pub revocation: bool,
    /// Names of attestation services and other members that are not taken over.
    pub left_out: Vec<String>,
}

/// A dataset of such a contract.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DepaDataset {
    /// Its id.
    pub id: Option<String>,
    /// The mount alias.
    pub owner: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Where it lies.
    pub url: Option<String>,
    /// The DID of the provider.
    pub provider: Option<String>,
    /// The id of its key.
    pub key_id: Option<String>,
    /// Where its key is asked for.
    pub key_endpoint: Option<String>,
    /// Columns that may be the target.
    pub targets: Vec<String>,
    /// Columns that it may be joined on.
    pub joins: Vec<String>,
}

/// An entry of `terms.payment`; everything as text, as it came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DepaPayment {
    /// `tdp`, `tdc`, `ccrp` or `mc`.
    pub role: String,
    /// The DID of whom it is about.
    pub party: Option<String>,
    /// `paymentType`: once, recurring, pay-per-use.
    pub kind: Option<String>,
    /// The amount, without a currency.
    pub amount: Option<String>,
    /// Members that are there and not read: `paymentProcessor`, `paymentSchedule`, `paymentDetails`.
    pub left_out: Vec<String>,
}

/// A privacy clause; reals as text, as they came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DepaPrivacy {
    /// The dataset; none for every one.
    pub dataset: Option<String>,
    /// ε.
    pub epsilon: Option<String>,
    /// δ.
    pub delta: Option<String>,
    /// A hint: σ follows from ε, δ and the job.
    pub noise_multiplier: Option<String>,
    /// A hint: nothing is reported while training.
    pub epochs_per_report: Option<String>,
}

impl DepaContract {
    /// Reads any of the shapes: JSON of at most 256 KiB, no member twice; numbers may be text, whole or with a fraction.
    /// `IMPORT_INVALID` names what has another form.
    pub fn read(bytes: &[u8]) -> R<DepaContract> {
        if bytes.len() > canonical::MAX_DOCUMENT {
            return Err(Refusal::new(Code::BodyTooLarge, "a contract has at most 256 KiB"));
        }
        let value = canonical::parse_loose(bytes)?;
        let root = value.as_object().ok_or_else(|| bad("a contract is an object", ""))?;
        if !["datasets", "dataset", "tdc", "tdps"].iter().any(|name| root.contains_key(*name)) {
            return Err(bad("this is no contract of DEPA: neither datasets nor parties", ""));
        }
        let mut contract = DepaContract {
            id: text(root, "id")?,
            version: text(root, "version")?,
            start: text(root, "startTime")?,
            expiry: text(root, "expiryTime")?,
            jurisdiction: text(root, "jurisdiction")?,
            purpose: text(root, "purpose")?,
            tdc: identity(root.get("tdc"), "tdc")?,
            tdps: list(root, "tdps")?
                .into_iter()
                .filter_map(|tdp| identity(Some(tdp), "tdps").transpose())
                .collect::<R<_>>()?,
            ccrp: identity(root.get("ccrp"), "ccrp")?,
            ..DepaContract::default()
        };
        let single = root.get("dataset");
        for dataset in list(root, "datasets")?.into_iter().chain(single) {
            contract.datasets.push(read_dataset(dataset)?);
        }
        contract.read_constraints(root.get("constraints"))?;
        contract.read_terms(root.get("terms"))?;
        Ok(contract)
    }

    /// An array of objects, or one object.
    fn read_constraints(&mut self, constraints: Option<&Value>) -> R<()> {
        let all = match constraints {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Array(all)) if all.len() <= MOST => all.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            Some(_) => return Err(bad("constraints are an array of at most 64 or an object", "constraints")),
        };
        for constraint in all {
            let members = object(constraint, "constraints")?;
            for clause in list(members, "privacy")? {
                self.push_clause(read_clause(object(clause, "constraints.privacy")?, "dataset")?)?;
            }
            for data in list(members, "data")? {
                self.read_data(object(data, "constraints.data")?)?;
            }
            for name in ["compute", "fetch"] {
                if members.get(name).is_some_and(|value| !value.is_null()) {
                    self.left_out.push(format!("constraints.{name}"));
                }
            }
        }
        Ok(())
    }

    /// Target, join columns and clause of one dataset, in the OpenAPI shape.
    fn read_data(&mut self, data: &Map<String, Value>) -> R<()> {
        let id = text(data, "id")?;
        let (targets, joins) = (texts(data, "target_variables")?, texts(data, "join")?);
        if let Some(dataset) = self.datasets.iter_mut().find(|d| d.id == id) {
            dataset.targets.extend(targets);
            dataset.joins.extend(joins);
        }
        if let Some(privacy) = data.get("privacy").filter(|value| !value.is_null()) {
            let clause = read_clause(object(privacy, "constraints.data.privacy")?, "dataset")?;
            self.push_clause(DepaPrivacy { dataset: id, ..clause })?;
        }
        Ok(())
    }

    fn push_clause(&mut self, clause: DepaPrivacy) -> R<()> {
        if self.privacy.len() >= MOST {
            return Err(bad("at most 64 clauses are expected", "constraints"));
        }
        self.privacy.push(clause);
        Ok(())
    }

    fn read_terms(&mut self, terms: Option<&Value>) -> R<()> {
        let Some(terms) = terms.filter(|value| !value.is_null()) else { return Ok(()) };
        let terms = object(terms, "terms")?;
        let said = |name: &str| terms.get(name).is_some_and(|value| !is_empty(value));
        self.payment = said("payment");
        if let Some(payment) = terms.get("payment").and_then(Value::as_object) {
            for role in ["tdp", "tdc", "ccrp", "mc"] {
                self.read_payment(role, payment.get(role))?;
            }
        }
        self.revocation = said("revocation") || said("revoke");
        Ok(())
    }

    /// One entry, or an array of them.
    fn read_payment(&mut self, role: &str, value: Option<&Value>) -> R<()> {
        let entries = match value {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Array(all)) if all.len() <= MOST => all.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            Some(_) => return Err(bad("entries of a payment are objects", "terms.payment")),
        };
        for entry in entries.into_iter().filter(|entry| !is_empty(entry)) {
            let members = object(entry, "terms.payment")?;
            let left = ["paymentProcessor", "paymentSchedule", "paymentDetails"];
            let there = left.into_iter().filter(|name| members.get(*name).is_some_and(|value| !is_empty(value)));
            self.payments.push(DepaPayment {
                role: role.to_owned(),
                party: identity(members.get(role), "terms.payment")?,
                kind: text(members, "paymentType")?,
                amount: text(members, "amount")?,
                left_out: there.map(str::to_owned).collect(),
            });
        }
        Ok(())
    }

    /// The clause of a dataset: its own, else the one for every dataset.
    pub fn clause_of(&self, dataset: &DepaDataset) -> Option<&DepaPrivacy> {
        let own = self.privacy.iter().find(|clause| clause.dataset.is_some() && clause.dataset == dataset.id);
        own.or_else(|| self.privacy.iter().find(|clause| clause.dataset.is_none()))
    }
}

/// A time of RFC 3339 in UTC with any fraction; other spellings are none.
pub fn time(text: &str) -> Option<Timestamp> {
    let stem = text.strip_suffix('Z')?;
    let shorter = if stem.contains('.') { stem.trim_end_matches('0').trim_end_matches('.') } else { stem };
    Timestamp::parse(&format!("{shorter}Z")).ok()
}

fn read_dataset(value: &Value) -> R<DepaDataset> {
    let members = object(value, "datasets")?;
    let none = Map::new();
    let part = |of: &Map<String, Value>, name: &str| of.get(name).and_then(Value::as_object).cloned();
    let key = part(members, "key").and_then(|key| part(&key, "properties")).unwrap_or(none);
    Ok(DepaDataset {
        id: text(members, "id")?,
        owner: text(members, "owner")?,
        name: text(members, "name")?,
        url: text(members, "url")?,
        provider: identity(members.get("provider"), "datasets.provider")?,
        key_id: text(&key, "kid")?,
        key_endpoint: text(&key, "endpoint")?,
        targets: Vec::new(),
        joins: Vec::new(),
    })
}

fn read_clause(members: &Map<String, Value>, dataset: &str) -> R<DepaPrivacy> {
    let epsilon = text(members, "epsilon_threshold")?.or(text(members, "epsilon")?);
    Ok(DepaPrivacy {
        dataset: text(members, dataset)?,
        epsilon,
        delta: text(members, "delta")?,
        noise_multiplier: text(members, "noise_multiplier")?,
        epochs_per_report: text(members, "epochs_per_report")?,
    })
}

/// A DID as text, or an object with the DID as `id`.
fn identity(value: Option<&Value>, field: &str) -> R<Option<String>> {
    match value {
        Some(Value::Object(members)) => text(members, "id"),
        Some(Value::String(did)) => short(did, field).map(Some),
        None | Some(Value::Null) => Ok(None),
        Some(_) => Err(bad("an identity is text, or an object with an id", field)),
    }
}

/// Text, or a number as text; absent and null are none.
fn text(members: &Map<String, Value>, name: &str) -> R<Option<String>> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => short(text, name).map(Some),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Some(whole.to_string())),
            (None, Some(real)) => Ok(Some(real.to_string())),
            (None, None) => Err(bad("the number is too large", name)),
        },
        Some(_) => Err(bad("text or a number is expected", name)),
    }
}

fn texts(members: &Map<String, Value>, name: &str) -> R<Vec<String>> {
    let all = list(members, name)?.into_iter();
    all.map(|item| item.as_str().ok_or_else(|| bad("text is expected", name)).and_then(|t| short(t, name))).collect()
}

fn list<'v>(members: &'v Map<String, Value>, name: &str) -> R<Vec<&'v Value>> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(all)) if all.len() <= MOST => Ok(all.iter().collect()),
        Some(_) => Err(bad("an array of at most 64 is expected", name)),
    }
}

fn object<'v>(value: &'v Value, field: &str) -> R<&'v Map<String, Value>> {
    value.as_object().ok_or_else(|| bad("an object is expected", field))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().all(is_empty),
        Value::Array(all) => all.iter().all(is_empty),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn short(text: &str, field: &str) -> R<String> {
    if text.len() > LONGEST {
        return Err(bad("text has at most 4,096 bytes", field));
    }
    Ok(text.to_owned())
}

fn bad(sentence: &str, field: &str) -> Refusal {
    let refusal = Refusal::new(Code::ImportInvalid, format!("The contract cannot be read: {sentence}."));
    if field.is_empty() { refusal } else { refusal.at(field) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_shapes_are_read() {
        let sample = r#"{"id":"1","schemaVersion":"0.1","tdc":"did:web:tdc.example","tdps":["did:web:a.example"],
            "ccrp":"did:web:c.example","datasets":[{"id":"d","name":"n","url":"https://x","provider":"did:web:a.example"}],
            "constraints":[{"compute":{"attestation_service":"https://maa"},"privacy":[{"dataset":"d","epsilon_threshold":"1.5","delta":"0.01"}]}],
            "terms":{"payment":{"tdp":[{"amount":1}]},"revocation":{}}}"#;
        let read = DepaContract::read(sample.as_bytes()).unwrap();
        assert_eq!((read.tdps.len(), read.payment, read.revocation), (1, true, false));
        assert_eq!(read.left_out, ["constraints.compute"]);
        assert_eq!((read.payments[0].role.as_str(), read.payments[0].amount.as_deref()), ("tdp", Some("1")));
        assert_eq!(read.clause_of(&read.datasets[0]).unwrap().epsilon.as_deref(), Some("1.5"));
        let openapi = r#"{"id":7,"version":2,"tdc":{"id":"did:web:tdc.example"},"tdps":[{"id":"did:web:a.example"}],
            "dataset":{"id":"d","url":"https://x"},"constraints":{"fetch":true,"compute":["a"],"data":[{"id":"d",
            "target_variables":["y"],"join":["k"],"privacy":{"epsilon":1.5,"delta":0.0000472,"noise_multiplier":2}}]},
            "terms":{"revoke":[{"description":"x"}]}}"#;
        let read = DepaContract::read(openapi.as_bytes()).unwrap();
        assert_eq!((read.id.as_deref(), read.version.as_deref()), (Some("7"), Some("2")));
        assert_eq!((read.tdc.as_deref(), read.revocation), (Some("did:web:tdc.example"), true));
        assert_eq!(
            (&read.datasets[0].targets[..], &read.datasets[0].joins[..]),
            (&["y".to_owned()][..], &["k".to_owned()][..])
        );
        let clause = read.clause_of(&read.datasets[0]).unwrap();
        assert_eq!((clause.epsilon.as_deref(), clause.delta.as_deref()), (Some("1.5"), Some("0.0000472")));
    }

    #[test]
    fn what_is_no_such_contract_is_refused() {
        let rows = [
            ("[]", Code::ImportInvalid),
            ("{}", Code::ImportInvalid),
            (r#"{"tdc":1}"#, Code::ImportInvalid),
            (r#"{"tdc":"","datasets":[1]}"#, Code::ImportInvalid),
            (r#"{"tdc":"","constraints":1}"#, Code::ImportInvalid),
            (r#"{"tdc":"","tdc":""}"#, Code::DuplicateMember),
            ("{", Code::MalformedJson),
        ];
        for (text, code) in rows {
            assert_eq!(DepaContract::read(text.as_bytes()).unwrap_err().code, code, "{text}");
        }
        let many = format!(r#"{{"tdc":"","datasets":[{}]}}"#, vec!["{}"; 65].join(","));
        assert_eq!(DepaContract::read(many.as_bytes()).unwrap_err().code, Code::ImportInvalid);
        let long = format!(r#"{{"tdc":"{}"}}"#, "x".repeat(5000));
        assert_eq!(DepaContract::read(long.as_bytes()).unwrap_err().code, Code::ImportInvalid);
    }

    #[test]
    fn times_may_have_any_fraction() {
        let begin = Timestamp::parse("2023-03-14T00:00:00Z").unwrap();
        assert_eq!(time("2023-03-14T00:00:00.000Z"), Some(begin));
        assert_eq!(time("2023-03-14T00:00:00Z"), Some(begin));
        assert_eq!((time("2023-03-14"), time("2023-03-14T00:00:00+05:30")), (None, None));
    }
}
