//! The form of a contract: what its template allows. One is built in, others are approved by two SRO people.

use schemas::contract::Contract;
use schemas::digest::Digest;
use schemas::problem::{Code, R};
use schemas::rules::{PURPOSES, Template};

use crate::forms::ensure;

/// What a template says about the contracts that use it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContractForm {
    /// Purposes that it may be used for.
    pub purposes: Vec<String>,
    /// Jurisdictions that it may be used in; empty for every one.
    pub jurisdictions: Vec<String>,
    /// The longest period in days.
    pub max_days: u32,
    /// Days after which an unsigned proposal lapses.
    pub lapse_days: u32,
    /// Whether two SRO people must countersign.
    pub sro_countersigns: bool,
    /// Whether a statement of anticipated model risks is required.
    pub risk_statement: bool,
    /// Rego documents that they must name.
    pub rules: Vec<Digest>,
}

impl ContractForm {
    /// The built-in template `training-v1`: up to ten years, everywhere, signed within 30 days by the parties alone.
    pub fn built_in() -> ContractForm {
        ContractForm {
            purposes: PURPOSES.map(str::to_owned).to_vec(),
            jurisdictions: Vec::new(),
            max_days: 3653,
            lapse_days: 30,
            sro_countersigns: false,
            risk_statement: true,
            rules: Vec::new(),
        }
    }

    /// An approved template.
    pub fn of(template: &Template) -> ContractForm {
        ContractForm {
            purposes: template.purposes.clone(),
            jurisdictions: template.jurisdictions.clone(),
            max_days: template.max_days,
            lapse_days: template.lapse_days,
            sro_countersigns: template.sro_countersigns,
            risk_statement: template.risk_statement,
            rules: template.rules.clone(),
        }
    }

    /// Does the contract keep to its template? `TEMPLATE_MISMATCH` names the member that does not.
    pub fn admits(&self, contract: &Contract) -> R<()> {
        let mismatch = |ok, field, sentence: String| {
            ensure(ok, Code::TemplateMismatch, field, format!("The template {sentence}."))
        };
        let purpose = self.purposes.contains(&contract.purpose);
        mismatch(purpose, "purpose", format!("is not for the purpose {}", contract.purpose))?;
        let here = self.jurisdictions.is_empty() || self.jurisdictions.contains(&contract.jurisdiction);
        mismatch(here, "jurisdiction", format!("is not for the jurisdiction {}", contract.jurisdiction))?;
        let last = contract.effective_from.plus_seconds(i64::from(self.max_days) * 86_400);
        mismatch(contract.expires_at <= last, "expires_at", format!("allows a period of {} days", self.max_days))?;
        let stated = !self.risk_statement || !contract.obligations.risk_statement.trim().is_empty();
        let sentence = "asks for a statement of the anticipated risks of the model".to_owned();
        mismatch(stated, "obligations.risk_statement", sentence)?;
        let named = self.rules.iter().all(|rule| contract.rules.contains(rule));
        mismatch(named, "rules", "asks for a rules document that the contract does not name".to_owned())
    }
}
