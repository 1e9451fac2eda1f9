//! What the SRO lays down: templates, data schemas, withdrawn image sets, erasure, the registry's next key.

use schemas::envelope::Envelope;
use schemas::rules::{DataSchema, Erasure, ImageSetRevocation, LogKey, Template};
use schemas::{R, Timestamp};

use super::{State, transition};

impl State {
    pub(super) fn check_template(&self, _: &Envelope<Template>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_template(&mut self, _: u64, _: &Envelope<Template>) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_data_schema(&self, _: &Envelope<DataSchema>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_data_schema(&mut self, _: u64, _: &Envelope<DataSchema>) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_image_set_revocation(&self, _: &Envelope<ImageSetRevocation>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_image_set_revocation(&mut self, _: u64, _: &Envelope<ImageSetRevocation>) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_erasure(&self, _: &Envelope<Erasure>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_erasure(&mut self, _: u64, _: &Envelope<Erasure>) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_log_key(&self, _: &Envelope<LogKey>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_log_key(&mut self, _: u64, _: &Envelope<LogKey>) -> R<()> {
        Err(transition("not offered yet"))
    }
}
