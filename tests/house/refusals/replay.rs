//! What was sent once is not sent twice: challenges, evidence, signed requests, fresh keys.

use schemas::release::{RunAct, RunRequest};
use schemas::{Code, Envelope, R};

use super::probe::{Probe, client};
use super::scene::{calm, refuses};

#[test]
fn a_challenge_of_the_front_desk_counts_once() {
    let scene = calm();
    let deal = scene.deal();
    let probe = Probe::arrives(&scene, &deal.bundle).unwrap();
    // Used up by a check-in that fails: evidence of other code.
    let words = probe.check_in(|_| {});
    let mut spoilt = words.clone();
    spoilt.attested.evidence.report.0[100] ^= 1;
    refuses(Code::EvidenceRefused, scene.desk().check_in(&spoilt));
    refuses(Code::ChallengeUsed, scene.desk().check_in(&words));
    // Used up by one that succeeds.
    let probe = Probe::returns(&scene, &deal.bundle).unwrap();
    let words = probe.check_in(|_| {});
    scene.desk().check_in(&words).unwrap();
    refuses(Code::ChallengeUsed, scene.desk().check_in(&words));
    // And one that nobody gave.
    let invented = schemas::id::ChallengeId::new(uuid::Uuid::now_v7());
    refuses(Code::ChallengeUnknown, scene.desk().check_in(&probe.check_in(|t| t.challenge_id = invented)));
    scene.nothing_came_of(&deal);
}

#[test]
fn old_evidence_does_not_answer_a_new_challenge_of_the_front_desk() {
    let scene = calm();
    let deal = scene.deal();
    let old = Probe::arrives(&scene, &deal.bundle).unwrap();
    let new = Probe::returns(&scene, &deal.bundle).unwrap();
    // The new challenge's transcript over the old evidence.
    let mut words = new.check_in(|_| {});
    words.attested.evidence = old.check_in(|_| {}).attested.evidence;
    refuses(Code::EvidenceRefused, scene.desk().check_in(&words));
    // The old transcript, evidence and all, under the new challenge's name.
    let new = Probe::returns(&scene, &deal.bundle).unwrap();
    let mut words = old.check_in(|_| {});
    words.attested.transcript.challenge_id = new.check_in(|_| {}).attested.transcript.challenge_id;
    refuses(Code::TranscriptMismatch, scene.desk().check_in(&words));
    // Another job's, another service's, another nonce's transcript, honestly attested.
    for change in [
        (|t| t.job_sha256 = schemas::Digest([3; 32])) as fn(&mut schemas::evidence::Transcript),
        |t| t.aud = "https://elsewhere.example".into(),
        |t| t.nonce.0[0] ^= 1,
        |t| t.run_id = schemas::id::RunId::new(uuid::Uuid::now_v7()),
        |t| t.checkpoint.size += 1,
    ] {
        let probe = Probe::returns(&scene, &deal.bundle).unwrap();
        refuses(Code::TranscriptMismatch, scene.desk().check_in(&probe.check_in(change)));
    }
    scene.nothing_came_of(&deal);
}

#[test]
fn challenges_and_evidence_count_once_at_a_key_service() {
    let scene = calm();
    let deal = scene.deal();
    let probe = Probe::admitted(&scene, &deal.bundle).unwrap();
    let [first, second, _] = [0, 1, 2].map(|at| scene.house.tdps[at].kms.clone());
    // Used up by a request that fails.
    let words = probe.reserve_words(&first);
    let mut spoilt = words.clone();
    spoilt.attested.evidence.report.0[100] ^= 1;
    refuses(Code::EvidenceRefused, probe.send_reserve(&first, &spoilt));
    refuses(Code::ChallengeUsed, probe.send_reserve(&first, &words));
    // Old evidence under a new challenge, and the whole old answer under the new challenge's name.
    let mut replayed = probe.reserve_words(&first);
    replayed.attested.evidence = words.attested.evidence.clone();
    refuses(Code::EvidenceRefused, probe.send_reserve(&first, &replayed));
    let mut renamed = words.clone();
    renamed.attested.transcript.challenge_id = probe.challenge(&first).challenge_id;
    refuses(Code::TranscriptMismatch, probe.send_reserve(&first, &renamed));
    // What was meant for one key service is nothing to another.
    refuses(Code::ChallengeUnknown, probe.send_reserve(&second, &probe.reserve_words(&first)));
    let mut elsewhere = probe.kms_transcript(&probe.challenge(&second));
    elsewhere.aud = first.clone();
    let misled = schemas::release::ReserveRequest { attested: probe.attest(elsewhere), ..words };
    refuses(Code::TranscriptMismatch, probe.send_reserve(&second, &misled));
    scene.nothing_came_of(&deal);
    // One request that succeeds holds budget once, however often it is sent.
    let words = probe.reserve_words(&first);
    let receipt = probe.send_reserve(&first, &words).unwrap();
    refuses(Code::ChallengeUsed, probe.send_reserve(&first, &words));
    // Asked again with fresh evidence, the answer is the same receipt.
    assert_eq!(probe.reserve(&first).unwrap(), receipt);
    assert_eq!(scene.states(&deal.contract), [vec!["reserved".to_owned()], vec![], vec![]]);
    scene.nothing_left(&deal);
}

#[test]
fn a_signed_request_counts_once_and_for_one_service() {
    let scene = calm();
    let deal = scene.deal();
    let probe = Probe::admitted(&scene, &deal.bundle).unwrap();
    let desk = scene.desk();
    let ask = probe.request(RunAct::RefreshAdmission {}, desk.url());
    desk.refresh_admission(&probe.run_id, &ask).unwrap();
    refuses(Code::RequestReplayed, desk.refresh_admission(&probe.run_id, &ask));
    let foreign = probe.request(RunAct::RefreshAdmission {}, "https://elsewhere.example");
    refuses(Code::TranscriptMismatch, desk.refresh_admission(&probe.run_id, &foreign));

    let all = probe.reserve_all();
    let kms = scene.house.tdps[0].kms.clone();
    // A release request is bound to its challenge, and its challenge is used up.
    let words = probe.release_words(&kms, &all);
    let mut crossed = words.clone();
    crossed.request = probe.release_words(&kms, &all).request;
    refuses(Code::SignatureContext, probe.send_release(&kms, &kms, &all, &crossed));
    refuses(Code::ChallengeUsed, probe.send_release(&kms, &kms, &all, &words));
    probe.release_all(&all);
    let renewal = probe.request(RunAct::Renew {}, &kms);
    let renew = |request: &Envelope<RunRequest>| -> R<Envelope<schemas::release::Lease>> {
        let words = schemas::release::RenewRequest {
            request: request.clone(),
            status_list: desk.status_list().unwrap(),
            log_keys: None,
        };
        client(&kms).post_once(&format!("/v1/runs/{}/renew", probe.run_id), &words)
    };
    renew(&renewal).unwrap();
    refuses(Code::RequestReplayed, renew(&renewal));
    // The same request is nothing to the next key service.
    let other = scene.house.tdps[1].kms.clone();
    let words = schemas::release::RenewRequest {
        request: probe.request(RunAct::Renew {}, &kms),
        status_list: desk.status_list().unwrap(),
        log_keys: None,
    };
    let sent: R<Envelope<schemas::release::Lease>> =
        client(&other).post_once(&format!("/v1/runs/{}/renew", probe.run_id), &words);
    refuses(Code::SignatureContext, sent);
    scene.nothing_left(&deal);
}

#[test]
fn a_run_brings_its_own_keys_and_an_order_one_run() {
    let scene = calm();
    let deal = scene.deal();
    let probe = Probe::admitted(&scene, &deal.bundle).unwrap();
    // The same order a second time, and a second room for it.
    refuses(Code::StateTransition, scene.desk().order_run(&deal.bundle));
    let second = Probe::returns(&scene, &deal.bundle).unwrap();
    refuses(Code::RunState, scene.desk().check_in(&second.check_in(|_| {})));
    // Another order, with the keys of the run before.
    let again = scene.again(&deal);
    let copy = Probe::arrives(&scene, &again).unwrap();
    let (enc, run) = (probe.enc.jwk().clone(), schemas::Signer::jwk(&probe.run_key).clone());
    refuses(Code::RunKeyMismatch, scene.desk().check_in(&copy.check_in(|t| t.enc_jwk = enc)));
    let copy = Probe::returns(&scene, &again).unwrap();
    refuses(Code::RunKeyMismatch, scene.desk().check_in(&copy.check_in(|t| t.run_jwk = run)));
    scene.nothing_came_of(&deal);
}
