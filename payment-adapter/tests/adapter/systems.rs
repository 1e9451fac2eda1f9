//! Payment systems that the tests play: each knows how often it paid, and ends its payments as it is told to.

mod bank;
mod cards;
mod recording;
mod upi;
mod webhook;

use payment_adapter::Engine;
use payment_adapter::config::Config;
use schemas::R;

use crate::scene::Scene;

pub use bank::{Bank, camt, entry, pain002};
pub use cards::{Cards, event};
pub use recording::Simulated;
pub use upi::UpiServer;
pub use webhook::Hooks;

/// How a payment ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    Settle,
    Fail,
    Return,
    /// Settled, and told several times over.
    Duplicate,
    /// Nothing is told for several rounds.
    Delay,
    /// The first answer to the submission is lost.
    Lose,
}

/// One kind of payment system.
pub trait System {
    fn name(&self) -> &'static str;
    /// The adapter's configuration for it.
    fn config(&self, scene: &Scene) -> Config;
    /// How often it paid this instruction.
    fn paid(&self, id: &str) -> usize;
    /// Lets it speak, and do what it does by itself; what the adapter did not take it says again the next time.
    fn tell(&self, scene: &Scene, engine: &Engine) -> R<()>;
}

/// All of them, each with this ending.
pub fn all(scene: &Scene, ending: Ending) -> Vec<Box<dyn System>> {
    vec![
        Box::new(Simulated::new(ending)),
        Box::new(Hooks::start(scene, ending)),
        Box::new(Bank::start(scene, ending)),
        Box::new(UpiServer::start(ending)),
        Box::new(Cards::start(ending)),
    ]
}

/// HMAC-SHA256 as hex.
pub fn hmac(key: &[u8], content: &[u8]) -> String {
    let key = openssl::pkey::PKey::hmac(key).unwrap();
    let mut signer = openssl::sign::Signer::new(openssl::hash::MessageDigest::sha256(), &key).unwrap();
    signer.update(content).unwrap();
    signer.sign_to_vec().unwrap().iter().map(|b| format!("{b:02x}")).collect()
}
