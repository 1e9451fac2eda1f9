//! What can go wrong inside: a refusal (the caller's or a document's), the database's fault, or an older writer fenced.

use schemas::{Code, Refusal};

/// Why nothing is written by a process of an earlier build: what operators and callers read, without where the database is.
pub(crate) const OVERTAKEN: &str =
    "a later build has brought the database on; this process is to be stopped and that build started";

/// Ends a transaction.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A rule said no.
    Refused(Refusal),
    /// The database failed.
    Database(diesel::result::Error),
    /// Another process writes this log now.
    Fenced,
    /// This process follows another one that writes.
    NotWriter,
    /// The file of the database is not there any more.
    Gone,
    /// A later build has brought the tables on meanwhile; the refusal names its migration.
    Overtaken(Refusal),
}

impl From<diesel::result::Error> for Fault {
    fn from(error: diesel::result::Error) -> Fault {
        Fault::Database(error)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::Refused(refusal)
    }
}

impl Fault {
    /// The refusal for the caller; a cause inside is logged here, once, and never told.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Fault::Refused(refusal) => refusal,
            Fault::Database(error) => {
                tracing::error!(cause = %error, "the registry's database failed");
                Refusal::new(Code::Unavailable, "the registry cannot write or read now; try again later")
            }
            Fault::Gone => {
                tracing::error!("the file of the registry's database is not there any more");
                Refusal::new(Code::Unavailable, "the registry cannot write now; try again later")
            }
            Fault::Overtaken(why) => {
                tracing::error!(cause = %why.sentence, "this process writes no more");
                Refusal::new(Code::NotWriter, format!("{OVERTAKEN}; try again there"))
            }
            Fault::Fenced => {
                tracing::error!("another process writes this log; this one stops writing");
                Refusal::new(Code::Unavailable, "the registry is read-only here: another process writes it")
            }
            Fault::NotWriter => Refusal::new(Code::NotWriter, "another process writes this log now; try again there"),
        }
    }
}

/// A stored value that this build cannot read.
pub(crate) fn corrupt(what: &str) -> Refusal {
    tracing::error!(what, "a stored value cannot be read");
    Refusal::new(Code::Internal, "a stored value cannot be read")
}

/// A stored value that is not the one of the log.
pub(crate) fn tampered(why: &str) -> Refusal {
    Refusal::new(Code::LogTampered, why)
}
