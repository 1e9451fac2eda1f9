//! Receipts of key services: each (provider, KMS, sequence) once, chained where neighbours are known, about a run as
//! it is; and the completion that carries them.
//!
//! The log sees the receipts of runs it is told of, in the order they arrive: sequences may have gaps and come late.

use std::collections::{BTreeMap, BTreeSet};

use schemas::envelope::Envelope;
use schemas::event::{Completion, Obligation};
use schemas::id::{Did, KeyId, RunId};
use schemas::job::JobSpec;
use schemas::release::{KmsHead, KmsReceipt, KmsStatement};
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::signers::sole_signer;
use super::{AbortFact, RunRow, RunState, State, read};

/// A statement of a KMS that stands in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiptRow {
    /// The receipt, read.
    pub receipt: KmsReceipt,
    /// SHA-256 of its signed bytes.
    pub sha256: Digest,
    /// Index of the entry that brought it first.
    pub index: u64,
}

/// One KMS of one provider, as a key.
fn journal(provider: &Did, kms: &str) -> Digest {
    Digest::of_parts(&[provider.as_str().as_bytes(), b"\n", kms.as_bytes()])
}

impl State {
    /// The receipt of this KMS with this sequence.
    pub fn receipt(&self, provider: &Did, kms: &str, seq: u64) -> Option<&ReceiptRow> {
        self.receipts.get(&(journal(provider, kms), seq))
    }

    /// All receipts about a run, in the order of the log.
    pub fn receipts_of(&self, run: &RunId) -> impl Iterator<Item = &ReceiptRow> {
        let keys = self.runs.get(run).map(|row| row.receipts.as_slice()).unwrap_or_default();
        keys.iter().filter_map(|key| self.receipts.get(key))
    }

    /// What the log last heard of a KMS: the highest sequence and that receipt's digest.
    pub fn kms_head(&self, provider: &Did, kms: &str) -> KmsHead {
        let key = journal(provider, kms);
        let newest = self.receipts.range((key, 0)..=(key, u64::MAX)).next_back().map(|(_, row)| row);
        let (seq, head) = newest.map_or((0, Digest([0; 32])), |row| (row.receipt.seq, row.sha256));
        KmsHead { kms: kms.to_owned(), seq, head }
    }

    /// Provider and KMS of every dataset of the job, each pair once, sorted.
    pub fn kms_of_job(&self, job: &JobSpec) -> R<Vec<(Did, String)>> {
        let mut all = Vec::new();
        for (_, contract) in self.contracts_of(job)? {
            for dataset in &contract.datasets {
                if job.datasets.iter().any(|j| j.dataset_id == dataset.dataset_id && j.version == dataset.version) {
                    all.push((dataset.provider.clone(), dataset.key.kms.clone()));
                }
            }
        }
        all.sort();
        all.dedup();
        Ok(all)
    }

    pub(super) fn check_statement(&self, envelope: &Envelope<KmsReceipt>) -> R<()> {
        self.keys_active(envelope)?;
        let receipt = read(envelope)?;
        let run = self.require_run(&receipt.run_id)?;
        sole_signer(envelope)?;
        if let Some(row) = self.receipt(&receipt.provider, &receipt.kms, receipt.seq) {
            let same = row.sha256 == envelope.digest();
            let code = if same { Code::RequestReplayed } else { Code::ReceiptMismatch };
            return Err(Refusal::new(code, "a receipt with this sequence of this KMS stands in the log already"));
        }
        if let Some(signature) = envelope.signatures.first() {
            self.receipt_fits(run, &receipt, &signature.kid)?;
        }
        self.chain_fits(&receipt, envelope.digest(), &BTreeMap::new())?;
        if let KmsStatement::Refunded { aborted_sha256 } = &receipt.statement {
            let before_any_step = matches!(&run.aborted, Some(AbortFact::ByRoom { sha256, steps_run: 0, .. }) if sha256 == aborted_sha256);
            if !before_any_step {
                return Err(Refusal::new(
                    Code::RefundRefused,
                    "only a logged abort before the first step returns a charge",
                ));
            }
        }
        Ok(())
    }

    /// The receipt is about this run as it checked in, about exactly this KMS's datasets of the job, and signed by the
    /// key that the contracted offers name.
    fn receipt_fits(&self, run: &RunRow, receipt: &KmsReceipt, kid: &KeyId) -> R<()> {
        let bad = |why: &str| Refusal::new(Code::ReceiptMismatch, format!("receipt of {}: {why}", receipt.kms));
        let about_run = receipt.run_id == run.run_id
            && receipt.job_sha256 == run.job_sha256
            && receipt.run_jwk_thumbprint == run.run_jwk.thumbprint()
            && receipt.enc_jwk_thumbprint == run.enc_jwk.thumbprint()
            && receipt.image_set_id == run.image_set_id;
        if !about_run || kid.holder != receipt.provider.as_str() {
            return Err(bad("about another run, job, key or image set, or by somebody else"));
        }
        let job = self.job_of(run)?;
        let mut expected = 0;
        for (reference, contract) in self.contracts_of(job)? {
            for d in &contract.datasets {
                let wanted = job.datasets.iter().any(|j| j.dataset_id == d.dataset_id && j.version == d.version);
                if !wanted || d.provider != receipt.provider || d.key.kms != receipt.kms {
                    continue;
                }
                expected += 1;
                let named = receipt.datasets.iter().any(|r| {
                    r.dataset_id == d.dataset_id
                        && r.version == d.version
                        && r.contract == reference
                        && r.manifest_root == d.manifest_root
                        && r.key_id == d.key.key_id
                });
                let offer = self.offer(&d.offer_sha256).ok_or_else(|| bad("the offer is unknown"))?;
                if !named || offer.offer.key.kms_jwk.thumbprint() != kid.thumbprint {
                    return Err(bad("dataset, contract, root, key or signing key is not the contracted one"));
                }
            }
        }
        if expected == 0 || receipt.datasets.len() != expected {
            return Err(bad("not exactly this KMS's datasets of the job"));
        }
        self.charges_fit(run, receipt)
    }

    /// Known neighbours in the KMS's journal are chained; sequence 1 has none before it.
    fn chain_fits(
        &self,
        receipt: &KmsReceipt,
        sha256: Digest,
        beside: &BTreeMap<(Digest, u64), (Digest, Digest)>,
    ) -> R<()> {
        let bad = |why: &str| {
            Refusal::new(Code::ReceiptMismatch, format!("receipt {} of {}: {why}", receipt.seq, receipt.kms))
        };
        let key = journal(&receipt.provider, &receipt.kms);
        let find = |seq: u64| {
            let entered = self.receipts.get(&(key, seq)).map(|row| (row.sha256, row.receipt.prev));
            entered.or_else(|| beside.get(&(key, seq)).copied())
        };
        if receipt.seq == 0 || (receipt.seq == 1) != (receipt.prev == Digest([0; 32])) {
            return Err(bad("a journal begins with sequence 1"));
        }
        if receipt.seq > 1 && find(receipt.seq - 1).is_some_and(|(before, _)| before != receipt.prev) {
            return Err(bad("does not follow on the receipt before it"));
        }
        if receipt.seq.checked_add(1).and_then(find).is_some_and(|(_, prev)| prev != sha256) {
            return Err(bad("the receipt after it follows on another one"));
        }
        Ok(())
    }

    pub(super) fn fold_statement(&mut self, index: u64, at: Timestamp, envelope: &Envelope<KmsReceipt>) -> R<()> {
        let receipt = read(envelope)?;
        let run_id = receipt.run_id.clone();
        self.enter_receipt(index, envelope)?;
        let run = self.require_run(&run_id)?;
        let expected = self.kms_of_job(self.job_of(run)?)?.len();
        let (mut reserved, mut committed, mut released) = (0, 0, BTreeSet::new());
        for row in self.receipts_of(&run_id) {
            match row.receipt.statement {
                KmsStatement::Reserved { .. } => reserved += 1,
                KmsStatement::Committed { .. } => committed += 1,
                KmsStatement::Released { .. } => drop(released.insert((&row.receipt.provider, &row.receipt.kms))),
                KmsStatement::Refunded { .. } => {}
            }
        }
        let released = released.len() >= expected;
        if let Some(run) = self.runs.get_mut(&run_id).filter(|run| run.alive()) {
            if committed >= expected {
                run.state = run.state.max(RunState::Committed);
            } else if reserved >= expected {
                run.state = run.state.max(RunState::Reserved);
            }
        }
        // Also of a run that has ended: its room had the keys.
        if released { self.owe_released(index, at, &run_id) } else { Ok(()) }
    }

    /// Puts the receipts of a completion into the index, unless they were stated before.
    pub(super) fn enter_receipts(&mut self, index: u64, completion: &Completion) -> R<()> {
        for envelope in completion.release_receipts.iter().chain(&completion.commit_receipts) {
            self.enter_receipt(index, envelope)?;
        }
        Ok(())
    }

    fn enter_receipt(&mut self, index: u64, envelope: &Envelope<KmsReceipt>) -> R<()> {
        let receipt = read(envelope)?;
        let key = (journal(&receipt.provider, &receipt.kms), receipt.seq);
        if !self.receipts.contains(&key) {
            if let Some(run) = self.runs.get_mut(&receipt.run_id) {
                run.receipts.push(key);
            }
            self.receipts.put(key, ReceiptRow { receipt, sha256: envelope.digest(), index });
        }
        Ok(())
    }

    /// One completion per run, by the run's key, while its contracts are in force or let it finish, with receipts that fit, owing
    /// exactly what follows from the contracts.
    pub(super) fn check_completion(
        &self,
        envelope: &Envelope<Completion>,
        owed: &[Obligation],
        now: Timestamp,
    ) -> R<()> {
        let completion = read(envelope)?;
        let run = self.require_run(&completion.run_id)?;
        if run.completion.is_some() {
            return Err(Refusal::new(Code::CompletionExists, "the run has its completion already"));
        }
        if !run.alive() {
            return Err(Refusal::new(Code::RunState, "the run has ended without output"));
        }
        self.signed_only_by(envelope, run.run_id.as_str())?;
        self.signed_only_by(&completion.certificate, run.run_id.as_str())?;
        let job = self.job_of(run)?;
        self.require_may_finish(job, now)?;
        // What a term wants blocked is there until the model is: a block that lapsed or went back would leave it unpaid.
        self.require_run_funded(run)?;
        let contracts: Vec<_> = self.contracts_of(job)?.into_iter().map(|(_, c)| c).collect();
        let view = crate::completion::RunView {
            run_id: run.run_id.clone(),
            job_sha256: run.job_sha256,
            run_jwk_thumbprint: run.run_jwk.thumbprint(),
            image_set_id: run.image_set_id.clone(),
        };
        crate::completion::decide(&completion, job, &contracts, &view)?;
        self.receipts_fit(run, &completion)?;
        if owed != self.complete_obligations(&completion)? {
            return Err(Refusal::new(
                Code::CompletionMismatch,
                "the obligations are not those that the contracts give",
            )
            .at("obligations"));
        }
        self.check_owing(&completion, now)
    }

    fn receipts_fit(&self, run: &RunRow, completion: &Completion) -> R<()> {
        let receipts = |why: String| Refusal::new(Code::CompletionReceipts, why);
        let mut beside = BTreeMap::new();
        for envelope in completion.release_receipts.iter().chain(&completion.commit_receipts) {
            let receipt = read(envelope)?;
            let sha256 = envelope.digest();
            self.keys_active(envelope)?;
            let kid = &envelope.signatures.first().ok_or_else(|| receipts("a receipt without signature".into()))?.kid;
            sole_signer(envelope)?;
            self.receipt_fits(run, &receipt, kid).map_err(|e| receipts(e.sentence))?;
            let entered = self.receipt(&receipt.provider, &receipt.kms, receipt.seq).map(|row| row.sha256);
            let key = (journal(&receipt.provider, &receipt.kms), receipt.seq);
            if entered.is_some_and(|other| other != sha256) || beside.insert(key, (sha256, receipt.prev)).is_some() {
                return Err(receipts(format!("{} has another receipt with sequence {}", receipt.kms, receipt.seq)));
            }
        }
        for envelope in completion.release_receipts.iter().chain(&completion.commit_receipts) {
            let receipt = read(envelope)?;
            self.chain_fits(&receipt, envelope.digest(), &beside).map_err(|e| receipts(e.sentence))?;
        }
        Ok(())
    }
}
