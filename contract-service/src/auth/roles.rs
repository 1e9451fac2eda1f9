//! Roles as types: a handler that needs a role asks for its type, and only the type's maker checks the right.

use policies::lifecycle::{ParticipantState, RegistryKey, State};
use schemas::contract::Contract;
use schemas::id::{Did, KeyId};
use schemas::job::JobSpec;
use schemas::party::Kind;
use schemas::{Code, R, Refusal};
use signing::token::Claims;

use super::verified::Holder;
use crate::app::App;
use crate::call::Call;
use crate::people::session::Session;
use crate::serve::Verb;

/// Somebody with a valid token who is verified now: a participant of some kind, or an SRO person.
#[derive(Clone, Debug)]
pub struct Caller {
    did: Did,
    kind: Kind,
}

/// A verified clean-room provider.
#[derive(Debug)]
pub struct Provider(pub Did);

/// The caller by its token; where admission allows it, which it does on reads alone, by its session. Suspension, and
/// the end of the key with which it was asked for, bite at once, whatever the token says.
pub fn caller(app: &App, call: &Call, state: &State) -> R<Caller> {
    if call.session_reads && call.bearer.is_none() {
        let session = Session::read(app, call, state)?;
        return Ok(Caller { did: session.person().member.clone(), kind: session.kind() });
    }
    let Holder { did, client, .. } = holder(app, call)?;
    let ended = |why: &str| Refusal::new(Code::Unauthenticated, why.to_owned());
    let kind = match state.participant(&did) {
        _ if state.is_sro(did.as_str()) => Kind::Sro,
        Some(row) if row.state == ParticipantState::Verified => row.participant.kind,
        _ => return Err(ended("the holder of this token is not verified any more")),
    };
    let active = state.api_key(&client).is_some();
    if active { Ok(Caller { did, kind }) } else { Err(ended("the key with which this token was asked for has ended")) }
}

/// The caller of a call that goes on, like a stream: as [`caller`], but it wakes no session. Nobody acts by listening, so a
/// browser that is left alone is signed out in its time.
pub fn still(app: &App, call: &Call, state: &State) -> R<Caller> {
    if call.session_reads && call.bearer.is_none() {
        let session = Session::stands(app, call, state)?;
        return Ok(Caller { did: session.person().member.clone(), kind: session.kind() });
    }
    caller(app, call, state)
}

/// The caller, once per call and before any handler: also checks the proof that a bound token needs.
pub fn prove(app: &App, call: &Call, verb: Verb) -> R<Caller> {
    let holder = holder(app, call)?;
    super::dpop::check(app, call, verb, &holder)?;
    caller(app, call, &app.registry.state())
}

/// The holder of a token that was verified before: who is counted, and whose Idempotency-Key it is.
pub fn remembered(app: &App, call: &Call) -> Option<Did> {
    app.verified.holder(call.bearer.as_deref()?, app.now()).map(|holder| holder.did)
}

fn holder(app: &App, call: &Call) -> R<Holder> {
    let missing = || Refusal::new(Code::Unauthenticated, "an access token of /oauth/token is needed");
    let (token, now) = (call.bearer.as_deref().ok_or_else(missing)?, app.now());
    if let Some(known) = app.verified.holder(token, now) {
        return Ok(known);
    }
    // A token of the key before counts for what is left of its ten minutes, as long as that key still signs.
    let state = app.registry.state();
    let check = |key: &RegistryKey| {
        signing::token::check_access(token, app.url(), &KeyId::new(app.did(), key.thumbprint()), &key.jwk, now)
    };
    let keys = state.registry_keys().iter().rev().filter(|key| key.until.is_none_or(|until| now < until));
    let first = |a: R<Claims>, b: R<Claims>| if a.is_ok() || b.is_err() { a } else { b };
    let unknown = || Err(Refusal::new(Code::Unauthenticated, "this service has no key"));
    let claims = keys.map(check).reduce(first).unwrap_or_else(unknown)?;
    let client = claims.client()?;
    let holder = Holder { did: claims.sub, until: claims.exp, jkt: claims.cnf.map(|cnf| cnf.jkt), client };
    app.verified.remember(token, holder.clone(), now);
    Ok(holder)
}

impl Caller {
    /// Who.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// Of which kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the caller reads what is not its own: people of the SRO and auditors, and each such read is entered.
    pub fn oversees(&self) -> bool {
        matches!(self.kind, Kind::Sro | Kind::Auditor)
    }

    /// Whether this is an SRO person.
    pub fn is_sro(&self) -> bool {
        self.kind == Kind::Sro
    }

    /// Whether the caller may read a contract: its parties, the SRO and auditors.
    pub fn reads(&self, contract: &Contract) -> bool {
        self.oversees() || contract.role_of(&self.did).is_some()
    }

    /// Whether the caller may read about a job: its TDC and clean-room provider, parties of its contracts, the SRO and
    /// auditors.
    pub fn reads_job(&self, state: &State, job: &JobSpec) -> bool {
        let party = || state.contracts_of(job).is_ok_and(|all| all.iter().any(|(_, c)| self.reads(c)));
        self.oversees() || party()
    }

    /// The caller as a clean-room provider.
    pub fn provider(self) -> R<Provider> {
        match self.kind {
            Kind::Ccrp => Ok(Provider(self.did)),
            _ => Err(Refusal::new(Code::Forbidden, "this is for clean-room providers")),
        }
    }

    /// The caller as somebody who may have webhooks: payment providers, TDPs and TDCs.
    pub fn subscriber(&self) -> R<&Did> {
        match self.kind {
            Kind::Psp | Kind::Tdp | Kind::Tdc => Ok(&self.did),
            Kind::Ccrp | Kind::Auditor | Kind::Sro => {
                Err(Refusal::new(Code::Forbidden, "webhooks are for payment providers, TDPs and TDCs"))
            }
        }
    }
}
