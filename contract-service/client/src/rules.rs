//! What the SRO lays down: templates, data schemas, withdrawn image sets, erasure, the log's own key. Each call hands in
//! the signatures of one or two SRO people.

use schemas::desk::{PendingActs, TwoPeople};
use schemas::lineage::LogLineage;
use schemas::rules::{DataSchema, Erasure, ImageSetRevocation, LogKey, Template};
use schemas::{Envelope, R};

use crate::http::{Call, Client, read};

impl Client {
    /// What one person of the SRO has begun and a second one must sign: for people of the SRO.
    pub fn pending_acts(&self) -> R<PendingActs> {
        read(self.call(&Call::get("/v1/sro/pending").with_token())?)
    }

    /// Approves a template.
    pub fn approve_template(&self, template: &Envelope<Template>) -> R<TwoPeople> {
        self.post("/v1/templates", template)
    }

    /// Approves a data schema.
    pub fn approve_data_schema(&self, data_schema: &Envelope<DataSchema>) -> R<TwoPeople> {
        self.post("/v1/data-schemas", data_schema)
    }

    /// Revokes an image set.
    pub fn revoke_image_set(&self, revocation: &Envelope<ImageSetRevocation>) -> R<TwoPeople> {
        self.post("/v1/image-sets/revocations", revocation)
    }

    /// Erases the bodies of one subject.
    pub fn erase(&self, erasure: &Envelope<Erasure>) -> R<TwoPeople> {
        self.post("/v1/erasures", erasure)
    }

    /// How the log's key in use follows from earlier ones.
    pub fn log_keys(&self) -> R<LogLineage> {
        self.get("/v1/log/keys")
    }

    /// Puts another key in place of the log's.
    pub fn rotate_log_key(&self, rotation: &Envelope<LogKey>) -> R<TwoPeople> {
        self.post("/v1/log/keys", rotation)
    }
}
