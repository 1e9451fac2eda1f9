//! Rules documents in Rego, as their author works on them: read, tested by cases, asked about facts. The same bounded
//! evaluation as a key service's; nothing is sent anywhere.

use std::path::{Path, PathBuf};

use policies_rego::cases::{Cases, Outcome};
use policies_rego::{Document, Documents, Facts, Obligations, Verdict, cases};
use schemas::{Digest, R};
use serde::Serialize;

use crate::edge;

/// How the cases of one document went.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    /// The document.
    pub document: PathBuf,
    /// Its digest.
    pub digest: Digest,
    /// Its cases in order.
    pub cases: Vec<Outcome>,
}

/// What a document makes of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// What the document said.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Whether a key service would go on with the run.
    pub granted: bool,
    /// What an allowed run is held to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Obligations>,
    /// The code that the room would be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Reads a document; `RULES_FORM` where a key service would not take it.
pub fn read(path: &Path) -> R<Document> {
    Document::read(&edge::read(path)?).map_err(|mut refusal| {
        refusal.sentence = format!("{}: {}", path.display(), refusal.sentence);
        refusal
    })
}

/// Runs the cases of a document: of the file named, or of `x.cases.toml` beside `x.rego`.
pub fn test(document: &Path, cases: Option<&Path>) -> R<Tested> {
    let read_document = read(document)?;
    let file = cases.map_or_else(|| document.with_extension("cases.toml"), Path::to_path_buf);
    let bytes = edge::read(&file)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| edge::file_fault(&file, "not UTF-8"))?;
    let list = Cases::read(text).map_err(|e| edge::file_fault(&file, e.sentence))?;
    let beside = list.facts.as_ref().map(|name| file.parent().unwrap_or(Path::new(".")).join(name));
    let cases = list.run(&read_document, &facts(beside.as_deref())?)?;
    Ok(Tested { document: document.to_owned(), digest: read_document.digest(), cases })
}

/// Facts of a file; the sample where none is named.
pub fn facts(path: Option<&Path>) -> R<Facts> {
    let Some(path) = path else { return cases::sample() };
    let bytes = edge::read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| edge::file_fault(path, "not UTF-8"))?;
    cases::read_facts(text).map_err(|e| edge::file_fault(path, e.sentence))
}

/// What a document says of facts, and what a key service would make of that. A document that fails to answer is an error
/// with its own code.
pub fn explain(document: &Document, facts: &Facts) -> R<Explained> {
    let verdict = policies_rego::verdict(document, facts)?;
    Ok(match policies_rego::judge(&Documents::of([document.clone()]), facts) {
        Ok(held) => Explained { verdict, granted: true, held: Some(held), code: None, why: None },
        Err(refusal) => Explained {
            verdict,
            granted: false,
            held: None,
            code: Some(refusal.code.as_str()),
            why: Some(refusal.sentence),
        },
    })
}

impl Tested {
    /// Whether every case went as expected.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.wrong.is_none())
    }

    /// One line per case.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("{} {}", self.document.display(), self.digest)];
        lines.extend(self.cases.iter().map(|case| match &case.wrong {
            None => format!("  pass  {}", case.name),
            Some(wrong) => format!("  FAIL  {}: {wrong}", case.name),
        }));
        lines.join("\n")
    }
}

impl Explained {
    /// Some lines for a person.
    pub fn text(&self) -> String {
        let said = if self.verdict.answer.allow { "allow" } else { "no allow" };
        let mut lines = vec![format!("{}: {said}, {} steps", self.verdict.digest, self.verdict.steps)];
        if !self.verdict.answer.deny.is_empty() {
            lines.push(format!("deny: {}", self.verdict.answer.deny.join(", ")));
        }
        let held = serde_json::to_string(&self.verdict.answer.obligations).unwrap_or_default();
        lines.push(format!("obligations: {held}"));
        match (self.code, &self.why) {
            (Some(code), Some(why)) => lines.push(format!("the run would be refused: {code}: {why}")),
            _ => lines.push("the run would go on".to_owned()),
        }
        lines.join("\n")
    }
}
