//! Documents that two SRO people sign: both in one envelope, or one after the other over the same bytes.

use policies::lifecycle::State;
use schemas::desk::TwoPeople;
use schemas::envelope::Document;
use schemas::event::Body;
use schemas::id::Did;
use schemas::{Code, Envelope, R, Refusal};

use crate::app::App;
use crate::call::Answer;
use crate::people::presence;

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
    let people: Vec<Did> = signers(&document, &state)?;
    if people.is_empty() {
        return Ok(Collected::Ready(document));
    }
    // Verified first: nobody learns who is at the desk by a signature that is none.
    let signed = signing::verify(document.clone(), app.did(), &*state)?;
    people.iter().try_for_each(|person| presence::needed(app, person))?;
    if document.signatures.len() > 1 {
        return Ok(Collected::Ready(document));
    }
    if let Some(body) = body {
        state.foresee(signed.envelope(), body, app.now())?;
    }
    let collected = app.registry.collect(signed.envelope(), app.now())?;
    let signatures = u32::try_from(collected.signatures.len()).unwrap_or(u32::MAX);
    if signatures < 2 { Ok(Collected::Waiting(signatures)) } else { Ok(Collected::Ready(collected)) }
}

/// The people of the SRO who have signed.
fn signers<T>(document: &Envelope<T>, state: &State) -> R<Vec<Did>> {
    let holders = document.signatures.iter().map(|signature| &signature.kid.holder);
    holders.filter(|holder| state.is_sro(holder)).map(|holder| Did::parse(holder)).collect()
}

/// The answer while a second person must sign.
pub fn waiting(signatures: u32) -> R<Answer> {
    Answer::json(202, &TwoPeople { signatures, receipt: None })
}
