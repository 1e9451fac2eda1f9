//! Contracts: proposed, countered, signed one by one, executed when all have signed; declined. What ends or stops them
//! later is in `contract_acts`.

use std::sync::Arc;

use schemas::contract::{Contract, ContractDecline, ContractRef, ContractState};
use schemas::envelope::{Envelope, PartySignature, Usage};
use schemas::event::Body;
use schemas::id::Did;
use schemas::{Code, Digest, KeyBook, R, Refusal, Timestamp};

use super::contract_row::ContractFile;
use super::signers::sole_signer;
use super::{ContractRow, Ending, State, Suspender, read, transition};

/// Open for signatures of parties, and for being declined by one of them.
pub(super) const OPEN: [ContractState; 2] = [ContractState::Proposed, ContractState::PartiallySigned];
/// Fully signed and not ended: what a newer version may take the place of.
pub(super) const STANDING: [ContractState; 3] =
    [ContractState::Scheduled, ContractState::Active, ContractState::Suspended];

impl State {
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
        match &contract.supersedes {
            Some(old) => self.check_succession(&contract, old, now)?,
            None if self.contract_ids.contains(&contract.contract_id) => {
                return Err(exists("a contract with this id is proposed already"));
            }
            None => {}
        }
        if self.contracts.contains(&envelope.digest()) {
            return Err(exists("this contract is proposed already"));
        }
        self.contract_rules(&contract, now)
    }

    /// Every rule that a contract must keep when it is proposed, apart from who proposes it and what it replaces.
    pub fn contract_rules(&self, contract: &Contract, now: Timestamp) -> R<()> {
        self.parties_verified(contract)?;
        for id in &contract.compute.image_sets {
            let unknown =
                || Refusal::new(Code::ImageSetUnknown, format!("{id} is not approved")).at("compute.image_sets");
            self.image_sets.get(id).ok_or_else(unknown)?;
            if !self.image_set_stands(id) {
                let sentence = format!("{id} is revoked");
                return Err(Refusal::new(Code::ImageSetNotApproved, sentence).at("compute.image_sets"));
            }
        }
        let mut offers = Vec::new();
        for dataset in &contract.datasets {
            let unknown =
                || Refusal::new(Code::DatasetUnknown, format!("no such offer of {} is registered", dataset.dataset_id));
            let offer = &self.offer(&dataset.offer_sha256).ok_or_else(unknown)?.offer;
            self.require_dataset_available(&offer.dataset_id, offer.version)?;
            offers.push(offer);
        }
        let pairs: Vec<_> = contract.datasets.iter().map(|d| d.offer_sha256).zip(offers).collect();
        crate::registration::contract(contract, &pairs, self.registry()?, now)?;
        self.contract_form(contract)?.admits(contract)
    }

    /// Every refusal that a proposal of this contract would meet now, where it can be told apart from the others.
    pub fn contract_faults(&self, contract: &Contract, now: Timestamp) -> Vec<Refusal> {
        let mut faults: Vec<Refusal> =
            contract.parties.iter().filter_map(|p| self.require_verified(&p.did, p.role).err()).collect();
        if let Some(old) = &contract.supersedes {
            faults.extend(self.check_succession(contract, old, now).err());
        } else if self.contract_ids.contains(&contract.contract_id) {
            faults.push(exists("a contract with this id is proposed already"));
        }
        for id in contract.compute.image_sets.iter().filter(|id| !self.image_set_stands(id)) {
            let sentence = format!("{id} is not approved");
            faults.push(Refusal::new(Code::ImageSetNotApproved, sentence).at("compute.image_sets"));
        }
        let pairs: Vec<_> = contract
            .datasets
            .iter()
            .filter_map(|d| Some((d.offer_sha256, &self.offer(&d.offer_sha256)?.offer)))
            .collect();
        let away = pairs.iter().filter_map(|(_, o)| self.require_dataset_available(&o.dataset_id, o.version).err());
        faults.extend(away);
        match self.registry() {
            Ok(registry) => faults.extend(crate::registration::contract_faults(contract, &pairs, registry, now)),
            Err(refusal) => faults.push(refusal),
        }
        faults.extend(self.contract_form(contract).and_then(|form| form.admits(contract)).err());
        faults
    }

    /// A new version takes the place of an open proposal at once, or of a contract that stands once all have signed it.
    fn check_succession(&self, contract: &Contract, old: &Digest, now: Timestamp) -> R<()> {
        let unknown =
            || Refusal::new(Code::ContractUnknown, "no such version of the contract is known").at("supersedes");
        let row = self.contracts.get(old).ok_or_else(unknown)?;
        if row.contract.contract_id != contract.contract_id {
            return Err(unknown());
        }
        let state = row.state(now);
        if !OPEN.contains(&state) && !STANDING.contains(&state) {
            return Err(transition("only an open proposal or a contract that stands is replaced").at("supersedes"));
        }
        let rival = row.amendment.and_then(|sha256| self.contracts.get(&sha256)).map(|other| other.state(now));
        if rival.is_some_and(|state| OPEN.contains(&state) || state == ContractState::AwaitingSro) {
            return Err(transition("another amendment is open; counter that one").at("supersedes"));
        }
        crate::registration::succession(&row.contract, contract, |sha256| self.offer(sha256).map(|row| &row.offer))
    }

    pub(super) fn parties_verified(&self, contract: &Contract) -> R<()> {
        contract.parties.iter().try_for_each(|p| self.require_verified(&p.did, p.role))
    }

    pub(super) fn fold_proposal(&mut self, index: u64, at: Timestamp, envelope: &Envelope<Contract>) -> R<()> {
        let contract = read(envelope)?;
        let (id, sha256) = (contract.contract_id.clone(), envelope.digest());
        let form = self.contract_form(&contract)?;
        let amends = self.fold_succession(index, &contract, sha256);
        let lapses_at = at.plus_seconds(i64::from(form.lapse_days) * 86_400).min(contract.expires_at);
        let row = ContractRow {
            proposer: Did::parse(sole_signer(envelope)?)?,
            contract: Arc::new(contract),
            sha256,
            payload: Arc::new(envelope.payload.clone()),
            signatures: envelope.signatures.clone(),
            signed: vec![index],
            proposed: index,
            lapses_at,
            countersigns: form.sro_countersigns,
            executed: None,
            ended: None,
            suspended: None,
            stops: super::Latest::default(),
            revokes_at: None,
            noticed: None,
            amends,
            amendment: None,
            runs: Vec::new(),
            waiting: Vec::new(),
            told: None,
        };
        self.agenda.put((lapses_at, sha256), ());
        self.contracts.put(sha256, row);
        self.index_contract(&sha256);
        match self.contract_ids.get_mut(&id) {
            Some(file) => file.versions.push(sha256),
            None => {
                let file = ContractFile { current: sha256, versions: vec![sha256], entries: Vec::new(), rev: 0 };
                self.contract_ids.put(id.clone(), file);
            }
        }
        self.note_contract(&id, index);
        Ok(())
    }

    /// What becomes of the version that a proposal names; returns the standing version that it would replace.
    fn fold_succession(&mut self, index: u64, contract: &Contract, sha256: Digest) -> Option<Digest> {
        let old = contract.supersedes?;
        let row = self.contracts.get(&old)?;
        let amends = if row.executed.is_some() { Some(old) } else { row.amends };
        if row.executed.is_none() {
            self.end_contract(&old, superseded(index, self.last_at));
        }
        match amends.and_then(|standing| self.contracts.get_mut(&standing)) {
            Some(standing) => standing.amendment = Some(sha256),
            None => {
                if let Some(file) = self.contract_ids.get_mut(&contract.contract_id) {
                    file.current = sha256;
                }
            }
        }
        amends
    }

    pub(super) fn check_signature(&self, reference: &ContractRef, signature: &PartySignature, now: Timestamp) -> R<()> {
        let row = self.contract_of(reference)?;
        let signer = signature.kid.holder.as_str();
        let party = row.contract.parties.iter().any(|p| p.did.as_str() == signer);
        let sro = row.countersigns && self.is_sro(signer);
        if !party && !sro {
            return Err(Refusal::new(Code::SignerNotParty, format!("{signer} is no party of the contract")));
        }
        let state = row.state(now);
        let open = if sro { state == ContractState::AwaitingSro } else { OPEN.contains(&state) };
        if !open {
            return Err(transition("the contract is not open for this signature"));
        }
        if row.has_signed(signer) {
            return Err(Refusal::new(Code::SignerTwice, format!("{signer} has signed already")));
        }
        if self.key(&signature.kid, Usage::Party).is_none() {
            return Err(Refusal::new(
                Code::SignerUnknown,
                format!("no active key {} is known for this act", signature.kid),
            ));
        }
        // The last signature brings the contract into force: all must still be verified then.
        if row.complete_with(Some(signer)) { self.may_execute(row, now) } else { Ok(()) }
    }

    /// All parties are still verified, and what this version would replace still stands.
    fn may_execute(&self, row: &ContractRow, now: Timestamp) -> R<()> {
        let standing = row.amends.and_then(|sha256| self.contracts.get(&sha256));
        if standing.is_some_and(|old| !STANDING.contains(&old.state(now))) {
            return Err(transition("the contract that this version would amend no longer stands"));
        }
        self.parties_verified(&row.contract)
    }

    /// The signature that brings a contract into force enters while every dataset is in use, neither suspended nor withdrawn.
    pub(super) fn check_last_signature(&self, reference: &ContractRef, signature: &PartySignature) -> R<()> {
        let row = self.contract_of(reference)?;
        if !row.complete_with(Some(signature.kid.holder.as_str())) {
            return Ok(());
        }
        for offer in row.contract.datasets.iter().filter_map(|dataset| self.offer(&dataset.offer_sha256)) {
            self.require_dataset_available(&offer.offer.dataset_id, offer.offer.version)?;
        }
        Ok(())
    }

    pub(super) fn fold_signature(&mut self, index: u64, reference: &ContractRef, signature: &PartySignature) -> R<()> {
        if let Some(row) = self.contracts.get_mut(&reference.sha256) {
            row.signatures.push(signature.clone());
            row.signed.push(index);
        }
        self.index_contract(&reference.sha256);
        self.note_contract(&reference.id, index);
        Ok(())
    }

    /// The one leaf with the full set: exactly the signatures that stand as entries of their own.
    pub(super) fn check_execution(&self, envelope: &Envelope<Contract>, now: Timestamp) -> R<()> {
        let unknown = || Refusal::new(Code::ContractUnknown, "no contract with this digest is proposed");
        let row = self.contracts.get(&envelope.digest()).ok_or_else(unknown)?;
        if row.executed.is_some() || row.ended.is_some() || row.state(now) == ContractState::Lapsed {
            return Err(transition("the contract is executed or ended already"));
        }
        if !row.complete_with(None) {
            return Err(Refusal::new(Code::SignatureMissing, "not everyone has signed who must"));
        }
        if envelope.signatures != row.signatures {
            return Err(transition("the signatures differ from those entered"));
        }
        self.keys_active(envelope)?;
        self.may_execute(row, now)
    }

    pub(super) fn fold_execution(&mut self, index: u64, at: Timestamp, envelope: &Envelope<Contract>) -> R<()> {
        let sha256 = envelope.digest();
        let Some(row) = self.contracts.get_mut(&sha256) else { return Ok(()) };
        self.agenda.remove(&(row.lapses_at, sha256));
        row.executed = Some(index);
        row.told = (row.contract.effective_from <= at).then_some(ContractState::Active);
        let (id, amends) = (row.contract.contract_id.clone(), row.amends);
        let moments: Vec<Timestamp> = row.moments().filter(|moment| *moment > at).collect();
        moments.into_iter().for_each(|moment| self.agenda.put((moment, sha256), ()));
        if let Some(old) = amends {
            self.take_place(index, &old, &sha256);
        }
        if let Some(file) = self.contract_ids.get_mut(&id) {
            file.current = sha256;
        }
        self.await_periods(&sha256, Vec::new());
        self.note_contract(&id, index);
        Ok(())
    }

    /// The amended version ends. What the SRO or the rules stopped stays stopped: an amendment by the parties does not
    /// lift it. What a TDP stopped, and notice of revocation, is lifted where all parties signed after it: nobody
    /// overrules it with a signature that was given before.
    fn take_place(&mut self, index: u64, old: &Digest, new: &Digest) {
        let Some(before) = self.contracts.get(old) else { return };
        let (stopped, noticed) = (before.suspended.clone(), before.noticed.zip(before.revokes_at));
        let signed = self.contracts.get(new).map(|row| row.signed.clone()).unwrap_or_default();
        let agreed_after = |entry: u64| signed.iter().all(|signed| *signed > entry);
        self.end_contract(old, superseded(index, self.last_at));
        let stays = stopped.filter(|s| !matches!(s.by, Suspender::Party(_)) || !agreed_after(s.index));
        if let Some(row) = self.contracts.get_mut(old) {
            row.suspended = stays.clone();
        }
        let Some(row) = self.contracts.get_mut(new) else { return };
        row.suspended = stays;
        if let Some((entry, at)) = noticed.filter(|(entry, _)| !agreed_after(*entry)) {
            (row.noticed, row.revokes_at) = (Some(entry), Some(at));
            self.agenda.put((at, *new), ());
        }
    }

    /// A party declines while the contract is open; two SRO people do in place of countersigning.
    pub(super) fn check_decline(&self, envelope: &Envelope<ContractDecline>, now: Timestamp) -> R<()> {
        let decline = read(envelope)?;
        let row = self.contract_of(&decline.contract)?;
        let state = row.state(now);
        if state == ContractState::AwaitingSro {
            self.signed_by_two_people(envelope)?;
        } else if OPEN.contains(&state) {
            let signer = Did::parse(sole_signer(envelope)?)?;
            if row.contract.role_of(&signer).is_none() {
                return Err(Refusal::new(Code::SignerNotParty, format!("{signer} is no party of the contract")));
            }
            self.keys_active(envelope)?;
        } else {
            return Err(transition("only a contract that is not fully signed can be declined"));
        }
        crate::registration::act(&decline.reason, decline.declined_at, now)
    }

    pub(super) fn fold_decline(&mut self, index: u64, envelope: &Envelope<ContractDecline>) -> R<()> {
        let contract = read(envelope)?.contract;
        self.end_contract(&contract.sha256, Ending::by_entry(ContractState::Declined, index, self.last_at));
        self.note_contract(&contract.id, index);
        Ok(())
    }
}

fn superseded(index: u64, at: Timestamp) -> Ending {
    Ending::by_entry(ContractState::Superseded, index, at)
}

fn exists(sentence: &str) -> Refusal {
    Refusal::new(Code::ContractExists, sentence).at("contract_id")
}
