//! What operators are told of a service that runs: spans of its calls, by OTLP over HTTP to a collector that the
//! configuration names ([`Tracer`]; off unless it does), counts in the text form of Prometheus ([`count`], [`Scrape`]), and
//! whether it is well, for who asks from beside it ([`health`]).
//!
//! What may be told is a matter of types. A span takes an [`Attribute`] and nothing else: words of this program, refusal
//! codes, statuses, ids of runs. No text that somebody sent has a way into it, so none can leave: no body, key, token,
//! path or sentence. Lines of the log are never exported.
//!
//! The clean room does not use this crate: nothing but the declared output leaves it.

mod attribute;
pub mod count;
pub mod health;
mod line;
mod parent;
mod scrape;
mod settings;
mod trace;

pub use attribute::Attribute;
pub use scrape::Scrape;
pub use settings::Settings;
pub use trace::{Carried, Entered, Span, Tracer, carried, traceparent};
