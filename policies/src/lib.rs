//! The rules of the house: pure functions from facts and a time to "yes" or a [`Refusal`] with a stable code.
//!
//! Read in this order: [`facts`] (what is judged), [`registration`] (may this document enter the register?), [`gate`]
//! (may this job be done now?), [`pipeline`] and [`privacy`] (what does it reveal?), [`release`] (may this room get
//! keys?), [`kbs`] (may a guest of others?), [`budget`], [`renewal`], [`own_release`], [`output`], [`completion`], [`payment`], [`money`]. [`accountant`] is the
//! arithmetic, [`lifecycle`] the fold of the log, [`upgrade`] what a service asks of its own database.
//!
//! Invariants of this room: no I/O, no clock, no randomness, no signature check. Contract service, clean room and key
//! services call the same functions, so they come to the same answer. `README.md` lists every rule with its code.

pub mod budget;
pub mod completion;
pub mod draft;
pub mod facts;
mod forms;
pub mod gate;
pub mod instruction;
pub mod kbs;
pub mod lifecycle;
pub mod money;
pub mod output;
pub mod own_release;
pub mod payment;
pub mod pipeline;
pub mod privacy;
mod reals;
mod receipts;
pub mod registration;
pub mod release;
pub mod renewal;
pub mod second_gate;
pub mod upgrade;
pub mod weights;

pub use accountant;
pub use completion::RunView;
pub use facts::{DatasetUse, Facts, TableUse};
pub use output::CheckedOutput;
pub use pipeline::Pipeline;
pub use schemas::problem::{Code, R, Refusal};
