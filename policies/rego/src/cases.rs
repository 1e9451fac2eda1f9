//! Tests of a document by its author: facts, what each case changes in them, and the verdict that it expects.
//!
//! `hours.rego` is tested by `hours.cases.toml` beside it:
//!
//! ```toml
//! # Facts to start from, a file beside this one; the sample of `depa policy facts` where absent.
//! facts = "facts.json"
//!
//! [[case]]
//! name = "at night"
//! set = { "local.hour" = 3, "datasets.0.epsilon_micro" = 400000 }
//! allow = false
//! deny = ["OUTSIDE_HOURS"]
//! ```
//!
//! An allowed case may name `obligations`; a case that should fail otherwise names the house's `code`.

use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::Obligations;
use crate::document::{Document, Documents};
use crate::facts::Facts;
use crate::judge;

/// The facts that cases start from where they name none: the sample of `depa policy facts`.
pub const SAMPLE: &str = include_str!("../examples/facts.json");

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// File of the facts to start from, beside the cases.
    #[serde(default)]
    pub facts: Option<String>,
    /// The cases.
    #[serde(rename = "case")]
    pub cases: Vec<Case>,
}

/// A case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A name for people.
    pub name: String,
    /// What is other than in the facts, by dotted path; a number names a place in a list.
    #[serde(default)]
    pub set: toml::Table,
    /// Whether the run should be allowed.
    pub allow: bool,
    /// The author's codes, in any order; any where absent.
    #[serde(default)]
    pub deny: Option<Vec<String>>,
    /// What an allowed run should be held to; anything where absent.
    #[serde(default)]
    pub obligations: Option<Obligations>,
    /// The code of the house with which the run should be refused; `RULES_DENIED` where absent.
    #[serde(default)]
    pub code: Option<String>,
}

/// How a case went.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What was other than expected; none where it passed.
    pub wrong: Option<String>,
}

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::ConfigInvalid, why)
}

/// The sample facts.
pub fn sample() -> R<Facts> {
    read_facts(SAMPLE)
}

/// Facts of a file.
pub fn read_facts(text: &str) -> R<Facts> {
    serde_json::from_str(text).map_err(|e| invalid(format!("these are no facts of a run: {e}")))
}

impl Cases {
    /// Reads a file of cases.
    pub fn read(text: &str) -> R<Cases> {
        let cases: Cases = toml::from_str(text).map_err(|e| invalid(format!("these are no cases: {}", e.message())))?;
        if cases.cases.is_empty() {
            return Err(invalid("there is no case"));
        }
        Ok(cases)
    }

    /// Runs the cases of a document.
    pub fn run(&self, document: &Document, facts: &Facts) -> R<Vec<Outcome>> {
        let base = serde_json::to_value(facts).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
        self.cases
            .iter()
            .map(|case| {
                let wrong = case.run(document, &base)?;
                Ok(Outcome { name: case.name.clone(), wrong })
            })
            .collect()
    }
}

impl Case {
    fn run(&self, document: &Document, base: &Value) -> R<Option<String>> {
        let mut changed = base.clone();
        for (path, value) in &self.set {
            let value = serde_json::to_value(value).map_err(|e| invalid(format!("{}: {path}: {e}", self.name)))?;
            *place(&mut changed, path).ok_or_else(|| {
                invalid(format!("case {:?} sets {path}, which is no member of the facts", self.name))
            })? = value;
        }
        let facts: Facts = serde_json::from_value(changed)
            .map_err(|e| invalid(format!("what case {:?} sets are no facts of a run: {e}", self.name)))?;
        let judged = judge::judge(&Documents::of([document.clone()]), &facts);
        let said = judge::verdict(document, &facts);
        Ok(match (&judged, self.allow) {
            (Err(refusal), true) => Some(format!("refused: {refusal}")),
            (Ok(_), false) => Some("allowed".to_owned()),
            (Ok(held), true) => self
                .obligations
                .as_ref()
                .filter(|expected| *expected != held)
                .map(|_| format!("other obligations: {}", serde_json::to_string(held).unwrap_or_default())),
            (Err(refusal), false) => {
                let code = self.code.as_deref().unwrap_or(Code::RulesDenied.as_str());
                let codes = said.map(|verdict| verdict.answer.deny).unwrap_or_default();
                let same = self.deny.as_ref().is_none_or(|deny| sorted(deny) == sorted(&codes));
                if refusal.code.as_str() != code {
                    Some(format!("refused with another code: {refusal}"))
                } else {
                    (!same).then(|| format!("denied with other codes: {}", codes.join(", ")))
                }
            }
        })
    }
}

fn sorted(codes: &[String]) -> Vec<&str> {
    let mut list: Vec<&str> = codes.iter().map(String::as_str).collect();
    list.sort_unstable();
    list
}

/// The member at a dotted path, where there is one: a slip of the pen must not make a case that tests nothing.
fn place<'v>(facts: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    path.split('.').try_fold(facts, |at, name| match at {
        Value::Object(members) => members.get_mut(name),
        Value::Array(list) => list.get_mut(name.parse::<usize>().ok()?),
        _ => None,
    })
}
