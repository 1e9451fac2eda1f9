//! Tells the contract service how far the training is, so that people see it move: the number of a step, which the plan
//! alone gives. On a thread of its own and without waiting: a service that is slow or away costs the run nothing, and
//! whoever watches a few steps.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use contract_client::Client;
use schemas::id::RunId;
use schemas::release::{RunAct, RunRequest};
use schemas::{Envelope, R};

/// The least time between two words.
const APART: Duration = Duration::from_secs(1);

/// Tells steps.
pub struct Teller {
    /// Takes one only while the thread waits for one; none where no thread could be had.
    send: Option<SyncSender<Envelope<RunRequest>>>,
    told: Option<Instant>,
}

impl Teller {
    /// Tells steps of this run. The thread ends with the teller, once a call that it is in the middle of has ended.
    pub fn new(desk: Client, run: RunId) -> Teller {
        let (send, requests) = sync_channel::<Envelope<RunRequest>>(0);
        let thread = std::thread::Builder::new().name("steps".into()).spawn(move || {
            for request in requests {
                // Whether it arrives changes nothing here.
                drop(desk.tell_step(&run, &request));
            }
        });
        Teller { send: thread.is_ok().then_some(send), told: None }
    }

    /// A step is done. Said at most once a second; `request` signs it.
    pub fn at(&mut self, step: u32, request: impl FnOnce(RunAct) -> R<Envelope<RunRequest>>) {
        let Some(send) = &self.send else { return };
        if self.told.is_some_and(|told| told.elapsed() < APART) {
            return;
        }
        self.told = Some(Instant::now());
        if let Ok(request) = request(RunAct::Progress { step }) {
            // Busy with the last one, or gone: the next step is told in its place.
            drop(send.try_send(request));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{Code, Refusal};

    #[test]
    fn a_service_that_is_away_or_silent_costs_no_time() {
        // It takes connections and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://127.0.0.1:{}", silent.local_addr().unwrap().port());
        let run = RunId::new(uuid::Uuid::from_u128(1));
        let mut teller = Teller::new(Client::new(&url, None).unwrap(), run);
        let since = Instant::now();
        for step in 1..2000 {
            teller.told = None;
            teller.at(step, |act| {
                assert_eq!(act, RunAct::Progress { step });
                Ok(Envelope::new(b"{}".to_vec(), vec![]))
            });
        }
        let mut asked = false;
        teller.at(2000, |_| {
            asked = true;
            Err(Refusal::new(Code::Internal, "no key"))
        });
        assert!(!asked, "once a second");
        drop(teller);
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    }
}
