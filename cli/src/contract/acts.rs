//! Acts on a contract after its proposal: each a document of its own, signed by whom the state table names.

use contract_client::{Acted, Client};
use schemas::contract::{
    Cause, ContractRef, ContractResume, ContractRevoke, ContractSuspend, ContractTerminate, ContractWithdraw,
};
use schemas::desk::ContractAnswer;
use schemas::id::ContractId;
use schemas::{Document, Envelope, R, Timestamp};
use signing::Trust;

/// What is said about an act: the contract, why, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// The contract.
    pub contract: ContractRef,
    /// The cause.
    pub cause: Cause,
    /// One sentence.
    pub reason: String,
}

/// An act on a contract.
pub trait ContractAct: Document {
    /// The last part of its route.
    const ROUTE: &'static str;
    /// The act, not signed yet.
    fn draft(said: &Said, trust: &Trust, now: Timestamp) -> Self;
    /// The contract it is about.
    fn contract(&self) -> &ContractRef;
}

/// Hands in a signed act.
pub fn hand_in<T: ContractAct>(client: &Client, act: &Envelope<T>) -> R<Acted<ContractAnswer>> {
    let id: ContractId = act.read_unverified()?.contract().id.clone();
    client.contract_act(&id, T::ROUTE, act)
}

macro_rules! acts {
    ($($name:ident $route:literal $time:ident;)*) => {$(
        impl ContractAct for $name {
            const ROUTE: &'static str = $route;
            fn draft(said: &Said, trust: &Trust, now: Timestamp) -> Self {
                $name {
                    schema: Self::SCHEMA.into(),
                    registry: trust.registry.clone(),
                    contract: said.contract.clone(),
                    cause: said.cause,
                    reason: said.reason.clone(),
                    $time: now,
                }
            }
            fn contract(&self) -> &ContractRef {
                &self.contract
            }
        }
    )*};
}

acts! {
    ContractWithdraw "withdraw" at;
    ContractSuspend "suspend" at;
    ContractResume "resume" at;
    ContractTerminate "terminate" at;
    ContractRevoke "revoke" revoked_at;
}
