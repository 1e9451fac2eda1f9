//! Contracts: propose, sign, decline, revoke, read.

use schemas::contract::{Contract, ContractDecline, ContractRevoke};
use schemas::desk::{
    ContractAnswer, ContractBundle, ContractChecked, ContractEvents, ContractList, ContractSignature, ContractView,
    Receipted,
};
use schemas::envelope::PartySignature;
use schemas::id::ContractId;
use schemas::log::Receipt;
use schemas::release::StatusList;
use schemas::{Code, Digest, Document, Envelope, R, Refusal};

use crate::acted::Acted;
use crate::http::Client;
use crate::query::query;

impl Client {
    /// Proposes a contract with the proposer's own signature.
    pub fn propose(&self, contract: &Envelope<Contract>) -> R<ContractAnswer> {
        self.post("/v1/contracts", contract)
    }

    /// Hands in a further party's signature.
    pub fn sign_contract(&self, id: &ContractId, sha256: Digest, signature: PartySignature) -> R<ContractAnswer> {
        let body = ContractSignature { contract_sha256: sha256, signature };
        self.post_act(&format!("/v1/contracts/{id}/signatures"), &body).and_then(at_once)
    }

    /// Declines to sign.
    pub fn decline(&self, id: &ContractId, decline: &Envelope<ContractDecline>) -> R<ContractAnswer> {
        self.contract_act(id, "decline", decline).and_then(at_once)
    }

    /// Ends a contract early: signed by a party that may, or by two SRO people.
    pub fn revoke(&self, id: &ContractId, revoke: &Envelope<ContractRevoke>) -> R<ContractAnswer> {
        self.contract_act(id, "revoke", revoke).and_then(at_once)
    }

    /// Hands in an act on a contract, like `suspend`: signed by whom the state table names.
    pub fn contract_act<T: Document>(
        &self,
        id: &ContractId,
        act: &str,
        signed: &Envelope<T>,
    ) -> R<Acted<ContractAnswer>> {
        self.post_act(&format!("/v1/contracts/{id}/{act}"), signed)
    }

    /// The caller's contracts.
    pub fn contracts(&self) -> R<ContractList> {
        self.get_as("/v1/contracts")
    }

    /// A page of contracts; `state`, `party`, `dataset`, `q` and `cursor` narrow it.
    pub fn contracts_page(&self, narrowed: &[(&str, Option<String>)]) -> R<ContractList> {
        self.get_as(&format!("/v1/contracts{}", query(narrowed)))
    }

    /// All that stands in the way of proposing this contract; nothing is entered.
    pub fn check_contract(&self, contract: &Contract) -> R<ContractChecked> {
        self.post_as("/v1/contracts/check", contract)
    }

    /// A page of a contract's entries with receipts, oldest first.
    pub fn contract_events(&self, id: &ContractId, cursor: Option<&str>) -> R<ContractEvents> {
        self.get_as(&format!("/v1/contracts/{id}/events{}", query(&[("cursor", cursor.map(str::to_owned))])))
    }

    /// The receipt of the fully signed contract.
    pub fn contract_receipt(&self, id: &ContractId) -> R<Receipt> {
        Ok(self.get_as::<Receipted>(&format!("/v1/contracts/{id}/receipt"))?.receipt)
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

/// An act that was entered; refused where it waits for a second person.
fn at_once(acted: Acted<ContractAnswer>) -> R<ContractAnswer> {
    match acted {
        Acted::Entered(answer) => Ok(answer),
        Acted::Waiting(_) => {
            Err(Refusal::new(Code::TwoPeopleNeeded, "a second person of the SRO must sign the same bytes"))
        }
    }
}
