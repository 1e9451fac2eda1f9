//! The words of the front desk: what the contract service's routes take and answer, besides the signed documents.
//!
//! A signed document is posted as the envelope itself. These types are shared by the service and its thin client.

mod access;
mod contract;
mod croissant;
mod dataset;
mod draft;
mod log;
mod money;
mod party;
mod payment;
mod rules;
mod run;
mod watch;
mod webhook;

/// Declares plain messages: serde both ways, unknown members refused, a JSON Schema.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    )*};
}
pub(crate) use messages;

pub use access::*;
pub use contract::*;
pub use croissant::*;
pub use dataset::*;
pub use draft::*;
pub use log::*;
pub use money::*;
pub use party::*;
pub use payment::*;
pub use rules::*;
pub use run::*;
pub use watch::*;
pub use webhook::*;
