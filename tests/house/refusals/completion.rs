//! Completions: what does not prove the run is refused, the same twice pays once, and the content key waits for both.

use std::time::Duration;

use schemas::certificate::{CertifiedDataset, ModelCertificate};
use schemas::contract::Assurance;
use schemas::event::{CompletedOutput, Completion, PaymentCallback, PaymentResult, RunEventKind};
use schemas::pipeline::Stage;
use schemas::release::KmsReceipt;
use schemas::{Code, Digest, Document, Envelope};
use signing::FileKey;

use super::probe::Probe;
use super::scene::{Deal, Scene, refuses};

/// A run that has done everything but to complete: keys released, an output sealed, committed and uploaded.
struct Done<'s> {
    probe: Probe<'s>,
    completion: Completion,
}

impl<'s> Done<'s> {
    fn with(scene: &'s Scene, deal: &Deal) -> Done<'s> {
        let probe = Probe::admitted(scene, &deal.bundle).unwrap();
        let reserved = probe.reserve_all();
        let released = probe.release_all(&reserved);
        probe.reports(RunEventKind::KeysReleased {}).unwrap();
        probe.reports(RunEventKind::Training {}).unwrap();
        let model = b"a model of nothing";
        let (sealed, key) = sealing::seal_model(model, &probe.run_id).unwrap();
        let sha256 = Digest::of(&sealed.bytes);
        let committed: Vec<_> = probe.services().iter().map(|kms| probe.commit(kms, sha256).unwrap()).collect();
        let file = deal.upload.join(format!("{}.sealed", probe.run_id));
        std::fs::write(&file, &sealed.bytes).unwrap();
        let recipient = probe.job.stages.iter().find_map(|s| match s {
            Stage::Output(output) => Some(output.recipient_jwk.clone()),
            _ => None,
        });
        let bound = sealing::wrap::content_key_context(&probe.run_id);
        let completion = Completion {
            schema: Completion::SCHEMA.into(),
            registry: scene.house.trust.registry.clone(),
            run_id: probe.run_id.clone(),
            job_sha256: probe.bundle.job.digest(),
            contracts: probe.job.contracts.clone(),
            image_set_id: probe.job.image_set_id.clone(),
            steps: certificate(&probe, model).steps(),
            output: CompletedOutput {
                kind: "model".into(),
                sha256,
                bytes: sealed.bytes.len() as u64,
                url: format!("file://{}", file.display()),
            },
            certificate: certificate(&probe, model).signed(&probe),
            content_key_jwe: signing::jose::wrap_key(key.expose(), &recipient.unwrap(), &bound).unwrap(),
            release_receipts: released,
            commit_receipts: committed,
            at: scene.clock.now(),
        };
        Done { probe, completion }
    }

    fn signed_by(&self, completion: &Completion, key: &FileKey) -> Envelope<Completion> {
        signing::sign(completion, key, self.probe.scene.clock.now()).unwrap()
    }

    /// The completion after a change, signed by the run key.
    fn changed(&self, change: impl FnOnce(&mut Completion)) -> Envelope<Completion> {
        let mut completion = self.completion.clone();
        change(&mut completion);
        self.signed_by(&completion, &self.probe.run_key)
    }
}

struct Certificate(ModelCertificate);

fn certificate(probe: &Probe, model: &[u8]) -> Certificate {
    let scene = probe.scene;
    let plan = depa::job::estimate(&probe.bundle, None, &scene.house.trust, scene.clock.now()).unwrap().plan;
    let root = |id| scene.house.offers().iter().find(|o| &o.sealed.dataset_id == id).unwrap().sealed.manifest_root;
    let datasets = plan.charges.iter().map(|charge| CertifiedDataset {
        dataset_id: charge.dataset_id.clone(),
        version: charge.version,
        manifest_root: root(&charge.dataset_id),
        charge: charge.clone(),
        epsilon_pld_micro: None,
    });
    let metrics = schemas::worker::NoisedMetrics {
        true_positives: 1,
        false_positives: 1,
        true_negatives: 1,
        false_negatives: 1,
        accuracy_ppm: 500_000,
        curve: None,
        loss: None,
    };
    Certificate(ModelCertificate {
        schema: ModelCertificate::SCHEMA.into(),
        registry: scene.house.trust.registry.clone(),
        run_id: probe.run_id.clone(),
        job_sha256: probe.bundle.job.digest(),
        contracts: probe.job.contracts.clone(),
        image_set_id: probe.job.image_set_id.clone(),
        members: Vec::new(),
        member_rooms: Vec::new(),
        assurance: Assurance::Software,
        datasets: datasets.collect(),
        plan: plan.clone(),
        model_sha256: Digest::of(model),
        model_bytes: model.len() as u64,
        output_kind: None,
        metrics: Some(metrics),
        noise: None,
        issued_at: scene.clock.now(),
    })
}

impl Certificate {
    fn steps(&self) -> u32 {
        self.0.plan.steps
    }
    fn signed(&self, probe: &Probe) -> Envelope<ModelCertificate> {
        signing::sign(&self.0, &probe.run_key, probe.scene.clock.now()).unwrap()
    }
}

#[test]
fn a_run_completes_once_pays_once_and_hands_over_to_its_consumer_alone() {
    let scene = Scene::new();
    let deal = scene.deal();
    let done = Done::with(&scene, &deal);
    let (run, desk) = (&done.probe.run_id, scene.desk());
    let other = Done::with(&scene, &scene.deal());
    let foreign: Vec<Envelope<KmsReceipt>> = other.completion.release_receipts.clone();

    // What does not prove the run.
    let wrong = Digest::of(b"another model");
    let cases: Vec<(&str, Code, Envelope<Completion>)> = vec![
        ("a release receipt missing", Code::CompletionReceipts, done.changed(|c| drop(c.release_receipts.pop()))),
        ("a commit receipt missing", Code::CompletionReceipts, done.changed(|c| drop(c.commit_receipts.pop()))),
        (
            "a receipt twice",
            Code::CompletionReceipts,
            done.changed(|c| {
                let first = c.release_receipts[0].clone();
                c.release_receipts.push(first);
            }),
        ),
        (
            "one receipt in another's place",
            Code::CompletionReceipts,
            done.changed(|c| {
                c.commit_receipts[1] = c.commit_receipts[0].clone();
            }),
        ),
        (
            "another run's receipt",
            Code::CompletionReceipts,
            done.changed(|c| c.release_receipts[0] = foreign[0].clone()),
        ),
        (
            "releases for commits",
            Code::CompletionReceipts,
            done.changed(|c| {
                c.commit_receipts = c.release_receipts.clone();
            }),
        ),
        (
            "a forged receipt",
            Code::SignatureInvalid,
            done.changed(|c| c.release_receipts[0].signatures[0].sig.0[9] ^= 1),
        ),
        ("another output", Code::CompletionReceipts, done.changed(|c| c.output.sha256 = wrong)),
        ("other steps", Code::CompletionMismatch, done.changed(|c| c.steps -= 1)),
        ("another job", Code::CompletionMismatch, done.changed(|c| c.job_sha256 = wrong)),
        (
            "another run's certificate",
            Code::SignerNotParty,
            done.changed(|c| {
                c.certificate = other.completion.certificate.clone();
            }),
        ),
        (
            "by another key",
            Code::SignerUnknown,
            done.signed_by(&done.completion, &FileKey::from_seed(run.as_str(), &[5; 32])),
        ),
        ("by another run", Code::SignerNotParty, done.signed_by(&done.completion, &other.probe.run_key)),
    ];
    for (what, code, completion) in cases {
        println!("{what}: {code}");
        refuses(code, desk.complete(run, &completion));
        scene.key_is_withheld(run);
        scene.nobody_pays(&deal.contract);
    }
    let mut spoilt = done.changed(|_| {});
    spoilt.signatures[0].sig.0[1] ^= 1;
    refuses(Code::SignatureInvalid, desk.complete(run, &spoilt));
    // A second output at a key service.
    refuses(Code::CommitConflict, done.probe.commit(&done.probe.services()[0], wrong));
    scene.nobody_pays(&deal.contract);

    // The honest one, again and again; then another that is just as well signed.
    let good = done.changed(|_| {});
    let answer = desk.complete(run, &good).unwrap();
    assert_eq!(answer.obligations.len(), 4);
    for _ in 0..3 {
        same_entry(&desk.complete(run, &good).unwrap(), &answer);
    }
    let mut later = done.completion.clone();
    later.at = later.at.plus_seconds(1);
    refuses(Code::CompletionExists, desk.complete(run, &done.signed_by(&later, &done.probe.run_key)));
    let settled = scene.house.wait_until_settled(&deal.contract.id, Duration::from_secs(60)).unwrap();
    let owed: i64 = settled.iter().map(|p| p.amount_minor.get()).sum();
    assert_eq!((settled.len(), owed), (4, 1_400_000));
    same_entry(&desk.complete(run, &good).unwrap(), &answer);
    once_each(&scene, &deal);

    // The key is for its consumer alone.
    let house = &scene.house;
    let as_ = |person: &demo::actors::Person| person.desk().unwrap().content_key(run);
    refuses(Code::Forbidden, as_(&house.tdps[0].person));
    refuses(Code::Forbidden, as_(&house.ccrp.person));
    refuses(Code::RunUnknown, as_(&house.psp.person));
    refuses(
        Code::Unauthenticated,
        super::wire::get::<schemas::desk::ContentKey>(&format!("{}/v1/runs/{run}/content-key", house.url), None),
    );
    refuses(
        Code::Unauthenticated,
        super::wire::get::<schemas::desk::ContentKey>(
            &format!("{}/v1/runs/{run}/content-key", house.url),
            Some("not.a.token"),
        ),
    );
    let model = house.tdc.downloads(run, &deal.bundle).unwrap();
    assert_eq!(std::fs::read(model.path).unwrap(), b"a model of nothing");
    // The other run has not completed: nothing of all this was its.
    scene.key_is_withheld(&other.probe.run_id);
}

/// The same entry and the same obligations; the receipt may be under a newer checkpoint of the log.
fn same_entry(answer: &schemas::desk::CompletionAnswer, first: &schemas::desk::CompletionAnswer) {
    assert_eq!((answer.receipt.index, &answer.receipt.record), (first.receipt.index, &first.receipt.record));
    assert_eq!(answer.obligations, first.obligations);
}

/// Each instruction reached the payment system once, at the first attempt, and is settled once.
fn once_each(scene: &Scene, deal: &Deal) {
    let house = &scene.house;
    let journal = std::fs::read_to_string(house.psp.journal()).unwrap();
    let (desk, psp) = (house.tdc.person.desk().unwrap(), &house.psp.person);
    let payments = depa::payment::list(desk, Some(&deal.contract.id)).unwrap();
    for payment in &payments {
        let told = journal.lines().filter(|l| l.contains("\"received_at\"") && l.contains(&payment.instruction_id));
        assert_eq!(told.count(), 1, "{}", payment.instruction_id);
    }
    assert_eq!(scene.told(&deal.contract), 4);
    let deliveries = psp.desk().unwrap().deliveries().unwrap().deliveries;
    let first = deliveries.iter().filter(|d| d.state == "delivered" && d.attempts == 1).count();
    assert_eq!((deliveries.len(), first), (4, 4), "{deliveries:?}");

    let answer = |change: &dyn Fn(&mut PaymentCallback), by: &demo::actors::Person| {
        let mut callback = PaymentCallback {
            schema: "payment-callback.v1".into(),
            registry: house.trust.registry.clone(),
            instruction_id: payments[0].instruction_id.clone(),
            result: PaymentResult::Settled,
            reference: "UTR1".into(),
            amount_minor: payments[0].amount_minor,
            currency: payments[0].currency,
            at: scene.clock.now(),
        };
        change(&mut callback);
        scene.desk().payment_callback(&signing::sign(&callback, &*by.key, by.now()).unwrap())
    };
    refuses(Code::PaymentState, answer(&|c| c.result = PaymentResult::Failed, psp));
    let unknown = |c: &mut PaymentCallback| c.instruction_id = "A".repeat(32);
    let failed = |c: &mut PaymentCallback| {
        unknown(c);
        c.result = PaymentResult::Failed;
    };
    refuses(Code::PaymentUnknown, answer(&failed, psp));
    // Money that moved a second time, or for nothing, is a fact: it lies in suspense, under a dispute.
    assert_eq!(answer(&|_| {}, psp).unwrap().state, "suspense");
    assert_eq!(
        answer(
            &|c| {
                unknown(c);
                c.reference = "UTR2".into()
            },
            psp
        )
        .unwrap()
        .state,
        "suspense"
    );
    let disputes = depa::payment::dispute::list(psp.desk().unwrap(), None).unwrap();
    assert_eq!(disputes.iter().filter(|d| d.suspense && d.state == "open").count(), 2);
    refuses(Code::ParticipantNotVerified, answer(&|_| {}, &house.tdc.person));
    assert_eq!(scene.payments(&deal.contract), ["settled"; 4]);
}

#[test]
fn a_run_that_has_ended_completes_no_more() {
    let scene = Scene::new();
    let deal = scene.deal();
    let done = Done::with(&scene, &deal);
    done.probe.reports(RunEventKind::Aborted { steps_run: 7, code: "TIMEOUT".into() }).unwrap();
    refuses(Code::RunState, scene.desk().complete(&done.probe.run_id, &done.changed(|_| {})));
    refuses(Code::RunState, done.probe.refresh());
    // Steps were run and an output is fixed: nothing comes back.
    let (aborted, receipt) = {
        let event = schemas::event::RunEvent {
            schema: "run-event.v1".into(),
            registry: scene.house.trust.registry.clone(),
            run_id: done.probe.run_id.clone(),
            job_sha256: deal.bundle.job.digest(),
            event: RunEventKind::Aborted { steps_run: 0, code: "TIMEOUT".into() },
            at: scene.clock.now(),
        };
        let later = signing::sign(&event, &done.probe.run_key, scene.clock.now()).unwrap();
        refuses(Code::RunState, scene.desk().report(&done.probe.run_id, &later));
        (later, deal.bundle.contracts[0].receipt.clone())
    };
    let refund = schemas::release::RefundRequest { aborted, receipt, log_keys: None };
    let path = format!("/v1/runs/{}/refund", done.probe.run_id);
    let sent = super::probe::client(&done.probe.services()[0]).post_once::<_, Envelope<KmsReceipt>>(&path, &refund);
    refuses(Code::ReceiptMismatch, sent);
    assert_eq!(scene.states(&deal.contract), [["committed"]; 3]);
    scene.key_is_withheld(&done.probe.run_id);
    scene.nobody_pays(&deal.contract);
}
