//! The transport hook: tests drop, delay and duplicate calls.

use std::time::Duration;

use crate::http::Method;

/// A call about to go out.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: &'a str,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Headers of the call beside its body's; the hook may add further ones.
    pub headers: Vec<(String, String)>,
}

/// What happens to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// It goes through.
    Pass,
    /// It goes through after a while.
    Delay(Duration),
    /// It never arrives.
    DropRequest,
    /// It arrives, its answer does not.
    DropAnswer,
    /// It arrives twice; the second answer counts.
    Duplicate,
}

/// Looks at every call before it goes out.
pub trait Hook: Send + Sync {
    /// Decides what happens to the call.
    fn before(&self, call: &mut Outgoing) -> Act;
}

impl<F: Fn(&mut Outgoing) -> Act + Send + Sync> Hook for F {
    fn before(&self, call: &mut Outgoing) -> Act {
        self(call)
    }
}
