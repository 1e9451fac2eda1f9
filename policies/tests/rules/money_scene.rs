//! A run that owes three prices, a dataset whose principals have a part of theirs, and what disputes and payouts need.

use policies::R;
use policies::lifecycle::{DisputeRow, PaymentRow};
use policies::money::payout::{Principal, Tree, split, weights_sha256};
use schemas::desk::PoolPart;
use schemas::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling, PaymentUnmatched, Ruling};
use schemas::event::{Body, Obligation, PaymentCallback};
use schemas::id::DisputeId;
use schemas::money::{Currency, Minor};
use schemas::payout::{PayoutBatch, PayoutLine, PrincipalPool};
use schemas::text::Bytes;
use schemas::{Digest, Envelope};
use serde_json::json;

use crate::contract_scene::{PSP, Scene};
use crate::fixtures::{House, REGISTRY, TDC, did, digest, id, provider, read};
use crate::log::{SRO, by};

/// The scene after a completed run of a contract in which provider 0 gives its principals a tenth.
pub struct Money {
    pub scene: Scene,
}

pub fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}

pub fn inr() -> Currency {
    Currency::parse("INR").unwrap()
}

pub fn dispute_id(n: u32) -> DisputeId {
    read(id("dsp", n).into())
}

impl Money {
    pub fn owed() -> Money {
        let mut offer = House::new().offers[0].clone();
        offer.offer_version = 2;
        offer.principal_pool = Some(PrincipalPool { ppm: 100_000, minimum_minor: minor(100), at_least: 10 });
        let sha256 = digest(&offer);
        let mut scene = Scene::new(|contract| {
            contract.datasets[0].offer_sha256 = sha256;
            contract.payment[0].dataset_id = Some(contract.datasets[0].dataset_id.clone());
        });
        scene.log.enter(Body::DatasetRegistered { offer: by(&offer, &[offer.provider.as_str()]) }).unwrap();
        scene.log.enter(Body::ContractProposed { contract: by(&scene.contract, &[TDC]) }).unwrap();
        scene.sign_all();
        scene.run().unwrap();
        let completed = scene.completed();
        scene.log.enter(completed).unwrap();
        let money = Money { scene };
        money.check();
        money
    }

    pub fn check(&self) {
        self.scene.log.state.check_books().unwrap();
    }

    pub fn enter(&mut self, body: Body) -> R<()> {
        self.scene.log.enter(body)?;
        self.check();
        Ok(())
    }

    pub fn rows(&self) -> Vec<PaymentRow> {
        let mut rows: Vec<PaymentRow> = self.scene.log.state.payments().cloned().collect();
        rows.sort_by(|a, b| a.obligation.payee.cmp(&b.obligation.payee));
        rows
    }

    /// What provider `n` is owed.
    pub fn obligation(&self, n: usize) -> Obligation {
        self.rows().into_iter().map(|row| row.obligation).find(|o| o.payee == did(&provider(n))).unwrap()
    }

    pub fn callback(&self, obligation: &Obligation, result: &str, reference: &str) -> PaymentCallback {
        read(json!({"schema": "payment-callback.v1", "registry": REGISTRY, "at": self.scene.log.now,
            "instruction_id": obligation.instruction_id, "amount_minor": obligation.amount_minor,
            "currency": obligation.currency, "result": result, "reference": reference}))
    }

    pub fn answered(&self, callback: &PaymentCallback) -> Body {
        Body::PaymentAnswered { callback: by(callback, &[PSP]) }
    }

    pub fn settle(&mut self, n: usize) {
        let callback = self.callback(&self.obligation(n), "settled", &format!("ref-{n}"));
        self.enter(self.answered(&callback)).unwrap();
    }

    pub fn unmatched(&self, reference: &str, amount: i64) -> PaymentUnmatched {
        read(json!({"schema": "payment-unmatched.v1", "registry": REGISTRY, "reference": reference,
            "amount_minor": amount, "currency": "INR", "direction": "paid", "at": self.scene.log.now}))
    }

    /// The dispute that opened last.
    pub fn newest(&self) -> DisputeRow {
        self.scene.log.state.disputes().max_by_key(|row| row.opened.0).unwrap().clone()
    }

    pub fn dispute(&self, n: u32, obligation: &Obligation, opener: &str) -> Dispute {
        read(json!({"schema": "dispute.v1", "registry": REGISTRY, "dispute_id": dispute_id(n),
            "contract": self.scene.reference, "instruction_id": obligation.instruction_id, "opener": opener,
            "reason": "Wrong", "at": self.scene.log.now}))
    }

    pub fn answer(&self, dispute: &DisputeId, who: &str) -> DisputeAnswer {
        read(json!({"schema": "dispute-answer.v1", "registry": REGISTRY, "dispute_id": dispute, "by": who,
            "reason": "Right", "at": self.scene.log.now}))
    }

    pub fn ruling(&self, dispute: &DisputeId, ruling: Ruling) -> DisputeRuling {
        read(json!({"schema": "dispute-ruling.v1", "registry": REGISTRY, "dispute_id": dispute, "ruling": ruling,
            "reason": "Looked at", "at": self.scene.log.now}))
    }

    pub fn ruled(&self, dispute: &DisputeId, ruling: Ruling) -> Body {
        Body::DisputeRuled { ruling: by(&self.ruling(dispute, ruling), &SRO[..2]) }
    }

    pub fn close(&self, dispute: &DisputeId) -> DisputeClose {
        read(json!({"schema": "dispute-close.v1", "registry": REGISTRY, "dispute_id": dispute,
            "reason": "Done", "at": self.scene.log.now}))
    }

    /// Opened by the consumer about what provider `n` is owed, and answered.
    pub fn disputed(&mut self, n: usize) -> DisputeId {
        let dispute = self.dispute(n as u32 + 1, &self.obligation(n), TDC);
        self.enter(Body::DisputeOpened { dispute: by(&dispute, &[TDC]) }).unwrap();
        let answer = self.answer(&dispute.dispute_id, &provider(n));
        self.enter(Body::DisputeAnswered { answer: by(&answer, &[answer.by.as_str()]) }).unwrap();
        dispute.dispute_id
    }

    /// Money that the provider of payments cannot place, with its answer: ready to be ruled on.
    pub fn suspended(&mut self, reference: &str, amount: i64) -> DisputeId {
        let unmatched = self.unmatched(reference, amount);
        self.enter(Body::PaymentUnmatched { unmatched: by(&unmatched, &[PSP]) }).unwrap();
        let id = self.newest().dispute_id;
        let answer = self.answer(&id, PSP);
        self.enter(Body::DisputeAnswered { answer: by(&answer, &[PSP]) }).unwrap();
        id
    }

    /// The next batch over all that is not split, among these principals.
    pub fn batch(&self, people: &[Principal]) -> (PayoutBatch, Vec<PayoutLine>) {
        let state = &self.scene.log.state;
        let dataset = &self.scene.contract.datasets[0];
        let mut parts: Vec<PoolPart> = state
            .pool_parts(&dataset.dataset_id, 1)
            .filter(|(_, part)| part.batch.is_none())
            .map(|(id, part)| PoolPart {
                instruction_id: id.into(),
                currency: part.currency,
                amount_minor: minor(part.amount),
                split: false,
            })
            .collect();
        parts.sort_by(|a, b| a.instruction_id.cmp(&b.instruction_id));
        let pool = minor(parts.iter().map(|part| part.amount_minor.get()).sum());
        let split = split(pool, people, state.pool_terms(&dataset.dataset_id, 1).unwrap()).unwrap();
        let last = state.payouts(&dataset.dataset_id, 1).last();
        let mut batch = PayoutBatch {
            schema: "payout-batch.v1".into(),
            registry: did(REGISTRY),
            provider: did(&provider(0)),
            dataset_id: dataset.dataset_id.clone(),
            version: 1,
            currency: inr(),
            seq: last.map_or(1, |row| row.batch.seq + 1),
            previous: last.map(|row| row.envelope.digest()),
            weights_sha256: weights_sha256(&split.lines).unwrap(),
            settled: parts.into_iter().map(|part| part.instruction_id).collect(),
            pool_minor: pool,
            carried_in_minor: split.carried_in,
            paid_minor: split.paid,
            carried_out_minor: split.carried_out,
            principals: split.lines.len() as u64,
            paid_principals: split.paid_principals,
            root: Digest([0; 32]),
            at: self.scene.log.now,
        };
        batch.root = Tree::of(&batch, &split.lines).unwrap().root();
        (batch, split.lines)
    }
}

pub fn people(many: u8) -> Vec<Principal> {
    let person = |n: u8| Principal {
        principal: format!("p-{n}"),
        salt: Bytes(vec![n + 1; 32]),
        weight: u64::from(n) + 1,
        carried: minor(0),
    };
    (0..many).map(person).collect()
}

pub fn entered(batch: &PayoutBatch) -> Body {
    let batch: Envelope<PayoutBatch> = by(batch, &[batch.provider.as_str()]);
    Body::PayoutEntered { batch }
}
