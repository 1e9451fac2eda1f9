//! A contract in any state, everything that can be done to one, and a run under it.

use policies::R;
use policies::lifecycle::State;
use schemas::certificate::ModelCertificate;
use schemas::contract::{
    Cause, CompletedReason, Contract, ContractDecline, ContractRef, ContractResume, ContractRevoke, ContractState,
    ContractSuspend, ContractTerminate, ContractWithdraw,
};
use schemas::digest::Digest;
use schemas::envelope::Envelope;
use schemas::event::{Body, Completion, PaymentCallback};
use schemas::id::KeyId;
use schemas::party::Kind;
use schemas::release::{KmsReceipt, KmsStatement};
use schemas::time::Timestamp;
use serde_json::{Value, json};

use crate::fixtures::{CCRP, House, REGISTRY, TDC, digest, envelope, id, jwk, plan, provider, read};
use crate::log::{Log, SRO, by, kid};

pub const PSP: &str = "did:web:psp.example";

/// A log in which one contract is about to be, or is, proposed.
pub struct Scene {
    pub log: Log,
    pub contract: Contract,
    pub reference: ContractRef,
}

/// What can be done to a contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    Replace,
    Sign,
    SignBySro,
    Decline,
    DeclineBySro,
    Withdraw,
    WithdrawByAll,
    SuspendByTdp,
    SuspendBySro,
    Resume,
    Revoke,
    RevokeBySro,
    Terminate,
    Execute,
    TellLapsed,
    TellActive,
    TellRevoked,
    TellExpired,
    Complete,
}

impl Act {
    pub const ALL: [Act; 19] = [
        Act::Replace,
        Act::Sign,
        Act::SignBySro,
        Act::Decline,
        Act::DeclineBySro,
        Act::Withdraw,
        Act::WithdrawByAll,
        Act::SuspendByTdp,
        Act::SuspendBySro,
        Act::Resume,
        Act::Revoke,
        Act::RevokeBySro,
        Act::Terminate,
        Act::Execute,
        Act::TellLapsed,
        Act::TellActive,
        Act::TellRevoked,
        Act::TellExpired,
        Act::Complete,
    ];
}

impl Scene {
    /// Everybody is there; nothing is proposed.
    pub fn new(change: impl FnOnce(&mut Contract)) -> Scene {
        let mut log = Log::furnished();
        log.admit(PSP, Kind::Psp);
        let mut contract = House::new().contracts.remove(0);
        change(&mut contract);
        let reference = refer(&contract);
        Scene { log, contract, reference }
    }

    pub fn proposed(change: impl FnOnce(&mut Contract)) -> Scene {
        let mut scene = Scene::new(change);
        scene.log.enter(Body::ContractProposed { contract: by(&scene.contract, &[TDC]) }).unwrap();
        scene
    }

    /// Signed by all parties, with what follows.
    pub fn signed(change: impl FnOnce(&mut Contract)) -> Scene {
        let mut scene = Scene::proposed(change);
        scene.sign_all();
        scene
    }

    pub fn sign_all(&mut self) {
        let reference = self.reference.clone();
        for holder in [provider(0), provider(1), provider(2), CCRP.to_owned()] {
            self.log.sign(&reference, &holder).unwrap();
        }
    }

    pub fn state(&self) -> ContractState {
        self.log.state.contract_state(&self.reference.sha256, self.log.now).unwrap()
    }

    pub fn days(&mut self, days: i64) {
        self.log.now = self.log.now.plus_seconds(days * 86_400);
    }

    /// The body of an act, by those who may do it.
    pub fn body(&self, act: Act) -> Body {
        let contract = &self.reference;
        let everyone: Vec<String> = self.contract.parties.iter().map(|p| p.did.to_string()).collect();
        let everyone: Vec<&str> = everyone.iter().map(String::as_str).collect();
        let (tdp, sro) = (provider(0), &SRO[..2]);
        let told = |state| Body::ContractTimed { contract: contract.clone(), state };
        match act {
            Act::Replace => Body::ContractProposed { contract: by(&self.next(|_| ()), &[CCRP]) },
            Act::Sign => self.signature(&self.unsigned()),
            Act::SignBySro => self.signature(SRO[0]),
            Act::Decline => Body::ContractDeclined { decline: by(&self.decline(), &[CCRP]) },
            Act::DeclineBySro => Body::ContractDeclined { decline: by(&self.decline(), sro) },
            Act::Withdraw => Body::ContractWithdrawn { withdraw: by(&self.withdraw(), &[TDC]) },
            Act::WithdrawByAll => Body::ContractWithdrawn { withdraw: by(&self.withdraw(), &everyone) },
            Act::SuspendByTdp => {
                Body::ContractSuspended { suspend: by(&self.suspend(Cause::SecurityIncident), &[&tdp]) }
            }
            Act::SuspendBySro => Body::ContractSuspended { suspend: by(&self.suspend(Cause::LegalOrder), sro) },
            Act::Resume => Body::ContractResumed { resume: by(&self.resume(), sro) },
            Act::Revoke => Body::ContractRevoked { revoke: by(&self.revoke(Cause::AtWill), &[&tdp]) },
            Act::RevokeBySro => Body::ContractRevoked { revoke: by(&self.revoke(Cause::AtWill), sro) },
            Act::Terminate => Body::ContractTerminated { terminate: by(&self.terminate(), &everyone) },
            Act::Execute => {
                Body::ContractExecuted { contract: self.log.state.contract(&contract.sha256).unwrap().envelope() }
            }
            Act::TellLapsed => told(ContractState::Lapsed),
            Act::TellActive => told(ContractState::Active),
            Act::TellRevoked => told(ContractState::Revoked),
            Act::TellExpired => told(ContractState::Expired),
            Act::Complete => Body::ContractCompleted { contract: contract.clone(), reason: CompletedReason::Runs },
        }
    }

    /// Does it, with what follows from it.
    pub fn act(&mut self, act: Act) -> R<()> {
        let body = self.body(act);
        let follow_up = self.log.state.follow_up(&body).ok().flatten();
        self.log.enter(body)?;
        follow_up.map_or(Ok(()), |body| self.log.enter(body))
    }

    /// A party that has not signed yet, else one that has.
    fn unsigned(&self) -> String {
        let row = self.log.state.contract(&self.reference.sha256).unwrap();
        let signed = |did: &str| row.signatures.iter().any(|s| s.kid.holder == did);
        let open = self.contract.parties.iter().find(|p| !signed(p.did.as_str()));
        open.map_or(TDC.to_owned(), |p| p.did.to_string())
    }

    pub fn signature(&self, holder: &str) -> Body {
        let signature = envelope(&self.contract, kid(holder)).signatures.remove(0);
        Body::ContractSigned { contract: self.reference.clone(), signature }
    }

    /// The next version of the contract.
    pub fn next(&self, change: impl FnOnce(&mut Contract)) -> Contract {
        let mut next = self.contract.clone();
        next.version += 1;
        next.supersedes = Some(self.reference.sha256);
        next.obligations.risk_statement = format!("Version {}.", next.version);
        change(&mut next);
        next
    }

    fn paper(&self, schema: &str, cause: Option<Cause>, at: &str) -> Value {
        let mut value = json!({"schema": schema, "registry": REGISTRY, "contract": self.reference,
            "reason": "As agreed", at: self.log.now});
        if let (Some(cause), Some(members)) = (cause, value.as_object_mut()) {
            members.insert("cause".into(), json!(cause));
        }
        value
    }

    pub fn decline(&self) -> ContractDecline {
        read(self.paper("contract-decline.v1", None, "declined_at"))
    }

    pub fn withdraw(&self) -> ContractWithdraw {
        read(self.paper("contract-withdraw.v1", Some(Cause::AtWill), "at"))
    }

    pub fn suspend(&self, cause: Cause) -> ContractSuspend {
        read(self.paper("contract-suspend.v1", Some(cause), "at"))
    }

    pub fn resume(&self) -> ContractResume {
        read(self.paper("contract-resume.v1", Some(Cause::SecurityIncident), "at"))
    }

    pub fn revoke(&self, cause: Cause) -> ContractRevoke {
        let named = Some(cause).filter(|c| *c != Cause::AtWill);
        read(self.paper("contract-revoke.v1", named, "revoked_at"))
    }

    pub fn terminate(&self) -> ContractTerminate {
        read(self.paper("contract-terminate.v1", Some(Cause::AtWill), "at"))
    }

    /// The house whose job names this contract.
    pub fn house(&self) -> House {
        let mut house = House::new();
        house.contracts = vec![self.contract.clone()];
        house.link();
        // Of these offers, also where they are not the house's first ones.
        house.contracts = vec![self.contract.clone()];
        house.job.contracts = vec![refer(&self.contract)];
        house
    }

    /// Orders the job and checks its only run in.
    pub fn run(&mut self) -> R<()> {
        let job = self.house().job;
        self.log.enter(Body::RunOrdered { job: by(&job, &[TDC]) })?;
        self.check_in()
    }

    pub fn check_in(&mut self) -> R<()> {
        let body = self.checked_in();
        self.log.enter(body)
    }

    pub fn checked_in(&self) -> Body {
        Body::RunCheckedIn {
            run_id: read(id("run", 1).into()),
            job_sha256: digest(&self.house().job),
            image_set_id: read(id("img", 1).into()),
            evidence_sha256: Digest([0; 32]),
            checks: vec![],
            assurance: read(json!("hardware")),
            run_jwk: jwk(5),
            enc_jwk: schemas::jwk::Jwk::x25519([6; 32]),
            platform: None,
        }
    }

    /// The completion of the run, with what it owes.
    pub fn completed(&self) -> Body {
        let completion = self.completion();
        let obligations = self.log.state.complete_obligations(&completion).unwrap();
        Body::RunCompleted { completion: envelope(&completion, run_kid()), obligations }
    }

    fn completion(&self) -> Completion {
        let (house, plan) = (self.house(), plan());
        let (job, contracts, output) = (digest(&house.job), house.job.contracts.clone(), Digest([42; 32]));
        let releases: Vec<KmsReceipt> = (0..3)
            .map(|n| {
                let statement = KmsStatement::Released {
                    reservation_id: read(id("rsv", 1).into()),
                    jwe_sha256: vec![Digest([1; 32])],
                };
                receipt(&house, n, 1, Digest([0; 32]), statement)
            })
            .collect();
        let commits: Vec<KmsReceipt> = releases
            .iter()
            .enumerate()
            .map(|(n, release)| {
                receipt(&house, n, 2, digest(release), KmsStatement::Committed { output_sha256: output })
            })
            .collect();
        let datasets: Vec<_> = (0..3)
            .map(|n| json!({"dataset_id": id("dst", n), "version": 1, "manifest_root": Digest([n as u8; 32]), "charge": plan.charges[n as usize]}))
            .collect();
        let certificate: ModelCertificate = read(
            json!({"schema": "certificate.v1", "registry": REGISTRY, "run_id": id("run", 1), "job_sha256": job,
            "contracts": contracts, "image_set_id": id("img", 1), "assurance": "hardware", "datasets": datasets,
            "plan": plan, "model_sha256": Digest([1; 32]), "model_bytes": 200,
            "metrics": {"true_positives": 1, "false_positives": 1, "true_negatives": 1, "false_negatives": 1, "accuracy_ppm": 500_000},
            "issued_at": "2026-12-01T10:10:00Z"}),
        );
        let empty: Envelope<ModelCertificate> = Envelope::new(vec![], vec![]);
        let completion: Completion =
            read(json!({"schema": "completion.v1", "registry": REGISTRY, "run_id": id("run", 1),
            "job_sha256": job, "contracts": contracts, "image_set_id": id("img", 1), "steps": 198,
            "output": {"kind": "model", "sha256": output, "bytes": 300, "url": "https://blob.example/models/1"},
            "certificate": empty, "content_key_jwe": "a.b.c.d.e", "release_receipts": [], "commit_receipts": [],
            "at": "2026-12-01T10:10:00Z"}));
        Completion {
            certificate: envelope(&certificate, run_kid()),
            release_receipts: releases.iter().map(by_kms).collect(),
            commit_receipts: commits.iter().map(by_kms).collect(),
            ..completion
        }
    }

    /// Settles everything that the run owes.
    pub fn settle(&mut self) {
        let owed: Vec<_> = self.log.state.payments().map(|row| row.obligation.clone()).collect();
        for obligation in owed {
            let callback: PaymentCallback = read(json!({"schema": "payment-callback.v1", "registry": REGISTRY,
                "instruction_id": obligation.instruction_id, "amount_minor": obligation.amount_minor,
                "currency": obligation.currency, "result": "settled", "reference": "r", "at": self.log.now}));
            self.log.enter(Body::PaymentAnswered { callback: by(&callback, &[PSP]) }).unwrap();
        }
    }
}

pub fn run_kid() -> KeyId {
    KeyId::new(id("run", 1), jwk(5).thumbprint())
}

pub fn by_kms(receipt: &KmsReceipt) -> Envelope<KmsReceipt> {
    envelope(receipt, KeyId::new(receipt.provider.as_str(), jwk(1).thumbprint()))
}

pub fn receipt(house: &House, n: usize, seq: u64, prev: Digest, statement: KmsStatement) -> KmsReceipt {
    let mut receipt = crate::completion::receipt(house, n, seq, statement);
    receipt.prev = prev;
    receipt.enc_jwk_thumbprint = schemas::jwk::Jwk::x25519([6; 32]).thumbprint();
    receipt
}

pub fn refer(contract: &Contract) -> ContractRef {
    ContractRef { id: contract.contract_id.clone(), sha256: digest(contract) }
}

pub fn later(days: i64) -> Timestamp {
    crate::fixtures::now().plus_seconds(days * 86_400)
}

/// What the state says about a contract after a replay from its rows.
pub fn stored(state: &State) -> State {
    let rows: Vec<_> = state.rows().map(Result::unwrap).collect();
    State::from_rows(rows).unwrap()
}
