//! A budget that is renewed, through the whole house: offers that say how far, a contract that grants it, a run beyond the
//! cap, the providers' acts in the log, one more run, and the audit of it all.

use depa::audit::Options;
use depa::dataset::renewal::{self, Renewal};
use schemas::Code;

use super::scene::{Deal, Scene, real, refuses};

/// ε 1 at first, renewable to 3; the contract grants all of it.
fn scene() -> (Scene, Deal) {
    let scene = Scene::with(|tdp, tables| {
        let renewable = |d: &mut depa::dataset::Description| {
            (d.cap.epsilon, d.cap.renewable_to) = (real("1.0"), Some(real("3.0")));
        };
        tdp.offers_with(tables.of(tdp.kind), renewable).unwrap()
    });
    let deal = scene.deal_with(|form| form.datasets.iter_mut().for_each(|d| d.epsilon = real("3.0")));
    (scene, deal)
}

#[test]
fn a_renewed_budget_lets_one_more_run_through_and_the_audit_agrees() {
    let (scene, deal) = scene();
    let house = &scene.house;
    scene.order_and_run(&deal.bundle).unwrap();
    refuses(Code::BudgetExceeded, scene.order_and_run(&scene.again(&deal)));
    for tdp in &house.tdps {
        let (desk, trust) = (tdp.person.desk().unwrap(), tdp.person.trust().unwrap());
        let offered = house.offers.iter().find(|offered| offered.kind == tdp.kind).unwrap();
        let offer = depa::dataset::verified_offer(desk, trust, &offered.sealed.dataset_id).unwrap();
        let ask = |number, epsilon: &str| {
            let tdc = Some(house.tdc.person.did.clone());
            let reason = "The second year of the study".into();
            let renewal = Renewal { tdc, number, epsilon: real(epsilon), reason };
            renewal::sign(renewal, &offer, &tdp.person.key, tdp.person.now())
        };
        refuses(Code::BudgetRenewalTooLarge, ask(1, "2.1").map(drop));
        refuses(Code::BudgetRenewalInvalid, desk.renew_budget(&ask(2, "0.6").unwrap()));
        let signed = ask(1, "0.6").unwrap();
        desk.renew_budget(&signed).unwrap();
        refuses(Code::BudgetRenewalExists, desk.renew_budget(&signed));
    }
    // Who goes on with the bundle of before has the cap of before.
    let renewed = scene.again(&deal);
    assert_eq!(renewed.renewals.len(), 3);
    let job = house.job_with(&deal.contract.id, |form| super::scene::to_folder(form, &deal.upload)).unwrap().bundle;
    let unshown = schemas::bundle::JobBundle { renewals: vec![], ..job };
    refuses(Code::BudgetExceeded, scene.order_and_run(&unshown));
    scene.order_and_run(&renewed).unwrap();
    refuses(Code::BudgetExceeded, scene.order_and_run(&scene.again(&deal)));
    assert!(scene.spent(&deal.contract).iter().all(|spent| *spent > 1_000_000), "two runs, each charged");
    // The provider reads the same at its own key service, and at nobody else's.
    let (own, other) = (&house.tdps[0], &house.tdps[1]);
    let read = |kms: &str| {
        let kms = depa::dataset::kms::Kms::new(kms).unwrap();
        depa::kms::ledger::read(&kms, &own.person.key, (uuid::Uuid::new_v4(), own.person.now()))
    };
    let ledgers = read(&own.kms).unwrap();
    let [ledger] = ledgers.ledgers.as_slice() else { panic!("one family, one consumer: {ledgers:?}") };
    let states: Vec<&str> = ledger.events.iter().map(|event| event.state.as_str()).collect();
    assert_eq!(states, ["committed", "committed"]);
    let spent = ledger.epsilon_micro.unwrap();
    assert!((1_000_001..=1_600_000).contains(&spent), "{spent}");
    let text = ledgers.text();
    let shown = format!("ε {}.{:06} spent", spent / 1_000_000, spent % 1_000_000);
    assert!(text.contains(&shown) && text.contains(deal.contract.id.as_str()), "{text}");
    refuses(Code::Forbidden, read(&other.kms));

    let mut export = Vec::new();
    depa::audit::export(house.sro.auditor().desk().unwrap(), &house.trust, &mut export).unwrap();
    let options = Options::default();
    let report = depa::audit::verify(&mut export.as_slice(), &house.trust, &options, house.sro.auditor().now());
    assert!(report.unwrap().verified);
}
