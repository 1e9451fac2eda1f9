//! Double entry: every fact about money in the log makes transfers from one account to another, and nothing else does.
//!
//! The model is TigerBeetle's: transfers are immutable; one in two phases is pending until another one posts or voids it;
//! an account is four sums. [`Books`] are a pure fold, the same in service, relying party and auditor. Each transfer has a
//! place (entry and leg) and an id made of it, so it exists once. [`check`] is what must be true of them at any time.

mod account;
mod books;
mod check;
mod journal;
pub mod payout;
mod shares;
mod transfer;

pub use account::{Account, AccountId, AccountKind};
pub use books::Books;
pub(crate) use books::Position;
pub use check::check;
pub use journal::{compare, line};
pub use shares::shares;
pub use transfer::{Phase, Place, Transfer, TransferCode};
