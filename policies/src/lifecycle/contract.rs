//! Contracts: proposed, signed one by one, executed when all have signed; declined, revoked, expired.

use schemas::contract::{Contract, ContractDecline, ContractRef, ContractRevoke, ContractState};
use schemas::envelope::{Envelope, PartySignature};
use schemas::event::Body;
use schemas::id::{ContractId, Did};
use schemas::release::ContractStatus;
use schemas::text::Bytes;
use schemas::{Code, Digest, KeyBook, R, Refusal, Timestamp};

use super::signers::sole_signer;
use super::{State, read, transition};

/// A contract.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractRow {
    /// The contract, read.
    pub contract: Contract,
    /// SHA-256 of the signed bytes.
    pub sha256: Digest,
    /// The signed bytes.
    pub payload: Bytes,
    /// Signatures in the order of their entries, the proposer's first.
    pub signatures: Vec<PartySignature>,
    /// Index of the proposal.
    pub proposed: u64,
    /// Index of the entry that holds all signatures.
    pub executed: Option<u64>,
    /// Index of the refusal by a party.
    pub declined: Option<u64>,
    /// Index of the revocation.
    pub revoked: Option<u64>,
}

impl ContractRow {
    /// The state at `now`: scheduled, active and expired follow from the time alone (`contract-service.md` 5.4).
    /// `proposed` means that nobody but the proposer has signed.
    pub fn state(&self, now: Timestamp) -> ContractState {
        if self.declined.is_some() {
            ContractState::Declined
        } else if self.revoked.is_some() {
            ContractState::Revoked
        } else if self.executed.is_none() {
            if self.signatures.len() < 2 { ContractState::Proposed } else { ContractState::PartiallySigned }
        } else if now < self.contract.effective_from {
            ContractState::Scheduled
        } else if now < self.contract.expires_at {
            ContractState::Active
        } else {
            ContractState::Expired
        }
    }

    /// The contract with the signatures so far.
    pub fn envelope(&self) -> Envelope<Contract> {
        Envelope::new(self.payload.0.clone(), self.signatures.clone())
    }

    /// Id and digest.
    pub fn reference(&self) -> ContractRef {
        ContractRef { id: self.contract.contract_id.clone(), sha256: self.sha256 }
    }

    fn has_signed(&self, holder: &str) -> bool {
        self.signatures.iter().any(|s| s.kid.holder == holder)
    }

    /// Whether every party has signed, counting one more signature by `extra`.
    fn complete_with(&self, extra: Option<&str>) -> bool {
        self.contract.parties.iter().all(|p| self.has_signed(p.did.as_str()) || extra == Some(p.did.as_str()))
    }
}

impl State {
    /// The contract with this digest.
    pub fn contract(&self, sha256: &Digest) -> Option<&ContractRow> {
        self.contracts.get(sha256)
    }

    /// The contract with this id.
    pub fn contract_by_id(&self, id: &ContractId) -> Option<&ContractRow> {
        self.contracts.get(self.contract_ids.get(id)?)
    }

    /// The contract that a reference means, id and digest.
    pub fn contract_of(&self, reference: &ContractRef) -> R<&ContractRow> {
        let unknown = || Refusal::new(Code::ContractUnknown, format!("{} with this digest is not known", reference.id));
        self.contracts.get(&reference.sha256).filter(|row| row.contract.contract_id == reference.id).ok_or_else(unknown)
    }

    /// All contracts by id.
    pub fn contracts(&self) -> impl Iterator<Item = &ContractRow> {
        self.contract_ids.iter().filter_map(|(_, sha256)| self.contracts.get(sha256))
    }

    /// The state of a contract at `now`.
    pub fn contract_state(&self, sha256: &Digest, now: Timestamp) -> Option<ContractState> {
        self.contracts.get(sha256).map(|row| row.state(now))
    }

    /// State of each referenced contract, in the order given.
    pub fn statuses(&self, references: &[ContractRef], now: Timestamp) -> R<Vec<ContractStatus>> {
        references.iter().map(|r| self.contract_of(r).map(|row| status(row, now))).collect()
    }

    /// Fully signed contracts that are not in force, sorted by id: the status list. Proposals do not stand in it, nor
    /// contracts whose period ended more than a day ago: who holds a contract reads its end in it, and a list that kept
    /// all of them would one day be larger than any document may be.
    pub fn not_in_force(&self, now: Timestamp) -> Vec<ContractStatus> {
        let told =
            |row: &&ContractRow| row.executed.is_some() && now < row.contract.expires_at.plus_seconds(LISTED_SECONDS);
        let signed = self.contracts().filter(told);
        signed.map(|row| status(row, now)).filter(|s| s.state != ContractState::Active).collect()
    }

    /// The payload of a proposed contract, for verifying a further signature.
    pub fn proposed_payload(&self, sha256: &Digest) -> Option<Vec<u8>> {
        self.contracts.get(sha256).map(|row| row.payload.0.clone())
    }

    /// `ContractExecuted` when this body brings the last signature. To be asked before the body is applied.
    pub fn follow_up(&self, body: &Body) -> R<Option<Body>> {
        let Body::ContractSigned { contract, signature } = body else {
            return Ok(None);
        };
        let row = self.contract_of(contract)?;
        if row.executed.is_some() || !row.complete_with(Some(&signature.kid.holder)) {
            return Ok(None);
        }
        let mut envelope = row.envelope();
        if !row.has_signed(&signature.kid.holder) {
            envelope.signatures.push(signature.clone());
        }
        Ok(Some(Body::ContractExecuted { contract: envelope }))
    }

    pub(super) fn check_proposal(&self, envelope: &Envelope<Contract>, now: Timestamp) -> R<()> {
        let contract = read(envelope)?;
        let proposer = Did::parse(sole_signer(envelope)?)?;
        if contract.role_of(&proposer).is_none() {
            return Err(Refusal::new(Code::SignerNotParty, "a contract is proposed by one of its parties"));
        }
        self.keys_active(envelope)?;
        if self.contract_ids.contains(&contract.contract_id) || self.contracts.contains(&envelope.digest()) {
            return Err(
                Refusal::new(Code::ContractExists, "a contract with this id is proposed already").at("contract_id")
            );
        }
        if contract.supersedes.is_some() {
            return Err(transition("a contract that replaces another is not offered yet").at("supersedes"));
        }
        self.parties_verified(&contract)?;
        for id in &contract.compute.image_sets {
            let unknown =
                || Refusal::new(Code::ImageSetUnknown, format!("{id} is not approved")).at("compute.image_sets");
            self.image_sets.get(id).ok_or_else(unknown)?;
        }
        let mut offers = Vec::new();
        for dataset in &contract.datasets {
            let unknown =
                || Refusal::new(Code::DatasetUnknown, format!("no such offer of {} is registered", dataset.dataset_id));
            offers.push(&self.offer(&dataset.offer_sha256).ok_or_else(unknown)?.offer);
        }
        let pairs: Vec<_> = contract.datasets.iter().map(|d| d.offer_sha256).zip(offers).collect();
        crate::registration::contract(&contract, &pairs, self.registry()?, now)
    }

    fn parties_verified(&self, contract: &Contract) -> R<()> {
        contract.parties.iter().try_for_each(|p| self.require_verified(&p.did, p.role))
    }

    pub(super) fn fold_proposal(&mut self, index: u64, envelope: &Envelope<Contract>) -> R<()> {
        let contract = read(envelope)?;
        let sha256 = envelope.digest();
        self.contract_ids.put(contract.contract_id.clone(), sha256);
        let row = ContractRow {
            contract,
            sha256,
            payload: envelope.payload.clone(),
            signatures: envelope.signatures.clone(),
            proposed: index,
            executed: None,
            declined: None,
            revoked: None,
        };
        self.contracts.put(sha256, row);
        Ok(())
    }

    pub(super) fn check_signature(&self, reference: &ContractRef, signature: &PartySignature, now: Timestamp) -> R<()> {
        let row = self.contract_of(reference)?;
        let signer = Did::parse(&signature.kid.holder)?;
        if row.contract.role_of(&signer).is_none() {
            return Err(Refusal::new(Code::SignerNotParty, format!("{signer} is no party of the contract")));
        }
        if row.has_signed(signer.as_str()) {
            return Err(Refusal::new(Code::SignerTwice, format!("{signer} has signed already")));
        }
        if !matches!(row.state(now), ContractState::Proposed | ContractState::PartiallySigned) {
            return Err(transition("the contract is no longer open for signatures"));
        }
        if row.contract.expires_at <= now {
            return Err(Refusal::new(Code::ContractExpired, "the contract's period is over"));
        }
        if self.key(&signature.kid, schemas::envelope::Usage::Party).is_none() {
            return Err(Refusal::new(
                Code::SignerUnknown,
                format!("no active key {} is known for this act", signature.kid),
            ));
        }
        // The last signature brings the contract into force: all must still be verified then.
        if row.complete_with(Some(signer.as_str())) { self.parties_verified(&row.contract) } else { Ok(()) }
    }

    pub(super) fn fold_signature(&mut self, reference: &ContractRef, signature: &PartySignature) -> R<()> {
        if let Some(row) = self.contracts.get_mut(&reference.sha256) {
            row.signatures.push(signature.clone());
        }
        Ok(())
    }

    /// The one leaf with the full set: exactly the signatures that stand as entries of their own.
    pub(super) fn check_execution(&self, envelope: &Envelope<Contract>) -> R<()> {
        let unknown = || Refusal::new(Code::ContractUnknown, "no contract with this digest is proposed");
        let row = self.contracts.get(&envelope.digest()).ok_or_else(unknown)?;
        if row.executed.is_some() || row.declined.is_some() {
            return Err(transition("the contract is executed or declined already"));
        }
        if !row.complete_with(None) {
            return Err(Refusal::new(Code::SignatureMissing, "not every party has signed"));
        }
        if envelope.signatures != row.signatures {
            return Err(transition("the signatures differ from those entered"));
        }
        self.keys_active(envelope)?;
        self.parties_verified(&row.contract)
    }

    pub(super) fn fold_execution(&mut self, index: u64, envelope: &Envelope<Contract>) -> R<()> {
        if let Some(row) = self.contracts.get_mut(&envelope.digest()) {
            row.executed = Some(index);
        }
        Ok(())
    }

    pub(super) fn check_decline(&self, envelope: &Envelope<ContractDecline>, now: Timestamp) -> R<()> {
        let row = self.contract_of(&read(envelope)?.contract)?;
        let signer = Did::parse(sole_signer(envelope)?)?;
        if row.contract.role_of(&signer).is_none() {
            return Err(Refusal::new(Code::SignerNotParty, format!("{signer} is no party of the contract")));
        }
        self.keys_active(envelope)?;
        match row.state(now) {
            ContractState::Proposed | ContractState::PartiallySigned => Ok(()),
            _ => Err(transition("only a contract that is not fully signed can be declined")),
        }
    }

    pub(super) fn fold_decline(&mut self, index: u64, envelope: &Envelope<ContractDecline>) -> R<()> {
        if let Some(row) = self.contracts.get_mut(&read(envelope)?.contract.sha256) {
            row.declined = Some(index);
        }
        Ok(())
    }

    pub(super) fn check_revocation(&self, envelope: &Envelope<ContractRevoke>, now: Timestamp) -> R<()> {
        let row = self.contract_of(&read(envelope)?.contract)?;
        self.signed_by_party_or_two_people(envelope, |holder| {
            let role = Did::parse(holder).ok().and_then(|did| row.contract.role_of(&did));
            role.is_some_and(|role| row.contract.revocation.by.contains(&role))
        })?;
        match row.state(now) {
            ContractState::Scheduled | ContractState::Active => Ok(()),
            ContractState::Revoked => Err(Refusal::new(Code::ContractRevoked, "the contract is revoked already")),
            _ => Err(transition("only a fully signed contract in its period can be revoked")),
        }
    }

    pub(super) fn fold_revocation(&mut self, index: u64, envelope: &Envelope<ContractRevoke>) -> R<()> {
        if let Some(row) = self.contracts.get_mut(&read(envelope)?.contract.sha256) {
            row.revoked = Some(index);
        }
        Ok(())
    }
}

/// How long a contract whose period is over stands in the status list, for readers whose clocks are behind.
const LISTED_SECONDS: i64 = 24 * 3600;

fn status(row: &ContractRow, now: Timestamp) -> ContractStatus {
    ContractStatus { id: row.contract.contract_id.clone(), sha256: row.sha256, state: row.state(now) }
}
