//! Roles as types: a handler that needs a role asks for its type, and only the type's maker checks the right.

use policies::lifecycle::{ParticipantState, State};
use schemas::contract::Contract;
use schemas::id::Did;
use schemas::job::JobSpec;
use schemas::party::Kind;
use schemas::{Code, R, Refusal};

use crate::app::App;
use crate::call::Call;

/// Somebody with a valid token who is verified now: a participant of some kind, or an SRO person.
#[derive(Clone, Debug)]
pub struct Caller {
    did: Did,
    kind: Kind,
}

/// A verified clean-room provider.
#[derive(Debug)]
pub struct Provider(pub Did);

/// Reads the bearer token. Suspension bites at once, whatever the token says.
pub fn caller(app: &App, call: &Call, state: &State) -> R<Caller> {
    let missing = || Refusal::new(Code::Unauthenticated, "a bearer token of /oauth/token is needed");
    let token = call.bearer.as_deref().ok_or_else(missing)?;
    let own = schemas::Signer::kid(&*app.signer);
    let claims = signing::token::check_access(token, app.url(), own, schemas::Signer::jwk(&*app.signer), app.now())?;
    if state.is_sro(claims.sub.as_str()) {
        return Ok(Caller { did: claims.sub, kind: Kind::Sro });
    }
    match state.participant(&claims.sub) {
        Some(row) if row.state == ParticipantState::Verified => {
            Ok(Caller { kind: row.participant.kind, did: claims.sub })
        }
        _ => Err(Refusal::new(Code::Unauthenticated, "the holder of this token is not verified any more")),
    }
}

impl Caller {
    /// Who.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// Whether this is an SRO person.
    pub fn is_sro(&self) -> bool {
        self.kind == Kind::Sro
    }

    /// Whether the caller may read a contract: its parties and the SRO.
    pub fn reads(&self, contract: &Contract) -> bool {
        self.is_sro() || contract.role_of(&self.did).is_some()
    }

    /// Whether the caller may read about a job: its TDC and clean-room provider, parties of its contracts, the SRO.
    pub fn reads_job(&self, state: &State, job: &JobSpec) -> bool {
        let party = || state.contracts_of(job).is_ok_and(|all| all.iter().any(|(_, c)| self.reads(c)));
        self.is_sro() || party()
    }

    /// The caller as an SRO person.
    pub fn sro(&self) -> R<()> {
        if self.is_sro() { Ok(()) } else { Err(Refusal::new(Code::Forbidden, "this is for people of the SRO")) }
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
