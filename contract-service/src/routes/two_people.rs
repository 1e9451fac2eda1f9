//! Documents that two SRO people sign: both in one envelope, or one after the other over the same bytes.

use schemas::desk::TwoPeople;
use schemas::envelope::Document;
use schemas::event::Body;
use schemas::{Code, Envelope, R, Refusal};

use crate::app::App;
use crate::call::Answer;

/// Counts the signatures over these bytes; enters the document once two people have signed.
pub fn hand_in<T: Document>(app: &App, document: Envelope<T>, body: impl FnOnce(Envelope<T>) -> Body) -> R<Answer> {
    let state = app.registry.state();
    let signed = signing::verify(document, app.did(), &*state)?;
    if let Some(stranger) = signed.signers().iter().find(|kid| !state.is_sro(&kid.holder)) {
        return Err(Refusal::new(Code::Forbidden, format!("{} is no person of the SRO", stranger.holder)));
    }
    let collected = app.registry.collect(signed.envelope(), app.now())?;
    let signatures = u32::try_from(collected.signatures.len()).unwrap_or(u32::MAX);
    if signatures < 2 {
        return Answer::json(202, &TwoPeople { signatures, receipt: None });
    }
    let receipt = app.enter(body(collected))?.receipt;
    Answer::created(&TwoPeople { signatures, receipt: Some(receipt) })
}
