//! What the SRO lays down for everyone: image sets, templates, data schemas.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::bundle::Logged;
use crate::envelope::PartySignature;
use crate::evidence::ImageSet;
use crate::rules::{DataSchema, ImageSetRevocation, Template};
use crate::text::Bytes;
use crate::time::Timestamp;

messages! {
    /// An image set in a list.
    ImageSetView {
        /// As approved.
        image_set: Logged<ImageSet>,
        /// `approved`, `revoked` or `expired`.
        state: String,
        /// The end of its approval.
        revocation: Option<Logged<ImageSetRevocation>>,
    }
    /// A document that one person of the SRO has signed and another one has not.
    PendingAct {
        /// What it is, as its signature says: `application/vnd.depa.participant-decision.v1+json`.
        payload_type: String,
        /// Its bytes.
        payload: Bytes,
        /// The signatures so far.
        signatures: Vec<PartySignature>,
        /// When the first of them came.
        since: Timestamp,
        /// When it is forgotten.
        until: Timestamp,
    }
    /// What waits for a second person of the SRO, the oldest first.
    PendingActs {
        /// The documents.
        acts: Vec<PendingAct>,
    }
    /// A page of image sets.
    ImageSetList {
        /// The image sets, by id.
        image_sets: Vec<ImageSetView>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
    /// The approved templates, by name; the built-in one is none of them.
    TemplateList {
        /// The templates.
        templates: Vec<Logged<Template>>,
    }
    /// The approved data schemas, by URI; the built-in one is none of them.
    DataSchemaList {
        /// The data schemas.
        data_schemas: Vec<Logged<DataSchema>>,
    }
}
