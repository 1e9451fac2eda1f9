//! A table with more people than its provider told everybody: the room refuses before the first step, with one code, and
//! the charge comes back. That each table is held against its own count alone, the tests of `tables` and `ccr-trainer` show.

use ccr_runtime::Progress;
use demo::actors::{Offered, Tdp};
use demo::data::{TableKind, Tables};
use depa::dataset::kms::Kms;
use depa::dataset::{self, SealedDataset, seal};
use schemas::{Code, R};

use super::scene::{Deal, PEOPLE, Scene, refuses};
use crate::{not_run, real_worker};

/// Seals a provider's table under this public count.
fn sealed(tdp: &Tdp, tables: &Tables, people: u64) -> R<SealedDataset> {
    let mut description = tdp.description()?;
    description.public_rows = people;
    std::fs::create_dir_all(&tdp.storage).unwrap();
    let (csv, out) = (tdp.person.dir.join(tdp.kind.file()), tdp.storage.join(format!("{people}.depa")));
    if !csv.exists() {
        depa::edge::write_private(&csv, &tables.of(tdp.kind).csv()?)?;
    }
    let job = seal::Job { description: &description, csv: &csv, out: &out, url: None };
    let (person, kms) = (&tdp.person, Kms::new(&tdp.kms)?);
    dataset::seal(&job, &kms, &person.key, person.trust()?, &mut depa::edge::fresh, person.now())
}

/// Seals a table with its count, and tells everybody this one.
fn offers(tdp: &Tdp, tables: &Tables, told: u64) -> Offered {
    let sealed = sealed(tdp, tables, PEOPLE as u64).unwrap();
    let mut description = tdp.description().unwrap();
    description.public_rows = told;
    let (person, file) = (&tdp.person, tdp.storage.join(format!("{PEOPLE}.depa")));
    let offer = dataset::offer(&description, &sealed, &person.key, person.trust().unwrap(), person.now()).unwrap();
    let receipt = dataset::publish(person.desk().unwrap(), &offer).unwrap();
    Offered { kind: tdp.kind, sealed, file, offer, receipt }
}

/// A house whose providers count the people of their tables, but one of them tells one too few. No honest one can: its table is
/// not sealed so.
fn house(short: Option<usize>) -> (Scene, Deal) {
    let scene = Scene::with(|tdp, tables| {
        let own = short.is_some_and(|place| TableKind::ALL[place] == tdp.kind);
        let told = PEOPLE as u64 - u64::from(own);
        if own {
            refuses(Code::PublicCountExceeded, sealed(tdp, tables, told));
            assert!(!tdp.storage.join(format!("{told}.depa")).exists());
        }
        offers(tdp, tables, told)
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
