//! Runs: order, lease, check in, report, complete, hand over.

use schemas::bundle::JobBundle;
use schemas::desk::{
    CheckIn, CompletionAnswer, ContentKey, KmsReceipts, LeaseRequest, Leased, OrderAnswer, OrderRequest, OrderView,
    Receipted, ReceiptedAll, RunView,
};
use schemas::event::{Abort, Completion, RunEvent};
use schemas::id::RunId;
use schemas::log::Receipt;
use schemas::release::{Admission, Challenge, ChallengeRequest, KmsReceipt, RunRequest};
use schemas::{Digest, Envelope, R};

use crate::acted::Acted;
use crate::http::{Client, read};

impl Client {
    /// Orders a run of a job.
    pub fn order_run(&self, bundle: &JobBundle) -> R<OrderAnswer> {
        self.post("/v1/run-orders", &OrderRequest { bundle: bundle.clone() })
    }

    /// Takes the next order for the calling clean-room provider, waiting up to 20 seconds for one.
    pub fn lease_order(&self, wait_seconds: u32) -> R<Option<Leased>> {
        let answer = self.call(&self.posted("/v1/run-orders/lease", &LeaseRequest { wait_seconds }, true)?)?;
        if answer.status == 204 { Ok(None) } else { read(answer).map(Some) }
    }

    /// How an order stands.
    pub fn order(&self, job_sha256: &Digest) -> R<OrderView> {
        self.get_as(&format!("/v1/run-orders/{job_sha256}"))
    }

    /// Asks for a challenge, which also mints the run's id.
    pub fn run_challenge(&self, request: &ChallengeRequest) -> R<Envelope<Challenge>> {
        self.post("/v1/runs/challenges", request)
    }

    /// Checks in with evidence.
    pub fn check_in(&self, check_in: &CheckIn) -> R<Envelope<Admission>> {
        self.post("/v1/runs", check_in)
    }

    /// Asks for a fresh Admission.
    pub fn refresh_admission(&self, run: &RunId, request: &Envelope<RunRequest>) -> R<Envelope<Admission>> {
        self.post(&format!("/v1/runs/{run}/admission"), request)
    }

    /// Says how far the training is: one try past the hook, since nothing depends on whether it arrives.
    pub fn tell_step(&self, run: &RunId, request: &Envelope<RunRequest>) -> R<()> {
        self.try_once(&format!("/v1/runs/{run}/progress"), request)
    }

    /// Hands in receipts of key services.
    pub fn kms_receipts(&self, run: &RunId, receipts: &[Envelope<KmsReceipt>]) -> R<Vec<Receipt>> {
        let body = KmsReceipts { receipts: receipts.to_vec() };
        Ok(self.post::<_, ReceiptedAll>(&format!("/v1/runs/{run}/receipts"), &body)?.receipts)
    }

    /// Reports an event of the room.
    pub fn report(&self, run: &RunId, event: &Envelope<RunEvent>) -> R<Receipt> {
        Ok(self.post::<_, Receipted>(&format!("/v1/runs/{run}/events"), event)?.receipt)
    }

    /// Stops a run from outside; one SRO person's word waits for a second's.
    pub fn abort_run(&self, run: &RunId, abort: &Envelope<Abort>) -> R<Acted<Receipted>> {
        self.post_act(&format!("/v1/runs/{run}/abort"), abort)
    }

    /// Reports completion; exactly the same again gets the same answer.
    pub fn complete(&self, run: &RunId, completion: &Envelope<Completion>) -> R<CompletionAnswer> {
        self.post(&format!("/v1/runs/{run}/completion"), completion)
    }

    /// A run.
    pub fn run(&self, run: &RunId) -> R<RunView> {
        self.get_as(&format!("/v1/runs/{run}"))
    }

    /// The wrapped content key, for the TDC, after the completion.
    pub fn content_key(&self, run: &RunId) -> R<ContentKey> {
        self.get_as(&format!("/v1/runs/{run}/content-key"))
    }
}
