//! A table with more people than its provider told everybody: the room refuses before the first step, with one code, and
//! the charge comes back. That each table is held against its own count alone, the tests of `tables` and `ccr-trainer` show.

use ccr_runtime::Progress;
use demo::data::TableKind;
use schemas::Code;

use super::scene::{Deal, PEOPLE, Scene, refuses};
use crate::{not_run, real_worker};

/// A house whose providers count the people of their tables, but one of them one too few.
fn house(short: Option<usize>) -> (Scene, Deal) {
    let scene = Scene::with(|tdp, tables| {
        let own = short.is_some_and(|place| TableKind::ALL[place] == tdp.kind);
        let offered = tdp.offers_with(tables.of(tdp.kind), |description| {
            description.public_rows = PEOPLE as u64 - u64::from(own);
        });
        offered.unwrap()
    });
    let deal = scene.deal();
    (scene, deal)
}

#[test]
fn a_table_with_more_people_than_its_own_public_count_costs_nothing() {
    let name = "a_table_with_more_people_than_its_own_public_count_costs_nothing";
    let Some(worker) = real_worker() else { return not_run(name, "ccr-trainer is not built") };
    for short in [Some(1), None] {
        let (scene, deal) = house(short);
        scene.house.tdc.orders(&deal.bundle).unwrap();
        let mut room = scene.room();
        room.config.trainer.clone_from(&worker);
        let (done, told) = scene.run(&deal.bundle, &room);
        let trained = told.iter().any(|p| matches!(p, Progress::Training { .. }));
        let Some(place) = short else {
            assert!(done.is_ok() && trained, "the right count passes: {done:?}");
            continue;
        };
        println!("provider {place} counted one too few");
        refuses(Code::PublicCountExceeded, done);
        assert!(!trained, "{told:?}");
        let run = told.iter().find_map(|p| if let Progress::CheckedIn { run } = p { Some(run) } else { None }).unwrap();
        assert_eq!(scene.house.tdc.person.desk().unwrap().run(run).unwrap().state, "aborted");
        assert_eq!(scene.states(&deal.contract), [["refunded"]; 3]);
        scene.key_is_withheld(run);
        scene.nothing_came_of(&deal);
    }
}
