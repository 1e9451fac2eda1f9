//! Two services on one database: one writes, the other reads and takes over.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contract_client::Client;
use contract_service::Service;
use schemas::party::Kind;

use crate::house::{House, start};
use crate::papers;

#[test]
fn one_of_two_services_writes_and_the_other_takes_over() {
    let mut house = House::furnished();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let second = Service::start_on(listener, house.config.clone(), Arc::new(start)).unwrap();
    let client = Client::new(&url, None).unwrap();
    let did = house.tdc.did().unwrap();
    assert_eq!(client.participant(&did).unwrap().state, "verified", "a reader answers from the same log");

    // The application waits at the reader, which is no writer, until the writer is gone.
    let late = Arc::new(signing::FileKey::generate().unwrap());
    let application = house.sign(&papers::participant(&house, &late, Kind::Tdp), &late);
    let began = Instant::now();
    let applying = std::thread::spawn(move || client.apply(&application));
    std::thread::sleep(Duration::from_millis(500));
    drop(house.running.take());
    let receipt = applying.join().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "the reader took over");
    let asked = Client::new(&url, None).unwrap();
    assert_eq!(asked.participant(&late.did().unwrap()).unwrap().state, "applied");
    assert!(receipt.index > 0);
    drop(second);
}

/// A reader that does not hear of its log signs nothing about it and is not ready, until it hears of it again.
#[test]
fn a_reader_whose_database_goes_away_says_nothing_and_comes_back() {
    let own = crate::postgres::Cluster::start().unwrap();
    let house = House::with(|config| config.database = Some(own.database()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let second = Service::start_on(listener, house.config.clone(), Arc::new(start)).unwrap();
    let calls = crate::http::client();
    let status = |path: &str| calls.get(format!("{url}{path}")).send().unwrap().status().as_u16();
    let both = |wanted: u16| {
        let began = Instant::now();
        while [status("/v1/status-list"), status("/readyz")] != [wanted; 2] {
            let told = calls.get(format!("{url}/readyz")).send().unwrap().text().unwrap();
            assert!(began.elapsed() < Duration::from_secs(30), "{wanted} does not come: {told}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    both(200);
    own.down().unwrap();
    both(503);
    own.up().unwrap();
    both(200);
    drop(second);
}
