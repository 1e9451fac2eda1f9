//! Several documents: all must allow, and the stricter of their obligations holds.

use schemas::{Code, Digest, R, Refusal};
use serde::Serialize;

use crate::answer::{Answer, Obligations, OutputPolicy};
use crate::document::{Document, Documents};
use crate::evaluate;
use crate::facts::Facts;

/// What one document said of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Verdict {
    /// The document.
    pub digest: Digest,
    /// What it said.
    #[serde(flatten)]
    pub answer: Answer,
    /// Steps of its evaluation.
    pub steps: u64,
}

impl Verdict {
    /// Its obligations, or the refusal that it amounts to.
    pub fn granted(&self) -> R<Obligations> {
        if self.answer.allow && self.answer.deny.is_empty() {
            return Ok(self.answer.obligations.clone());
        }
        let why = match self.answer.deny.as_slice() {
            [] => String::new(),
            codes => format!(": {}", codes.join(", ")),
        };
        let sentence = format!("The rules document {} does not allow this run{why}.", self.digest.short());
        Err(Refusal::new(Code::RulesDenied, sentence).at("rules"))
    }
}

/// What one document says of a run.
pub fn verdict(document: &Document, facts: &Facts) -> R<Verdict> {
    let input = serde_json::to_string(facts).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    let (answer, steps) = evaluate::answer(document, &input).map_err(|refusal| refusal.at("rules"))?;
    Ok(Verdict { digest: document.digest(), answer, steps })
}

/// May this run get keys, after the rules in Rust said yes? What it is held to, if all documents allow it and it keeps
/// what they hold it to. No documents hold it to nothing.
pub fn judge(documents: &Documents, facts: &Facts) -> R<Obligations> {
    let mut all = Obligations::default();
    for document in &documents.list {
        all = all.and(verdict(document, facts)?.granted()?)?;
    }
    kept(&all, facts)?;
    Ok(all)
}

/// Does the run keep what can be judged beforehand?
fn kept(obligations: &Obligations, facts: &Facts) -> R<()> {
    let refuse = |sentence: String| Err(Refusal::new(Code::RulesObligation, sentence).at("rules"));
    if let Some(most) = &obligations.epsilon_max {
        let micro = policies::budget::epsilon_micro(most)?;
        if let Some(over) = facts.datasets.iter().find(|used| used.own && used.epsilon_micro > micro) {
            return refuse(format!(
                "This run costs dataset {} more than ε {most}, the most that its rules allow.",
                over.dataset_id
            ));
        }
    }
    if obligations.output_policy == Some(OutputPolicy::ModelWithoutMetrics)
        && facts.plan.metrics_noise_multiplier.is_some()
    {
        return refuse("The job asks for metrics, and the rules let only the model out.".into());
    }
    Ok(())
}
