//! What a room of the house showed, judged at a terminal (`depa attest verify`): as services judged it, called SIMULATED, and
//! refused where one thing is not as it was.

use attestation::software::SoftwareRoot;
use depa::attest::{Question, Source, load, pinned_table, verify};
use schemas::Digest;
use schemas::id::RunId;
use serde::Serialize;

use super::probe::Probe;
use super::scene::calm;

fn json(saved: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(saved).unwrap()
}

#[test]
fn simulated_evidence_is_judged_again_alone_and_with_its_transcript() {
    let scene = calm();
    let deal = scene.deal();
    let attested = Probe::arrives(&scene, &deal.bundle).unwrap().check_in(|_| {}).attested;
    let set = deal.bundle.image_set.envelope.read_unverified().unwrap();
    let pin = SoftwareRoot::load(&scene.house.ccrp.root).unwrap().pin();
    let table = pinned_table(None).unwrap();
    let judged = |saved: Vec<u8>, root: Option<Digest>| {
        let file = scene.house.dir.join(format!("evidence-{}.json", uuid::Uuid::new_v4()));
        std::fs::write(&file, saved).unwrap();
        let question = Question {
            level: "baseline".into(),
            image_set: Some(set.clone()),
            software_root: root,
            ..Question::default()
        };
        verify(&load(&file).unwrap(), &question, &table, scene.clock.now()).unwrap()
    };
    let alone = judged(json(&attested.evidence), Some(pin));
    assert!(alone.appraisal.accepted && alone.simulated, "{:?}", alone.appraisal.failed());
    assert!(alone.text().starts_with("SIMULATED") && alone.text().contains("at level baseline"), "{}", alone.text());
    assert_eq!((alone.nonce, alone.user_data), (Source::Evidence, Source::Evidence), "nothing was compared");
    let bound = judged(json(&attested), Some(pin));
    assert!(bound.appraisal.accepted, "{:?}", bound.appraisal.failed());
    assert_eq!((bound.nonce, bound.user_data), (Source::Saved, Source::Saved), "with what the transcript asks for");
    // Another run's words over the same evidence; another root; none.
    let mut other = attested.clone();
    other.transcript.run_id = RunId::new(uuid::Uuid::now_v7());
    let refused = judged(json(&other), Some(pin)).appraisal;
    assert_eq!(refused.failed(), ["user_data", "quote_nonce"]);
    assert!(!judged(json(&attested), Some(Digest([7; 32]))).appraisal.accepted);
    assert!(!judged(json(&attested), None).appraisal.accepted);
}
