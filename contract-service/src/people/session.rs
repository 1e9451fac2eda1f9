//! Sessions: who is signed in. A session reads for its member and manages its own person; it signs nothing.

use policies::lifecycle::{ParticipantState, State};
use registry::{NewSession, Person, SESSION_SECONDS, StoredSession};
use schemas::id::Did;
use schemas::party::Kind;
use schemas::person::SessionView;
use schemas::{Code, Digest, R, Refusal, Timestamp};

use super::cookie;
use super::secret::{Secret, sha256};
use crate::app::App;
use crate::call::{Answer, Call};

/// A passkey assertion counts as fresh for this long.
pub(super) const STEP_UP_SECONDS: i64 = 5 * 60;

/// Somebody who is signed in, whose member stands and whose roles fit it. Made for reads by [`Session::read`], for
/// changes by [`Session::act`] alone.
#[derive(Debug)]
pub struct Session {
    person: Person,
    kind: Kind,
    stored: StoredSession,
    csrf: String,
}

/// What a member is now, and under which decision of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Its kind.
    pub kind: Kind,
    /// Log index of the decision; zero for people of the SRO, whom the genesis names.
    pub index: u64,
}

/// How a member stands, if it may act at all.
pub fn standing(state: &State, member: &Did) -> Option<Standing> {
    if state.is_sro(member.as_str()) {
        return Some(Standing { kind: Kind::Sro, index: 0 });
    }
    let row = state.participant(member).filter(|row| row.state == ParticipantState::Verified)?;
    Some(Standing { kind: row.participant.kind, index: row.decision.as_ref().map_or(0, |(index, _)| *index) })
}

/// What is sent as `X-CSRF-Token`: follows from the cookie, which other sites can neither read nor guess.
fn csrf_of(cookie: &str) -> String {
    Digest::of_parts(&[b"depa csrf v1\n", cookie.as_bytes()]).to_string()
}

fn unknown() -> Refusal {
    Refusal::new(Code::Unauthenticated, "nobody is signed in, or the session has ended; sign in")
}

impl Session {
    /// Whether the call brings a session at all.
    pub fn offered(app: &App, call: &Call) -> bool {
        app.people.cookies.read(call, cookie::Kind::Session).is_some()
    }

    /// The session of a call that changes nothing, which is awake by it, unless the page says that nobody asked for it. One
    /// whose member was suspended since it began has ended for good, also when the suspension is over.
    pub fn read(app: &App, call: &Call, state: &State) -> R<Session> {
        let session = Session::stands(app, call, state)?;
        if session.stored.stale
            && !call.is_quiet()
            && let Err(refusal) = app.registry.touch_session(session.token(), app.now())
        {
            // A follower cannot write; the session then ends earlier, which is the safe side.
            tracing::debug!(code = %refusal.code, "the last use of a session was not written down");
        }
        Ok(session)
    }

    /// The same, but it does not count as a use of the session.
    pub fn stands(app: &App, call: &Call, state: &State) -> R<Session> {
        let cookie = app.people.cookies.read(call, cookie::Kind::Session).ok_or_else(unknown)?;
        let (token, now) = (sha256(cookie), app.now());
        let (stored, person) = app.registry.session(&token, now)?.ok_or_else(unknown)?;
        let standing = standing(state, &person.member).filter(|standing| standing.index == stored.standing);
        let Some(standing) = standing.filter(|standing| person.roles.iter().any(|role| role.fits(standing.kind)))
        else {
            app.registry.end_session(&token)?;
            return Err(unknown());
        };
        Ok(Session { kind: standing.kind, person, stored, csrf: csrf_of(cookie) })
    }

    /// The session of a call that changes something: it must bring `X-CSRF-Token`, and come from no other site.
    pub fn act(app: &App, call: &Call, state: &State) -> R<Session> {
        let session = Session::read(app, call, state)?;
        let foreign = call.header("origin").is_some_and(|origin| origin != app.url());
        let sent = call.header("x-csrf-token").unwrap_or_default();
        // Compared as digests, so that the time tells nothing.
        if foreign || sha256(sent) != sha256(&session.csrf) {
            let sentence = "a change by a session needs the header X-CSRF-Token with the csrf_token of /v1/people/me";
            return Err(Refusal::new(Code::CsrfInvalid, sentence).at("x-csrf-token"));
        }
        Ok(session)
    }

    /// Refuses unless the last passkey assertion is younger than five minutes.
    pub fn stepped_up(&self, now: Timestamp) -> R<()> {
        match self.stepped_up_until() {
            Some(until) if now < until => Ok(()),
            _ => {
                let sentence = "this needs a passkey assertion of the last five minutes; see /auth/step-up";
                Err(Refusal::new(Code::StepUpNeeded, sentence))
            }
        }
    }

    fn stepped_up_until(&self) -> Option<Timestamp> {
        self.stored.stepped_up_at.map(|at| at.plus_seconds(STEP_UP_SECONDS))
    }

    /// Who.
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// The kind of the member.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What finds the session in the registry.
    pub fn token(&self) -> &Digest {
        &self.stored.token_sha256
    }

    /// Whether the person manages the people of its member.
    pub fn administers(&self) -> bool {
        self.person.roles.iter().any(|role| role.administers() && role.fits(self.kind))
    }

    /// What its holder sees.
    pub fn view(&self) -> SessionView {
        SessionView {
            person_id: self.person.person_id.clone(),
            display_name: self.person.name.clone(),
            member: self.person.member.clone(),
            roles: self.person.roles.clone(),
            method: self.stored.method.clone(),
            csrf_token: self.csrf.clone(),
            expires_at: self.stored.created_at.plus_seconds(SESSION_SECONDS),
            stepped_up_until: self.stepped_up_until(),
        }
    }
}

/// A session that is about to start: its cookie, and what the registry keeps of it.
pub struct Starting {
    secret: Secret,
    new: NewSession,
}

impl Starting {
    /// Draws a fresh cookie; the session that the browser brought ends with the start.
    pub fn draw(app: &App, call: &Call, standing: Standing, method: &str, stepped_up: bool) -> R<Starting> {
        let secret = Secret::draw()?;
        let instead_of = app.people.cookies.read(call, cookie::Kind::Session).map(sha256);
        let token_sha256 = secret.sha256();
        let method = method.to_owned();
        let new = NewSession { token_sha256, method, standing: standing.index, stepped_up, instead_of };
        Ok(Starting { secret, new })
    }

    /// What the registry keeps.
    pub fn new_session(&self) -> NewSession {
        self.new.clone()
    }

    /// What the person sees.
    pub fn view(&self, person: &Person, now: Timestamp) -> SessionView {
        SessionView {
            person_id: person.person_id.clone(),
            display_name: person.name.clone(),
            member: person.member.clone(),
            roles: person.roles.clone(),
            method: self.new.method.clone(),
            csrf_token: csrf_of(self.secret.text()),
            expires_at: now.plus_seconds(SESSION_SECONDS),
            stepped_up_until: self.new.stepped_up.then(|| now.plus_seconds(STEP_UP_SECONDS)),
        }
    }

    /// The answer that brings the cookie to the browser.
    pub fn give(&self, app: &App, answer: Answer) -> Answer {
        let cookies = &app.people.cookies;
        answer.with("set-cookie", cookies.set(cookie::Kind::Session, self.secret.text(), SESSION_SECONDS))
    }
}

/// The answer that takes the cookie away.
pub fn forget(app: &App, answer: Answer) -> Answer {
    answer.with("set-cookie", app.people.cookies.set(cookie::Kind::Session, "", 0))
}
