//! From registration to a settled payment, every receipt verified offline.

use schemas::bundle::LoggedDocument;
use schemas::contract::ContractState;
use schemas::event::{Body, PaymentResult, RunEventKind};
use schemas::log::{Receipt, check_consistency};
use schemas::party::{Decision, Kind};
use schemas::{Code, Document, Envelope};
use signing::verify_receipt;

use crate::house::{House, reference};
use crate::papers;

/// Verifies a receipt with nothing but the pinned trust.
fn holds(house: &House, receipt: &Receipt, body: &Body) {
    let trust = house.trust();
    verify_receipt(receipt, body, &trust.origin, &trust.registry_jwk).unwrap();
}

fn entered<T: Document + LoggedDocument>(house: &House, receipt: &Receipt, envelope: &Envelope<T>) {
    holds(house, receipt, &T::body(envelope.clone()));
}

#[test]
fn from_registration_to_an_active_contract() {
    let house = House::empty();
    assert_eq!(&house.client.trust().unwrap(), house.trust());
    let tdp = &house.tdps[0];
    let application = house.sign(&papers::participant(&house, tdp, Kind::Tdp), tdp);
    let receipt = house.client.apply(&application).unwrap();
    holds(&house, &receipt, &Body::ParticipantApplied { application: application.clone(), resolution: None });
    assert_eq!(house.client.participant(&tdp.did().unwrap()).unwrap().state, "applied");

    // Two people, one after the other, over the same bytes.
    let decision = house.sign(&house.decision(tdp, Kind::Tdp, Decision::Verified), &house.sro[0]);
    let first = house.client.decide(&decision).unwrap();
    assert_eq!((first.signatures, first.receipt), (1, None));
    let again = house.client.decide(&decision).unwrap();
    assert_eq!(again.signatures, 1, "the same person counts once");
    let mut second = decision.clone();
    second.signatures = vec![signing::countersign(&decision, &*house.sro[1], house.now()).unwrap()];
    assert!(house.client.decide(&second).unwrap().receipt.is_some());
    let view = house.client.participant(&tdp.did().unwrap()).unwrap();
    let logged = view.decision.unwrap();
    assert_eq!((view.state.as_str(), logged.envelope.signatures.len()), ("verified", 2));
    entered(&house, &logged.receipt, &logged.envelope);

    for (who, kind) in [(&house.tdps[1], Kind::Tdp), (&house.tdc, Kind::Tdc), (&house.ccrp, Kind::Ccrp)] {
        house.admit(who, kind);
    }
    house.client.approve_image_set(&house.by_sro(&papers::image_set(&house))).unwrap();
    let set = house.client.image_set(&papers::image_set_id()).unwrap();
    entered(&house, &set.receipt, &set.envelope);
    for n in 0..2 {
        let offer = house.sign(&papers::offer(&house, n), &house.tdps[n]);
        let receipt = house.client.register_dataset(&offer).unwrap();
        entered(&house, &receipt, &offer);
    }
    let list = house.client.datasets(None).unwrap();
    assert_eq!((list.datasets.len(), list.next), (2, None));

    let contract = house.propose(&papers::contract(&house)).unwrap();
    let id = reference(&contract).id;
    let signed = house.countersign(&contract, &house.tdps[0]).unwrap();
    assert_eq!((signed.state, signed.executed), (ContractState::PartiallySigned, None));
    house.countersign(&contract, &house.ccrp).unwrap();
    let last = house.countersign(&contract, &house.tdps[1]).unwrap();
    assert_eq!(last.state, ContractState::Active);
    let view = house.as_(&house.tdps[1]).contract(&id).unwrap();
    assert_eq!((view.state, view.contract.signatures.len()), (ContractState::Active, 4));
    entered(&house, &last.executed.unwrap(), &view.contract);

    // The bundle alone, under pinned trust, is enough to verify all of it.
    let job = papers::job(&house, &reference(&contract));
    signing::open_bundle(house.bundle_of(&job), house.trust()).unwrap();
}

#[test]
fn from_an_order_to_a_settled_payment() {
    let mut house = House::furnished();
    let (tdc, ccrp) = (house.as_(&house.tdc), house.as_(&house.ccrp));
    let bundle = house.bundle(&house.executed());
    let ordered = tdc.order_run(&bundle).unwrap();
    holds(&house, &ordered.receipt, &Body::RunOrdered { job: bundle.job.clone() });
    assert_eq!(tdc.order(&ordered.job_sha256).unwrap().state, "requested");
    let leased = ccrp.lease_order(0).unwrap().unwrap();
    assert_eq!((leased.job_sha256, &leased.bundle), (ordered.job_sha256, &bundle));
    assert_eq!(ccrp.lease_order(0).unwrap(), None, "leased once");
    assert_eq!(tdc.order(&ordered.job_sha256).unwrap().state, "leased");
    let arrival = house.arrive(&bundle);
    let mut words = house.check_in_words(&arrival, &bundle);
    words.lease_token = Some(leased.lease_token);
    let admission = house.client.check_in(&words).unwrap();
    let run = house.run_of(arrival, &bundle, admission);
    let admission = signing::verify(run.admission.clone(), &house.registry(), house.trust()).unwrap();
    assert_eq!((admission.kms_heads.len(), admission.kms_heads[0].seq), (2, 0));
    assert_eq!(tdc.order(&ordered.job_sha256).unwrap().run_id, Some(run.run_id.clone()));

    house.client.report(&run.run_id, &house.event(&run, RunEventKind::KeysReleased {})).unwrap();
    house.client.report(&run.run_id, &house.event(&run, RunEventKind::Training {})).unwrap();
    assert_eq!(tdc.content_key(&run.run_id).unwrap_err().code, Code::KeyWithheld);
    let completion = house.completion(&run);
    let stated = house.client.kms_receipts(&run.run_id, &completion.commit_receipts).unwrap();
    assert_eq!(house.client.kms_receipts(&run.run_id, &completion.commit_receipts).unwrap().len(), stated.len());
    let refreshed =
        house.client.refresh_admission(&run.run_id, &house.sign(&house.refresh_words(&run), &run.key)).unwrap();
    assert_eq!(refreshed.read_unverified().unwrap().kms_heads[0].seq, house.journals[0].0);

    let envelope = house.sign(&completion, &run.key);
    let done = house.client.complete(&run.run_id, &envelope).unwrap();
    let body = Body::RunCompleted { completion: envelope.clone(), obligations: done.obligations.clone() };
    holds(&house, &done.receipt, &body);
    let owed: Vec<i64> = done.obligations.iter().map(|o| o.amount_minor.get()).collect();
    assert_eq!(owed, [500_000, 500_001]);
    let twice = house.client.complete(&run.run_id, &envelope).unwrap();
    assert_eq!((twice.receipt.index, &twice.obligations), (done.receipt.index, &done.obligations));
    let key = tdc.content_key(&run.run_id).unwrap();
    assert_eq!((key.content_key_jwe.as_str(), key.output.sha256), ("a.b.c.d.e", completion.output.sha256));
    let size = house.client.checkpoint().unwrap();
    tdc.content_key(&run.run_id).unwrap();
    assert_eq!(house.client.checkpoint().unwrap(), size, "handed over once");

    // How far a payment is stands beside what is owed; it moves nothing, and the same word again is the same.
    let first = &done.obligations[0];
    let shown = |house: &House| {
        let all = house.as_(&house.tdps[0]).payments(None).unwrap().payments;
        let one = all.into_iter().find(|p| p.instruction_id == first.instruction_id).unwrap();
        (one.state, one.standing.unwrap())
    };
    assert_eq!(shown(&house), ("instructed".to_owned(), "created".to_owned()));
    for result in [PaymentResult::Submitted, PaymentResult::Accepted, PaymentResult::Accepted] {
        assert_eq!(house.client.payment_callback(&house.callback(first, result)).unwrap().state, "instructed");
    }
    assert_eq!(shown(&house), ("instructed".to_owned(), "accepted".to_owned()));
    let back = house.client.payment_callback(&house.callback(first, PaymentResult::Failed)).map(|answer| answer.state);
    assert_eq!(back.unwrap(), "due");
    assert_eq!(shown(&house), ("due".to_owned(), "failed".to_owned()));

    for obligation in &done.obligations {
        let callback = house.callback(obligation, PaymentResult::Settled);
        assert_eq!(house.client.payment_callback(&callback).unwrap().state, "settled");
        assert_eq!(house.client.payment_callback(&callback).unwrap().state, "settled");
    }
    let view = tdc.run(&run.run_id).unwrap();
    assert_eq!((view.state.as_str(), view.obligations.len()), ("delivered", 2));
    let payments = house.as_(&house.tdps[0]).payments(None).unwrap().payments;
    assert!(payments.len() == 2 && payments.iter().all(|p| p.state == "settled"));
    let head = || schemas::log::Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().head.size;
    let before = head();
    assert_eq!(house.as_(&house.sro[0]).payments(None).unwrap().payments.len(), 2);
    assert!(head() > before, "that an overseer read the payments was not entered");
}

#[test]
fn the_log_can_be_followed_from_outside() {
    let house = House::furnished();
    let (origin, jwk) = (&house.trust().origin, &house.trust().registry_jwk);
    let old = signing::note::verify_checkpoint(&house.client.checkpoint().unwrap(), origin, jwk).unwrap().head;
    house.executed();
    let new = signing::note::verify_checkpoint(&house.client.checkpoint().unwrap(), origin, jwk).unwrap().head;
    let proof = house.client.consistency(old.size, new.size).unwrap();
    check_consistency(&old, &new, &proof).unwrap();
    let tile = house.client.tile(&format!("0/000.p/{}", new.size)).unwrap();
    assert_eq!(tile.len() as u64, new.size * 32);
    assert_eq!(house.client.tile("0/000").unwrap_err().code, Code::NotFound);

    let export = house.as_(&house.sro[1]).export(0, 200).unwrap();
    // The export holds the entry of its own reading, and the second tree's root after it.
    assert_eq!((export.size, export.entries.len() as u64), (new.size + 2, new.size + 2));
    let mut replay = policies::lifecycle::Replay::new();
    for entry in &export.entries {
        let state = &replay.state;
        let verified =
            signing::verify_body(entry.body.clone(), &house.registry(), state, &|d| state.proposed_payload(d)).unwrap();
        replay.enter(entry, &verified).unwrap();
        if entry.index + 1 == new.size {
            assert_eq!(replay.frontier.root(), new.root);
        }
    }
    let head = signing::note::verify_checkpoint(&export.checkpoint, origin, jwk).unwrap().head;
    assert_eq!((replay.frontier.size(), replay.frontier.root()), (head.size, head.root));
}
