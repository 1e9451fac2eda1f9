//! One evaluation, bounded: in steps, which are the same on every machine, and, for what one step could hide, in seconds
//! on a thread of its own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use regorus::utils::limits::{ExecutionTimerConfig, TimeSource, set_time_source};
use regorus::{Engine, Value};
use schemas::{Code, Digest, R, Refusal};

use crate::answer::{self, Answer};
use crate::document::Document;
use crate::form::{PACKAGE, Rules};

/// The most steps of one evaluation. The shipped examples take less than a thousand.
pub const MAX_STEPS: u64 = 100_000;
/// How long one evaluation may take. Thousands of times what an honest one takes, so that a busy machine refuses nobody.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// Evaluations of one document that ran out of time and still go on; at this many it is not asked any more.
const MAX_OVERDUE_EACH: usize = 2;
/// The same over all documents, for the machine's sake; then none is asked. A document that hides its work cannot keep
/// those of others from being asked; it takes several.
const MAX_OVERDUE: usize = 8;
/// Room for the deepest nesting that the form allows.
const STACK: usize = 64 << 20;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// The evaluator asks for the time once per step; it is told how often this thread has asked.
struct Counter;

impl TimeSource for Counter {
    fn now(&self) -> Option<Duration> {
        STEPS.with(|steps| {
            steps.set(steps.get().saturating_add(1));
            Some(Duration::from_nanos(steps.get()))
        })
    }
}

/// Installs the counter, once per process.
fn counting() -> R<()> {
    static COUNTER: Counter = Counter;
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    match INSTALLED.get_or_init(|| set_time_source(&COUNTER).is_ok()) {
        true => Ok(()),
        false => Err(Refusal::new(Code::Internal, "another clock stands where steps are counted")),
    }
}

/// How many evaluations are overdue, by document.
static OVERDUE: Mutex<BTreeMap<Digest, usize>> = Mutex::new(BTreeMap::new());

fn overdue() -> MutexGuard<'static, BTreeMap<Digest, usize>> {
    OVERDUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a document may be asked.
fn admitted(digest: &Digest) -> bool {
    let overdue = overdue();
    overdue.get(digest).is_none_or(|own| *own < MAX_OVERDUE_EACH) && overdue.values().sum::<usize>() < MAX_OVERDUE
}

/// Counts an evaluation of a document as overdue from the time-out to its end.
struct Watch {
    digest: Digest,
    state: AtomicUsize,
}

const RUNNING: usize = 0;
const GIVEN_UP: usize = 1;
const ENDED: usize = 2;

impl Watch {
    fn give_up(&self) {
        // Under the lock, so that the end of the evaluation is not counted before its lateness.
        let mut overdue = overdue();
        if self.state.compare_exchange(RUNNING, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            *overdue.entry(self.digest).or_default() += 1;
        }
    }
}

/// Ends the watch also when the evaluator panics.
struct End(Arc<Watch>);

impl Drop for End {
    fn drop(&mut self) {
        let mut overdue = overdue();
        if self.0.state.swap(ENDED, Ordering::SeqCst) == GIVEN_UP
            && let Some(own) = overdue.get_mut(&self.0.digest)
        {
            *own -= 1;
            if *own == 0 {
                overdue.remove(&self.0.digest);
            }
        }
    }
}

fn limit(why: &str) -> Refusal {
    Refusal::new(Code::RulesLimit, format!("A rules document takes {why}."))
}

/// What a document says of an input, and the steps that it took.
pub(crate) fn answer(document: &Document, input: &str) -> R<(Answer, u64)> {
    within(document, input, DEADLINE)
}

pub(crate) fn within(document: &Document, input: &str, deadline: Duration) -> R<(Answer, u64)> {
    counting()?;
    if !admitted(&document.digest()) {
        return Err(limit("too long, as others before it still do"));
    }
    let (engine, rules, input) = (document.engine.clone(), document.rules, input.to_owned());
    let (send, receive) = sync_channel(1);
    let watch = Arc::new(Watch { digest: document.digest(), state: AtomicUsize::new(RUNNING) });
    let end = End(watch.clone());
    let run = move || {
        let _end = end;
        // Nobody waits any more where this fails.
        let _ = send.send(inside(engine, rules, &input));
    };
    let thread = thread::Builder::new().name("rules".into()).stack_size(STACK).spawn(run);
    thread.map_err(|_| limit("a thread that is not to be had"))?;
    match receive.recv_timeout(deadline) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => {
            watch.give_up();
            Err(limit("too long"))
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(Refusal::new(Code::RulesFailed, "A rules document broke its evaluation off."))
        }
    }
}

/// On the thread of its own. The values are read here, since they could be shared a million times over.
fn inside(mut engine: Engine, rules: Rules, input: &str) -> R<(Answer, u64)> {
    STEPS.with(|steps| steps.set(0));
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit: Duration::from_nanos(MAX_STEPS),
        check_interval: NonZeroU32::MIN,
    });
    engine
        .set_input_json(input)
        .map_err(|_| Refusal::new(Code::Internal, "the facts of a run are no input of a rules document"))?;
    let mut ask = |rule: &str| -> R<Value> {
        let value = engine.eval_rule(format!("data.{PACKAGE}.{rule}"));
        if STEPS.with(Cell::get) > MAX_STEPS {
            return Err(limit("too many steps"));
        }
        // The evaluator's words may quote facts; its author finds the place by `depa policy explain`.
        value.map_err(|_| Refusal::new(Code::RulesFailed, "A rules document failed while it was evaluated."))
    };
    let allow = answer::allow(&ask("allow")?)?;
    let deny = if rules.deny { answer::deny(&ask("deny")?)? } else { Vec::new() };
    let obligations = if rules.obligations { answer::obligations(&ask("obligations")?)? } else { Default::default() };
    Ok((Answer { allow, deny, obligations }, STEPS.with(Cell::get)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(rules: &str) -> Document {
        Document::read(format!("package depa.rules\n\nimport rego.v1\n\n{rules}\n").as_bytes()).unwrap()
    }

    /// Forty rules make a value that is small in memory and takes 2^40 comparisons: one step of the evaluator, which only
    /// a clock ends. `name` makes it another document each time.
    fn folded(name: usize) -> Document {
        let mut rules = String::from("a0 := [input.a]\n\nb0 := [input.b]\n\n");
        for n in 1..40 {
            let m = n - 1;
            rules += &format!("a{n} := [a{m}, a{m}]\n\nb{n} := [b{m}, b{m}]\n\n");
        }
        document(&format!("{rules}name := {name}\n\nallow if a39 == b39\n"))
    }

    /// One test, since what is overdue stays so to the end of the process.
    #[test]
    fn what_a_step_hides_ends_by_the_clock_and_is_not_asked_again() {
        let honest = document("allow := true");
        let ask = |document: &Document| within(document, r#"{"a":1,"b":1}"#, Duration::from_millis(20));
        let others = "as others before it still do";
        for name in 0..MAX_OVERDUE / MAX_OVERDUE_EACH {
            assert!(super::answer(&honest, "{}").unwrap().0.allow, "the documents of others do not matter");
            let folded = folded(name);
            for _ in 0..MAX_OVERDUE_EACH {
                let refusal = ask(&folded).unwrap_err();
                assert_eq!(refusal.code, Code::RulesLimit);
                assert!(!refusal.sentence.contains(others), "{refusal}");
            }
            let refusal = ask(&folded).unwrap_err();
            assert_eq!(refusal.code, Code::RulesLimit);
            assert!(refusal.sentence.contains(others), "{refusal}");
        }
        assert_eq!(super::answer(&honest, "{}").unwrap_err().code, Code::RulesLimit, "the machine has its bound");
    }
}
