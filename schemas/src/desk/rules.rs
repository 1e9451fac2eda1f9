//! What the SRO lays down for everyone: image sets, templates, data schemas.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::bundle::Logged;
use crate::evidence::ImageSet;
use crate::rules::{DataSchema, ImageSetRevocation, Template};

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
