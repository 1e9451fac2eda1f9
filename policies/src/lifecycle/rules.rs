//! What the SRO lays down: templates, data schemas, withdrawn image sets, the registry's next key.

use std::sync::Arc;

use schemas::envelope::Envelope;
use schemas::rules::{BUILT_IN_SCHEMA, DataSchema, ImageSetRevocation, LogKey, Template};
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::{RegistryKey, State, read, transition};

/// An approved template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateRow {
    /// As signed.
    pub envelope: Envelope<Template>,
    /// The same, read.
    pub template: Template,
    /// Index of its entry.
    pub index: u64,
}

/// An approved data schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSchemaRow {
    /// As signed.
    pub envelope: Envelope<DataSchema>,
    /// The same, read.
    pub data_schema: DataSchema,
    /// Index of its entry.
    pub index: u64,
}

impl State {
    /// The approved template with this name; the built-in one is none of them.
    pub fn template(&self, name: &str) -> Option<&TemplateRow> {
        self.templates.get(&name.to_owned())
    }

    /// All approved templates by name.
    pub fn templates(&self) -> impl DoubleEndedIterator<Item = &TemplateRow> {
        self.templates.iter().map(|(_, row)| row)
    }

    /// The approved data schema with this URI; the built-in one is none of them.
    pub fn data_schema(&self, uri: &str) -> Option<&DataSchemaRow> {
        self.data_schemas.get(&uri.to_owned())
    }

    /// All approved data schemas by URI.
    pub fn data_schemas(&self) -> impl DoubleEndedIterator<Item = &DataSchemaRow> {
        self.data_schemas.iter().map(|(_, row)| row)
    }

    /// The data schema that an offer names; none for the built-in one, which any table fits.
    pub(super) fn required_schema(&self, uri: &str) -> R<Option<&DataSchema>> {
        if uri == BUILT_IN_SCHEMA {
            return Ok(None);
        }
        let unknown = || Refusal::new(Code::DataSchemaUnknown, "no such data schema is approved");
        let row = self.data_schema(uri).ok_or_else(|| unknown().at("reference.data_schema"))?;
        Ok(Some(&row.data_schema))
    }

    pub(super) fn check_template(&self, envelope: &Envelope<Template>, now: Timestamp) -> R<()> {
        self.signed_by_two_people(envelope)?;
        let template = read(envelope)?;
        if self.templates.contains(&template.template) {
            return Err(transition("a template with this name is approved already").at("template"));
        }
        crate::registration::template(&template, self.registry()?, now)
    }

    pub(super) fn fold_template(&mut self, index: u64, envelope: &Envelope<Template>) -> R<()> {
        let template = read(envelope)?;
        let row = TemplateRow { envelope: envelope.clone(), index, template };
        self.templates.put(row.template.template.clone(), row);
        Ok(())
    }

    pub(super) fn check_data_schema(&self, envelope: &Envelope<DataSchema>, now: Timestamp) -> R<()> {
        self.signed_by_two_people(envelope)?;
        let schema = read(envelope)?;
        if self.data_schemas.contains(&schema.uri) {
            return Err(transition("a data schema with this URI is approved already").at("uri"));
        }
        crate::registration::data_schema(&schema, self.registry()?, now)
    }

    pub(super) fn fold_data_schema(&mut self, index: u64, envelope: &Envelope<DataSchema>) -> R<()> {
        let row = DataSchemaRow { data_schema: read(envelope)?, envelope: envelope.clone(), index };
        self.data_schemas.put(row.data_schema.uri.clone(), row);
        Ok(())
    }

    pub(super) fn check_image_set_revocation(&self, envelope: &Envelope<ImageSetRevocation>, now: Timestamp) -> R<()> {
        self.signed_by_two_people(envelope)?;
        let revocation = read(envelope)?;
        let id = &revocation.image_set_id;
        let unknown = || Refusal::new(Code::ImageSetUnknown, format!("{id} is not approved")).at("image_set_id");
        if self.image_sets.get(id).ok_or_else(unknown)?.revoked.is_some() {
            return Err(transition("the image set is revoked already"));
        }
        crate::registration::image_set_revocation(&revocation, self.registry()?, now)
    }

    pub(super) fn fold_image_set_revocation(
        &mut self,
        index: u64,
        at: Timestamp,
        envelope: &Envelope<ImageSetRevocation>,
    ) -> R<()> {
        let id = read(envelope)?.image_set_id;
        if let Some(row) = self.image_sets.get_mut(&id) {
            row.revoked = Some((index, envelope.clone()));
        }
        self.image_set_gone(index, at, &id);
        Ok(())
    }

    /// The next key follows on the one in use, and none comes back.
    pub(super) fn check_log_key(&self, envelope: &Envelope<LogKey>, now: Timestamp) -> R<()> {
        self.signed_by_two_people(envelope)?;
        let rotation = read(envelope)?;
        let keys = self.registry_keys();
        if keys.last().is_none_or(|key| key.thumbprint() != rotation.replaces) {
            return Err(transition("it replaces another key than the one in use").at("replaces"));
        }
        let thumbprint = rotation.jwk.thumbprint();
        let sro = self.genesis().is_some_and(|g| g.sro.iter().any(|p| p.jwk.thumbprint() == thumbprint));
        let known = self.key_holders.contains(&thumbprint) || sro;
        if known || keys.iter().any(|key| key.thumbprint() == thumbprint) {
            return Err(Refusal::new(Code::KeyExists, "this key is in use or was used before").at("jwk"));
        }
        crate::registration::log_key(&rotation, self.registry()?, now)
    }

    pub(super) fn fold_log_key(&mut self, index: u64, envelope: &Envelope<LogKey>) -> R<()> {
        let rotation = read(envelope)?;
        if let Some(genesis) = self.genesis.as_mut().map(Arc::make_mut) {
            if let Some(old) = genesis.registry_keys.last_mut() {
                old.until = Some(rotation.overlap_until);
            }
            genesis.registry_keys.push(RegistryKey { jwk: rotation.jwk, from: index, until: None });
        }
        Ok(())
    }
}
