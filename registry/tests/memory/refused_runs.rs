//! Each refusal of the fold about runs, key services' receipts, completions and payments, with its code.

use schemas::contract::{Assurance, ContractRef};
use schemas::event::{Body, PaymentResult, RunEventKind};
use schemas::id::{ImageSetId, RunId};
use schemas::jwk::Jwk;
use schemas::money::Minor;
use schemas::party::Decision;
use schemas::release::KmsStatement;
use schemas::{Code, Digest, Signer};
use signing::FileKey;

use crate::house::{House, reference, uuid};
use crate::papers;
use crate::runs::{Run, aborted, released, reserved};

fn contract_of(run: &Run) -> ContractRef {
    run.job.read_unverified().unwrap().contracts[0].clone()
}

#[test]
fn check_ins() {
    let house = House::furnished();
    let (contract, _) = house.executed();
    let job = house.ordered(&contract);
    let unknown = house.sign(&house.job(&contract), &house.tdc);
    house.refuses(Code::JobMismatch, house.check_in(&unknown));
    let spoilt = |spoil: &dyn Fn(&mut ImageSetId, &mut Jwk)| {
        let mut body = house.check_in(&job);
        if let Body::RunCheckedIn { image_set_id, run_jwk, .. } = &mut body {
            spoil(image_set_id, run_jwk);
        }
        body
    };
    house.refuses(Code::MeasurementNotAllowed, spoilt(&|set, _| *set = ImageSetId::new(uuid())));
    house.refuses(Code::KeyWeak, spoilt(&|_, key| *key = Jwk::ed25519(std::array::from_fn(|n| u8::from(n == 0)))));
    let run = house.run_of(job.clone());
    let mut again = house.check_in(&job);
    if let Body::RunCheckedIn { run_id, .. } = &mut again {
        *run_id = run.run_id.clone();
    }
    house.refuses(Code::RunState, again);
    house.refuses(Code::RunState, house.check_in(&job));
    house.report(&run, aborted(0)).unwrap();
    let first = run.key.jwk().clone();
    house.refuses(Code::RunKeyMismatch, spoilt(&|_, key| *key = first.clone()));
    house.run_of(job);
    let job = house.ordered(&contract);
    house.revoke(&contract);
    house.refuses(Code::ContractRevoked, house.check_in(&job));
    let (contract, _) = house.executed();
    let job = house.ordered(&contract);
    house.skip(86_400);
    house.refuses(Code::JobExpired, house.check_in(&job));
    let house = House::furnished();
    let (contract, _) = house.executed();
    let job = house.ordered(&contract);
    house.decide(&house.tdps[1], Decision::Suspended).unwrap();
    house.refuses(Code::ContractSuspended, house.check_in(&job));
}

#[test]
fn a_room_weaker_than_a_dataset_asks_for_does_not_check_in() {
    let house = House::furnished();
    let mut offer = house.offer(0).read_unverified().unwrap();
    offer.version = 2;
    offer.key.min_assurance = Assurance::Hardware;
    let offer = house.sign(&offer, &house.tdps[0]);
    house.enter(Body::DatasetRegistered { offer: offer.clone() }).unwrap();
    let mut draft = papers::contract([offer, house.offer(1)], &house.tdc.did().unwrap(), &house.ccrp.did().unwrap());
    draft.compute.evidence.push(schemas::evidence::EvidenceKind::Snp);
    let contract = house.propose(&draft).unwrap();
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.enter(house.signature(&contract, who)).unwrap();
    }
    let mut job = house.job(&reference(&contract));
    job.datasets[0].version = 2;
    let job = house.sign(&job, &house.tdc);
    house.enter(Body::RunOrdered { job: job.clone() }).unwrap();
    house.refuses(Code::AssuranceTooLow, house.check_in(&job));
}

#[test]
fn key_service_receipts() {
    let mut house = House::furnished();
    let run = house.running();
    let stated = |receipt| Body::KmsStated { receipt };
    let statement = reserved(&house);
    let good = house.receipt(0, &run, statement);
    let signed = |house: &House, receipt: &schemas::release::KmsReceipt| stated(house.sign(receipt, &house.kms[0]));
    let spoils: [fn(&mut schemas::release::KmsReceipt); 9] = [
        |r| r.job_sha256 = Digest([0; 32]),
        |r| r.run_jwk_thumbprint.push('x'),
        |r| r.enc_jwk_thumbprint.push('x'),
        |r| r.kms = papers::kms_url(1),
        |r| r.datasets.clear(),
        |r| r.datasets[0].manifest_root = Digest([0; 32]),
        |r| r.prev = Digest([1; 32]),
        |r| r.seq = 2,
        |r| r.seq = 0,
    ];
    for spoil in spoils {
        let mut receipt = good.clone();
        spoil(&mut receipt);
        house.refuses(Code::ReceiptMismatch, signed(&house, &receipt));
    }
    let mut nowhere = good.clone();
    nowhere.run_id = RunId::new(uuid());
    house.refuses(Code::RunUnknown, signed(&house, &nowhere));
    house.refuses(Code::SignerUnknown, stated(house.sign(&good, &house.tdps[0])));
    house.refuses(Code::ReceiptMismatch, stated(house.sign(&good, &house.kms[1])));
    let envelope = house.state_receipt(0, &good);
    house.enter(stated(envelope.clone())).unwrap();
    house.refuses(Code::RequestReplayed, stated(envelope));
    let mut fork = good.clone();
    fork.evidence_sha256 = Digest([0; 32]);
    house.refuses(Code::ReceiptMismatch, signed(&house, &fork));
    let mut unchained = house.receipt(0, &run, released());
    unchained.prev = Digest([1; 32]);
    house.refuses(Code::ReceiptMismatch, signed(&house, &unchained));
    // Sequence 3 may come before 2; then 2 must fit between 1 and 3.
    let second = house.says(0, &run, released());
    let third = house.says(0, &run, released());
    house.enter(stated(third)).unwrap();
    let mut other = second.read_unverified().unwrap();
    other.evidence_sha256 = Digest([0; 32]);
    house.refuses(Code::ReceiptMismatch, signed(&house, &other));
    house.enter(stated(second)).unwrap();
    let refund = house.says(0, &run, KmsStatement::Refunded { aborted_sha256: Digest([0; 32]) });
    house.refuses(Code::RefundRefused, stated(refund));
}

#[test]
fn a_refund_needs_the_logged_abort_before_the_first_step() {
    let mut house = House::furnished();
    for (steps, refused) in [(0, false), (3, true)] {
        let run = house.running();
        let event = house.event(&run, aborted(steps));
        house.enter(Body::RunReported { event: event.clone() }).unwrap();
        let before = house.journals;
        let receipt = house.says(0, &run, KmsStatement::Refunded { aborted_sha256: event.digest() });
        if refused {
            house.refuses(Code::RefundRefused, Body::KmsStated { receipt });
            house.journals = before;
        } else {
            house.enter(Body::KmsStated { receipt }).unwrap();
        }
    }
}

#[test]
fn reports_and_aborts() {
    let house = House::furnished();
    let (run, other) = (house.running(), house.running());
    let reported = |event| Body::RunReported { event };
    house.refuses(Code::RunState, reported(house.event(&run, RunEventKind::Training {})));
    let mut event = house.event(&run, RunEventKind::KeysReleased {}).read_unverified().unwrap();
    house.refuses(Code::SignerNotParty, reported(house.sign(&event, &other.key)));
    event.job_sha256 = Digest([0; 32]);
    house.refuses(Code::JobMismatch, reported(house.sign(&event, &run.key)));
    event.run_id = RunId::new(uuid());
    house.refuses(Code::RunUnknown, reported(house.sign(&event, &run.key)));
    let stopped = |abort| Body::RunAborted { abort };
    let abort = house.abort(&run);
    house.refuses(Code::SignerNotParty, stopped(house.sign(&abort, &house.ccrp)));
    house.refuses(Code::TwoPeopleNeeded, stopped(house.sign(&abort, &house.sro[0])));
    house.enter(stopped(house.sign(&abort, &house.tdc))).unwrap();
    house.refuses(Code::RunState, stopped(house.sign(&abort, &house.tdps[0])));
    house.refuses(Code::RunState, reported(house.event(&run, aborted(1))));
    house.refuses(Code::RunState, reported(house.event(&run, RunEventKind::KeysReleased {})));
    house.enter(stopped(house.by_sro(&house.abort(&other)))).unwrap();
}

#[test]
fn completions() {
    let mut house = House::furnished();
    let run = house.running();
    let good = house.completion(&run);
    let completed = |house: &House, c: &schemas::event::Completion, obligations| Body::RunCompleted {
        completion: house.sign(c, &run.key),
        obligations,
    };
    let mut c = good.clone();
    c.commit_receipts.pop();
    house.refuses(Code::CompletionReceipts, completed(&house, &c, vec![]));
    let mut c = good.clone();
    c.release_receipts.clear();
    house.refuses(Code::CompletionReceipts, completed(&house, &c, vec![]));
    let mut c = good.clone();
    c.steps += 1;
    house.refuses(Code::CompletionMismatch, completed(&house, &c, vec![]));
    let due = house.registry.state().complete_obligations(&good).unwrap();
    let mut owed = due.clone();
    owed[0].amount_minor = Minor::new(1).unwrap();
    house.refuses(Code::CompletionMismatch, completed(&house, &good, owed));
    house.refuses(Code::CompletionMismatch, completed(&house, &good, due[..1].to_vec()));
    let mut signed = house.sign(&good, &run.key);
    signed.signatures[0].sig.0[1] ^= 1;
    house.refuses(Code::SignatureInvalid, Body::RunCompleted { completion: signed, obligations: vec![] });
    // A receipt that differs from the one that this KMS stated before under the same sequence.
    let mut forked = good.commit_receipts[0].read_unverified().unwrap();
    forked.evidence_sha256 = Digest([0; 32]);
    let (first, other) = (good.release_receipts[0].clone(), house.sign(&forked, &house.kms[0]));
    house.enter(Body::KmsStated { receipt: first }).unwrap();
    house.enter(Body::KmsStated { receipt: other }).unwrap();
    house.refuses(Code::CompletionReceipts, completed(&house, &good, vec![]));

    let mut house = House::furnished();
    let run = house.running();
    let good = house.completion(&run);
    house.complete(&run, &good).unwrap();
    let mut altered = good.clone();
    altered.output.url = "file:///elsewhere".into();
    for c in [&good, &altered] {
        let completion = house.sign(c, &run.key);
        house.refuses(Code::CompletionExists, Body::RunCompleted { completion, obligations: vec![] });
    }
    house.enter(Body::ModelHandedOver { run_id: run.run_id.clone() }).unwrap();
    house.refuses(Code::RunState, Body::ModelHandedOver { run_id: run.run_id.clone() });
    house.refuses(Code::RunUnknown, Body::ModelHandedOver { run_id: RunId::new(uuid()) });
}

#[test]
fn a_run_does_not_complete_after_its_contract_or_itself_has_ended() {
    let mut house = House::furnished();
    let run = house.running();
    let completion = house.completion(&run);
    house.revoke(&contract_of(&run));
    assert_eq!(house.complete(&run, &completion).unwrap_err().code, Code::ContractRevoked);
    let run = house.running();
    let completion = house.completion(&run);
    house.report(&run, aborted(5)).unwrap();
    assert_eq!(house.complete(&run, &completion).unwrap_err().code, Code::RunState);
    let run = house.running();
    let completion = house.completion(&run);
    house.skip(31 * 86_400);
    assert_eq!(house.complete(&run, &completion).unwrap_err().code, Code::ContractExpired);
}

#[test]
fn payment_answers() {
    let mut house = House::furnished();
    let run = house.running();
    let completion = house.completion(&run);
    house.complete(&run, &completion).unwrap();
    let owed = house.registry.state().payments().next().unwrap().obligation.clone();
    let good = house.callback(&owed, PaymentResult::Settled);
    let answered = |callback: &schemas::event::PaymentCallback, who: &FileKey| Body::PaymentAnswered {
        callback: house.sign(callback, who),
    };
    house.refuses(Code::ParticipantNotVerified, answered(&good, &house.tdc));
    let failed = house.callback(&owed, PaymentResult::Failed);
    let mut c = failed.clone();
    c.instruction_id = "B".repeat(32);
    house.refuses(Code::PaymentUnknown, answered(&c, &house.psp));
    let mut c = failed.clone();
    c.amount_minor = Minor::new(1).unwrap();
    house.refuses(Code::PaymentState, answered(&c, &house.psp));
    let mut c = failed.clone();
    c.currency = schemas::money::Currency::parse("EUR").unwrap();
    house.refuses(Code::PaymentState, answered(&c, &house.psp));
    house.enter(answered(&failed, &house.psp)).unwrap();
    house.refuses(Code::PaymentState, answered(&failed, &house.psp));
    house.refuses(Code::PaymentState, answered(&house.callback(&owed, PaymentResult::Failed), &house.psp));
    house.enter(answered(&good, &house.psp)).unwrap();
    house.refuses(Code::PaymentState, answered(&good, &house.psp));
    house.refuses(Code::PaymentState, answered(&house.callback(&owed, PaymentResult::Failed), &house.psp));
}
