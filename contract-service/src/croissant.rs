//! Croissant 1.1 (MLCommons): a registered offer as metadata that dataset tools read, and such metadata as the beginning
//! of an offer. An adapter: the signed offer stays the truth, and nothing that comes in is signed or entered.

mod dcat;
mod export;
mod import;
mod model;

pub use dcat::dcat;
pub use export::export;
pub use import::import;
pub use model::{Agent, Croissant, Field, FileObject, OneOrMany, RecordSet};

/// Media type of what is exported.
pub const LD_JSON: &str = "application/ld+json";
