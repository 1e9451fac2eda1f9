//! The budget: spent once per run, returned only by the rules.

use schemas::Code;
use schemas::event::RunEventKind;
use schemas::job::JobSpec;
use schemas::pipeline::{Metrics, OutputKind, Stage};
use schemas::privacy::{DatasetCharge, Mechanism, Scope};
use schemas::release::KmsStatement;

use crate::support::papers::{clause, real};
use crate::support::{Changes, People, Room, World};

pub const ABORTED: fn(u32) -> RunEventKind = |steps_run| RunEventKind::Aborted { steps_run, code: "TIMEOUT".into() };

#[test]
fn a_second_run_beyond_the_budget_is_refused() {
    let world = World::new();
    Room::new(&world).reserve().unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    let ledger = &world.budget()["ledgers"][0];
    assert_eq!(ledger["family"], world.tables[0].family.as_str());
    let spent = ledger["epsilon_micro"].as_u64().unwrap();
    assert!((800_000..=900_000).contains(&spent), "{spent}");
}

#[test]
fn two_small_runs_fit_and_a_third_does_not() {
    let world = World::with(Changes {
        job: Box::new(|j| match &mut j.stages[1] {
            schemas::pipeline::Stage::Train(t) => t.epsilon = Some(real("0.6")),
            other => panic!("{other:?}"),
        }),
        ..Changes::default()
    });
    Room::new(&world).reserve().unwrap();
    Room::new(&world).reserve().unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    assert_eq!(world.charges(), ["reserved", "reserved"]);
}

#[test]
fn the_familys_cap_holds_beside_the_contracts_grant() {
    let world = World::with(Changes {
        offer: Box::new(|o| o.privacy_cap = schemas::privacy::Clause { scope: Scope::Global, ..clause("1.0") }),
        contract: Box::new(|c| c.datasets[0].privacy.scope = Scope::Global),
        ..Changes::default()
    });
    Room::new(&world).reserve().unwrap();
    assert_eq!(world.budget()["ledgers"][0]["scope"], "global");
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
}

/// A world whose own dataset stands at this level, in offer and contract alike, and whose job may be changed too.
fn at_level(level: u8, job: fn(&mut JobSpec)) -> World {
    World::with(Changes {
        offer: Box::new(move |o| o.privacy_cap.level = level),
        contract: Box::new(move |c| {
            c.datasets[0].privacy.level = level;
            c.outputs.kinds = vec![if level == 2 { "metrics" } else { "model" }.into()];
        }),
        job: Box::new(job),
        ..Changes::default()
    })
}

/// The job writes noised metrics alone.
fn metrics_alone(job: &mut JobSpec) {
    for stage in &mut job.stages {
        match stage {
            Stage::Train(train) => {
                train.metrics = Some(Metrics { noise_multiplier: real("30"), curve: None, loss: None })
            }
            Stage::Output(output) => output.kind = OutputKind::Metrics,
            Stage::Join(_) => (),
        }
    }
}

#[test]
fn what_law_alone_bounds_is_recorded_and_refuses_nothing() {
    let world = at_level(0, |_| ());
    for _ in 0..3 {
        Room::new(&world).reserve().unwrap();
    }
    let receipt = Room::new(&world).reserve().unwrap().read_unverified().unwrap();
    assert_eq!(receipt.charges[0].level, 0);
    let ledger = &world.budget()["ledgers"][0];
    assert_eq!(ledger["events"].as_array().unwrap().len(), 4);
    assert_eq!(
        (&ledger["events"][3]["kept"], &ledger["events"][3]["charge"]["level"]),
        (&"legal only".into(), &0.into())
    );
    assert!(ledger["epsilon_micro"].as_u64().unwrap() > 1_000_000, "beyond the clause, for all to see");
}

#[test]
fn a_contract_of_another_level_than_its_offer_reserves_nothing() {
    let world = World::with(Changes { contract: Box::new(|c| c.datasets[0].privacy.level = 0), ..Changes::default() });
    world.refuses(Code::TermsNotOffer, || Room::new(&world).reserve());
}

#[test]
fn where_the_model_stays_inside_a_job_that_hands_it_out_is_refused() {
    let world = at_level(2, |_| ());
    world.refuses(Code::ModelStaysInside, || Room::new(&world).reserve());
    assert!(world.charges().is_empty());
    let world = at_level(2, metrics_alone);
    let receipt = Room::new(&world).reserve().unwrap().read_unverified().unwrap();
    assert_eq!(receipt.charges[0].level, 2);
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
}

/// A world whose own provider allows training without differential privacy, and the other one where `other` says so; the
/// job asks for it.
fn without_privacy(other: bool) -> World {
    World::with(Changes {
        offer: Box::new(|o| {
            (o.privacy_cap.level, o.privacy_cap.without_differential_privacy) = (0, true);
        }),
        contract: Box::new(move |c| {
            for dataset in c.datasets.iter_mut().take(if other { 2 } else { 1 }) {
                (dataset.privacy.level, dataset.privacy.without_differential_privacy) = (0, true);
            }
        }),
        other_offer: Box::new(move |o| {
            if other {
                (o.privacy_cap.level, o.privacy_cap.without_differential_privacy) = (0, true);
            }
        }),
        job: Box::new(|j| match &mut j.stages[1] {
            Stage::Train(train) => {
                train.private = false;
                (train.epsilon, train.delta, train.metrics) = (None, None, None);
            }
            other => panic!("{other:?}"),
        }),
        ..Changes::default()
    })
}

#[test]
fn a_training_without_privacy_that_one_provider_does_not_allow_reserves_nothing() {
    let world = without_privacy(false);
    world.refuses(Code::PipelineNotPrivate, || Room::new(&world).reserve());
    assert!(world.charges().is_empty());
}

#[test]
fn a_training_without_privacy_that_all_allow_is_charged_what_no_epsilon_bounds_and_called_so() {
    let world = without_privacy(true);
    let receipt = Room::new(&world).reserve().unwrap().read_unverified().unwrap();
    assert_eq!(receipt.charges[0].mechanisms, [Mechanism::WithoutDifferentialPrivacy { steps: 50 }]);
    assert_eq!(receipt.charges[0].epsilon_micro, DatasetCharge::UNBOUNDED);
    let ledger = &world.budget()["ledgers"][0];
    assert!(ledger["epsilon_micro"].is_null(), "neither 0 nor any other number: {ledger}");
    assert_eq!(ledger["without_differential_privacy"], 1);
    assert_eq!(ledger["events"][0]["kept"], "legal only, without differential privacy");
    // The sums of the ledger hold what nothing bounds, also when they are read again.
    Room::new(&world).reserve().unwrap();
    assert_eq!(world.budget()["ledgers"][0]["without_differential_privacy"], 2);
}

#[test]
fn a_reservation_that_was_not_released_ends_by_itself() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    world.pass(599);
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    world.pass(1);
    assert_eq!(world.charges(), ["expired"]);
    world.refuses(Code::ReservationExpired, || room.release(&reserved));
    world.refuses(Code::ReservationExpired, || room.reserve());
    Room::new(&world).reserve().unwrap();
    assert_eq!(world.charges(), ["expired", "reserved"]);
}

#[test]
fn a_released_charge_stays_whatever_becomes_of_the_run() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    world.pass(86_400);
    assert_eq!(world.charges(), ["charged"]);
    world.refuses(Code::LeaseExpired, || room.renew(room.status_list(vec![])));
    world.refuses(Code::LeaseExpired, || room.commit(b"model"));
    world.refuses(Code::ReservationExpired, || room.release(&reserved));
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
}

#[test]
fn an_abort_before_the_first_step_returns_the_charge() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    let abort = room.aborted(ABORTED(0));
    let refunded = room.refund(&abort).unwrap();
    let statement = refunded.read_unverified().unwrap().statement;
    assert_eq!(statement, KmsStatement::Refunded { aborted_sha256: abort.aborted.digest() });
    assert_eq!(world.charges(), ["refunded"]);
    assert_eq!(room.refund(&abort).unwrap(), refunded);
    world.refuses(Code::RefundRefused, || {
        world.pass(1);
        room.refund(&room.aborted(ABORTED(0)))
    });
    world.refuses(Code::RunState, || room.release(&reserved));
    world.refuses(Code::RunState, || room.renew(room.status_list(vec![])));
    world.refuses(Code::RunState, || room.commit(b"model"));
    Room::new(&world).reserve().unwrap();
}

#[test]
fn refunds_that_are_none() {
    let world = World::new();
    let room = Room::new(&world);
    let unknown = room.aborted(ABORTED(0));
    world.refuses(Code::RunUnknown, || room.refund(&unknown));
    let reserved = room.reserve().unwrap();
    // Not charged yet.
    world.refuses(Code::RefundRefused, || room.refund(&unknown));
    room.release(&reserved).unwrap();
    world.refuses(Code::RefundRefused, || room.refund(&room.aborted(ABORTED(1))));
    world.refuses(Code::RefundRefused, || room.refund(&room.aborted(RunEventKind::Training {})));
    // Signed by another key, though logged.
    world.refuses(Code::SignerUnknown, || room.refund(&room.rekeyed().aborted(ABORTED(0))));
    let other = Room::new(&world);
    world.refuses(Code::SignerUnknown, || room.refund(&other.aborted(ABORTED(0))));
    // Not in the log: the receipt is of another entry.
    let mut abort = room.aborted(ABORTED(0));
    abort.receipt = world.bundle.contracts[0].receipt.clone();
    world.refuses(Code::ReceiptMismatch, || room.refund(&abort));
    // The receipt's checkpoint is not the log's.
    let mut abort = room.aborted(ABORTED(0));
    let forged = signing::note::sign_checkpoint(
        crate::support::people::ORIGIN,
        &world.log.lock().unwrap().head(),
        &People::new().registry,
    );
    abort.receipt.checkpoint = forged.unwrap().text();
    world.refuses(Code::CheckpointInvalid, || room.refund(&abort));
    assert_eq!(world.charges(), ["charged"]);
    room.commit(b"model").unwrap();
    world.refuses(Code::RefundRefused, || room.refund(&room.aborted(ABORTED(0))));
    assert_eq!(world.charges(), ["committed"]);
}
