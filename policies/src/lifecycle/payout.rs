//! The principals' part of what a provider was paid, and the batches that split it: each part once, each batch after the one
//! before it.

use schemas::envelope::Envelope;
use schemas::event::Obligation;
use schemas::id::{DatasetId, Did};
use schemas::money::Currency;
use schemas::party::Kind;
use schemas::payout::{PayoutBatch, PrincipalPool};
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::{State, read};
use crate::money::payout::{MOST_SETTLED, batch_stands};
use crate::money::{AccountId, AccountKind, TransferCode};

/// The principals' part of one settled obligation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolPart {
    /// The provider, who owes it to them.
    pub provider: Did,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// ISO 4217.
    pub currency: Currency,
    /// Minor units, above 0.
    pub amount: i64,
    /// Index of the entry that settled it.
    pub index: u64,
    /// Index of the batch that split it.
    pub batch: Option<u64>,
}

impl PoolPart {
    pub(super) fn account(&self, kind: AccountKind) -> AccountId {
        AccountId { owner: self.provider.clone(), currency: self.currency, kind }
    }
}

/// A batch that stands in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PayoutRow {
    /// As signed.
    pub envelope: Envelope<PayoutBatch>,
    /// The same, read.
    pub batch: PayoutBatch,
    /// Index of its entry.
    pub index: u64,
}

/// Dataset version, currency and number of a batch.
pub(super) type PayoutKey = (DatasetId, u32, Currency, u32);

impl State {
    /// Parts of settled obligations of a dataset version, with their obligations' ids.
    pub fn pool_parts<'a>(
        &'a self,
        dataset_id: &'a DatasetId,
        version: u32,
    ) -> impl Iterator<Item = (&'a str, &'a PoolPart)> {
        let of = move |part: &PoolPart| part.dataset_id == *dataset_id && part.version == version;
        self.pool_parts.iter().filter(move |(_, part)| of(part)).map(|(id, part)| (id.as_str(), part))
    }

    /// The batches of a dataset version, by currency and number.
    pub fn payouts<'a>(&'a self, dataset_id: &'a DatasetId, version: u32) -> impl Iterator<Item = &'a PayoutRow> {
        let of = move |key: &PayoutKey| key.0 == *dataset_id && key.1 == version;
        self.payouts.iter().filter(move |(key, _)| of(key)).map(|(_, row)| row)
    }

    /// The terms of a dataset version's pool: of its newest offer that has one.
    pub fn pool_terms(&self, dataset_id: &DatasetId, version: u32) -> Option<&PrincipalPool> {
        let offers = self.offers_of(dataset_id).filter(|row| row.offer.version == version);
        offers.filter_map(|row| row.offer.principal_pool.as_ref()).next_back()
    }

    /// What of a settled price is the principals', by the offer that the contract pins; none where it has no pool, where the
    /// payee is not its provider, where it is a tax, where less than a minor unit is left or where it was set aside before.
    pub(super) fn pool_part(&self, index: u64, obligation: &Obligation, paid: i64) -> Option<PoolPart> {
        let contract = &self.contract(&obligation.contract.sha256)?.contract;
        let term = contract.payment.iter().find(|term| term.term_id == obligation.term_id)?;
        let dataset_id = term.dataset_id.as_ref()?;
        let dataset = contract.datasets.iter().find(|dataset| dataset.dataset_id == *dataset_id)?;
        let pool = self.offer(&dataset.offer_sha256)?.offer.principal_pool.as_ref()?;
        let price = obligation.line.is_none() && obligation.payee == dataset.provider;
        let amount = i64::try_from(i128::from(paid) * i128::from(pool.ppm) / 1_000_000).ok()?;
        if !price || amount <= 0 || self.pool_parts.contains(&obligation.instruction_id) {
            return None;
        }
        Some(PoolPart {
            provider: dataset.provider.clone(),
            dataset_id: dataset.dataset_id.clone(),
            version: dataset.version,
            currency: obligation.currency,
            amount,
            index,
            batch: None,
        })
    }

    /// By the provider alone: 1. the batch adds up under the offer's terms; 2. it is the next one of its dataset version and
    /// currency, by the same weights, and carries in what the one before carried out; 3. it splits parts of settled
    /// obligations that none has split, and their sum.
    pub(super) fn check_payout(&self, envelope: &Envelope<PayoutBatch>, now: Timestamp) -> R<()> {
        let batch = read(envelope)?;
        self.signed_only_by(envelope, batch.provider.as_str())?;
        self.require_verified(&batch.provider, Kind::Tdp)?;
        crate::registration::payout_batch(&batch, self.registry()?, now)?;
        let pool = |why: &str| Refusal::new(Code::PayoutPool, why.to_owned());
        let own = self.latest_offer(&batch.dataset_id).is_some_and(|row| row.offer.provider == batch.provider);
        let terms = self.pool_terms(&batch.dataset_id, batch.version).filter(|_| own);
        let terms = terms.ok_or_else(|| pool("the provider offers no such dataset with a principals' pool"))?;
        batch_stands(&batch, terms)?;
        self.payout_follows(&batch)?;
        let many = batch.settled.is_empty() || batch.settled.len() > MOST_SETTLED;
        if many || !batch.settled.iter().zip(batch.settled.iter().skip(1)).all(|(a, b)| a < b) {
            let sentence = format!("a batch names 1 to {MOST_SETTLED} settled obligations, ascending, each once");
            return Err(Refusal::new(Code::SchemaMismatch, sentence).at("settled"));
        }
        let mut sum = 0i128;
        for id in &batch.settled {
            let part = self.pool_parts.get(id).filter(|part| {
                (&part.provider, &part.dataset_id, part.version, part.currency)
                    == (&batch.provider, &batch.dataset_id, batch.version, batch.currency)
            });
            let part = part.ok_or_else(|| pool(&format!("{id} has set nothing aside for this pool")).at("settled"))?;
            if part.batch.is_some() {
                return Err(
                    Refusal::new(Code::PayoutExists, format!("the part of {id} is split already")).at("settled")
                );
            }
            sum += i128::from(part.amount);
        }
        if sum != i128::from(batch.pool_minor.get()) {
            let sentence = format!("the parts of the settled obligations are {sum} together");
            return Err(Refusal::new(Code::PayoutSums, sentence).at("pool_minor"));
        }
        Ok(())
    }

    fn payout_follows(&self, batch: &PayoutBatch) -> R<()> {
        let key = |seq| (batch.dataset_id.clone(), batch.version, batch.currency, seq);
        if self.payouts.contains(&key(batch.seq)) {
            return Err(Refusal::new(Code::PayoutExists, "a batch with this number stands already").at("seq"));
        }
        let last = self.payouts.range(key(0)..=key(u32::MAX)).next_back().map(|(_, row)| row);
        let chain = |why: &str, field: &str| Err(Refusal::new(Code::PayoutChain, why.to_owned()).at(field));
        if batch.seq != last.map_or(1, |row| row.batch.seq.saturating_add(1)) {
            return chain("batches follow one another without a gap", "seq");
        }
        if batch.previous != last.map(|row| row.envelope.digest()) {
            return chain("the batch names another one before it", "previous");
        }
        if batch.carried_in_minor.get() != last.map_or(0, |row| row.batch.carried_out_minor.get()) {
            return chain("the batch carries in another sum than the one before it carried out", "carried_in_minor");
        }
        match last {
            Some(row)
                if (row.batch.weights_sha256, row.batch.principals) != (batch.weights_sha256, batch.principals) =>
            {
                chain("the weights of a dataset version stay the same", "weights_sha256")
            }
            _ => Ok(()),
        }
    }

    pub(super) fn fold_payout(&mut self, index: u64, envelope: &Envelope<PayoutBatch>) -> R<()> {
        let batch = read(envelope)?;
        for id in &batch.settled {
            if let Some(part) = self.pool_parts.get_mut(id) {
                part.batch = Some(index);
            }
        }
        if batch.paid_minor.get() > 0 {
            let account = |kind| AccountId { owner: batch.provider.clone(), currency: batch.currency, kind };
            let sides = (account(AccountKind::PaidOut), account(AccountKind::PrincipalPool));
            let reference = envelope.digest().to_string();
            self.add_transfer(index, sides, batch.paid_minor.get(), TransferCode::PaidOut, &reference)?;
        }
        let key = (batch.dataset_id.clone(), batch.version, batch.currency, batch.seq);
        self.payouts.put(key, PayoutRow { envelope: envelope.clone(), batch, index });
        Ok(())
    }
}
