//! What a service is set to, and where each value comes from: `config show --origin` of every service. It reads what the
//! service made of its file and its environment, and looks up who said so; it decides nothing.
//!
//! Secrets stand in files of their own and are never part of a configuration. Should one stand there all the same (a key
//! called so, a password in an address), it is not shown.

mod hide;
mod origin;
mod show;

pub use origin::Origin;
pub use show::{Setting, Shown, show};
