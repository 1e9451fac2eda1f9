//! Documents that two SRO people sign: both in one envelope, or one after the other over the same bytes.

use schemas::desk::TwoPeople;
use schemas::envelope::Document;
use schemas::event::Body;
use schemas::{Code, Envelope, R, Refusal};

use crate::app::App;
use crate::call::Answer;

/// A document with the signatures collected so far.
pub enum Collected<T> {
    /// It can be entered.
    Ready(Envelope<T>),
    /// So many people have signed; another one must.
    Waiting(u32),
}

/// Counts the signatures over these bytes; enters the document once two people have signed.
pub fn hand_in<T: Document>(app: &App, document: Envelope<T>, body: fn(Envelope<T>) -> Body) -> R<Answer> {
    let state = app.registry.state();
    signing::verify(document.clone(), app.did(), &*state)?;
    if let Some(stranger) = document.signatures.iter().find(|s| !state.is_sro(&s.kid.holder)) {
        return Err(Refusal::new(Code::Forbidden, format!("{} is no person of the SRO", stranger.kid.holder)));
    }
    match collect(app, document, Some(&body))? {
        Collected::Waiting(signatures) => waiting(signatures),
        Collected::Ready(document) => {
            let signatures = u32::try_from(document.signatures.len()).unwrap_or(u32::MAX);
            let receipt = app.enter(body(document))?.receipt;
            Answer::created(&TwoPeople { signatures, receipt: Some(receipt) })
        }
    }
}

/// Keeps the first signature of an SRO person until a second one has signed the same bytes. What could not enter even
/// then, because it stands already or for another reason, is refused at once where `body` says what it would become.
/// What anybody else has signed is ready as it is: whether they may is the fold's question.
pub fn collect<T: Document>(
    app: &App,
    document: Envelope<T>,
    body: Option<&fn(Envelope<T>) -> Body>,
) -> R<Collected<T>> {
    let state = app.registry.state();
    if document.signatures.len() > 1 || !document.signatures.iter().all(|s| state.is_sro(&s.kid.holder)) {
        return Ok(Collected::Ready(document));
    }
    let signed = signing::verify(document, app.did(), &*state)?;
    if let Some(body) = body {
        state.foresee(signed.envelope(), body, app.now())?;
    }
    let collected = app.registry.collect(signed.envelope(), app.now())?;
    let signatures = u32::try_from(collected.signatures.len()).unwrap_or(u32::MAX);
    if signatures < 2 { Ok(Collected::Waiting(signatures)) } else { Ok(Collected::Ready(collected)) }
}

/// The answer while a second person must sign.
pub fn waiting(signatures: u32) -> R<Answer> {
    Answer::json(202, &TwoPeople { signatures, receipt: None })
}
