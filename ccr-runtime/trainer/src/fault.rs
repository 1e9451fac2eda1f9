//! Failures as fixed codes and sentences: nothing that the tensor library or a parser says ever leaves the worker.

use schemas::{Code, R, Refusal};

/// What came over the pipe is not what the protocol says: a fault of `ccr`, never of a table.
pub fn protocol(sentence: &'static str) -> Refusal {
    Refusal::new(Code::WorkerProtocol, sentence)
}

/// The worker's own fault.
pub fn internal(sentence: &'static str) -> Refusal {
    Refusal::new(Code::WorkerFailed, sentence)
}

/// The job's pipeline cannot be executed as it stands.
pub fn pipeline(sentence: &'static str) -> Refusal {
    Refusal::new(Code::PipelineInvalid, sentence)
}

/// Drops the text of an error and keeps a fixed one.
pub trait Hush<T> {
    /// The value, or the one refusal for this kind of error.
    fn hush(self) -> R<T>;
}

impl<T> Hush<T> for Result<T, tch::TchError> {
    fn hush(self) -> R<T> {
        self.map_err(|_| internal("the tensor library gave up"))
    }
}
