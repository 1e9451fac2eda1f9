//! A person withdraws consent, as its provider types it: a version without that person, and the contracts that still stand
//! over the former one.

use std::fs;

use demo::House;
use demo::data;
use demo::house::process::sibling;
use schemas::Code;
use serde_json::json;

use crate::typed::Hand;
use crate::{echo_worker, not_run};

#[test]
fn forgetting_names_the_contracts_that_still_stand() {
    let Ok(depa) = sibling("depa") else {
        return not_run("forgetting_names_the_contracts_that_still_stand", "depa is not built");
    };
    let tables = data::generate(data::SEED, 60);
    // Processes have the machine's clock.
    let mut house = House::in_process(contract_client::system_clock(), echo_worker()).unwrap();
    house.verify_participants().unwrap();
    house.approve_room().unwrap();
    house.seal_and_offer(&tables).unwrap();
    let contract = house.active_contract().unwrap();
    let job = house.job_with(&contract.id, |_| {}).unwrap();

    let (tdp, offered) = (&house.tdps[0], &house.offers[0]);
    let hand = Hand::of(&depa, &house, &tdp.person);
    let (table, key) = (tables.of(tdp.kind), tdp.kind.key());
    let place = table.column(key).unwrap();
    depa::edge::write_json(&hand.file("dataset.json"), &tdp.description().unwrap()).unwrap();
    depa::dataset::record::write(&hand.file("sealed.json"), &offered.sealed).unwrap();
    fs::copy(tdp.person.dir.join(tdp.kind.file()), hand.file("table.csv")).unwrap();
    fs::copy(hand.file("table.csv"), hand.file("table.parquet")).unwrap();
    let people: String = table.rows[..2].iter().map(|row| format!("{}\n", row[place])).collect();
    fs::write(hand.file("withdrawn.txt"), people).unwrap();
    fs::write(hand.file("misspelt.txt"), "nobody has this number\n").unwrap();
    let forget = |table: &str, people: &str| {
        format!(
            "dataset forget dataset.json --csv {table} --record sealed.json --people {people} --column {key} --dir ."
        )
    };
    let versions = || {
        let all = hand.json(&format!("dataset versions {}", offered.sealed.dataset_id));
        all.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    // What it cannot do changes nothing.
    hand.refused(&forget("table.parquet", "withdrawn.txt"), Code::TableForm);
    hand.refused(&forget("table.csv", "misspelt.txt"), Code::ConfigInvalid);
    assert_eq!(versions(), ["registered"]);

    let done = hand.json(&forget("table.csv", "withdrawn.txt"));
    let expected = json!([{"id": contract.id, "sha256": contract.sha256}]);
    assert_eq!((&done["open_contracts"], &done["rows_left_out"]), (&expected, &2.into()), "{done}");
    assert_eq!((&done["former"], &done["version"]), (&1.into(), &2.into()));
    assert_eq!(versions(), ["withdrawn", "registered"]);
    let kept = fs::read_to_string(hand.file("v2-table.csv")).unwrap();
    assert!(table.rows[..2].iter().all(|row| !kept.contains(&row[place])), "a person was left in");
    assert!(kept.contains(&table.rows[2][place]));
    // No run begins under the contract that stands.
    assert_eq!(house.tdc.orders(&job.bundle).unwrap_err().code, Code::DatasetNotAvailable);
}
