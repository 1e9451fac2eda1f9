//! Contracts: propose, sign, decline, revoke, read.

use schemas::contract::{Contract, ContractDecline, ContractRevoke};
use schemas::desk::{ContractAnswer, ContractBundle, ContractList, ContractSignature, ContractView};
use schemas::envelope::PartySignature;
use schemas::id::ContractId;
use schemas::release::StatusList;
use schemas::{Digest, Document, Envelope, R};

use crate::http::Client;

impl Client {
    /// Proposes a contract with the proposer's own signature.
    pub fn propose(&self, contract: &Envelope<Contract>) -> R<ContractAnswer> {
        self.post("/v1/contracts", contract)
    }

    /// Hands in a further party's signature.
    pub fn sign_contract(&self, id: &ContractId, sha256: Digest, signature: PartySignature) -> R<ContractAnswer> {
        let body = ContractSignature { contract_sha256: sha256, signature };
        self.post(&format!("/v1/contracts/{id}/signatures"), &body)
    }

    /// Declines to sign.
    pub fn decline(&self, id: &ContractId, decline: &Envelope<ContractDecline>) -> R<ContractAnswer> {
        self.post(&format!("/v1/contracts/{id}/decline"), decline)
    }

    /// Hands in an act on a contract, like `suspend`: signed by whom the state table names.
    pub fn contract_act<T: Document>(&self, id: &ContractId, act: &str, signed: &Envelope<T>) -> R<ContractAnswer> {
        self.post(&format!("/v1/contracts/{id}/{act}"), signed)
    }

    /// Ends a contract early: signed by a party that may, or by two SRO people.
    pub fn revoke(&self, id: &ContractId, revoke: &Envelope<ContractRevoke>) -> R<ContractAnswer> {
        self.post(&format!("/v1/contracts/{id}/revoke"), revoke)
    }

    /// The caller's contracts.
    pub fn contracts(&self) -> R<ContractList> {
        self.get_as("/v1/contracts")
    }

    /// A contract with the signatures so far.
    pub fn contract(&self, id: &ContractId) -> R<ContractView> {
        self.get_as(&format!("/v1/contracts/{id}"))
    }

    /// A contract in force with everything around it.
    pub fn contract_bundle(&self, id: &ContractId) -> R<ContractBundle> {
        self.get_as(&format!("/v1/contracts/{id}/bundle"))
    }

    /// All contracts that are not in force, signed within the last second.
    pub fn status_list(&self) -> R<Envelope<StatusList>> {
        self.get("/v1/status-list")
    }
}
