//! Training without differential privacy: done where all three contracts allow it and called so wherever one looks,
//! refused by every judge alone where one does not.

use depa::audit::Options;
use depa::job::form::JobForm;
use schemas::event::Completion;
use schemas::job::JobSpec;
use schemas::privacy::{DatasetCharge, Mechanism, WITHOUT_PRIVACY};
use schemas::worker::NoiseSampler;
use schemas::{Code, Digest};

use super::judges::{each_kms_refuses, each_refuses};
use super::pipeline::training;
use super::scene::{Deal, Scene, real, refuses, to_folder};

/// A house whose providers all offer it.
fn open() -> Scene {
    Scene::with(|tdp, tables| {
        let offered = |d: &mut depa::dataset::Description| {
            d.cap.epsilon = real("900");
            (d.cap.level, d.cap.without_differential_privacy) = (0, true);
        };
        tdp.offers_with(tables.of(tdp.kind), offered).unwrap()
    })
}

/// A contract in force in which the datasets of these places allow it, with an honest private job.
fn deal(scene: &Scene, allowing: &[usize]) -> Deal {
    scene.deal_with(|form| {
        for at in allowing {
            form.datasets[*at].without_differential_privacy = true;
        }
    })
}

fn not_private(job: &mut JobSpec) {
    let training = training(job);
    training.private = false;
    (training.epsilon, training.delta, training.metrics) = (None, None, None);
}

fn form(form: &mut JobForm) {
    let training = &mut form.training;
    training.private = false;
    (training.epsilon, training.delta, training.metrics_noise_multiplier) = (None, None, None);
}

#[test]
fn one_dataset_of_three_that_does_not_allow_it_stops_it_at_every_judge() {
    let scene = open();
    let deal = deal(&scene, &[0, 2]);
    let forged = scene.forged(&deal, not_private);
    each_refuses(&scene, &forged, Code::PipelineNotPrivate);
    each_kms_refuses(&scene, &forged, Code::PipelineNotPrivate);
    // The consumer's own tool names the dataset and signs nothing.
    let refusal = scene.house.job_with(&deal.contract.id, form).unwrap_err();
    assert_eq!(refusal.code, Code::PipelineNotPrivate);
    let named = scene.house.offers[1].sealed.dataset_id.as_str();
    assert!(refusal.sentence.contains(named), "{refusal}");
    scene.nothing_came_of(&deal);
    // The private job of the same contract is done as ever.
    scene.order_and_run(&deal.bundle).unwrap();
}

#[test]
fn what_all_contracts_allow_is_done_and_called_what_it_is() {
    let scene = open();
    let deal = deal(&scene, &[0, 1, 2]);
    let prepared = scene.house.job_with(&deal.contract.id, |wanted| {
        form(wanted);
        to_folder(wanted, &deal.upload);
    });
    let prepared = prepared.unwrap();
    assert!(prepared.estimate.plan.without_differential_privacy);
    let done = scene.order_and_run(&prepared.bundle).unwrap();

    // Every ledger has a charge that no ε bounds, and says so.
    assert_eq!(scene.states(&deal.contract), [["committed"], ["committed"], ["committed"]]);
    for tdp in &scene.house.tdps {
        assert!(scene.events(tdp, &deal.contract).iter().all(|(_, micro)| *micro == DatasetCharge::UNBOUNDED));
        let ledger = &scene.budget(tdp)["ledgers"][0];
        assert!(ledger["epsilon_micro"].is_null(), "{ledger}");
        assert!(ledger["events"][0]["kept"].as_str().unwrap().contains(WITHOUT_PRIVACY), "{ledger}");
    }
    let tdc = &scene.house.tdc;
    let desk = tdc.person.desk().unwrap();
    let completion: Completion = desk.run(&done.run_id).unwrap().completion.unwrap().read_unverified().unwrap();
    let released = completion.release_receipts.iter().map(|receipt| receipt.read_unverified().unwrap());
    let charges: Vec<_> = released.flat_map(|receipt| receipt.charges).collect();
    assert_eq!(charges.len(), 3);
    assert!(charges.iter().all(|c| matches!(c.mechanisms[..], [Mechanism::WithoutDifferentialPrivacy { .. }])));

    // The certificate of what the consumer opens says it, and shows no ε.
    let out = tdc.person.dir.join("open.safetensors");
    let got = depa::model::download(desk, &done.run_id, &prepared.bundle, &tdc.enc, tdc.person.trust().unwrap(), &out);
    let certificate = got.unwrap().certificate;
    assert!(certificate.plan.without_differential_privacy);
    assert_eq!((certificate.noise, &certificate.metrics), (Some(NoiseSampler::WithoutNoise), &None));
    assert!(certificate.datasets.iter().all(|dataset| dataset.epsilon_pld_micro.is_none()));
    assert_eq!(certificate.model_sha256, Digest::of(&std::fs::read(&out).unwrap()));

    // So does the audit, to whoever reads the log.
    let house = &scene.house;
    let mut export = Vec::new();
    depa::audit::export(house.sro.auditor().desk().unwrap(), &house.trust, &mut export).unwrap();
    let options = Options::default();
    let report =
        depa::audit::verify(&mut export.as_slice(), &house.trust, &options, house.sro.auditor().now()).unwrap();
    assert!(report.verified);
    assert_eq!(report.budgets.iter().filter(|line| line.without_differential_privacy == 1).count(), 3);
    assert!(report.budgets.iter().all(|line| line.epsilon_micro.is_none()), "{:?}", report.budgets);
    let text = report.text();
    assert!(text.contains("WITHOUT DIFFERENTIAL PRIVACY") && text.contains("ε without bound"), "{text}");
    assert!(!text.contains("ε 0.000000"), "{text}");
}

#[test]
fn what_people_sign_says_it_in_words() {
    let scene = open();
    let (open, closed) = (deal(&scene, &[1]), deal(&scene, &[]));
    let text = |deal: &Deal| {
        let view = depa::contract::fetch(scene.house.tdc.person.desk().unwrap(), &deal.contract.id).unwrap();
        depa::contract::plain_language(&view.contract).unwrap()
    };
    assert_eq!(text(&open).matches("TRAINING WITHOUT DIFFERENTIAL PRIVACY IS ALLOWED").count(), 1);
    assert!(!text(&closed).contains("WITHOUT DIFFERENTIAL PRIVACY"));
    // No provider's key is asked for more than the offer says, and no level that a machine keeps.
    let enforced = Scene::new();
    let asked = enforced.house.signed_contract(|form| form.datasets[0].without_differential_privacy = true);
    refuses(Code::NotPrivateEnforced, asked.map(drop));
}
