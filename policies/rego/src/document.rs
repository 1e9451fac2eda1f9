//! A document: Rego within a subset whose cost is bounded, known by the digest of its bytes.

use std::collections::BTreeSet;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;

use regorus::{Engine, PolicyLengthConfig};
use schemas::{Code, Digest, R, Refusal};

use crate::form::{self, Rules};

/// The most bytes of a document.
pub const MAX_BYTES: usize = 16 * 1024;
/// The most documents that one run is judged by.
pub const MAX_DOCUMENTS: usize = 16;

/// A document that may be evaluated.
#[derive(Clone)]
pub struct Document {
    digest: Digest,
    pub(crate) rules: Rules,
    pub(crate) engine: Engine,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({})", self.digest)
    }
}

/// The documents that a run is judged by, each once.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    pub(crate) list: Vec<Document>,
}

fn refuse(why: impl fmt::Display) -> Refusal {
    Refusal::new(Code::RulesForm, format!("The rules document {why}."))
}

impl Document {
    /// Reads a document; `RULES_FORM` where it is too long, is no Rego, or steps outside the subset (`form`).
    pub fn read(bytes: &[u8]) -> R<Document> {
        if bytes.len() > MAX_BYTES {
            return Err(refuse(format_args!("has more than {MAX_BYTES} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| refuse("is not UTF-8"))?;
        if form::depth(text) > form::MAX_DEPTH {
            return Err(refuse("is nested too deep"));
        }
        let mut engine = Engine::new();
        engine.set_strict_builtin_errors(true);
        engine.set_policy_length_config(PolicyLengthConfig {
            max_col: NonZeroU32::MIN.saturating_add(511),
            max_file_bytes: NonZeroUsize::MIN.saturating_add(MAX_BYTES),
            max_lines: NonZeroUsize::MIN.saturating_add(999),
        });
        let digest = Digest::of(bytes);
        engine
            .add_policy(digest.to_string(), text.to_owned())
            .map_err(|e| refuse(format_args!("cannot be read: {}", first_line(&e))))?;
        let tree = engine.get_ast_as_json().map_err(|e| refuse(format_args!("cannot be read: {e}")))?;
        let rules = form::check(&tree).map_err(refuse)?;
        Ok(Document { digest, rules, engine })
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// The digest by which offers and contracts name a document.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest::of(bytes)
}

impl Documents {
    /// The documents of these digests; `find` gives the bytes of one. `RULES_MISSING` where there is none with the
    /// digest that is asked for, also where the bytes are others.
    pub fn find(digests: &BTreeSet<Digest>, mut find: impl FnMut(&Digest) -> R<Option<Vec<u8>>>) -> R<Documents> {
        if digests.len() > MAX_DOCUMENTS {
            let sentence = format!("More than {MAX_DOCUMENTS} rules documents stand in the way of one run.");
            return Err(Refusal::new(Code::RulesMissing, sentence).at("rules"));
        }
        let mut list = Vec::new();
        for digest in digests {
            let bytes = find(digest)?.filter(|bytes| Digest::of(bytes) == *digest);
            let sentence = format!("The rules document {digest} is not here.");
            list.push(Document::read(&bytes.ok_or_else(|| Refusal::new(Code::RulesMissing, sentence).at("rules"))?)?);
        }
        Ok(Documents { list })
    }

    /// The documents of these digests in a folder of files named `<digest>.rego`. No folder holds none.
    pub fn in_folder(folder: Option<&Path>, digests: &BTreeSet<Digest>) -> R<Documents> {
        Documents::find(digests, |digest| {
            let Some(folder) = folder else { return Ok(None) };
            // What cannot be read is missing: either way nobody can say what the rule would have said.
            Ok(std::fs::read(folder.join(format!("{digest}.rego"))).ok())
        })
    }

    /// Documents at hand, each once.
    pub fn of(documents: impl IntoIterator<Item = Document>) -> Documents {
        let mut list: Vec<Document> = documents.into_iter().collect();
        list.sort_by_key(Document::digest);
        list.dedup_by_key(|document| document.digest());
        Documents { list }
    }

    /// Their digests in order: what a receipt names.
    pub fn digests(&self) -> Vec<Digest> {
        self.list.iter().map(Document::digest).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// What is wrong, without the picture of the source around it.
fn first_line(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let told = text.lines().rev().find(|line| line.starts_with("error:"));
    let place = text.lines().find(|line| line.contains("-->")).and_then(|line| line.rsplit_once(".rego").map(|p| p.1));
    let lines = told.unwrap_or_else(|| text.lines().next().unwrap_or_default());
    format!("{}{}", lines.trim_start_matches("error: "), place.unwrap_or_default())
}
