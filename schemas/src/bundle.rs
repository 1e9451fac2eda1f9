//! The job bundle: one self-sufficient file. Whoever holds the SRO's and the registry's keys can check all of it.

use serde::{Deserialize, Serialize};

use crate::contract::Contract;
use crate::dataset::DatasetOffer;
use crate::envelope::Envelope;
use crate::evidence::ImageSet;
use crate::job::JobSpec;
use crate::lineage::LogLineage;
use crate::log::Receipt;
use crate::party::{KeyEvent, Participant, ParticipantDecision, Resolution};
use crate::payout::PayoutBatch;
use crate::renewal::BudgetRenewal;

/// A document with the receipt of its entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, bound = "")]
pub struct Logged<T> {
    /// The document.
    pub envelope: Envelope<T>,
    /// The receipt of the log entry that holds it.
    pub receipt: Receipt,
}

/// A document that enters the log as a body of its own, so that its receipt can be checked from the document alone.
pub trait LoggedDocument: crate::envelope::Document {
    /// The body of the entry that holds this envelope.
    fn body(envelope: Envelope<Self>) -> crate::event::Body;
    /// The id of the entry's subject.
    fn subject(&self) -> String;
}

impl LoggedDocument for Contract {
    fn body(contract: Envelope<Self>) -> crate::event::Body {
        crate::event::Body::ContractExecuted { contract }
    }
    fn subject(&self) -> String {
        self.contract_id.to_string()
    }
}

impl LoggedDocument for DatasetOffer {
    fn body(offer: Envelope<Self>) -> crate::event::Body {
        crate::event::Body::DatasetRegistered { offer }
    }
    fn subject(&self) -> String {
        self.dataset_id.to_string()
    }
}

impl LoggedDocument for PayoutBatch {
    fn body(batch: Envelope<Self>) -> crate::event::Body {
        crate::event::Body::PayoutEntered { batch }
    }
    fn subject(&self) -> String {
        format!("{}/payouts", self.dataset_id)
    }
}

impl LoggedDocument for ParticipantDecision {
    fn body(decision: Envelope<Self>) -> crate::event::Body {
        crate::event::Body::ParticipantDecided { decision }
    }
    fn subject(&self) -> String {
        self.participant.to_string()
    }
}

impl LoggedDocument for ImageSet {
    fn body(image_set: Envelope<Self>) -> crate::event::Body {
        crate::event::Body::ImageSetApproved { image_set }
    }
    fn subject(&self) -> String {
        self.image_set_id.to_string()
    }
}

impl LoggedDocument for BudgetRenewal {
    fn body(renewal: Envelope<Self>) -> crate::event::Body {
        crate::event::Body::BudgetRenewed { renewal }
    }
    fn subject(&self) -> String {
        self.dataset_id.to_string()
    }
}

impl LoggedDocument for crate::event::RunEvent {
    fn body(event: Envelope<Self>) -> crate::event::Body {
        crate::event::Body::RunReported { event }
    }
    fn subject(&self) -> String {
        self.run_id.to_string()
    }
}

/// A participant: its own application and the decision of two SRO people.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BundledParticipant {
    /// Signed by the participant.
    pub application: Envelope<Participant>,
    /// Signed by two SRO people, with its receipt.
    pub decision: Logged<ParticipantDecision>,
    /// Every change of its keys since, in the order of the log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_events: Vec<LoggedKeyEvent>,
}

/// A change of a participant's keys, as entered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoggedKeyEvent {
    /// As signed.
    pub event: Envelope<KeyEvent>,
    /// What it was entered with.
    pub resolution: Option<Resolution>,
    /// The receipt of its entry.
    pub receipt: Receipt,
}

/// Everything that room and KMS need to judge a job.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobBundle {
    /// The job, signed by the TDC.
    pub job: Envelope<JobSpec>,
    /// Its contracts, fully signed, with the receipts of their coming into force.
    pub contracts: Vec<Logged<Contract>>,
    /// The offers that the contracts pin.
    pub offers: Vec<Logged<DatasetOffer>>,
    /// Every party of the contracts.
    pub participants: Vec<BundledParticipant>,
    /// The image set of the job, signed by two SRO people.
    pub image_set: Logged<ImageSet>,
    /// Renewals of the offers' budgets; who leaves one out has the lower cap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renewals: Vec<Logged<BudgetRenewal>>,
    /// How the log's key in use follows from earlier ones; none while the log has its first key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_keys: Option<LogLineage>,
}
