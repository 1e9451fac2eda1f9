//! Calls to a TDP's key service. Every answer is verified under the key that the TDP's offer names.

use std::sync::Arc;

use contract_client::{Client, Hook};
use schemas::id::{Did, ReservationId, RunId};
use schemas::release::{
    Challenge, ChallengeRequest, KmsReceipt, Lease, RefundRequest, Release, ReleaseRequest, RenewRequest,
    ReserveRequest, RunRequest,
};
use schemas::weights::{WeightsRelease, WeightsRequest};
use schemas::{Envelope, R, Signed};
use signing::book::PinnedBook;
use signing::verify_by;

/// One key service as the room sees it. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Kms {
    http: Client,
    provider: Did,
    registry: Did,
}

impl Kms {
    /// The key service at `url`, which serves `provider`.
    pub fn new(url: &str, provider: &Did, registry: &Did, hook: Option<Arc<dyn Hook>>) -> R<Kms> {
        Ok(Kms { http: Client::new(url, hook)?, provider: provider.clone(), registry: registry.clone() })
    }

    fn verified<T: schemas::Document>(&self, answer: Envelope<T>, book: &PinnedBook) -> R<Signed<T>> {
        verify_by(answer, &self.registry, book, self.provider.as_str())
    }

    /// A fresh challenge.
    pub fn challenge(&self, ask: &ChallengeRequest, book: &PinnedBook) -> R<Signed<Challenge>> {
        self.verified(self.http.post_once("/v1/challenges", ask)?, book)
    }

    /// Reserves budget.
    pub fn reserve(&self, request: &ReserveRequest, book: &PinnedBook) -> R<Signed<KmsReceipt>> {
        self.verified(self.http.post_once("/v1/reservations", request)?, book)
    }

    /// Asks for the keys of a reservation.
    pub fn release(&self, id: &ReservationId, request: &ReleaseRequest, book: &PinnedBook) -> R<Signed<Release>> {
        self.verified(self.http.post_once(&format!("/v1/reservations/{id}/release"), request)?, book)
    }

    /// Asks for the key of weights.
    pub fn weights(&self, request: &WeightsRequest, book: &PinnedBook) -> R<Signed<WeightsRelease>> {
        self.verified(self.http.post_once("/v1/weights/release", request)?, book)
    }

    /// Extends the lease.
    pub fn renew(&self, run: &RunId, request: &RenewRequest, book: &PinnedBook) -> R<Signed<Lease>> {
        self.verified(self.http.post_once(&format!("/v1/runs/{run}/renew"), request)?, book)
    }

    /// Fixes the output.
    pub fn commit(&self, run: &RunId, request: &Envelope<RunRequest>, book: &PinnedBook) -> R<Signed<KmsReceipt>> {
        self.verified(self.http.post_once(&format!("/v1/runs/{run}/commit"), request)?, book)
    }

    /// Asks for the charge back after a logged abort before the first step.
    pub fn refund(&self, run: &RunId, request: &RefundRequest, book: &PinnedBook) -> R<Signed<KmsReceipt>> {
        self.verified(self.http.post_once(&format!("/v1/runs/{run}/refund"), request)?, book)
    }
}
