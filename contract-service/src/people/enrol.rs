//! Enrolment: a one-time link, made by who holds a key, becomes a person with a way to sign in.

use policies::lifecycle::State;
use policies::registration::names::is_invisible;
use registry::{EnrolmentRight, NewMeans, Person};
use schemas::id::{Did, PersonId};
use schemas::party::Kind;
use schemas::person::{Enrolled, Enrolment, EnrolmentLink, EnrolmentRequest, EnrolmentToken, Role};
use schemas::{Code, R, Refusal, Timestamp};

use super::passkey::{ask, stored};
use super::secret::{Secret, sha256};
use super::session::{Standing, Starting, standing};
use super::{recovery, refused, trail};
use crate::app::App;
use crate::auth::roles::Caller;
use crate::call::{Answer, Call};
use crate::config::Config;

/// A link can be used for a day.
pub const LINK_SECONDS: i64 = 24 * 3600;
const CEREMONY: &str = "enrol";
const LONGEST_NAME: usize = 100;
const MOST_ROLES: usize = 6;

fn invalid() -> Refusal {
    let sentence = "this enrolment link is not valid, was used or has expired; ask for a new one";
    Refusal::new(Code::EnrolmentInvalid, sentence).at("token")
}

/// A name for people's eyes: 1 to 100 characters, none of them invisible.
pub fn name(text: &str, field: &str) -> R<String> {
    let visible = text.trim() == text && !text.is_empty() && !text.chars().any(|c| c.is_control() || is_invisible(c));
    if !visible || text.chars().count() > LONGEST_NAME {
        let sentence = format!(
            "{field} has 1 to {LONGEST_NAME} characters, without line breaks, invisible characters or spaces around it"
        );
        return Err(Refusal::new(Code::SchemaMismatch, sentence).at(field));
    }
    Ok(text.to_owned())
}

/// The roles, once each, as they fit the kind.
fn roles(wanted: &[Role], kind: Kind) -> R<Vec<Role>> {
    let mut roles = wanted.to_vec();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() || wanted.len() > MOST_ROLES || roles.iter().any(|role| !role.fits(kind)) {
        return Err(
            Refusal::new(Code::Forbidden, "a participant gives the roles of its own kind, at least one").at("roles")
        );
    }
    Ok(roles)
}

/// Makes a link for a person of the caller's own.
pub fn link(app: &App, call: &Call, caller: &Caller) -> R<EnrolmentLink> {
    let request: EnrolmentRequest = call.read()?;
    let (display_name, roles) = (name(&request.display_name, "display_name")?, roles(&request.roles, caller.kind())?);
    let (person_id, display_name, roles) = match request.person_id {
        None => (PersonId::new(crate::ids::uuid(app.now())?), display_name, roles),
        // A further way to sign in changes nothing else about the person.
        Some(id) => {
            let own = |person: &Person| person.member == *caller.did() && person.suspended_at.is_none();
            let person = app.registry.person(&id)?.filter(own);
            let person = person.ok_or_else(|| Refusal::new(Code::NotFound, "no such person").at("person_id"))?;
            (id, person.name, person.roles)
        }
    };
    let (link, right) = draw(app.url(), person_id, caller.did(), display_name, roles, app.now())?;
    let outcome = app.registry.add_enrolment(&right, app.now());
    trail::write(trail::Act::LinkMade, "link", call, Some(&link.person_id), &outcome, "");
    outcome.map(|()| link)
}

/// A link for the demo, kept beside the running service: by whoever holds the machine, on `localhost` alone. Whether
/// the member stands and the roles fit it is judged when the link is used.
pub fn demo_link(config: &Config, member: &Did, name: &str, roles: Vec<Role>, now: Timestamp) -> R<EnrolmentLink> {
    if !config.demo() {
        let sentence =
            "production makes enrolment links by the token of a key holder alone: POST /v1/people/enrolments";
        return Err(Refusal::new(Code::ProductionRefused, sentence));
    }
    if config.authority()?.split(':').next() != Some("localhost") {
        return Err(Refusal::new(Code::ConfigInvalid, "links by command are for services on localhost").at("url"));
    }
    let (person_id, name) = (PersonId::new(crate::ids::uuid(now)?), self::name(name, "name")?);
    let (link, right) = draw(&config.url, person_id, member, name, roles, now)?;
    registry::enrol_beside(&config.database_url(), &right, now)?;
    Ok(link)
}

/// A link and the right that is kept of it.
pub fn draw(
    url: &str,
    person_id: PersonId,
    member: &Did,
    name: String,
    roles: Vec<Role>,
    now: Timestamp,
) -> R<(EnrolmentLink, EnrolmentRight)> {
    let (secret, expires_at) = (Secret::draw()?, now.plus_seconds(LINK_SECONDS));
    let url = format!("{url}/auth/enrol#{}", secret.text());
    let right = EnrolmentRight {
        token_sha256: secret.sha256(),
        person_id: person_id.clone(),
        member: member.clone(),
        name,
        roles,
        made_by: member.to_string(),
        expires_at,
    };
    Ok((EnrolmentLink { person_id, url, expires_at }, right))
}

/// The right behind a secret, if it counts now: its member stands, and the roles fit it.
pub fn right(app: &App, token: &str) -> R<(EnrolmentRight, Standing)> {
    let right = app.registry.enrolment(&sha256(token), app.now())?.ok_or_else(invalid)?;
    let standing = standing(&app.registry.state(), &right.member).ok_or_else(invalid)?;
    if !right.roles.iter().all(|role| role.fits(standing.kind)) {
        return Err(invalid());
    }
    Ok((right, standing))
}

/// Whose passkey it is, and for which organisation: somebody may be a person of two. Whoever holds a link reads it before
/// they use it.
pub fn account(state: &State, member: &Did, name: &str) -> String {
    match state.participant(member) {
        Some(row) => format!("{name}, {}", row.participant.legal_name),
        None if state.is_sro(member.as_str()) => format!("{name}, SRO"),
        None => name.to_owned(),
    }
}

/// Begins the enrolment of a passkey.
pub fn begin(app: &App, call: &Call) -> R<Answer> {
    let EnrolmentToken { token } = call.read()?;
    let rp = app.people.passkeys()?;
    let (right, _) = right(app, &token)?;
    let own = app.registry.passkeys(&right.person_id)?;
    let account = account(&app.registry.state(), &right.member, &right.name);
    let begun = rp.begin_new(&right.person_id, &account, &right.name, &own)?;
    Answer::ok(&ask(app, CEREMONY, Some(right.token_sha256.to_string()), begun)?)
}

/// Ends it: the link is used, the person exists and is signed in.
pub fn end(app: &App, call: &Call) -> R<Answer> {
    let Enrolment { token, challenge_id, credential, label } = call.read()?;
    let (now, rp) = (app.now(), app.people.passkeys()?);
    let (right, standing) = right(app, &token)?;
    let ceremony = app.registry.take_ceremony(&challenge_id, CEREMONY, now)?;
    let fits = ceremony.subject == Some(right.token_sha256.to_string());
    let made = if fits { rp.end_new(&ceremony.state, credential) } else { Err("the challenge of another link".into()) };
    let passkey = match made {
        Ok(passkey) => passkey,
        Err(reason) => {
            let refusal: R<Answer> = Err(refused());
            trail::write(trail::Act::Enrolled, "passkey", call, Some(&right.person_id), &refusal, &reason);
            return refusal;
        }
    };
    let means = NewMeans::Passkey(stored(app, &passkey, &label)?);
    let starting = Starting::draw(app, call, standing, "passkey", true)?;
    // A person who exists has recovery codes already and keeps them.
    let (shown, kept) = match app.registry.person(&right.person_id)? {
        None => recovery::draw()?,
        Some(_) => (Vec::new(), Vec::new()),
    };
    let outcome = app.registry.enrol(&right.token_sha256, means, kept, starting.new_session(), now);
    let outcome = outcome.and_then(|person| person.ok_or_else(invalid));
    trail::write(trail::Act::Enrolled, "passkey", call, Some(&right.person_id), &outcome, "");
    let answer = Enrolled { session: starting.view(&outcome?, now), recovery_codes: shown };
    Ok(starting.give(app, Answer::created(&answer)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible_and_short() {
        assert_eq!(name("Asha Rao", "display_name").unwrap(), "Asha Rao");
        for bad in ["", " ", " x", "x\n", "a\u{0}b", &"x".repeat(101)] {
            assert_eq!(name(bad, "display_name").unwrap_err().code, Code::SchemaMismatch, "{bad:?}");
        }
    }

    #[test]
    fn roles_are_of_the_own_kind() {
        assert_eq!(roles(&[Role::Signer, Role::TdpAdmin, Role::Signer], Kind::Tdp).unwrap().len(), 2);
        for (bad, kind) in [(vec![], Kind::Tdp), (vec![Role::TdcAdmin], Kind::Tdp), (vec![Role::SroAdmin], Kind::Tdc)] {
            assert_eq!(roles(&bad, kind).unwrap_err().code, Code::Forbidden);
        }
        assert!(roles(&[Role::Signer; 7], Kind::Tdp).is_err() && roles(&[Role::Signer], Kind::Psp).is_err());
    }
}
