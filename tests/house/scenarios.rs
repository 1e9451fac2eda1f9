//! Reference scenarios as a whole: sealed, contracted, run in a room by the real worker, opened, paid, audited.

use demo::narrate::Narrator;
use demo::scenario::{self, ScenarioReport};
use demo::{House, TestClock};
use scenarios::{Order, Scenario};

use crate::{not_run, real_worker};

/// A scenario with so many people and steps, in a house of its own.
fn performed(test: &str, scenario: Scenario, rows: u64, steps: Option<u32>) -> Option<ScenarioReport> {
    let Some(worker) = real_worker() else {
        not_run(test, "ccr-trainer is not built");
        return None;
    };
    let mut house = House::in_process(TestClock::default().clock(), &worker).unwrap();
    house.verify_participants().unwrap();
    house.approve_room().unwrap();
    house.open_for_business().unwrap();
    let order = Order { scenario, rows: Some(rows), seed: None, tables: None };
    let fewer = |training: &mut depa::job::form::TrainingForm| training.steps = steps.unwrap_or(training.steps);
    let report = scenario::perform(&mut house, &order, fewer, &mut Narrator::silent()).unwrap();
    assert_eq!((report.scenario, report.public_rows, report.published_tables), (scenario.name(), rows, false));
    assert_eq!((report.run.state.as_str(), report.run.simulated), ("delivered", true));
    assert!(report.payments.len() == 1 && report.payments.iter().all(|p| p.state == "settled"));
    assert!(report.audit.verified);
    // What was asked, nearly all of it, and no more.
    let (spent, asked) = (report.privacy.epsilon.value(), scenario.epsilon().parse::<f64>().unwrap());
    assert!(spent <= asked && spent > 0.9 * asked, "{spent} of {asked}");
    let shares: f64 = report.room.parts.iter().map(|part| part.share).sum();
    assert!((shares - 1.0).abs() < 0.01 && report.room.seconds > 0.0, "{:?}", report.room);
    println!("{}: {}; {:?}", scenario.name(), report.room.words(), report.model.held_out_computed_outside_the_room);
    Some(report)
}

#[test]
fn covid_by_its_scenario_goes_from_contract_to_completion() {
    let test = "covid_by_its_scenario_goes_from_contract_to_completion";
    let Some(report) = performed(test, Scenario::Covid, 2_119, None) else { return };
    assert_eq!((report.privacy.steps, report.privacy.delta.to_string().as_str()), (198, "0.0000472"));
    let Some(quality) = report.model.held_out_computed_outside_the_room else {
        return not_run(test, "trainer-evaluate is not built");
    };
    // Noise is fresh in every run: this only tells a model from a coin.
    assert!(quality.rows > 300 && quality.auc.unwrap() > 0.7, "{quality:?}");
}

/// Six tables of three providers in one contract: trees, with the noise that five left joins ask for.
#[test]
fn credit_by_its_scenario_goes_from_contract_to_completion() {
    let test = "credit_by_its_scenario_goes_from_contract_to_completion";
    let Some(report) = performed(test, Scenario::CreditRisk, 800, Some(40)) else { return };
    assert_eq!((report.privacy.steps, report.privacy.sample_rate.value()), (40, 1.0));
}

/// Pictures of one provider, sealed as a folder: a network, classes, Adam.
#[test]
fn mnist_by_its_scenario_goes_from_contract_to_completion() {
    pictures("mnist_by_its_scenario_goes_from_contract_to_completion", Scenario::Mnist);
}

/// The same in three colours.
#[test]
fn cifar10_by_its_scenario_goes_from_contract_to_completion() {
    pictures("cifar10_by_its_scenario_goes_from_contract_to_completion", Scenario::Cifar10);
}

fn pictures(test: &str, scenario: Scenario) {
    let Some(report) = performed(test, scenario, 120, Some(3)) else { return };
    assert_eq!(report.privacy.steps, 3);
    let Some(quality) = report.model.held_out_computed_outside_the_room else {
        return not_run(test, "trainer-evaluate is not built");
    };
    assert!(quality.rows > 5 && quality.accuracy.is_some() && quality.auc.is_none(), "{quality:?}");
}

/// Four hospitals' slices stand one below the other: each dataset is charged once for its own people.
#[test]
fn brats_by_its_scenario_goes_from_contract_to_completion() {
    let test = "brats_by_its_scenario_goes_from_contract_to_completion";
    let Some(report) = performed(test, Scenario::Brats, 40, Some(2)) else { return };
    assert_eq!(report.privacy.steps, 2);
    if let Some(quality) = report.model.held_out_computed_outside_the_room {
        assert!((1..40).contains(&quality.rows) && quality.dice.is_some() && quality.auc.is_none(), "{quality:?}");
    }
}
