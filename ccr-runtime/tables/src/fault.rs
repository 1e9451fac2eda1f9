//! Failures as fixed codes and sentences: nothing that a parser or the engine says ever leaves this crate, because it
//! may quote a cell.

use schemas::{Code, Refusal};

/// The file's structure is at fault.
pub(crate) fn form(sentence: &'static str) -> Refusal {
    Refusal::new(Code::TableForm, sentence)
}

/// The file is larger, or would become larger, than is read here.
pub(crate) fn exceeded(sentence: &'static str) -> Refusal {
    Refusal::new(Code::LimitExceeded, sentence)
}

/// The job's join or training does not fit its tables.
#[cfg(feature = "join")]
pub(crate) fn pipeline(sentence: &'static str) -> Refusal {
    Refusal::new(Code::PipelineInvalid, sentence)
}

/// This crate's own fault.
#[cfg(feature = "join")]
pub(crate) fn internal(sentence: &'static str) -> Refusal {
    Refusal::new(Code::WorkerFailed, sentence)
}
