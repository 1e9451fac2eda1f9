//! The release protocol (`decisions.md` 3) as a small model: two rooms want the budget of one run, which two key services
//! each hold. Rooms abort, answers get lost, every message can be delivered again at any time, reservations run
//! out, and one service is put back to an earlier database. `tests/protocol.rs` has every reachable state checked, and has
//! each rule taken away in turn, which must give a counter-example.
//!
//! What is left out: signatures, evidence and digests hold (their tests are elsewhere); a clock, since whatever may run out
//! may do so at any moment; how a service catches up from the log, since one that is behind stays shut here.
//!
//! [`state`] holds what there is, [`step`] what can happen, [`check`] what must hold.

pub mod check;
pub mod state;
pub mod step;

pub use state::{Protocol, World};
pub use step::Step;
