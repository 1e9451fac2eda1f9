//! Participants, image sets, and what the service says about itself.

use schemas::bundle::Logged;
use schemas::desk::{ImageSetList, KeyList, ParticipantList, ParticipantView, Receipted, TwoPeople};
use schemas::evidence::ImageSet;
use schemas::id::{Did, ImageSetId};
use schemas::log::Receipt;
use schemas::party::{KeyEvent, Participant, ParticipantDecision, ParticipantWithdrawal};
use schemas::{Envelope, R};
use signing::Trust;

use crate::acted::Acted;
use crate::http::Client;
use crate::query::query;

impl Client {
    /// What a relying party pins. Taken from the service itself, it is worth no more than the connection: compare it
    /// with what the SRO published elsewhere.
    pub fn trust(&self) -> R<Trust> {
        self.get("/v1/trust")
    }

    /// Applies for registration.
    pub fn apply(&self, application: &Envelope<Participant>) -> R<Receipt> {
        Ok(self.post::<_, Receipted>("/v1/participants", application)?.receipt)
    }

    /// Hands in a decision with the signatures of one or two SRO people.
    pub fn decide(&self, decision: &Envelope<ParticipantDecision>) -> R<TwoPeople> {
        self.post("/v1/participants/decisions", decision)
    }

    /// A participant.
    pub fn participant(&self, did: &Did) -> R<ParticipantView> {
        self.get(&format!("/v1/participants/{}", segment(did.as_str())))
    }

    /// Leaves: signed by the participant.
    pub fn withdraw_participant(&self, withdrawal: &Envelope<ParticipantWithdrawal>) -> R<Receipt> {
        Ok(self.post::<_, Receipted>("/v1/participants/withdrawals", withdrawal)?.receipt)
    }

    /// Adds, retires, revokes or reports a key: signed by the participant, or by two SRO people.
    pub fn change_key(&self, event: &Envelope<KeyEvent>) -> R<Acted<Receipted>> {
        self.post_act("/v1/participants/keys", event)
    }

    /// A page of participants; `kind`, `state`, `q`, `cursor` and `limit` narrow it.
    pub fn participants(&self, narrowed: &[(&str, Option<String>)]) -> R<ParticipantList> {
        self.get(&format!("/v1/participants{}", query(narrowed)))
    }

    /// The keys of a participant.
    pub fn participant_keys(&self, did: &Did) -> R<KeyList> {
        self.get(&format!("/v1/participants/{}/keys", segment(did.as_str())))
    }

    /// Hands in an image set with the signatures of one or two SRO people.
    pub fn approve_image_set(&self, image_set: &Envelope<ImageSet>) -> R<TwoPeople> {
        self.post("/v1/image-sets", image_set)
    }

    /// An approved image set.
    pub fn image_set(&self, id: &ImageSetId) -> R<Logged<ImageSet>> {
        self.get(&format!("/v1/image-sets/{id}"))
    }

    /// A page of approved image sets, from the first or from where the last page ended.
    pub fn image_sets(&self, cursor: Option<&str>) -> R<ImageSetList> {
        self.get(&format!("/v1/image-sets{}", query(&[("cursor", cursor.map(str::to_owned))])))
    }

    /// Whether the service is ready to serve.
    pub fn ready(&self) -> R<()> {
        self.get_bytes("/readyz").map(drop)
    }
}

/// A path segment; only `%` of a did:web needs escaping among the characters a DID may have.
pub(crate) fn segment(text: &str) -> String {
    text.replace('%', "%25")
}
