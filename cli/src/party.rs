//! Participants: an application proves the key it names; two SRO people decide about it, each signing alone.

use std::path::Path;

use contract_client::Client;
use schemas::desk::{ParticipantView, TwoPeople};
use schemas::id::Did;
use schemas::log::Receipt;
use schemas::party::{Decision, Kind, Participant, ParticipantDecision, ParticipantWithdrawal};
use schemas::{Envelope, R, Timestamp};
use signing::{Signer, Trust};

use crate::edge;

/// Who applies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applicant {
    /// As what.
    pub kind: Kind,
    /// Legal name.
    pub legal_name: String,
    /// ISO 3166 country code.
    pub jurisdiction: String,
}

/// Signs an application with the applicant's own key.
pub fn application(applicant: &Applicant, key: &dyn Signer, trust: &Trust, now: Timestamp) -> R<Envelope<Participant>> {
    let document = Participant {
        schema: "participant.v1".into(),
        registry: trust.registry.clone(),
        did: key.did()?,
        kind: applicant.kind,
        legal_name: applicant.legal_name.clone(),
        jurisdiction: applicant.jurisdiction.clone(),
        jwk: key.jwk().clone(),
        applied_at: now,
    };
    policies::registration::participant(&document, &trust.registry, now)?;
    signing::sign(&document, key, now)
}

/// Applies for registration and checks the receipt.
pub fn apply(client: &Client, applicant: &Applicant, key: &dyn Signer, trust: &Trust, now: Timestamp) -> R<Receipt> {
    client.apply(&application(applicant, key, trust, now)?)
}

/// The document of a did:web key, as its host must serve it before the application.
pub fn web_document(key: &dyn Signer) -> R<serde_json::Value> {
    Ok(signing::did::web_document(&key.did()?, key.jwk()))
}

/// Leaves the registry.
pub fn withdraw(client: &Client, reason: &str, key: &dyn Signer, trust: &Trust, now: Timestamp) -> R<Receipt> {
    let document = ParticipantWithdrawal {
        schema: "participant-withdrawal.v1".into(),
        registry: trust.registry.clone(),
        participant: key.did()?,
        reason: reason.to_owned(),
        at: now,
    };
    client.withdraw_participant(&signing::sign(&document, key, now)?)
}

/// Drafts a decision about an applicant, without a signature: both people sign these same bytes.
pub fn decision(
    view: &ParticipantView,
    decision: Decision,
    reason: &str,
    trust: &Trust,
    now: Timestamp,
) -> R<Envelope<ParticipantDecision>> {
    let application = signing::book::verify_application(view.application.clone(), &trust.registry)?;
    Envelope::draft(&ParticipantDecision {
        schema: "participant-decision.v1".into(),
        registry: trust.registry.clone(),
        participant: application.did.clone(),
        participant_sha256: application.digest(),
        decision,
        reason: reason.to_owned(),
        decided_at: now,
    })
}

/// Hands in one SRO person's signature under a decision; it counts once a second person's arrives.
pub fn decide(
    client: &Client,
    draft: &Envelope<ParticipantDecision>,
    person: &dyn Signer,
    now: Timestamp,
) -> R<TwoPeople> {
    let signature = signing::countersign(draft, person, now)?;
    client.decide(&Envelope::new(draft.payload.0.clone(), vec![signature]))
}

/// Reads a drafted decision that the first person wrote to a file, so that the second signs the same bytes.
pub fn read_decision(path: &Path) -> R<Envelope<ParticipantDecision>> {
    edge::read_json(path)
}

/// A participant as the register knows it.
pub fn show(client: &Client, did: &Did) -> R<ParticipantView> {
    client.participant(did)
}

/// Participants of this role, in this state, with these words in their names.
pub fn list(
    client: &Client,
    role: Option<String>,
    state: Option<String>,
    text: Option<String>,
) -> R<Vec<schemas::desk::ParticipantLine>> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let page = client.participants(&[
            ("kind", role.clone()),
            ("state", state.clone()),
            ("q", text.clone()),
            ("cursor", cursor),
        ])?;
        all.extend(page.participants);
        match page.next {
            Some(next) if all.len() < MAX_LISTED => cursor = Some(next),
            _ => return Ok(all),
        }
    }
}

/// The most participants that [`list`] collects.
const MAX_LISTED: usize = 10_000;
