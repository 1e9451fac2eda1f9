//! What a provider lets out of its table itself stands in the same ledger as training, through the whole house: a profile
//! beside a run, and a sketch for which nothing is left.

use depa::dataset::charge::{Account, Outgoing, let_out};
use depa::dataset::kms::Kms;
use depa::dataset::sketch::{Terms, sketch};
use schemas::Code;
use schemas::own_release::ReleasedKind;

use super::scene::{Scene, real, refuses};

#[test]
fn a_file_outside_runs_and_a_run_spend_one_budget() {
    let scene =
        Scene::with(|tdp, tables| tdp.offers_with(tables.of(tdp.kind), |d| d.cap.epsilon = real("1.2")).unwrap());
    let deal = scene.deal_with(|form| form.datasets.iter_mut().for_each(|d| d.epsilon = real("1.0")));
    let own = &scene.house.tdps[0];
    let offered = scene.house.offers.iter().find(|offered| offered.kind == own.kind).unwrap();
    let kms = || Kms::new(&own.kms).unwrap();
    let account = Account::open(kms(), own.person.key.clone(), offered.offer.clone(), None).unwrap();
    let sketched = |name: &str, epsilon: &str| {
        let terms = Terms { session: format!("{name}, November 2026"), buckets: 16, epsilon: real(epsilon) };
        let made = sketch(["+91 1", "+91 2"].into_iter(), &terms, &mut depa::edge::words()).unwrap();
        let file = depa::edge::json(&made).unwrap();
        let out = scene.house.dir.join(format!("{name}.json"));
        let outgoing = Outgoing { kind: ReleasedKind::Sketch, file: &file, mechanism: &made.charge };
        (let_out(&outgoing, Some(&account), &out, own.person.now()), out)
    };
    let (charged, out) = sketched("before the run", "0.02");
    assert!(charged.unwrap().is_some() && out.exists());
    scene.order_and_run(&deal.bundle).unwrap();
    let (refused, out) = sketched("after the run", "0.25");
    refuses(Code::BudgetExceeded, refused);
    assert!(!out.exists(), "nothing is let out that is not charged");

    let read = depa::kms::ledger::read(&kms(), &own.person.key, (uuid::Uuid::new_v4(), own.person.now())).unwrap();
    let [ledger] = read.ledgers.as_slice() else { panic!("one family, one consumer: {read:?}") };
    assert_eq!((ledger.events.len(), ledger.releases.len()), (1, 1));
    assert!(ledger.epsilon_micro.unwrap() > ledger.events[0].charge.epsilon_micro);
    assert!(read.text().contains("sketch") && read.text().contains("outside any run"), "{}", read.text());
}
