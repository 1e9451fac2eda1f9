//! Training without differential privacy: only where the contract of every dataset says so, and called so everywhere.

use policies::accountant::{RdpVector, pld};
use policies::budget::{check, vector};
use policies::{CheckedOutput, Code, R, gate, output, pipeline, privacy, registration};
use schemas::digest::Digest;
use schemas::pipeline::{Metrics, OutputKind};
use schemas::privacy::{Clause, DatasetCharge, Mechanism, Plan, WITHOUT_PRIVACY};
use schemas::worker::{NoiseSampler, Outcome};
use serde_json::json;

use crate::completion::Run;
use crate::fixtures::{House, Row, clause, did, digest, expect, now, plan, real};

/// A house in which every provider allows it, in offer and contract, and whose job asks for it.
fn open() -> House {
    let mut house = House::new();
    for cap in house.offers.iter_mut().map(|offer| &mut offer.privacy_cap) {
        (cap.level, cap.without_differential_privacy) = (Clause::LEGAL_ONLY, true);
    }
    for clause in house.contracts[0].datasets.iter_mut().map(|dataset| &mut dataset.privacy) {
        (clause.level, clause.without_differential_privacy) = (Clause::LEGAL_ONLY, true);
    }
    let training = house.training();
    (training.private, training.metrics) = (false, None);
    (training.epsilon, training.delta) = (None, None);
    house.link();
    house
}

fn planned(house: &House) -> R<Plan> {
    house.judge(privacy::plan)
}

fn refuses(judge: impl Fn(&House) -> R<()>, rows: &[Row<House>]) {
    assert_eq!(judge(&open()), Ok(()), "the house in which all allow it");
    for (at, (code, spoil)) in rows.iter().enumerate() {
        let mut house = open();
        spoil(&mut house);
        house.link();
        expect(judge(&house), *code, &format!("row {at}"));
    }
}

#[test]
fn one_contract_of_three_that_does_not_allow_it_refuses_it() {
    for at in 0..3 {
        let mut house = open();
        house.contracts[0].datasets[at].privacy.without_differential_privacy = false;
        house.link();
        let refusal = planned(&house).unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_deref()), (Code::PipelineNotPrivate, Some("stages.1.private")));
        let named = house.job.datasets[at].dataset_id.as_str();
        assert!(refusal.sentence.contains(named) && refusal.sentence.contains(WITHOUT_PRIVACY), "{refusal}");
    }
}

#[test]
fn what_such_a_job_may_not_say_is_refused() {
    refuses(
        |h| planned(h).map(drop),
        &[
            (Code::PipelineNotPrivate, |h| h.contracts[0].datasets[1].privacy.without_differential_privacy = false),
            // A clause that a machine keeps allows none, whatever else it says.
            (Code::PipelineNotPrivate, |h| h.contracts[0].datasets[1].privacy.level = 1),
            (Code::PipelineNotPrivate, |h| h.contracts[0].datasets[1].privacy.level = 2),
            (Code::NotPrivateForm, |h| h.training().epsilon = Some(real("1"))),
            (Code::NotPrivateForm, |h| h.training().delta = Some(real("0.00001"))),
            (Code::NotPrivateForm, |h| {
                h.training().metrics = Some(Metrics { noise_multiplier: real("20"), curve: None, loss: None });
            }),
            // What a private training asks for must be said by one.
            (Code::EpsilonOutOfRange, |h| h.training().private = true),
            (Code::EpsilonOutOfRange, |h| {
                (h.training().private, h.training().epsilon) = (true, Some(real("1")));
            }),
            // All other rules stand.
            (Code::PipelineRawOutput, |h| h.output().input = "joined".into()),
            (Code::PipelineInvalid, |h| h.output().kind = OutputKind::Metrics),
            (Code::PipelineBounds, |h| h.training().features[0].upper = real("41")),
            (Code::PipelineRecipient, |h| h.output().recipient = did("did:web:other.example")),
        ],
    );
    let mut private = open();
    (private.training().private, private.training().epsilon) = (true, Some(real("1")));
    private.training().delta = Some(real("0.00004"));
    assert!(!planned(&private).unwrap().without_differential_privacy, "what is allowed need not be done");
}

#[test]
fn a_contract_allows_what_its_offer_allows_and_no_more() {
    let judge = |h: &House| h.judge(|facts| gate::job(facts, &h.statuses(), now()));
    refuses(judge, &[(Code::TermsNotOffer, |h| h.offers[2].privacy_cap.without_differential_privacy = false)]);
    let mut stricter = open();
    stricter.contracts[0].datasets[0].privacy.without_differential_privacy = false;
    stricter.link();
    assert_eq!(judge(&stricter), Ok(()), "a contract may keep more privacy than the offer asks");
}

#[test]
fn no_clause_that_a_machine_keeps_enters_with_it() {
    let offer = |h: &House| registration::offer(&h.offers[0], &h.offers[0].registry, now());
    refuses(
        offer,
        &[
            (Code::NotPrivateEnforced, |h| h.offers[0].privacy_cap.level = 1),
            (Code::NotPrivateEnforced, |h| h.offers[0].privacy_cap.level = 2),
        ],
    );
    let contract = |h: &House| {
        let offers: Vec<_> = h.offers.iter().map(|offer| (digest(offer), offer)).collect();
        registration::contract(&h.contracts[0], &offers, &h.contracts[0].registry, now())
    };
    refuses(
        contract,
        &[
            (Code::NotPrivateEnforced, |h| h.contracts[0].datasets[1].privacy.level = 1),
            (Code::TermsNotOffer, |h| h.offers[1].privacy_cap.without_differential_privacy = false),
        ],
    );
}

#[test]
fn the_plan_says_so_and_charges_what_no_epsilon_bounds() {
    let plan = planned(&open()).unwrap();
    assert!(plan.without_differential_privacy);
    assert_eq!((plan.noise_multiplier.as_str(), plan.steps, &plan.metrics_noise_multiplier), ("0", 198, &None));
    let private = crate::fixtures::plan();
    assert_eq!((&plan.expected_batch, &plan.sample_rate), (&private.expected_batch, &private.sample_rate));
    for charge in &plan.charges {
        assert_eq!(charge.mechanisms, [Mechanism::WithoutDifferentialPrivacy { steps: 198 }]);
        assert_eq!((charge.epsilon_micro, charge.level), (DatasetCharge::UNBOUNDED, 0));
        assert_eq!(charge.words(), "no ε: the training is without differential privacy");
        assert_eq!(pld::epsilon_micro(charge), None, "the tighter accountant bounds nothing either");
        assert!(vector(&charge.mechanisms).unwrap().entries().iter().all(|entry| *entry == RdpVector::INFINITE));
    }
    let written = serde_json::to_value(&plan).unwrap();
    assert_eq!(written["without_differential_privacy"], json!(true));
    assert_eq!(written["charges"][0]["mechanisms"][0]["mechanism"], json!("without_differential_privacy"));
    let before = serde_json::to_value(&private).unwrap();
    assert!(before.get("without_differential_privacy").is_none(), "what was written before keeps its bytes");
    let clause = serde_json::to_value(clause("1.0", "0.00001")).unwrap();
    assert!(clause.get("without_differential_privacy").is_none(), "so does a clause");
}

#[test]
fn nothing_fits_beside_it_where_a_machine_keeps_the_budget() {
    let open = planned(&open()).unwrap().charges.remove(0);
    let private = plan().charges.remove(0);
    let at = |level: u8| Clause { level, ..clause("900", "0.0000472") };
    assert_eq!(check(&[], &[], &at(0), &at(0), &open), Ok(()), "law alone refuses nothing");
    for (cap, clause) in [(1, 1), (2, 2), (0, 1), (1, 0)] {
        expect(check(&[], &[], &at(cap), &at(clause), &open), Code::BudgetExceeded, &format!("{cap} {clause}"));
    }
    let beside = check(std::slice::from_ref(&open), &[], &at(1), &at(1), &private);
    assert!(beside.as_ref().unwrap_err().sentence.contains("ε without bound is spent"), "{beside:?}");
    expect(beside, Code::BudgetExceeded, "the family's data is out");
}

fn model() -> Vec<u8> {
    let header = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    (header.len() as u64).to_le_bytes().into_iter().chain(header.bytes()).chain([7; 4]).collect()
}

fn judged(plan: &Plan, noise_draws: u32, noise: NoiseSampler) -> R<CheckedOutput> {
    let model = model();
    let outcome = Outcome {
        kind: "model".into(),
        bytes: model.len() as u64,
        sha256: Digest::of(&model),
        steps: 198,
        noise_draws,
        configuration: Digest([7; 32]),
        noise,
        metrics: None,
    };
    output::decide(outcome, model, plan, &Digest([7; 32]), OutputKind::Model)
}

#[test]
fn an_outcome_of_one_kind_does_not_leave_under_a_plan_of_the_other() {
    let open = planned(&open()).unwrap();
    let private = Plan { metrics_noise_multiplier: None, ..plan() };
    let (drawn, none) = (NoiseSampler::DiscreteGaussian, NoiseSampler::WithoutNoise);
    assert_eq!(judged(&open, 0, none).unwrap().noise(), none);
    assert!(judged(&private, 198, drawn).is_ok());
    for (at, (plan, draws, noise)) in [
        (&private, 0, none),
        (&private, 198, none),
        (&private, 0, drawn),
        (&open, 198, drawn),
        (&open, 0, drawn),
        (&open, 198, none),
        (&open, 1, none),
    ]
    .into_iter()
    .enumerate()
    {
        expect(judged(plan, draws, noise), Code::OutputRefused, &format!("case {at}"));
    }
}

#[test]
fn a_completion_says_what_its_job_asked_for() {
    let run = || {
        let house = open();
        let plan = planned(&house).unwrap();
        let mut run = Run::of(house, plan);
        (run.certificate.metrics, run.certificate.noise) = (None, Some(NoiseSampler::WithoutNoise));
        run
    };
    assert_eq!(run().judge(), Ok(()));
    let spoils: [fn(&mut Run); 4] = [
        |r| r.certificate.plan.without_differential_privacy = false,
        |r| r.certificate.noise = Some(NoiseSampler::DiscreteGaussian),
        |r| r.certificate.noise = None,
        // Receipts, charges and plan all tell of noise that the job did not ask for.
        |r| {
            let private = plan().charges;
            r.certificate.plan.charges = private.clone();
            r.certificate.datasets.iter_mut().zip(&private).for_each(|(dataset, charge)| {
                dataset.charge = charge.clone();
            });
            r.certificate.plan.charges.iter_mut().for_each(|charge| charge.level = 0);
            r.certificate.datasets.iter_mut().for_each(|dataset| dataset.charge.level = 0);
            r.releases.iter_mut().chain(&mut r.commits).flat_map(|receipt| &mut receipt.charges).for_each(|charge| {
                let told = private.iter().find(|other| other.dataset_id == charge.dataset_id).unwrap();
                *charge = DatasetCharge { level: 0, ..told.clone() };
            });
        },
    ];
    for (at, spoil) in spoils.into_iter().enumerate() {
        let mut run = run();
        spoil(&mut run);
        expect(run.judge(), Code::CompletionMismatch, &format!("row {at}"));
    }
    // And of a private job no run without noise is completed.
    let mut private = Run::of(House::new(), plan());
    private.certificate.noise = Some(NoiseSampler::WithoutNoise);
    expect(private.judge(), Code::CompletionMismatch, "a private job");
}

/// A private pipeline is judged as before, whatever contracts would allow.
#[test]
fn leave_changes_nothing_for_private_jobs() {
    let mut house = open();
    let training = house.training();
    (training.private, training.epsilon, training.delta) = (true, Some(real("1.0")), Some(real("0.0000472")));
    assert!(house.judge(|facts| pipeline::decide(facts).map(drop)).is_ok());
    let plan = planned(&house).unwrap();
    assert!(plan.noise_multiplier.value() > 0.5 && plan.charges.iter().all(|c| c.is_private()));
}
