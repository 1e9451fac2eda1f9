//! Levels of the privacy budget: 0 is kept by law alone, 1 by machine, 2 keeps the model inside as well.

use policies::budget::{check, spent};
use policies::{Code, R, gate, output, pipeline, privacy, registration};
use schemas::digest::Digest;
use schemas::pipeline::OutputKind;
use schemas::privacy::{Clause, DatasetCharge, Plan, level_words};
use schemas::worker::{NoiseSampler, NoisedMetrics, Outcome};
use serde_json::json;

use crate::completion::Run;
use crate::fixtures::{House, Row, clause, did, digest, expect, now, plan, real};

/// A house whose dataset stands at another level, in offer and contract alike.
fn at_level(dataset: usize, level: u8) -> House {
    let mut house = House::new();
    house.offers[dataset].privacy_cap.level = level;
    house.contracts[0].datasets[dataset].privacy.level = level;
    house.link();
    house
}

fn planned(house: &House) -> R<Plan> {
    house.judge(privacy::plan)
}

fn refuses(house: &House, judge: impl Fn(&House) -> R<()>, rows: &[Row<House>]) {
    assert_eq!(judge(house), Ok(()), "the correct house");
    for (at, (code, spoil)) in rows.iter().enumerate() {
        let mut house = house.clone();
        spoil(&mut house);
        house.link();
        expect(judge(&house), *code, &format!("row {at}"));
    }
}

/// As [`at_level`] 0 for the third dataset, whose clause grants less than the job asks.
fn beyond_the_law() -> House {
    let mut house = at_level(2, Clause::LEGAL_ONLY);
    house.contracts[0].datasets[2].privacy.epsilon = real("0.9");
    house.link();
    house
}

#[test]
fn a_legal_clause_refuses_no_run_and_the_others_keep_their_caps() {
    refuses(
        &beyond_the_law(),
        |h| planned(h).map(drop),
        &[
            (Code::EpsilonExceedsContract, |h| h.contracts[0].datasets[2].privacy.level = 1),
            (Code::EpsilonExceedsContract, |h| {
                h.contracts[0].datasets[2].privacy.level = 2;
                h.output().kind = OutputKind::Metrics;
            }),
            (Code::EpsilonExceedsContract, |h| h.contracts[0].datasets[1].privacy.epsilon = real("0.9")),
            // δ is kept by machine at every level.
            (Code::DeltaTooLarge, |h| h.contracts[0].datasets[2].privacy.delta = real("0.00001")),
            (Code::PipelineNotPrivate, |h| h.training().private = false),
        ],
    );
}

#[test]
fn a_charge_says_its_level_and_costs_the_same_at_each() {
    let charges = planned(&beyond_the_law()).unwrap().charges;
    assert_eq!(charges.iter().map(|c| c.level).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(charges[2].mechanisms, plan().charges[2].mechanisms);
    let written = |at: usize| serde_json::to_value(&charges[at]).unwrap();
    assert_eq!(written(2)["level"], json!(0));
    assert!(written(1).get("level").is_none(), "what was written before levels keeps its bytes");
    for charge in &charges {
        let read: DatasetCharge = serde_json::from_value(serde_json::to_value(charge).unwrap()).unwrap();
        assert_eq!(&read, charge);
    }
    assert_eq!(level_words(charges[2].level), "legal only");
}

#[test]
fn offer_and_contract_say_the_same_level() {
    let judge = |h: &House| h.judge(|facts| gate::job(facts, &h.statuses(), now()));
    refuses(
        &beyond_the_law(),
        judge,
        &[
            (Code::TermsNotOffer, |h| h.offers[2].privacy_cap.level = 1),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[2].privacy.level = 1),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[2].privacy.level = 2),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].privacy.level = 0),
        ],
    );
}

#[test]
fn a_legal_charge_always_fits_and_is_counted_for_the_others() {
    let charge = plan().charges.remove(0);
    let full = vec![charge.clone(); 9];
    let at = |level: u8| Clause { level, ..clause("1.0", "0.0000472") };
    let judge = |cap: u8, clause: u8| check(&full, &full, &at(cap), &at(clause), &charge);
    assert_eq!(judge(0, 0), Ok(()));
    for (cap, clause) in [(1, 1), (2, 2), (0, 1), (1, 0), (0, 2)] {
        expect(judge(cap, clause), Code::BudgetExceeded, &format!("cap {cap}, clause {clause}"));
    }
    let legal = DatasetCharge { level: 0, ..charge.clone() };
    assert_eq!(spent(std::slice::from_ref(&legal)), spent(std::slice::from_ref(&charge)));
    let beside = check(&[legal], &[], &at(1), &at(1), &charge);
    expect(beside, Code::BudgetExceeded, "what is charged at level 0 counts in the family's sum");
}

/// A job whose second dataset keeps the model inside, and that writes the metrics alone.
fn inside() -> House {
    let mut house = at_level(1, Clause::STAYS_INSIDE);
    house.output().kind = OutputKind::Metrics;
    house.contracts[0].outputs.kinds = vec!["metrics".into()];
    house.link();
    house
}

#[test]
fn at_level_two_no_model_leaves() {
    refuses(
        &inside(),
        |h| h.judge(|facts| pipeline::decide(facts).map(drop)),
        &[
            (Code::ModelStaysInside, |h| h.output().kind = OutputKind::Model),
            // The clause alone, and the contract alone, keep it inside.
            (Code::ModelStaysInside, |h| {
                h.output().kind = OutputKind::Model;
                h.contracts[0].outputs.kinds = vec!["model".into()];
            }),
            (Code::ModelStaysInside, |h| {
                h.output().kind = OutputKind::Model;
                h.contracts[0].datasets[1].privacy.level = 1;
            }),
            (Code::PipelineRawOutput, |h| h.output().kind = OutputKind::Table),
            (Code::PipelineRawOutput, |h| h.output().input = "joined".into()),
            (Code::PipelineInvalid, |h| h.training().metrics = None),
            (Code::PipelineRecipient, |h| h.output().recipient = did("did:web:other.example")),
        ],
    );
    let mut open = House::new();
    open.output().kind = OutputKind::Metrics;
    assert!(open.judge(|facts| pipeline::decide(facts).map(drop)).is_ok(), "less than the contract lets out");
}

#[test]
fn at_level_two_the_whole_run_is_charged_and_capped() {
    let charges = planned(&inside()).unwrap().charges;
    assert_eq!(charges[1], DatasetCharge { level: 2, ..plan().charges[1].clone() });
    refuses(
        &inside(),
        |h| planned(h).map(drop),
        &[(Code::EpsilonExceedsContract, |h| h.contracts[0].datasets[1].privacy.epsilon = real("0.9"))],
    );
}

#[test]
fn a_contract_of_level_two_lets_metrics_out_alone() {
    let judge = |h: &House| {
        let registry = h.contracts[0].registry.clone();
        let offers: Vec<_> = h.offers.iter().map(|offer| (digest(offer), offer)).collect();
        registration::contract(&h.contracts[0], &offers, &registry, now())
    };
    refuses(
        &inside(),
        judge,
        &[
            (Code::ModelStaysInside, |h| h.contracts[0].outputs.kinds = vec!["model".into()]),
            (Code::SchemaMismatch, |h| h.contracts[0].outputs.kinds.push("model".into())),
            (Code::SchemaMismatch, |h| h.contracts[0].outputs.kinds = vec!["table".into()]),
        ],
    );
}

fn metrics() -> NoisedMetrics {
    NoisedMetrics {
        true_positives: 3,
        false_positives: 0,
        true_negatives: 1,
        false_negatives: 0,
        accuracy_ppm: 1_000_000,
        curve: None,
        loss: None,
    }
}

#[test]
fn of_a_job_that_writes_metrics_the_weights_do_not_leave() {
    let header = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let model: Vec<u8> = (header.len() as u64).to_le_bytes().into_iter().chain(header.bytes()).chain([7; 4]).collect();
    let judge = |kind, spoil: fn(&mut Outcome)| {
        let (bytes, sha256) = (model.len() as u64, Digest::of(&model));
        let mut outcome = Outcome {
            kind: "model".into(),
            bytes,
            sha256,
            steps: 198,
            noise_draws: 198,
            configuration: Digest([7; 32]),
            noise: NoiseSampler::DiscreteGaussian,
            metrics: Some(metrics()),
        };
        spoil(&mut outcome);
        output::decide(outcome, model.clone(), &plan(), &Digest([7; 32]), kind)
    };
    let checked = judge(OutputKind::Metrics, |_| ()).unwrap();
    assert_eq!(checked.content(), schemas::canonical::to_bytes(&metrics()).unwrap());
    assert_eq!((checked.sha256(), checked.metrics()), (Digest::of(checked.content()), Some(&metrics())));
    assert_eq!(judge(OutputKind::Model, |_| ()).unwrap().content(), model);
    expect(judge(OutputKind::Table, |_| ()), Code::OutputRefused, "a table");
    // The training is judged as ever.
    expect(judge(OutputKind::Metrics, |o| o.steps = 197), Code::OutputRefused, "too few steps");
    expect(judge(OutputKind::Metrics, |o| o.metrics = None), Code::OutputRefused, "no metrics");
}

#[test]
fn a_completion_is_of_the_kind_and_level_of_its_job() {
    let house = inside();
    let plan = planned(&house).unwrap();
    let mut run = Run::of(house, plan);
    expect(run.judge(), Code::CompletionMismatch, "a model of a job that writes metrics");
    run.completion.output.kind = "metrics".into();
    assert_eq!(run.judge(), Ok(()));
    run.certificate.datasets[1].charge.level = 1;
    run.certificate.plan.charges[1].level = 1;
    run.releases.iter_mut().chain(&mut run.commits).flat_map(|r| &mut r.charges).for_each(|c| c.level = 1);
    expect(run.judge(), Code::CompletionMismatch, "the level is the contract's");
}
