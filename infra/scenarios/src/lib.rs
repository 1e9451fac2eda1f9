//! The five scenarios of DEPA's reference in safe variants that run: seeded generators of data with the reference's
//! schemas (people who do not exist, digits nobody wrote), and the forms that describe tables and jobs.
//!
//! Read [`scenario`] (which there are, and what each differs in), [`folder`] (what is written where), then a generator:
//! [`covid`], [`credit`], [`digits`], [`textures`], [`phantom`]. [`random`] is one ChaCha20 stream per purpose: the same
//! seed gives the same bytes on every machine. Nothing here is secret, and nothing comes from a real person.

pub mod covid;
pub mod credit;
mod describe;
pub mod digits;
pub mod folder;
mod networks;
pub mod phantom;
pub mod picture;
mod pictures;
pub mod random;
mod readme;
pub mod scenario;
pub mod table;
mod tables;
pub mod textures;

pub use folder::{Order, Written, write};
pub use random::Random;
pub use scenario::Scenario;
pub use table::Table;
