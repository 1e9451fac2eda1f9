//! The main job in one command, and the house in which tests do it piece by piece.
//!
//! [`House`](house::House) starts the roles, as processes or in this process; [`actors`] are the people, who act through
//! the public API and the `depa` library only; [`steps`] is the walk, [`scenario`] the same with another reference scenario. [`data`] are the tables, [`outside`] what only
//! the owner of all plaintexts can compute.

pub mod actors;
pub mod data;
pub mod golden;
pub mod house;
pub mod links;
pub mod narrate;
pub mod outside;
pub mod report;
pub mod scenario;
pub mod steps;

pub use actors::Clock;
pub use house::{House, TestClock};
