//! Acts on contracts besides signing: withdrawn, suspended, resumed, revoked, terminated; and what the rules do by
//! themselves when a key is compromised, a party leaves or no image set is left.

use schemas::contract::{
    Cause, Contract, ContractResume, ContractRevoke, ContractState, ContractSuspend, ContractTerminate,
    ContractWithdraw,
};
use schemas::envelope::Envelope;
use schemas::id::{Did, ImageSetId};
use schemas::party::Kind;
use schemas::{Code, Digest, Document, R, Refusal, Timestamp};

use super::contract::{OPEN, STANDING};
use super::signers::sole_signer;
use super::{ContractRow, Ending, State, Suspender, Suspension, read, transition};

impl State {
    /// The proposer alone while it is open, all parties once it is scheduled.
    pub(super) fn check_contract_withdrawal(&self, envelope: &Envelope<ContractWithdraw>, now: Timestamp) -> R<()> {
        let act = read(envelope)?;
        let row = self.contract_of(&act.contract)?;
        let state = row.state(now);
        if OPEN.contains(&state) || state == ContractState::AwaitingSro {
            self.signed_only_by(envelope, row.proposer.as_str())?;
        } else if state == ContractState::Scheduled {
            self.signed_by_all(envelope, &row.contract)?;
        } else {
            return Err(transition("only an open proposal or a contract that is not yet in force is withdrawn"));
        }
        crate::registration::act(&act.reason, act.at, now)
    }

    pub(super) fn fold_contract_withdrawal(&mut self, index: u64, envelope: &Envelope<ContractWithdraw>) -> R<()> {
        let contract = read(envelope)?.contract;
        self.end_contract(&contract.sha256, Ending::by_entry(ContractState::Withdrawn, index, self.last_at));
        self.note_contract(&contract.id, index);
        Ok(())
    }

    /// Two SRO people for any cause, or a TDP of the contract as a security stop. An old document stops nothing anew.
    pub(super) fn check_suspension(&self, envelope: &Envelope<ContractSuspend>, now: Timestamp) -> R<()> {
        let act = read(envelope)?;
        let row = self.contract_of(&act.contract)?;
        if !matches!(row.state(now), ContractState::Scheduled | ContractState::Active) {
            return Err(transition("only a contract that is scheduled or active is suspended"));
        }
        self.signed_by_party_or_two_people(envelope, |holder| is_tdp(&row.contract, holder))?;
        if act.cause == Cause::AtWill {
            return Err(Refusal::new(Code::SchemaMismatch, "a suspension has a cause").at("cause"));
        }
        let stop = matches!(act.cause, Cause::SecurityIncident | Cause::ConsentWithdrawn);
        if !stop && !envelope.signatures.iter().any(|s| self.is_sro(&s.kid.holder)) {
            let sentence = "a data provider stops a contract for a security incident or withdrawn consent only";
            return Err(Refusal::new(Code::Forbidden, sentence).at("cause"));
        }
        row.stops.admits(&envelope.digest(), act.at, "at")?;
        crate::registration::act(&act.reason, act.at, now)
    }

    pub(super) fn fold_suspension(&mut self, index: u64, envelope: &Envelope<ContractSuspend>) -> R<()> {
        let act = read(envelope)?;
        let by = match envelope.signatures.as_slice() {
            [one] => Suspender::Party(Did::parse(&one.kid.holder)?),
            _ => Suspender::Sro,
        };
        if let Some(row) = self.contracts.get_mut(&act.contract.sha256) {
            row.suspended = Some(Suspension { index, cause: act.cause, by, at: act.at });
            row.stops.note(envelope.digest(), act.at);
        }
        self.note_contract(&act.contract.id, index);
        Ok(())
    }

    /// Two SRO people; what a TDP stopped also all TDPs together. The cause must be closed.
    pub(super) fn check_resumption(&self, envelope: &Envelope<ContractResume>, now: Timestamp) -> R<()> {
        let act = read(envelope)?;
        let row = self.contract_of(&act.contract)?;
        let stands = row.suspended.as_ref().filter(|_| row.state(now) == ContractState::Suspended);
        let suspension = stands.ok_or_else(|| transition("the contract is not suspended"))?;
        let tdps: Vec<&Did> = row.contract.in_role(Kind::Tdp).collect();
        if matches!(suspension.by, Suspender::Party(_))
            && !envelope.signatures.iter().any(|s| self.is_sro(&s.kid.holder))
        {
            self.signed_by_exactly(envelope, &tdps)?;
        } else {
            self.signed_by_two_people(envelope)?;
        }
        // What the rules suspended stands with the service's own time, which is finer than a document's.
        if act.at < suspension.at.whole() {
            return Err(transition("it was written before the contract was suspended").at("at"));
        }
        row.stops.admits(&envelope.digest(), act.at, "at")?;
        self.cause_closed(row)?;
        crate::registration::act(&act.reason, act.at, now)
    }

    /// Every party is verified, and an image set is left to run on.
    fn cause_closed(&self, row: &ContractRow) -> R<()> {
        self.parties_verified(&row.contract)?;
        if !row.contract.compute.image_sets.iter().any(|id| self.image_set_stands(id)) {
            return Err(Refusal::new(Code::ImageSetNotApproved, "no image set of the contract is approved any more"));
        }
        Ok(())
    }

    pub(super) fn fold_resumption(&mut self, index: u64, envelope: &Envelope<ContractResume>) -> R<()> {
        let act = read(envelope)?;
        if let Some(row) = self.contracts.get_mut(&act.contract.sha256) {
            row.suspended = None;
            row.stops.note(envelope.digest(), act.at);
        }
        self.note_contract(&act.contract.id, index);
        Ok(())
    }

    pub(super) fn check_revocation(&self, envelope: &Envelope<ContractRevoke>, now: Timestamp) -> R<()> {
        let act = read(envelope)?;
        let row = self.contract_of(&act.contract)?;
        if !STANDING.contains(&row.state(now)) {
            return Err(transition("only a fully signed contract that has not ended can be revoked"));
        }
        self.signed_by_party_or_two_people(envelope, |holder| notice(row, holder, act.cause).is_some())?;
        if row.revokes_at.is_some() && notice_of(row, envelope, act.cause) > 0 {
            return Err(transition("notice of revocation was given already"));
        }
        crate::registration::act(&act.reason, act.revoked_at, now)
    }

    pub(super) fn fold_revocation(&mut self, index: u64, at: Timestamp, envelope: &Envelope<ContractRevoke>) -> R<()> {
        let act = read(envelope)?;
        let sha256 = act.contract.sha256;
        let seconds = self.contracts.get(&sha256).map_or(0, |row| notice_of(row, envelope, act.cause));
        if seconds == 0 {
            self.end_contract(&sha256, Ending::by_entry(ContractState::Revoked, index, at));
        } else {
            let (awaited, revokes_at) = (self.awaited_periods(&sha256), at.plus_seconds(i64::from(seconds)));
            if let Some(row) = self.contracts.get_mut(&sha256) {
                (row.revokes_at, row.noticed) = (Some(revokes_at), Some(index));
            }
            self.agenda.put((revokes_at, sha256), ());
            self.await_periods(&sha256, awaited);
        }
        self.note_contract(&act.contract.id, index);
        Ok(())
    }

    pub(super) fn check_termination(&self, envelope: &Envelope<ContractTerminate>, now: Timestamp) -> R<()> {
        let act = read(envelope)?;
        let row = self.contract_of(&act.contract)?;
        if !STANDING.contains(&row.state(now)) {
            return Err(transition("only a fully signed contract that has not ended can be terminated"));
        }
        self.signed_by_all(envelope, &row.contract)?;
        crate::registration::act(&act.reason, act.at, now)
    }

    pub(super) fn fold_termination(&mut self, index: u64, envelope: &Envelope<ContractTerminate>) -> R<()> {
        let contract = read(envelope)?.contract;
        let ending = Ending { terminated: true, ..Ending::by_entry(ContractState::Revoked, index, self.last_at) };
        self.end_contract(&contract.sha256, ending);
        self.note_contract(&contract.id, index);
        Ok(())
    }

    fn signed_by_all<T: Document>(&self, envelope: &Envelope<T>, contract: &Contract) -> R<()> {
        self.signed_by_exactly(envelope, &contract.parties.iter().map(|p| &p.did).collect::<Vec<_>>())
    }

    /// Exactly these, each once, with keys that are active now.
    fn signed_by_exactly<T: Document>(&self, envelope: &Envelope<T>, wanted: &[&Did]) -> R<()> {
        let has_signed = |did: &&Did| envelope.signatures.iter().any(|s| s.kid.holder == did.as_str());
        if let Some(missing) = wanted.iter().find(|did| !has_signed(did)) {
            return Err(Refusal::new(Code::SignatureMissing, format!("{missing} must sign this too")));
        }
        if envelope.signatures.len() != wanted.len() {
            return Err(Refusal::new(Code::SignerNotParty, "somebody signed who has no part in this"));
        }
        self.keys_active(envelope)
    }

    /// A party was suspended or withdrawn: its contracts stop.
    pub(super) fn party_gone(&mut self, index: u64, at: Timestamp, did: &Did) {
        let all = self.contracts.iter().map(|(sha256, _)| *sha256).collect();
        self.stop_where(index, at, Cause::PartyGone, all, |row| row.contract.role_of(did).is_some());
    }

    /// An image set was revoked, as `image_sets` says already: contracts without another one stop.
    pub(super) fn image_set_gone(&mut self, index: u64, at: Timestamp, id: &ImageSetId) {
        let standing: Vec<ImageSetId> = self.image_sets().map(|row| row.image_set.image_set_id.clone()).collect();
        let standing: Vec<ImageSetId> = standing.into_iter().filter(|id| self.image_set_stands(id)).collect();
        let all = self.contracts.iter().map(|(sha256, _)| *sha256).collect();
        self.stop_where(index, at, Cause::SecurityIncident, all, |row| {
            let sets = &row.contract.compute.image_sets;
            sets.contains(id) && !sets.iter().any(|id| standing.contains(id))
        });
    }

    /// A key is compromised since entry `since`: what it signed from there on is contested. Before a contract is in
    /// force the signature no longer counts; a contract that stands is stopped, and so are runs under it.
    pub(super) fn key_compromised(&mut self, index: u64, at: Timestamp, holder: &str, thumbprint: &str, since: u64) {
        let contested = |row: &ContractRow| {
            let by_key = |(s, signed): (&schemas::envelope::PartySignature, &u64)| {
                s.kid.holder == holder && s.kid.thumbprint == thumbprint && *signed >= since
            };
            row.signatures.iter().zip(&row.signed).any(by_key)
        };
        let signed = self.living_contracts_of_key(thumbprint);
        self.stop_where(index, at, Cause::SecurityIncident, signed.clone(), contested);
        let open =
            |row: &ContractRow| row.executed.is_none() && row.ended.is_none() && row.state(at) != ContractState::Lapsed;
        let touched = |sha256: &Digest| self.contracts.get(sha256).is_some_and(|row| open(row) && contested(row));
        let touched: Vec<Digest> = signed.into_iter().filter(touched).collect();
        for sha256 in touched {
            self.unindex_signature(thumbprint, &sha256);
            let Some(row) = self.contracts.get_mut(&sha256) else { continue };
            let counts = |s: &schemas::envelope::PartySignature, signed: u64| {
                s.kid.holder != holder || s.kid.thumbprint != thumbprint || signed < since
            };
            let kept: Vec<_> = row.signatures.iter().cloned().zip(row.signed.iter().copied()).collect();
            (row.signatures, row.signed) = kept.into_iter().filter(|(s, signed)| counts(s, *signed)).unzip();
            let id = row.contract.contract_id.clone();
            self.touch_contract(&id);
        }
    }

    /// Suspends standing contracts among these by the rules; what a TDP had stopped is now the SRO's to lift.
    fn stop_where(
        &mut self,
        index: u64,
        at: Timestamp,
        cause: Cause,
        among: Vec<Digest>,
        touched: impl Fn(&ContractRow) -> bool,
    ) {
        let stops = |row: &ContractRow| {
            let lifted_by_tdps = |s: &Suspension| matches!(s.by, Suspender::Party(_));
            let free = row.suspended.as_ref().is_none_or(lifted_by_tdps);
            row.executed.is_some() && free && STANDING.contains(&row.state(at)) && touched(row)
        };
        let stopped = |sha256: &Digest| self.contracts.get(sha256).is_some_and(&stops);
        let all: Vec<Digest> = among.into_iter().filter(stopped).collect();
        for sha256 in all {
            let Some(row) = self.contracts.get_mut(&sha256) else { continue };
            row.suspended = Some(Suspension { index, cause, by: Suspender::Service, at });
            let id = row.contract.contract_id.clone();
            self.touch_contract(&id);
        }
    }

    /// Contracts that the entry at `index` stopped by the rules.
    pub fn contracts_stopped_at(&self, index: u64) -> impl Iterator<Item = &ContractRow> {
        let here = move |row: &&ContractRow| {
            row.suspended.as_ref().is_some_and(|s| s.index == index && s.by == Suspender::Service)
        };
        self.contracts.iter().map(|(_, row)| row).filter(here)
    }
}

/// Seconds between notice and effect if this holder revokes for this cause; none where it may not.
fn notice(row: &ContractRow, holder: &str, cause: Cause) -> Option<u32> {
    let role = row.contract.role_of(&Did::parse(holder).ok()?)?;
    let terms = &row.contract.revocation;
    let for_cause = terms.conditions.iter().find(|c| c.cause == cause && c.by.contains(&role));
    for_cause.map(|c| c.notice_seconds).or_else(|| terms.by.contains(&role).then_some(terms.notice_seconds))
}

/// The notice of a revocation that may enter; the SRO's is at once.
fn notice_of(row: &ContractRow, envelope: &Envelope<ContractRevoke>, cause: Cause) -> u32 {
    sole_signer(envelope).ok().and_then(|holder| notice(row, holder, cause)).unwrap_or_default()
}

fn is_tdp(contract: &Contract, holder: &str) -> bool {
    Did::parse(holder).is_ok_and(|did| contract.role_of(&did) == Some(Kind::Tdp))
}
