//! The world around a key service, made for each test; the service itself answers over HTTP.

pub mod cut;
pub mod http;
pub mod log;
pub mod papers;
pub mod people;
pub mod room;
pub mod world;

pub use people::{People, start};
pub use room::Room;
pub use world::{Changes, World};
