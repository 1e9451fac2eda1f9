//! What a room has: configuration, pinned trust, an attester, a clock, and its lines to the outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use attestation::Attester;
use contract_client::{Client, Hook};
use schemas::{Code, Digest, R, Refusal, Timestamp};
use signing::Trust;

use crate::config::Config;
use crate::second_gate::SecondGate;

/// The clock, set at the edge.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A room before its run.
pub struct Room {
    /// Configuration.
    pub config: Config,
    /// The registry's key and the SRO people.
    pub trust: Trust,
    /// Shows what this room is.
    pub attester: Box<dyn Attester>,
    /// The clock.
    pub clock: Clock,
    /// The contract service.
    pub desk: Client,
    /// Addresses of member rooms (`host:port`), for jobs that ask for several; what answers there proves itself.
    pub members: Vec<String>,
    /// The provider agent's claim on the queued order; none where nobody queues.
    pub lease_token: Option<String>,
    /// Where passes for key services behind a second gate come from; none where there is no such service.
    pub second_gate: Option<Box<dyn SecondGate>>,
    /// Sees every call to key services: names its trace ([`crate::trace`]); in-process tests drop, delay and duplicate.
    pub hook: Option<Arc<dyn Hook>>,
    /// Set from outside (SIGTERM): the run gives up at its next step and says so in the log.
    pub stop: Arc<AtomicBool>,
}

impl Room {
    /// Now.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Refuses once the room was told to stop (`ROOM_STOPPED`).
    pub fn goes_on(&self) -> R<()> {
        if self.stop.load(Ordering::SeqCst) {
            return Err(Refusal::new(Code::RoomStopped, "the room was told to stop"));
        }
        Ok(())
    }

    /// Reads the pinned trust.
    pub fn load_trust(config: &Config) -> R<Trust> {
        Trust::load(&config.trust)
    }
}

/// What a room tells while it runs. Public figures only: nothing here depends on a row of data.
#[derive(Clone, PartialEq, Debug)]
pub enum Progress {
    /// Contracts, receipts and pipeline hold; the plan is made.
    Admitted {
        /// The job.
        job: Digest,
    },
    /// The contract service admitted the run.
    CheckedIn {
        /// The run.
        run: schemas::id::RunId,
    },
    /// A KMS reserved budget.
    Reserved {
        /// Its base URL.
        kms: String,
    },
    /// The weights that the training begins with were opened.
    Weights {
        /// The consumer's own key service.
        kms: String,
    },
    /// A KMS released its keys.
    Released {
        /// Its base URL.
        kms: String,
    },
    /// Sealed objects were opened and checked against the contract's manifest roots.
    Opened {
        /// How many.
        objects: usize,
    },
    /// Training goes on.
    Training {
        /// Steps done.
        step: u32,
        /// Steps planned.
        steps: u32,
        /// ε spent so far at the plan's δ, by the accountant; infinite where the training is without differential privacy.
        epsilon: f64,
    },
    /// All KMSs have fixed this output.
    Committed {
        /// SHA-256 of the sealed model.
        output: Digest,
    },
    /// The sealed model lies in storage.
    Uploaded {
        /// Where.
        url: String,
    },
}
