//! What reserve and release both ask: is this a genuine room, for this run, under contracts in force?

use std::collections::BTreeSet;
use std::sync::Arc;

use attestation::Expected;
use policies::Facts;
use schemas::bundle::JobBundle;
use schemas::contract::{Assurance, ContractRef, ContractState};
use schemas::evidence::{Appraisal, Evidence, Transcript};
use schemas::id::KeyId;
use schemas::privacy::{Clause, DatasetCharge, Plan};
use schemas::release::{Admission, Attested, Challenge, ContractStatus, ReleasedDataset};
use schemas::{Code, Digest, Envelope, R, Refusal, Signed, Signer as _, Timestamp, canonical};
use signing::OpenedBundle;

use crate::audit;
use crate::history;
use crate::journal::{self, Statement};
use crate::kms::Kms;
use crate::rules::Held;
use crate::withdrawn;

/// A dataset of the job whose key is kept here.
pub(crate) struct OwnDataset {
    pub released: ReleasedDataset,
    /// What the contract grants.
    pub clause: Clause,
    /// The most that the offer lets any contract grant.
    pub cap: Clause,
    /// Rules documents that the offer and the contract name.
    pub rules: BTreeSet<Digest>,
}

/// A request that passed all checks but those of the budget.
pub(crate) struct Judged {
    pub opened: Arc<OpenedBundle>,
    pub transcript: Transcript,
    pub transcript_sha256: Digest,
    pub appraisal: Appraisal,
    /// In the order of the job.
    pub own: Vec<OwnDataset>,
    pub plan: Plan,
    /// What the rules documents of provider and SRO hold the run to.
    pub held: Held,
    pub admission: Signed<Admission>,
}

/// Judges a job as if its contracts were in force, where that is told otherwise: by a status list, or in a dry run.
pub(crate) fn job_if_in_force(opened: &OpenedBundle, now: Timestamp) -> R<()> {
    let active = |c: &ContractRef| ContractStatus { id: c.id.clone(), sha256: c.sha256, state: ContractState::Active };
    let states: Vec<ContractStatus> = opened.job.contracts.iter().map(active).collect();
    policies::gate::job(&facts(opened), &states, now)
}

/// The opened bundle as the rules read it.
pub(crate) fn facts(opened: &OpenedBundle) -> Facts<'_> {
    Facts { job: &opened.job, contracts: &opened.contracts, offers: &opened.offers, image_set: &opened.image_set }
}

/// A room that was shown to be genuine and admitted, for a job under contracts in force.
pub(crate) struct Vouched {
    pub opened: Arc<OpenedBundle>,
    pub appraisal: Appraisal,
    pub admission: Signed<Admission>,
}

/// Whether what is asked spends of a budget. Where it does not, it is all the same whether this database was put back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spends {
    Budget,
    Nothing,
}

impl Kms {
    /// Judges a request in the order of the run protocol; the challenge was consumed before.
    pub(crate) fn judge(
        &self,
        challenge: &Challenge,
        attested: &Attested,
        admission: Envelope<Admission>,
        bundle: JobBundle,
        now: Timestamp,
    ) -> R<Judged> {
        let Vouched { opened, appraisal, admission } =
            self.vouched(challenge, attested, admission, bundle, Spends::Budget, now)?;
        let (facts, transcript) = (facts(&opened), &attested.transcript);
        let own = self.own_datasets(&opened, appraisal.assurance)?;
        let plan = self.plans.of(&facts)?;
        let held = self.ask_rules(&facts, &own, &plan, &appraisal, &transcript.run_id, now)?;
        let transcript_sha256 = Digest::of(&canonical::to_bytes(transcript)?);
        Ok(Judged { transcript: transcript.clone(), transcript_sha256, appraisal, own, plan, held, admission, opened })
    }

    /// Is this a genuine room, admitted to a job under contracts in force? What key it gets is judged after.
    pub(crate) fn vouched(
        &self,
        challenge: &Challenge,
        attested: &Attested,
        admission: Envelope<Admission>,
        bundle: JobBundle,
        spends: Spends,
        now: Timestamp,
    ) -> R<Vouched> {
        let trust = self.trust(bundle.log_keys.as_ref())?;
        let opened = self.bundles.open(bundle, trust.clone())?;
        let facts = facts(&opened);
        let transcript = &attested.transcript;
        policies::release::transcript(transcript, challenge, &facts, now)?;
        let appraisal = self.appraise(challenge, attested, &opened, now)?;

        let registry = &trust.registry;
        let admission = signing::verify_by(admission, registry, &trust, registry.as_str())?;
        policies::release::admission(&admission, transcript, now)?;
        if spends == Spends::Budget {
            policies::release::admission_since(&admission, self.started)?;
            self.store.transact(|c| {
                audit::check_caught_up(c)?;
                journal::check_not_behind(c, &admission.kms_heads, &self.config.url)
            })?;
        }
        self.store.transact(|c| withdrawn::refuse(c, &transcript.image_set_id))?;
        let mut heads = history::heads(&opened)?;
        heads.push(admission.checkpoint.clone());
        heads.extend(signing::witnessed(&trust, &admission, &opened.contracts, now)?);
        self.store.transact(|c| {
            history::not_behind(c, &trust.origin, &admission.checkpoint, admission.issued_at)?;
            history::keep(c, &trust, &heads, now)
        })?;

        policies::gate::job(&facts, &admission.contracts, now)?;
        policies::release::evidence_allowed(&facts, &appraisal)?;
        Ok(Vouched { opened, appraisal, admission })
    }

    /// Appraises under this service's platform level and every level that a contract names; all must accept.
    fn appraise(
        &self,
        challenge: &Challenge,
        attested: &Attested,
        opened: &OpenedBundle,
        now: Timestamp,
    ) -> R<Appraisal> {
        let expected = Expected::from_transcript(&attested.transcript, &opened.image_set)?
            .of_challenge(&challenge.nonce, challenge.expires_at);
        let who = attested.transcript.run_id.as_str();
        self.appraise_as(&attested.evidence, &expected, &self.levels(opened), who, now)
    }

    /// The platform levels at which evidence must hold for this job.
    pub(crate) fn levels(&self, opened: &OpenedBundle) -> BTreeSet<String> {
        let named = opened.contracts.iter().map(|c| c.compute.platform_level.clone());
        named.chain([self.config.platform_level.clone()]).collect()
    }

    /// Appraises at each of these levels; the last appraisal, or the first that does not accept.
    pub(crate) fn appraise_as(
        &self,
        evidence: &Evidence,
        expected: &Expected,
        levels: &BTreeSet<String>,
        who: &str,
        now: Timestamp,
    ) -> R<Appraisal> {
        let mut strictest = None;
        for level in levels {
            let policy = self
                .policy(level)
                .map_err(|_| Refusal::new(Code::EvidenceNotAllowed, "a contract names an unknown platform level"))?;
            let appraisal = attestation::appraise(evidence, expected, &policy, now);
            if !appraisal.accepted {
                tracing::warn!(run_id = who, level, failed = ?appraisal.failed(), "evidence refused");
                return Ok(appraisal);
            }
            strictest = Some(appraisal);
        }
        let appraisal = strictest.ok_or_else(|| Refusal::new(Code::Internal, "no platform level"))?;
        if !attestation::bound_to_transcript(&appraisal) {
            return Err(Refusal::new(Code::EvidenceRefused, "the evidence is not bound to the transcript"));
        }
        Ok(appraisal)
    }

    /// The datasets of the job whose contract names this service, each with its key's row; at least one.
    pub(crate) fn own_datasets(&self, opened: &OpenedBundle, assurance: Assurance) -> R<Vec<OwnDataset>> {
        let mut own = Vec::new();
        let pinned = KeyId::new(self.config.provider.as_str(), self.provider_jwk.thumbprint());
        self.renewals_belong(opened)?;
        let shown = || opened.renewals.iter().map(|renewal| (renewal.digest(), &***renewal));
        for used in facts(opened).datasets()? {
            let (dataset, terms) = (used.job, used.terms);
            if terms.key.kms != self.config.url || terms.provider != self.config.provider {
                continue;
            }
            // The SRO vouches for the keys of others; for its own provider's signature this service needs nobody's word.
            if !used.contract.signers().contains(&pinned) || !used.offer.signers().contains(&pinned) {
                let sentence = "the provider's signature is not by the key that this service pins";
                return Err(Refusal::new(Code::SignerUnknown, sentence).at("provider_jwk"));
            }
            if used.offer.key.kms_jwk != *self.signer.jwk() {
                let sentence = "the offer pins another signing key than this service's";
                return Err(Refusal::new(Code::JobMismatch, sentence).at("kms_jwk"));
            }
            let row = self.store.transact(|c| self.cupboard.row(c, &terms.key.key_id))?;
            if !row.is_of(&dataset.dataset_id, dataset.version, &terms.manifest_root) {
                let sentence = format!("{} is not the key of this version of the dataset", terms.key.key_id);
                return Err(Refusal::new(Code::KeyUnknown, sentence));
            }
            if assurance < row.min_assurance()? {
                let sentence = "the key was imported for stronger evidence than this";
                return Err(Refusal::new(Code::AssuranceTooLow, sentence));
            }
            own.push(OwnDataset {
                released: ReleasedDataset {
                    dataset_id: dataset.dataset_id.clone(),
                    version: dataset.version,
                    contract: used.contract_ref(),
                    manifest_root: terms.manifest_root,
                    key_id: terms.key.key_id.clone(),
                },
                clause: terms.privacy.clone(),
                cap: policies::renewal::cap(used.offer, &terms.offer_sha256, &opened.job.tdc, shown())?,
                rules: used.offer.usage.rules.iter().chain(&used.contract.rules).copied().collect(),
            });
        }
        if own.is_empty() {
            return Err(Refusal::new(Code::JobMismatch, "the job uses no dataset whose key is kept here"));
        }
        Ok(own)
    }
}

impl Kms {
    /// Every renewal shown is of an offer of the bundle, and those of this service's provider are signed by the key that
    /// it pins.
    fn renewals_belong(&self, opened: &OpenedBundle) -> R<()> {
        let pinned = KeyId::new(self.config.provider.as_str(), self.provider_jwk.thumbprint());
        for renewal in &opened.renewals {
            let offer = opened.offers.iter().find(|offer| offer.digest() == renewal.offer_sha256);
            let none = || {
                let sentence = "a renewal is of an offer that the job does not use";
                Refusal::new(Code::BudgetRenewalInvalid, sentence).at("offer_sha256")
            };
            policies::renewal::of_offer(renewal, offer.ok_or_else(none)?, &renewal.offer_sha256)?;
            if renewal.provider == self.config.provider && !renewal.signers().contains(&pinned) {
                let sentence = "a renewal is not signed by the provider's key that this service pins";
                return Err(Refusal::new(Code::SignerUnknown, sentence).at("provider_jwk"));
            }
        }
        Ok(())
    }
}

impl Judged {
    /// What a receipt says about this request.
    pub fn statement(&self, charges: Vec<DatasetCharge>) -> Statement {
        let t = &self.transcript;
        Statement {
            run_id: t.run_id.clone(),
            job_sha256: t.job_sha256,
            run_jwk_thumbprint: t.run_jwk.thumbprint(),
            enc_jwk_thumbprint: t.enc_jwk.thumbprint(),
            image_set_id: t.image_set_id.clone(),
            assurance: self.appraisal.assurance,
            transcript_sha256: self.transcript_sha256,
            evidence_sha256: self.appraisal.evidence_sha256,
            datasets: self.own.iter().map(|d| d.released.clone()).collect(),
            charges,
            rules: self.held.documents.clone(),
            checks: self.appraisal.passed(),
        }
    }
}
