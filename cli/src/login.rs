//! Logging in: whether address, key and party belong together is asked of the service once, so that later commands need
//! none of them named. There is no password and nothing secret is kept: each command signs with the key file itself, for a
//! token of ten minutes.

use contract_client::Client;
use schemas::id::Did;
use schemas::{Code, R, Refusal};
use serde::Serialize;
use signing::{Signer, Trust};

/// Who one is at a registry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Identity {
    /// Base URL of the contract service.
    pub endpoint: String,
    /// The registry.
    pub registry: Did,
    /// The party that the key signs for.
    pub party: Did,
    /// Its name there.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its state, as the service says it.
    pub state: String,
}

/// Asks a service, which the client calls for the owner of this key, who that is.
///
/// # Errors
/// `PEER_UNREACHABLE` and the like where it does not answer; `WRONG_REGISTRY` where it is another one than is pinned;
/// `SIGNER_UNKNOWN` and the like where the key does not count there.
pub fn login(client: &Client, key: &dyn Signer, pinned: Option<&Trust>) -> R<Identity> {
    client.ready()?;
    let (party, told) = (key.did()?, client.trust()?);
    if let Some(pinned) = pinned.filter(|pinned| pinned.registry != told.registry) {
        let sentence = format!("{} is of {}, the pinned trust of {}", client.url(), told.registry, pinned.registry);
        return Err(Refusal::new(Code::WrongRegistry, sentence));
    }
    client.sign_in()?;
    let (name, role, state) = match told.sro.iter().find(|person| person.did == party) {
        Some(person) => (person.name.clone(), "sro".to_owned(), "active".to_owned()),
        None => registered(client, &party)?,
    };
    Ok(Identity { endpoint: client.url().to_owned(), registry: told.registry, party, name, role, state })
}

/// Name, role and state of a participant. A person of the SRO who came later than the pinned ones is none.
fn registered(client: &Client, party: &Did) -> R<(String, String, String)> {
    let view = match client.participant(party) {
        Err(refusal) if refusal.code == Code::NotFound => {
            return Ok((party.to_string(), "sro".to_owned(), "active".to_owned()));
        }
        view => view?,
    };
    let application = view.application.read_unverified()?;
    let role = serde_json::to_value(application.kind).unwrap_or_default();
    Ok((application.legal_name, role.as_str().unwrap_or_default().to_owned(), view.state))
}

impl Identity {
    /// For people.
    pub fn text(&self) -> String {
        let Identity { endpoint, party, name, role, state, .. } = self;
        format!("logged in at {endpoint} as {name} ({role}, {state})\n{party}")
    }
}
