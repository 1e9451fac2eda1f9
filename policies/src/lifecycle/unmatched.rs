//! Money that no instruction explains: it is a fact, so it is entered. It lies in the suspense account of the payment service
//! provider that holds it, under a dispute which opens by itself, until two SRO people rule.

use schemas::dispute::PaymentUnmatched;
use schemas::envelope::Envelope;
use schemas::event::{PaymentCallback, PaymentResult};
use schemas::id::{Did, DisputeId};
use schemas::money::{Currency, Minor};
use schemas::party::Kind;
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::dispute::{About, DisputeRow};
use super::signers::sole_signer;
use super::{State, read};
use crate::money::{AccountId, AccountKind, TransferCode};

/// Money in suspense.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspense {
    /// The payment service provider that holds it.
    pub provider: Did,
    /// Its reference.
    pub reference: String,
    /// The instruction that came with it.
    pub instruction_id: Option<String>,
    /// How much.
    pub amount: Minor,
    /// ISO 4217.
    pub currency: Currency,
}

impl Suspense {
    pub(super) fn account(&self, kind: AccountKind) -> AccountId {
        AccountId { owner: self.provider.clone(), currency: self.currency, kind }
    }
}

impl State {
    /// Whether an answer says that money moved for which there is no such instruction: an unknown one, another amount or
    /// currency, an obligation that awaits none (any more), or one that was paid before. A repeat of an answer is none of these.
    pub(super) fn is_unmatched(&self, callback: &PaymentCallback, provider: &Did) -> R<bool> {
        if callback.result != PaymentResult::Settled {
            return Ok(false);
        }
        let Some(row) = self.payment(&callback.instruction_id) else { return Ok(true) };
        let owed = (row.obligation.amount_minor, row.obligation.currency);
        if (callback.amount_minor, callback.currency) != owed {
            return Ok(true);
        }
        match self.next(row, callback) {
            Ok(_) => Ok(false),
            Err(refusal) if refusal.code == Code::PaymentState => Ok(!State::was_paid(row, callback, provider)),
            Err(refusal) => Err(refusal),
        }
    }

    /// The dispute about an unmatched amount, by its provider and reference.
    pub fn unmatched(&self, provider: &Did, reference: &str) -> Option<&DisputeRow> {
        self.disputes.get(self.unmatched.get(&(provider.clone(), reference.to_owned()))?)
    }

    /// An answer that [`State::is_unmatched`], of a verified provider whose keys count.
    pub(super) fn check_unmatched_answer(&self, envelope: &Envelope<PaymentCallback>) -> R<()> {
        let suspense = suspense_of(envelope)?;
        let letter = |b: u8| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b);
        if !suspense.instruction_id.as_ref().is_some_and(|id| id.len() == 32 && id.bytes().all(letter)) {
            let sentence = "an instruction id has 32 characters of A to Z and 2 to 7";
            return Err(Refusal::new(Code::SchemaMismatch, sentence).at("instruction_id"));
        }
        self.check_suspense(&suspense)
    }

    pub(super) fn check_unmatched(&self, envelope: &Envelope<PaymentUnmatched>, now: Timestamp) -> R<()> {
        let unmatched = read(envelope)?;
        let provider = Did::parse(sole_signer(envelope)?)?;
        self.require_verified(&provider, Kind::Psp)?;
        self.keys_active(envelope)?;
        crate::registration::payment_unmatched(&unmatched, self.registry()?, now)?;
        self.check_suspense(&stated(provider, unmatched))
    }

    fn check_suspense(&self, suspense: &Suspense) -> R<()> {
        crate::registration::psp_reference(&suspense.reference)?;
        if suspense.amount.get() == 0 {
            return Err(Refusal::new(Code::SchemaMismatch, "no money moved").at("amount_minor"));
        }
        if self.unmatched(&suspense.provider, &suspense.reference).is_some() {
            let sentence = "an amount with this reference of the provider is in the log already";
            return Err(Refusal::new(Code::PaymentState, sentence).at("reference"));
        }
        Ok(())
    }

    pub(super) fn fold_unmatched_answer(&mut self, index: u64, envelope: &Envelope<PaymentCallback>) -> R<()> {
        self.suspend(index, DisputeId::derived(&envelope.digest()), suspense_of(envelope)?)
    }

    pub(super) fn fold_unmatched(&mut self, index: u64, envelope: &Envelope<PaymentUnmatched>) -> R<()> {
        let provider = Did::parse(sole_signer(envelope)?)?;
        self.suspend(index, DisputeId::derived(&envelope.digest()), stated(provider, read(envelope)?))
    }

    fn suspend(&mut self, index: u64, dispute_id: DisputeId, suspense: Suspense) -> R<()> {
        let sides = (suspense.account(AccountKind::Cash), suspense.account(AccountKind::Suspense));
        let amount = suspense.amount.get();
        self.add_transfer(index, sides, amount, TransferCode::Suspended, dispute_id.as_str())?;
        self.unmatched.put((suspense.provider.clone(), suspense.reference.clone()), dispute_id.clone());
        let opener = suspense.provider.clone();
        let row = DisputeRow::new(dispute_id.clone(), About::Suspense(suspense), opener, (index, self.last_at));
        self.disputes.put(dispute_id, row);
        Ok(())
    }
}

fn suspense_of(envelope: &Envelope<PaymentCallback>) -> R<Suspense> {
    let callback = read(envelope)?;
    Ok(Suspense {
        provider: Did::parse(sole_signer(envelope)?)?,
        reference: callback.reference,
        instruction_id: Some(callback.instruction_id),
        amount: callback.amount_minor,
        currency: callback.currency,
    })
}

fn stated(provider: Did, unmatched: PaymentUnmatched) -> Suspense {
    Suspense {
        provider,
        reference: unmatched.reference,
        instruction_id: unmatched.instruction_id,
        amount: unmatched.amount_minor,
        currency: unmatched.currency,
    }
}
