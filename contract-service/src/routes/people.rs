//! People: who is signed in, their passkeys, sign-in and out, and the people of a participant.

use registry::Person;
use schemas::id::{Did, PasskeyId, PersonId};
use schemas::party::Kind;
use schemas::person::{
    Assertion, NewPasskey, PasskeyList, PasskeyView, PersonList, PersonView, RecoveryCodes, SessionView,
};
use schemas::{Code, R, Refusal, person as folk};

use crate::app::App;
use crate::auth::roles::caller;
use crate::call::{Answer, Call};
use crate::people::passkey::{Purpose, ask, judged, prove, stored};
use crate::people::session::{Session, Starting, forget, standing};
use crate::people::trail::{self, Act};
use crate::people::{enrol, oidc, presence, recovery, refused};
use crate::portal;
use crate::route::Access::{Open, Token};
use crate::route::{Access, Route, get, post};

const SIGN_IN: &str = "sign-in";
const STEP_UP: &str = "step-up";
const ADD: &str = "add";
/// Refusals of a way back that the sign-in page has words for (`portal/src/parts/oidc.ts`); any other is our fault.
const TOLD: [Code; 7] = [
    Code::SignInRefused,
    Code::ChallengeUnknown,
    Code::NotFound,
    Code::Unavailable,
    Code::NotWriter,
    Code::ReadOnly,
    Code::RateLimited,
];

/// The routes of people: they read and manage themselves; documents are signed by keys.
pub fn paths() -> Vec<Route> {
    vec![
        post("/v1/people/enrolments", link, Token, "Make a one-time enrolment link for a person of yours")
            .only(&[Kind::Tdp, Kind::Tdc, Kind::Ccrp, Kind::Auditor, Kind::Sro])
            .takes::<folk::EnrolmentRequest>()
            .gives::<folk::EnrolmentLink>(201),
        get("/v1/people", list, Token, "Your people").gives::<folk::PersonList>(200),
        post(
            "/v1/people/{id}/suspend",
            suspend,
            Access::Person,
            "Suspend a person of yours; by token or administrator",
        )
        .nothing(204),
        get("/v1/people/me", me, Access::Person, "Who is signed in").gives::<folk::SessionView>(200),
        get("/v1/people/me/passkeys", passkeys, Access::Person, "Your passkeys").gives::<folk::PasskeyList>(200),
        post("/v1/people/me/passkeys/options", add_options, Access::Person, "Begin to add a passkey; step up first")
            .gives::<folk::Ceremony>(200),
        post("/v1/people/me/passkeys", add, Access::Person, "Add a passkey; step up first")
            .takes::<folk::NewPasskey>()
            .gives::<folk::PasskeyView>(201),
        post("/v1/people/me/passkeys/{id}/remove", remove, Access::Person, "Remove a passkey; step up first")
            .nothing(204),
        post("/v1/people/me/recovery-codes", recovery_codes, Access::Person, "Fresh recovery codes; step up first")
            .gives::<folk::RecoveryCodes>(201),
        post("/auth/enrol/options", enrol_options, Open, "Begin to enrol a passkey by a link")
            .takes::<folk::EnrolmentToken>()
            .gives::<folk::Ceremony>(200),
        post("/auth/enrol", enrol, Open, "Enrol a passkey by a link, and sign in")
            .takes::<folk::Enrolment>()
            .gives::<folk::Enrolled>(201),
        post("/auth/passkey/options", sign_in_options, Open, "Begin to sign in").gives::<folk::Ceremony>(200),
        post("/auth/passkey", sign_in, Open, "Sign in by a passkey")
            .takes::<folk::Assertion>()
            .gives::<folk::SessionView>(200),
        post("/auth/step-up/options", step_up_options, Access::Person, "Begin a fresh passkey assertion")
            .gives::<folk::Ceremony>(200),
        post("/auth/step-up", step_up, Access::Person, "End it; for five minutes you may do more")
            .takes::<folk::Assertion>()
            .gives::<folk::SessionView>(200),
        post("/auth/recovery", recover, Open, "Use a recovery code to enrol a new passkey")
            .takes::<folk::RecoveryRequest>()
            .gives::<folk::RecoveryGrant>(201),
        post("/auth/oidc", oidc_begin, Open, "Begin to sign in, or to enrol, with the identity provider")
            .takes::<folk::OidcStart>()
            .gives::<folk::OidcRedirect>(200),
        get("/auth/oidc/callback", oidc_callback, Open, "The way back from the identity provider")
            .query(&["code", "state", "iss"])
            .gives_media(200, "text/html")
            .nothing(303)
            .refused_to_browsers(not_let_in),
        post("/auth/sign-out", sign_out, Access::Person, "Sign out").nothing(204),
        post("/auth/sign-out-everywhere", sign_out_everywhere, Access::Person, "End all your sessions").nothing(204),
    ]
}

/// Makes a one-time enrolment link, by a key holder's token.
pub fn link(app: &App, call: &Call) -> R<Answer> {
    let caller = caller(app, call, &app.registry.state())?;
    there(app, caller.did())?;
    Answer::created(&enrol::link(app, call, &caller)?)
}

/// Begins an enrolment.
pub fn enrol_options(app: &App, call: &Call) -> R<Answer> {
    enrol::begin(app, call)
}

/// Ends an enrolment: the person is signed in.
pub fn enrol(app: &App, call: &Call) -> R<Answer> {
    enrol::end(app, call)
}

/// Opens the enrolment of a new passkey by a recovery code.
pub fn recover(app: &App, call: &Call) -> R<Answer> {
    recovery::open(app, call)
}

/// Begins a sign-in with the identity provider.
pub fn oidc_begin(app: &App, call: &Call) -> R<Answer> {
    oidc::begin(app, call)
}

/// The way back from the identity provider.
pub fn oidc_callback(app: &App, call: &Call) -> R<Answer> {
    oidc::callback(app, call)
}

/// Who comes back from the identity provider is a browser, whose person reads no problem document: a refusal, and be it that
/// too many came at once, leads to the sign-in page.
fn not_let_in(call: &Call, refusal: &Refusal) -> Answer {
    if refusal.code.status() >= 500 {
        let (request, cause) = (call.request_id.as_str(), refusal.sentence.as_str());
        tracing::error!(request, code = %refusal.code, cause, "a sign-in failed on its way back");
    }
    portal::not_let_in(if TOLD.contains(&refusal.code) { refusal.code } else { Code::Internal })
}

/// Begins a sign-in by a passkey. Nobody is named, so nothing is told.
pub fn sign_in_options(app: &App, _: &Call) -> R<Answer> {
    let begun = app.people.passkeys()?.begin_sign_in()?;
    Answer::ok(&ask(app, SIGN_IN, None, begun)?)
}

/// Ends a sign-in by a passkey.
pub fn sign_in(app: &App, call: &Call) -> R<Answer> {
    let Assertion { challenge_id, credential } = call.read()?;
    let now = app.now();
    let ceremony = app.registry.take_ceremony(&challenge_id, SIGN_IN, now)?;
    let proven = judged(Act::SignIn, call, None, prove(app, &ceremony, credential, Purpose::SignIn))?;
    let outcome = start(app, call, &proven.person, proven.used);
    trail::write(Act::SignIn, "passkey", call, Some(&proven.person.person_id), &outcome, "member or passkey");
    let starting = outcome?;
    Ok(starting.give(app, Answer::ok(&starting.view(&proven.person, now))?))
}

fn start(app: &App, call: &Call, person: &Person, used: registry::StoredPasskey) -> R<Starting> {
    let standing = standing(&app.registry.state(), &person.member).ok_or_else(refused)?;
    let starting = Starting::draw(app, call, standing, "passkey", true)?;
    let then = registry::PasskeyUse::SignIn(person.person_id.clone(), starting.new_session());
    if app.registry.use_passkey(&used, then, app.now())? { Ok(starting) } else { Err(refused()) }
}

/// Begins a fresh assertion of who is signed in.
pub fn step_up_options(app: &App, call: &Call) -> R<Answer> {
    let session = Session::act(app, call, &app.registry.state())?;
    let own = app.registry.passkeys(&session.person().person_id)?;
    if own.is_empty() {
        return Err(Refusal::new(Code::Forbidden, "stepping up needs a passkey, and you have none; ask for a link"));
    }
    let begun = app.people.passkeys()?.begin_step_up(&own)?;
    Answer::ok(&ask(app, STEP_UP, Some(session.token().to_string()), begun)?)
}

/// Ends it: for five minutes the session may do what needs one.
pub fn step_up(app: &App, call: &Call) -> R<Answer> {
    let session = Session::act(app, call, &app.registry.state())?;
    let Assertion { challenge_id, credential } = call.read()?;
    let (now, person) = (app.now(), &session.person().person_id);
    let ceremony = app.registry.take_ceremony(&challenge_id, STEP_UP, now)?;
    own_ceremony(&session, ceremony.subject.as_deref())?;
    let proof = prove(app, &ceremony, credential, Purpose::StepUp(person));
    let proven = judged(Act::StepUp, call, Some(person), proof)?;
    let used = app.registry.use_passkey(&proven.used, registry::PasskeyUse::StepUp(*session.token()), now);
    let outcome = used.and_then(|used| if used { Ok(()) } else { Err(refused()) });
    trail::write(Act::StepUp, "passkey", call, Some(person), &outcome, "the passkey was used meanwhile");
    outcome?;
    me(app, call)
}

/// A challenge belongs to the session that asked for it.
fn own_ceremony(session: &Session, subject: Option<&str>) -> R<()> {
    if subject == Some(session.token().to_string().as_str()) {
        return Ok(());
    }
    Err(Refusal::new(Code::ChallengeUnknown, "this challenge was given to another session; begin again"))
}

/// Who is signed in.
pub fn me(app: &App, call: &Call) -> R<Answer> {
    let view: SessionView = Session::read(app, call, &app.registry.state())?.view();
    Answer::ok(&view)
}

/// Ends the session.
pub fn sign_out(app: &App, call: &Call) -> R<Answer> {
    let session = Session::act(app, call, &app.registry.state())?;
    let outcome = app.registry.end_session(session.token());
    trail::write(Act::SignOut, "session", call, Some(&session.person().person_id), &outcome, "");
    outcome.map(|()| forget(app, Answer::empty()))
}

/// Ends every session of the person.
pub fn sign_out_everywhere(app: &App, call: &Call) -> R<Answer> {
    let session = Session::act(app, call, &app.registry.state())?;
    let outcome = app.registry.end_sessions(&session.person().person_id);
    trail::write(Act::SignOut, "sessions", call, Some(&session.person().person_id), &outcome, "");
    outcome.map(|()| forget(app, Answer::empty()))
}

/// The person's passkeys.
pub fn passkeys(app: &App, call: &Call) -> R<Answer> {
    let session = Session::read(app, call, &app.registry.state())?;
    let passkeys = app.registry.passkeys(&session.person().person_id)?.into_iter().map(|passkey| PasskeyView {
        passkey_id: passkey.passkey_id,
        label: passkey.label,
        created_at: passkey.created_at,
        last_used_at: passkey.last_used_at,
    });
    Answer::ok(&PasskeyList { passkeys: passkeys.collect() })
}

/// Begins to add a passkey.
pub fn add_options(app: &App, call: &Call) -> R<Answer> {
    let session = stepped_up(app, call)?;
    let person = session.person();
    let own = app.registry.passkeys(&person.person_id)?;
    let account = enrol::account(&app.registry.state(), &person.member, &person.name);
    let begun = app.people.passkeys()?.begin_new(&person.person_id, &account, &person.name, &own)?;
    Answer::ok(&ask(app, ADD, Some(session.token().to_string()), begun)?)
}

/// Adds a passkey.
pub fn add(app: &App, call: &Call) -> R<Answer> {
    let session = stepped_up(app, call)?;
    let NewPasskey { challenge_id, credential, label } = call.read()?;
    let (now, person) = (app.now(), &session.person().person_id);
    let ceremony = app.registry.take_ceremony(&challenge_id, ADD, now)?;
    own_ceremony(&session, ceremony.subject.as_deref())?;
    let made = app.people.passkeys()?.end_new(&ceremony.state, credential);
    let reason = made.as_ref().err().cloned().unwrap_or_default();
    let outcome = made.map_err(|_| refused()).and_then(|passkey| {
        let new = stored(app, &passkey, &label)?;
        app.registry.add_passkey(person, new.clone(), now)?;
        Ok(new)
    });
    trail::write(Act::MeansChanged, "passkey", call, Some(person), &outcome, &reason);
    let new = outcome?;
    let view = PasskeyView { passkey_id: new.passkey_id, label: new.label, created_at: now, last_used_at: None };
    Answer::created(&view)
}

/// Removes a passkey; the last one stays.
pub fn remove(app: &App, call: &Call) -> R<Answer> {
    let session = stepped_up(app, call)?;
    let (person, id): (_, PasskeyId) = (&session.person().person_id, call.param("id")?);
    let outcome = app.registry.remove_passkey(person, &id).and_then(|removed| match removed {
        true => Ok(Answer::empty()),
        false => Err(Refusal::new(Code::NotFound, "you have no such passkey")),
    });
    trail::write(Act::MeansChanged, "passkey_removed", call, Some(person), &outcome, "");
    outcome
}

/// Ten fresh recovery codes; the earlier ones no longer count.
pub fn recovery_codes(app: &App, call: &Call) -> R<Answer> {
    let session = stepped_up(app, call)?;
    let (codes, kept) = recovery::draw()?;
    let outcome = app.registry.replace_recovery_codes(&session.person().person_id, kept);
    trail::write(Act::MeansChanged, "recovery_codes", call, Some(&session.person().person_id), &outcome, "");
    outcome?;
    Answer::created(&RecoveryCodes { codes })
}

/// The people of the caller's member; of the SRO, all people of the SRO.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let caller = caller(app, call, &app.registry.state())?;
    let people = app.registry.people(&members(app, caller.did()))?.into_iter().map(|person| PersonView {
        person_id: person.person_id,
        display_name: person.name,
        member: person.member,
        roles: person.roles,
        state: if person.suspended_at.is_some() { "suspended".into() } else { "active".into() },
    });
    Answer::ok(&PersonList { people: people.collect() })
}

/// Changes who may show a passkey for a person of the SRO only while that person is there: a key that was taken would
/// give itself a passkey, or take those of the others away.
fn there(app: &App, member: &Did) -> R<()> {
    if app.registry.state().is_sro(member.as_str()) { presence::needed(app, member) } else { Ok(()) }
}

/// The members that are one with this one: the people of the SRO, or itself alone.
fn members(app: &App, did: &Did) -> Vec<Did> {
    let sro: Vec<Did> = app.sro().iter().map(|person| person.did.clone()).collect();
    if sro.contains(did) { sro } else { vec![did.clone()] }
}

/// Suspends a person of the caller's member: a key holder's token, or an administrator's stepped-up session.
pub fn suspend(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let id: PersonId = call.param("id")?;
    let (member, by) = match call.bearer {
        Some(_) => {
            let member = caller(app, call, &state)?.did().clone();
            there(app, &member)?;
            (member, "token")
        }
        None => {
            let session = stepped_up(app, call)?;
            if !session.administers() {
                return Err(Refusal::new(Code::Forbidden, "this is for administrators of your organisation"));
            }
            (session.person().member.clone(), "session")
        }
    };
    let own = members(app, &member);
    let person = app.registry.person(&id)?.filter(|person| own.contains(&person.member));
    let outcome = match person {
        Some(_) => app.registry.suspend_person(&id, app.now()).map(|()| Answer::empty()),
        None => Err(Refusal::new(Code::NotFound, "no such person")),
    };
    trail::write(Act::Suspended, by, call, Some(&id), &outcome, "");
    outcome
}

/// The session of a change that needs a fresh passkey assertion.
fn stepped_up(app: &App, call: &Call) -> R<Session> {
    let session = Session::act(app, call, &app.registry.state())?;
    session.stepped_up(app.now())?;
    Ok(session)
}
