//! Rules in Rego that the provider's offer or the contract names: asked after every rule of the house said yes. They may
//! refuse, or hold a run to less; they grant nothing.
//!
//! Documents lie in the folder `rules_dir` as `<SHA-256>.rego` and are read anew for each request, so that the operator can
//! add one while the service runs. Their content is fixed by their name.

use std::collections::BTreeSet;

use policies::Facts;
use policies_rego::facts::Asked;
use policies_rego::{Documents, Obligations};
use schemas::evidence::Appraisal;
use schemas::id::{DatasetId, RunId};
use schemas::privacy::Plan;
use schemas::{Digest, R, Timestamp};

use crate::judge::OwnDataset;
use crate::kms::Kms;

/// What the documents made of a run that they allow.
pub(crate) struct Held {
    /// What they hold it to, the stricter of each.
    pub obligations: Obligations,
    /// Their digests, for the receipt.
    pub documents: Vec<Digest>,
}

impl Kms {
    /// Asks every document that an own dataset's offer or contract names. `RULES_MISSING` where one is not here,
    /// `RULES_DENIED` where one says no, `RULES_OBLIGATION` where the run cannot keep what one holds it to.
    pub(crate) fn ask_rules(
        &self,
        facts: &Facts<'_>,
        own: &[OwnDataset],
        plan: &Plan,
        appraisal: &Appraisal,
        run_id: &RunId,
        now: Timestamp,
    ) -> R<Held> {
        let named: BTreeSet<Digest> = own.iter().flat_map(|dataset| &dataset.rules).copied().collect();
        if named.is_empty() {
            return Ok(Held { obligations: Obligations::default(), documents: Vec::new() });
        }
        let documents = Documents::in_folder(self.config.rules_dir.as_deref(), &named)?;
        let own: Vec<DatasetId> = own.iter().map(|dataset| dataset.released.dataset_id.clone()).collect();
        let utc_offset_minutes = self.config.utc_offset_minutes;
        let asked = Asked { facts, plan, appraisal, run_id, own: &own, now, utc_offset_minutes };
        let obligations = policies_rego::judge(&documents, &policies_rego::Facts::of(&asked)?)?;
        Ok(Held { obligations, documents: documents.digests() })
    }
}
