//! Participants: apply, decide, change keys, leave, read.

use policies::lifecycle::{KeyRow, ParticipantRow, ParticipantState};
use schemas::bundle::Logged;
use schemas::desk::{KeyList, KeyView, ParticipantLine, ParticipantList, ParticipantView, Receipted};
use schemas::event::Body;
use schemas::id::Did;
use schemas::party::{KeyAct, KeyEvent, Kind, Participant, ParticipantDecision, ParticipantWithdrawal};
use schemas::{Code, Envelope, R, Refusal};

use super::two_people::{self, Collected};
use crate::app::App;
use crate::call::{Answer, Call, page_size};

/// Enters an application. A did:web is resolved now, once, and its document enters with it.
pub fn apply(app: &App, call: &Call) -> R<Answer> {
    let application: Envelope<Participant> = call.read()?;
    // Verified first: nobody makes the service fetch an address with an unsigned document.
    let applicant = signing::book::verify_application(application.clone(), app.did())?;
    // An address that may not be fetched, or a host that hides what it is, is refused before anything is asked there.
    policies::registration::participant(&applicant, app.did(), app.now())?;
    let web = signing::did::is_web(&applicant.did);
    let resolution = if web { Some(app.did_web.fetch(&applicant.did, app.now())?) } else { None };
    let receipt = app.enter(Body::ParticipantApplied { application, resolution })?.receipt;
    Answer::created(&Receipted { receipt })
}

/// Takes a decision with the signatures of one or two SRO people.
pub fn decide(app: &App, call: &Call) -> R<Answer> {
    let decision: Envelope<ParticipantDecision> = call.read()?;
    two_people::hand_in(app, decision, |decision| Body::ParticipantDecided { decision })
}

/// Changes a key of a participant, by itself or by two SRO people; or of an SRO person, by two. For an added key a did:web is resolved anew.
pub fn change_key(app: &App, call: &Call) -> R<Answer> {
    let event: Envelope<KeyEvent> = call.read()?;
    // What it becomes is known once a did:web is resolved, and that waits for the second person.
    let event = match two_people::collect(app, event, None)? {
        Collected::Waiting(signatures) => return two_people::waiting(signatures),
        Collected::Ready(event) => event,
    };
    let signed = signing::verify(event.clone(), app.did(), &*app.registry.state())?;
    let added = matches!(signed.event, KeyAct::Add { .. });
    let web = added && signing::did::is_web(&signed.participant);
    let resolution = if web { Some(app.did_web.fetch(&signed.participant, app.now())?) } else { None };
    let receipt = app.enter(Body::KeyChanged { event, resolution })?.receipt;
    Answer::created(&Receipted { receipt })
}

/// Enters that a participant leaves.
pub fn withdraw(app: &App, call: &Call) -> R<Answer> {
    let withdrawal: Envelope<ParticipantWithdrawal> = call.read()?;
    let receipt = app.enter(Body::ParticipantLeft { withdrawal })?.receipt;
    Answer::created(&Receipted { receipt })
}

/// A participant. Registration is public.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let row = found(&state, call)?;
    let decision = match &row.decision {
        Some((index, envelope)) => Some(Logged { envelope: envelope.clone(), receipt: app.registry.receipt(*index)? }),
        None => None,
    };
    let word = super::word(&row.state)?;
    Answer::ok(&ParticipantView { application: row.application.clone(), decision, state: word })
}

/// The keys of a participant or of a person of the SRO, ended ones too; of a person's key that is reported, what it signed
/// since.
pub fn keys(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    if let Some(person) = state.person(&call.param("did")?) {
        let with_acts = |row: &KeyRow| {
            let since = row.compromised_since.unwrap_or(u64::MAX);
            let in_doubt = state.acts_of_person_key(&row.thumbprint, since).collect();
            Ok(KeyView { in_doubt, ..key(row)? })
        };
        return Answer::ok(&KeyList { keys: person.keys.iter().map(with_acts).collect::<R<Vec<_>>>()? });
    }
    let keys = found(&state, call)?.keys.iter().map(key).collect::<R<Vec<_>>>()?;
    Answer::ok(&KeyList { keys })
}

fn key(row: &KeyRow) -> R<KeyView> {
    Ok(KeyView {
        thumbprint: row.thumbprint.clone(),
        jwk: row.jwk.clone(),
        uses: row.uses.clone(),
        state: super::word(&row.state)?,
        active_from: row.active_from,
        ended: row.ended,
        compromised_since: row.compromised_since,
        in_doubt: Vec::new(),
    })
}

/// A page of participants by DID: `kind`, `state` (`applied` for those who wait for a decision), `q` in names and DIDs.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let limit = page_size(call)?;
    let after = call.query.get("cursor").map(|text| Did::parse(text)).transpose()?;
    let kind: Option<Kind> = super::choice(call, "kind")?;
    let wanted: Option<ParticipantState> = super::choice(call, "state")?;
    let words = super::words(call)?;
    let state = app.registry.state();
    let fits = |row: &ParticipantRow| {
        let who = &row.participant;
        kind.is_none_or(|kind| who.kind == kind)
            && wanted.is_none_or(|wanted| row.state == wanted)
            && words.fit(&[&who.legal_name, who.did.as_str(), &who.jurisdiction])
    };
    let mut rows = state.participants_after(after.as_ref()).filter(|row| fits(row));
    let page: Vec<&ParticipantRow> = rows.by_ref().take(limit).collect();
    let more = rows.next().is_some();
    let next = page.last().filter(|_| more).map(|row| row.participant.did.to_string());
    let participants = page.into_iter().map(line).collect::<R<Vec<_>>>()?;
    Answer::ok(&ParticipantList { participants, next })
}

fn line(row: &ParticipantRow) -> R<ParticipantLine> {
    let who = &row.participant;
    Ok(ParticipantLine {
        did: who.did.clone(),
        kind: who.kind,
        legal_name: who.legal_name.clone(),
        jurisdiction: who.jurisdiction.clone(),
        state: super::word(&row.state)?,
        application_sha256: row.application.digest(),
        applied: row.applied,
    })
}

fn found<'s>(state: &'s policies::lifecycle::State, call: &Call) -> R<&'s ParticipantRow> {
    let did: Did = call.param("did")?;
    state.participant(&did).ok_or_else(|| Refusal::new(Code::NotFound, "no such participant"))
}
