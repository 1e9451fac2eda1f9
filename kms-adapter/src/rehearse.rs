//! Rehearsals of a power cut: the process ends, without a word, at a numbered step of a rotation. Not in the production
//! package, which is built without the feature `software-attester`.

#[cfg(feature = "software-attester")]
mod counted {
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The variable that names the step, from 1.
    const VARIABLE: &str = "DEPA_REHEARSE_CUT_AT";
    /// Steps that are left; 0 where none is rehearsed.
    static LEFT: AtomicU32 = AtomicU32::new(0);

    pub fn begin() {
        let at = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
        LEFT.store(at.unwrap_or(0), Ordering::SeqCst);
    }

    pub fn step() {
        let before = LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if before == Ok(1) {
            // Nothing is flushed and nothing dropped.
            std::process::abort();
        }
    }
}

#[cfg(feature = "software-attester")]
pub(crate) use counted::{begin, step};

/// Steps count from here on.
#[cfg(not(feature = "software-attester"))]
pub(crate) fn begin() {}

/// Something was written, or is about to be.
#[cfg(not(feature = "software-attester"))]
pub(crate) fn step() {}
