//! The privacy budget: what is contracted is spent once, also when many ask at the same moment.

use demo::House;
use schemas::Code;
use schemas::bundle::JobBundle;

use super::scene::{Deal, Scene, models, real, refuses, to_folder};

/// A house whose providers grant ε 3 to the consumer, as in the demo.
fn thrifty() -> Scene {
    Scene::with(|tdp, tables| tdp.offers(tables.of(tdp.kind)).unwrap())
}

/// What the ledgers of a house say was spent in all, in 10⁻⁶.
fn ledgers(scene: &Scene) -> Vec<u64> {
    let house: &House = &scene.house;
    let of = |tdp| scene.budget(tdp)["ledgers"].as_array().unwrap()[0]["epsilon_micro"].as_u64().unwrap();
    house.tdps.iter().map(of).collect()
}

#[test]
fn a_second_run_beyond_the_contract_or_the_cap_is_refused() {
    let scene = thrifty();
    let deal = scene.deal();
    // Ordered before the first run ends: while an order waits, a spent budget does not complete the contract.
    let again = scene.again(&deal);
    scene.house.tdc.orders(&again).unwrap();
    scene.order_and_run(&deal.bundle).unwrap();
    assert_eq!(scene.states(&deal.contract), [["committed"]; 3]);
    let before = (scene.spent(&deal.contract), ledgers(&scene));
    assert!(before.0.iter().all(|spent| (900_000..=1_000_000).contains(spent)), "{before:?}");
    scene.house.wait_until_settled(&deal.contract.id, std::time::Duration::from_secs(60)).unwrap();
    let told = scene.told(&deal.contract);

    let (done, progress) = scene.run(&again, &scene.room());
    refuses(Code::BudgetExceeded, done);
    assert_eq!(progress.len(), 2, "admitted and checked in, nothing reserved: {progress:?}");
    assert_eq!((scene.spent(&deal.contract), ledgers(&scene)), before);
    assert_eq!((models(&deal), scene.payments(&deal.contract).len(), scene.told(&deal.contract)), (1, 4, told));

    // A contract that grants all of the cap: within it, and still too much for the family after the first run.
    let wide =
        scene.house.signed_contract(|form| form.datasets.iter_mut().for_each(|d| d.epsilon = real("3"))).unwrap();
    let upload = scene.upload_folder();
    let asks = |epsilon: &str| -> JobBundle {
        let change = |form: &mut depa::job::form::JobForm| {
            to_folder(form, &upload);
            form.training.epsilon = Some(real(epsilon));
        };
        scene.house.job_with(&wide.id, change).unwrap().bundle
    };
    let wide = Deal { bundle: asks("3"), contract: wide.clone(), upload: upload.clone() };
    refuses(Code::BudgetExceeded, scene.order_and_run(&wide.bundle));
    scene.nothing_came_of(&wide);
    scene.order_and_run(&asks("1")).unwrap();
    assert!(ledgers(&scene).iter().all(|spent| *spent <= 3_000_000));
    // A contract cannot grant more than the offer's cap in the first place.
    let greedy = scene.house.contract_with(|form| form.datasets[0].epsilon = real("3.1"));
    refuses(Code::EpsilonOutOfRange, greedy);
}

#[test]
fn of_twenty_at_once_one_fits() {
    let scene = thrifty();
    let deal = scene.deal();
    let bundles: Vec<JobBundle> = (0..20).map(|_| scene.again(&deal)).collect();
    bundles.iter().for_each(|bundle| drop(scene.house.tdc.orders(bundle).unwrap()));
    let scene = &scene;
    let ends: Vec<Result<(), Code>> = std::thread::scope(|scope| {
        let start = |bundle| move || scene.run(bundle, &scene.room()).0.map(drop).map_err(|refusal| refusal.code);
        let runs: Vec<_> = bundles.iter().map(|bundle| scope.spawn(start(bundle))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let refused = ends.iter().filter(|end| **end == Err(Code::BudgetExceeded)).count();
    assert_eq!((ends.iter().filter(|end| end.is_ok()).count(), refused), (1, 19), "{ends:?}");
    assert_eq!(scene.states(&deal.contract), [["committed"]; 3]);
    assert!(ledgers(scene).iter().all(|spent| *spent <= 1_000_000));
    assert_eq!((models(&deal), scene.payments(&deal.contract).len()), (1, 4));
    scene.house.wait_until_settled(&deal.contract.id, std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(scene.told(&deal.contract), 4);
}
