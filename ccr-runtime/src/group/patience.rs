//! How long a room waits for another: none holds it for ever, however little it says or takes.

use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use schemas::R;

use super::lost;

/// How long a connection's write blocks before its writer looks whether to go on.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// What a room bears with.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a word while they meet, and at any time without taking a byte of what it is sent.
    pub word: Duration,
    /// From the first word until both have shown what they are.
    pub meeting: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { word: Duration::from_secs(60), meeting: Duration::from_secs(180) }
    }
}

/// Two rooms meet: their connection ends where this value outlives the time for it.
pub(super) struct Meeting {
    _over: Sender<()>,
}

impl Meeting {
    pub fn new(stream: &TcpStream, limit: Duration) -> R<Meeting> {
        let stream = stream.try_clone().map_err(|_| lost())?;
        let (_over, wait) = channel();
        std::thread::spawn(move || {
            if wait.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Ok(Meeting { _over })
    }
}
