//! A contract service that the test plays: it keeps every answer, and counts the same one once.

use std::sync::{Arc, Mutex};

use policies::instruction::Standing;
use schemas::dispute::PaymentUnmatched;
use schemas::event::{PaymentCallback, PaymentResult};
use schemas::jwk::Jwk;
use schemas::{Code, Envelope, canonical};

use crate::server::{Call, Server};

#[derive(Default)]
struct Kept {
    callbacks: Vec<PaymentCallback>,
    unmatched: Vec<PaymentUnmatched>,
    calls: usize,
    fail: usize,
    lose: usize,
    contradicts: Option<(Code, &'static str)>,
}

pub struct Desk {
    pub server: Server,
    kept: Arc<Mutex<Kept>>,
}

impl Desk {
    /// Takes answers that are signed with this key.
    pub fn open(key: Jwk) -> Desk {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let shared = Arc::clone(&kept);
        let server = Server::start(move |call| answer(&mut shared.lock().unwrap(), &call, &key));
        Desk { server, kept }
    }

    /// Does not take the next calls: some are not entered, then of some the answers are lost.
    pub fn troubles(&self, fail: usize, lose: usize) {
        let mut kept = self.kept.lock().unwrap();
        (kept.fail, kept.lose) = (fail, lose);
    }

    /// Refuses everything from now on, with this code about this member.
    pub fn refuses(&self, code: Code, field: &'static str) {
        self.kept.lock().unwrap().contradicts = Some((code, field));
    }

    /// Refuses nothing any more.
    pub fn relents(&self) {
        self.kept.lock().unwrap().contradicts = None;
    }

    /// All that was entered about an instruction, in order.
    pub fn words(&self, id: &str) -> Vec<PaymentResult> {
        let kept = self.kept.lock().unwrap();
        kept.callbacks.iter().filter(|c| c.instruction_id == id).map(|c| c.result).collect()
    }

    /// How an instruction ended, in order: without what was told of its way.
    pub fn results(&self, id: &str) -> Vec<PaymentResult> {
        self.words(id).into_iter().filter(|word| ends(*word)).collect()
    }

    /// What was entered of how instructions ended.
    pub fn callbacks(&self) -> Vec<PaymentCallback> {
        self.kept.lock().unwrap().callbacks.iter().filter(|c| ends(c.result)).cloned().collect()
    }

    pub fn unmatched(&self) -> Vec<PaymentUnmatched> {
        self.kept.lock().unwrap().unmatched.clone()
    }

    pub fn calls(&self) -> usize {
        self.kept.lock().unwrap().calls
    }
}

fn ends(word: PaymentResult) -> bool {
    !Standing::said(word).is_under_way()
}

/// Whether a call tells of the way of an instruction alone.
fn under_way(call: &Call) -> bool {
    let envelope: Option<Envelope<PaymentCallback>> = canonical::parse(&call.body).ok();
    let callback = envelope.and_then(|envelope| envelope.read_unverified().ok());
    call.path == "/payment-callbacks" && callback.is_some_and(|callback| !ends(callback.result))
}

/// Troubles are for what ends an instruction: what is lost of its way is told by the end of it.
fn answer(kept: &mut Kept, call: &Call, key: &Jwk) -> (u16, String) {
    kept.calls += 1;
    let under_way = under_way(call);
    if kept.fail > 0 && !under_way {
        kept.fail -= 1;
        return (500, "{}".into());
    }
    if let Some((code, field)) = kept.contradicts {
        let refusal = schemas::Refusal::new(code, "it is refused").at(field);
        return (code.status(), serde_json::to_string(&refusal.problem(None)).unwrap());
    }
    let taken = match call.path.as_str() {
        "/payment-callbacks" => {
            let callback: PaymentCallback = signed(&call.body, key);
            // The same words again are the same answer; other words about the same end never come.
            let same =
                |c: &&PaymentCallback| c.instruction_id == callback.instruction_id && c.result == callback.result;
            match kept.callbacks.iter().find(same) {
                Some(known) => assert_eq!(*known, callback, "two answers about one end"),
                None => kept.callbacks.push(callback),
            }
            (200, r#"{"state":"settled"}"#.to_owned())
        }
        "/payment-callbacks/unmatched" => {
            let unmatched: PaymentUnmatched = signed(&call.body, key);
            match kept.unmatched.iter().find(|u| u.reference == unmatched.reference) {
                Some(known) => assert_eq!(*known, unmatched, "two amounts under one reference"),
                None => kept.unmatched.push(unmatched),
            }
            let receipt = r#"{"dispute_id":"dsp_01900000-0000-7000-8000-000000000001","state":"open","receipt":null}"#;
            (200, receipt.to_owned())
        }
        other => panic!("the adapter called {other}"),
    };
    if kept.lose > 0 && !under_way {
        kept.lose -= 1;
        return (502, "{}".into());
    }
    taken
}

fn signed<T: schemas::Document>(body: &[u8], key: &Jwk) -> T {
    let envelope: Envelope<T> = canonical::parse(body).unwrap();
    let document = envelope.read_unverified().unwrap();
    let registry = crate::scene::registry();
    struct Book<'a>(&'a Jwk);
    impl schemas::KeyBook for Book<'_> {
        fn key(&self, _: &schemas::id::KeyId, _: schemas::envelope::Usage) -> Option<Jwk> {
            Some(self.0.clone())
        }
    }
    signing::verify(envelope, &registry, &Book(key)).unwrap();
    document
}
