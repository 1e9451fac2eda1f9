//! What is refused at order, check-in, refresh and completion.

use attestation::Attester as _;
use contract_client::Acted;
use schemas::desk::CheckIn;
use schemas::event::{Abort, PaymentResult, RunEventKind};
use schemas::pipeline::Stage;
use schemas::release::{Attested, ChallengeRequest, KmsStatement, RunAct};
use schemas::text::{Bytes, Real};
use schemas::{Code, Digest, Envelope, R, Signer};

use crate::house::{House, platform};
use crate::papers;
use crate::room::released;

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

#[test]
fn orders_that_may_not_run() {
    let house = House::furnished();
    let contract = house.executed();
    let order = |change: fn(&mut schemas::job::JobSpec)| {
        let mut job = papers::job(&house, &contract);
        change(&mut job);
        house.client.order_run(&house.bundle_of(&job))
    };
    assert_eq!(code(order(|job| job.expires_at = job.expires_at.plus_seconds(-86_400))), Code::JobExpired);
    assert_eq!(code(order(|job| job.purpose = "RESEARCH".into())), Code::PurposeNotAllowed);
    let epsilon = |job: &mut schemas::job::JobSpec| {
        let Stage::Train(train) = &mut job.stages[1] else { panic!("no training") };
        train.epsilon = Some(Real::parse("2.0").unwrap());
    };
    assert_eq!(code(order(epsilon)), Code::EpsilonExceedsContract);
    let open = |job: &mut schemas::job::JobSpec| {
        let Stage::Train(train) = &mut job.stages[1] else { panic!("no training") };
        train.private = false;
    };
    assert_eq!(code(order(open)), Code::PipelineNotPrivate);
    let bundle = house.bundle(&contract);
    let mut forged = bundle.clone();
    forged.job.signatures[0].sig = Bytes(vec![7; 64]);
    assert_eq!(code(house.client.order_run(&forged)), Code::SignatureInvalid);
    let mut unlogged = bundle.clone();
    unlogged.contracts[0].receipt.path.clear();
    assert_eq!(code(house.client.order_run(&unlogged)), Code::InclusionInvalid);
    house.client.order_run(&bundle).unwrap();
    assert_eq!(code(house.client.order_run(&bundle)), Code::StateTransition);
}

/// The pause gives the agent time to ask; where it comes too late, it finds the order at once.
#[test]
fn an_agent_that_prefers_to_wait_is_told_of_an_order_that_comes() {
    let house = House::furnished();
    let bundle = house.bundle(&house.executed());
    let token = crate::http::bearer(&house, &house.ccrp);
    let ask = crate::http::post(&house, "/v1/run-orders/lease", br#"{"wait_seconds":0}"#);
    let ask = ask.bearer_auth(token).header("prefer", "wait=20");
    let agent = std::thread::spawn(move || ask.send().unwrap().status().as_u16());
    std::thread::sleep(std::time::Duration::from_millis(500));
    house.client.order_run(&bundle).unwrap();
    assert_eq!(agent.join().unwrap(), 200);
}

#[test]
fn challenges_are_for_ordered_jobs() {
    let house = House::furnished();
    let bundle = house.bundle(&house.executed());
    let job = bundle.job.read_unverified().unwrap();
    let request = ChallengeRequest { run_id: None, job_sha256: bundle.job.digest(), contracts: job.contracts.clone() };
    assert_eq!(code(house.client.run_challenge(&request)), Code::JobMismatch);
    house.client.order_run(&bundle).unwrap();
    let mut other = request.clone();
    other.contracts.clear();
    assert_eq!(code(house.client.run_challenge(&other)), Code::JobMismatch);
    for _ in 0..200 {
        house.client.run_challenge(&request).unwrap();
    }
    assert_eq!(code(house.client.run_challenge(&request)), Code::RateLimited);
    house.skip(121);
    house.client.run_challenge(&request).unwrap();
}

#[test]
fn check_ins_that_prove_nothing() {
    let house = House::furnished();
    let bundle = house.bundle(&house.executed());
    house.client.order_run(&bundle).unwrap();
    let arrive = || house.arrive(&bundle);

    // A challenge counts once, even for the wrong thing, and for two minutes.
    let arrival = arrive();
    let mut words = house.check_in_words(&arrival, &bundle);
    words.attested.transcript.nonce = Bytes(vec![0; 32]);
    assert_eq!(code(house.client.check_in(&words)), Code::TranscriptMismatch);
    assert_eq!(code(house.check_in(&arrival, &bundle)), Code::ChallengeUsed);
    let mut unknown = arrive();
    unknown.transcript.challenge_id = schemas::id::ChallengeId::new(uuid::Uuid::now_v7());
    assert_eq!(code(house.check_in(&unknown, &bundle)), Code::ChallengeUnknown);
    let late = arrive();
    house.skip(120);
    assert_eq!(code(house.check_in(&late, &bundle)), Code::ChallengeExpired);

    // Evidence of changed code, of another transcript, of keys swapped in transit.
    let arrival = arrive();
    let evidence = platform().2.attest(&arrival.transcript).unwrap();
    let attested = Attested { transcript: arrival.transcript.clone(), evidence };
    let changed = CheckIn { attested, bundle: bundle.clone(), lease_token: None };
    assert_eq!(code(house.client.check_in(&changed)), Code::EvidenceRefused);
    let (before, arrival) = (arrive(), arrive());
    let mut replayed = house.check_in_words(&arrival, &bundle);
    replayed.attested.evidence = platform().1.attest(&before.transcript).unwrap();
    assert_eq!(code(house.client.check_in(&replayed)), Code::EvidenceRefused);
    let mut swapped = house.check_in_words(&arrive(), &bundle);
    swapped.attested.transcript.enc_jwk = signing::jose::EncKey::generate().unwrap().jwk().clone();
    assert_eq!(code(house.client.check_in(&swapped)), Code::EvidenceRefused);
    let mut stale = arrive();
    stale.transcript.checkpoint.size -= 1;
    assert_eq!(code(house.check_in(&stale, &bundle)), Code::TranscriptMismatch);

    // A lease that is not held.
    let mut unleased = house.check_in_words(&arrive(), &bundle);
    unleased.lease_token = Some("x".repeat(32));
    assert_eq!(code(house.client.check_in(&unleased)), Code::LeaseExpired);

    // Nothing of all this entered; the right evidence does, once.
    assert_eq!(house.as_(&house.tdc).order(&bundle.job.digest()).unwrap().run_id, None);
    house.check_in(&arrive(), &bundle).unwrap();
    assert_eq!(code(house.check_in(&arrive(), &bundle)), Code::RunState);
}

#[test]
fn software_evidence_needs_a_pinned_root() {
    let house = House::with(|config| config.software_roots.clear()).furnish();
    let bundle = house.bundle(&house.executed());
    house.client.order_run(&bundle).unwrap();
    assert_eq!(code(house.check_in(&house.arrive(&bundle), &bundle)), Code::EvidenceRefused);
}

#[test]
fn no_run_starts_or_goes_on_under_a_revoked_contract() {
    let house = House::furnished();
    let run = house.running();
    let request = house.sign(&house.refresh_words(&run), &run.key);
    house.client.refresh_admission(&run.run_id, &request).unwrap();
    assert_eq!(code(house.client.refresh_admission(&run.run_id, &request)), Code::RequestReplayed);
    let mut elsewhere = house.refresh_words(&run);
    elsewhere.aud = "http://other".into();
    assert_eq!(
        code(house.client.refresh_admission(&run.run_id, &house.sign(&elsewhere, &run.key))),
        Code::TranscriptMismatch
    );
    let mut other_act = house.refresh_words(&run);
    other_act.request = RunAct::Renew {};
    assert_eq!(
        code(house.client.refresh_admission(&run.run_id, &house.sign(&other_act, &run.key))),
        Code::TranscriptMismatch
    );
    let foreign = house.sign(&house.refresh_words(&run), &house.tdc);
    assert_eq!(code(house.client.refresh_admission(&run.run_id, &foreign)), Code::SignerNotParty);
    let old = house.sign(&house.refresh_words(&run), &run.key);
    house.skip(61);
    assert_eq!(code(house.client.refresh_admission(&run.run_id, &old)), Code::TranscriptMismatch);

    let contract = run.job.contracts[0].clone();
    let waiting = house.bundle(&contract);
    house.client.order_run(&waiting).unwrap();
    let arrival = house.arrive(&waiting);
    house.client.revoke(&contract.id, &house.sign(&papers::revoke(&house, &contract), &house.tdps[0])).unwrap();
    let again = house.sign(&house.refresh_words(&run), &run.key);
    assert_eq!(code(house.client.refresh_admission(&run.run_id, &again)), Code::ContractRevoked);
    assert_eq!(code(house.check_in(&arrival, &waiting)), Code::ContractRevoked);
    assert_eq!(code(house.client.order_run(&house.bundle(&contract))), Code::ContractRevoked);
}

/// A contract that lets its runs finish does so: the room that holds its keys is told of the end and goes on.
#[test]
fn a_run_with_its_keys_finishes_where_the_contract_lets_it() {
    let mut house = House::furnished();
    let mut terms = papers::contract(&house);
    terms.revocation.running = schemas::contract::Running::LetFinish;
    let contract = house.propose(&terms).unwrap();
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.countersign(&contract, who).unwrap();
    }
    let contract = crate::house::reference(&contract);
    let checked_in = |house: &House| {
        let bundle = house.bundle(&contract);
        house.client.order_run(&bundle).unwrap();
        let arrival = house.arrive(&bundle);
        let admission = house.check_in(&arrival, &bundle).unwrap();
        house.run_of(arrival, &bundle, admission)
    };
    let (run, early) = (checked_in(&house), checked_in(&house));
    house.client.report(&run.run_id, &house.event(&run, RunEventKind::KeysReleased {})).unwrap();
    house.client.revoke(&contract.id, &house.sign(&papers::revoke(&house, &contract), &house.tdps[0])).unwrap();
    let refreshed = |house: &House, run: &crate::room::Run| {
        house.client.refresh_admission(&run.run_id, &house.sign(&house.refresh_words(run), &run.key))
    };
    let states = |admission: schemas::Envelope<schemas::release::Admission>| {
        admission.read_unverified().unwrap().contracts.into_iter().map(|c| c.state).collect::<Vec<_>>()
    };
    let revoked = schemas::contract::ContractState::Revoked;
    assert_eq!(states(refreshed(&house, &run).unwrap()), [revoked], "it says so");
    assert_eq!(code(refreshed(&house, &early)), Code::ContractRevoked, "it has no keys yet");
    house.client.report(&run.run_id, &house.event(&run, RunEventKind::Training {})).unwrap();
    refreshed(&house, &run).unwrap();
    let completion = house.completion(&run);
    house.client.complete(&run.run_id, &house.sign(&completion, &run.key)).unwrap();
    assert_eq!(code(refreshed(&house, &run)), Code::RunState);
}

#[test]
fn runs_are_stopped_by_those_who_may() {
    let house = House::furnished();
    let run = house.running();
    let (run_id, registry) = (run.run_id.clone(), house.registry());
    let abort = Abort { schema: "abort.v1".into(), registry, run_id, reason: "Stop".into(), at: house.now() };
    assert_eq!(code(house.client.abort_run(&run.run_id, &house.sign(&abort, &house.ccrp))), Code::SignerNotParty);
    let alone = house.client.abort_run(&run.run_id, &house.sign(&abort, &house.sro[1])).unwrap();
    assert!(matches!(alone, Acted::Waiting(waiting) if waiting.signatures == 1 && waiting.receipt.is_none()));
    assert_eq!(house.as_(&house.tdc).run(&run.run_id).unwrap().state, "attested");
    house.client.abort_run(&run.run_id, &house.sign(&abort, &house.tdps[1])).unwrap();
    assert_eq!(house.as_(&house.tdc).run(&run.run_id).unwrap().state, "aborted");
    let event = house.event(&run, RunEventKind::KeysReleased {});
    assert_eq!(code(house.client.report(&run.run_id, &event)), Code::RunState);
    let request = house.sign(&house.refresh_words(&run), &run.key);
    assert_eq!(code(house.client.refresh_admission(&run.run_id, &request)), Code::RunState);
    let unknown = schemas::id::RunId::new(uuid::Uuid::now_v7());
    assert_eq!(code(house.client.refresh_admission(&unknown, &request)), Code::RunUnknown);
}

/// A room that died says nothing any more: its run ends without it, and another room may take the order up.
#[test]
fn a_run_whose_room_fell_silent_ends() {
    let house = House::with(|config| config.limits.run_silence_seconds = 1).furnish();
    let bundle = house.bundle(&house.executed());
    house.client.order_run(&bundle).unwrap();
    let arrival = house.arrive(&bundle);
    let admission = house.check_in(&arrival, &bundle).unwrap();
    let run = house.run_of(arrival, &bundle, admission);
    // By the service's clock it checked in a minute ago.
    house.skip(60);
    let reads = house.as_(&house.tdc);
    let begun = std::time::Instant::now();
    while reads.run(&run.run_id).unwrap().state != "aborted" {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "the run goes on");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let request = house.sign(&house.refresh_words(&run), &run.key);
    assert_eq!(code(house.client.refresh_admission(&run.run_id, &request)), Code::RunState);
    let event = house.event(&run, RunEventKind::KeysReleased {});
    assert_eq!(code(house.client.report(&run.run_id, &event)), Code::RunState);
    let next = house.arrive(&bundle);
    house.check_in(&next, &bundle).unwrap();
}

#[test]
fn completions_that_pay_nobody() {
    let mut house = House::furnished();
    let run = house.running();
    let good = house.completion(&run);
    let complete =
        |completion: &schemas::event::Completion| house.client.complete(&run.run_id, &house.sign(completion, &run.key));
    let mut short = good.clone();
    short.commit_receipts.pop();
    assert_eq!(code(complete(&short)), Code::CompletionReceipts);
    let mut swapped = good.clone();
    swapped.output.sha256 = Digest([1; 32]);
    assert_eq!(code(complete(&swapped)), Code::CompletionReceipts);
    let mut steps = good.clone();
    steps.steps += 1;
    assert_eq!(code(complete(&steps)), Code::CompletionMismatch);
    let by_tdc: Envelope<_> = house.sign(&good, &house.tdc);
    assert!(matches!(code(house.client.complete(&run.run_id, &by_tdc)), Code::SignerNotParty | Code::SignerUnknown));
    let other = schemas::id::RunId::new(uuid::Uuid::now_v7());
    assert_eq!(code(house.client.complete(&other, &house.sign(&good, &run.key))), Code::SchemaMismatch);
    assert_eq!(code(house.as_(&house.tdc).content_key(&run.run_id)), Code::KeyWithheld);
    assert!(house.as_(&house.tdc).payments(None).unwrap().payments.is_empty());

    let done = complete(&good).unwrap();
    let mut altered = good.clone();
    altered.content_key_jwe = "f.g.h.i.j".into();
    assert_eq!(code(complete(&altered)), Code::CompletionExists);
    assert_eq!(complete(&good).unwrap().receipt.index, done.receipt.index);
    assert_eq!(house.as_(&house.tdc).content_key(&run.run_id).unwrap().content_key_jwe, good.content_key_jwe);

    let mut callback = house.callback(&done.obligations[0], PaymentResult::Settled);
    callback.signatures[0].sig = Bytes(vec![1; 64]);
    assert_eq!(code(house.client.payment_callback(&callback)), Code::SignatureInvalid);
    let mut unknown = done.obligations[0].clone();
    unknown.instruction_id = "A".repeat(32);
    assert_eq!(
        code(house.client.payment_callback(&house.callback(&unknown, PaymentResult::Failed))),
        Code::PaymentUnknown
    );
    let by_tdc = house.sign(&callback.read_unverified().unwrap(), &house.tdc);
    let refused = code(house.client.payment_callback(&by_tdc));
    assert!(matches!(refused, Code::SignerNotParty | Code::ParticipantNotVerified), "{refused}");
}

#[test]
fn statements_of_key_services_have_one_history() {
    let mut house = House::furnished();
    let run = house.running();
    let first = house.says(0, &run, released());
    house.client.kms_receipts(&run.run_id, std::slice::from_ref(&first)).unwrap();
    house.journals[0] = (0, Digest([0; 32]));
    let fork = house.says(0, &run, KmsStatement::Committed { output_sha256: Digest([3; 32]) });
    assert_eq!(code(house.client.kms_receipts(&run.run_id, &[fork])), Code::ReceiptMismatch);
    let mut stranger = first.read_unverified().unwrap();
    stranger.seq = 2;
    let by_tdc = house.sign(&stranger, &house.tdc);
    assert_eq!(code(house.client.kms_receipts(&run.run_id, &[by_tdc])), Code::SignerUnknown);
    assert_eq!(run.key.jwk().thumbprint(), stranger.run_jwk_thumbprint);
}
