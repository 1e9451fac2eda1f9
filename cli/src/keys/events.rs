//! Changes of a participant's keys: signed by the participant with an active key, or by two people of the SRO.

use schemas::id::Did;
use schemas::party::{KeyAct, KeyEvent, KeyProof, KeyUse};
use schemas::{Code, R, Refusal, Timestamp};
use signing::{Signer, Trust};

/// A further key: its own word, and what it may be used for. The key's file must name the participant as its holder.
pub fn add(new: &dyn Signer, uses: Vec<KeyUse>, trust: &Trust, now: Timestamp) -> R<KeyAct> {
    let proof = KeyProof {
        schema: "key-proof.v1".into(),
        registry: trust.registry.clone(),
        holder: new.did()?,
        jwk: new.jwk().clone(),
        at: now,
    };
    Ok(KeyAct::Add { proof: signing::sign(&proof, new, now)?, uses })
}

/// The event about this participant. A key that is added must be held by it.
pub fn event(participant: &Did, event: KeyAct, reason: &str, trust: &Trust, now: Timestamp) -> R<KeyEvent> {
    if let KeyAct::Add { proof, .. } = &event
        && proof.read_unverified()?.holder != *participant
    {
        let sentence =
            format!("the new key's file names another holder; make it with: depa keys new --did {participant}");
        return Err(Refusal::new(Code::SignerNotParty, sentence).at("event.proof"));
    }
    Ok(KeyEvent {
        schema: "key-event.v1".into(),
        registry: trust.registry.clone(),
        participant: participant.clone(),
        event,
        reason: reason.to_owned(),
        at: now,
    })
}
