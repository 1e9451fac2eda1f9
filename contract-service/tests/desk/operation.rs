//! What operators see: readiness, numbers, where everything is, the page of the interface.

use std::net::{SocketAddr, TcpListener};

use contract_service::Service;

use crate::house::House;
use crate::http::{client, get, header};

#[test]
fn alive_and_ready_by_all_their_names() {
    let house = House::empty();
    for path in ["/livez", "/healthz"] {
        assert_eq!(get(&house, path).send().unwrap().text().unwrap(), "alive\n");
    }
    let ready = get(&house, "/readyz").send().unwrap().text().unwrap();
    assert!(ready.starts_with("ready\nwriter lag "), "{ready}");
}

#[test]
fn numbers_stand_on_a_port_of_their_own() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let house = House::with(|config| config.metrics_bind = Some(free));
    get(&house, "/v1/trust").send().unwrap();
    get(&house, "/v1/contracts").send().unwrap();
    let text = client().get(format!("http://{free}/metrics")).send().unwrap().text().unwrap();
    for line in [
        "depa_log_size 2",
        "depa_answers_total{class=\"4xx\"} 1",
        "depa_refusals_total{code=\"UNAUTHENTICATED\"} 1",
        "# TYPE depa_call_seconds histogram",
        "depa_scrub_differences 0",
        "depa_writer_queue 0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    let count = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.trim().parse().unwrap()
    };
    assert!(count("depa_writer_batches_total ") >= 1 && count("depa_writer_last_batch ") >= 1);
    assert!(count("depa_writer_commands_total ") >= count("depa_writer_batches_total "));
    assert!(!text.contains("depa_witness_lag_entries{") && !text.contains("depa_outbox_age_seconds{"), "{text}");
    assert_eq!(get(&house, "/metrics").send().unwrap().status(), 404, "not beside the interface");
}

#[test]
fn numbers_stay_on_this_machine() {
    let mut house = House::empty();
    drop(house.running.take());
    house.config.metrics_bind = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    assert!(Service::start(house.config.clone(), house.clock()).is_err());
}

#[test]
fn the_configuration_leads_to_what_is_there() {
    let house = House::empty();
    let told: serde_json::Value = get(&house, "/.well-known/depa-configuration").send().unwrap().json().unwrap();
    assert_eq!(told["registry_jwk"], serde_json::to_value(&house.trust().registry_jwk).unwrap());
    assert_eq!(told["purposes_supported"], serde_json::json!(["TRAINING"]));
    for name in ["trust", "did_document", "checkpoint", "status_list", "openapi", "docs"] {
        let url = told[name].as_str().unwrap();
        assert_eq!(client().get(url).send().unwrap().status(), 200, "{url}");
    }
}

#[test]
fn the_page_of_the_interface_needs_no_network_and_runs_nothing() {
    let house = House::empty();
    let page = get(&house, "/docs").send().unwrap();
    assert!(header(&page, "content-security-policy").starts_with("default-src 'none'; style-src 'self'"));
    assert!(page.text().unwrap().contains("<code>/v1/contracts/{id}</code>"));
    assert_eq!(header(&get(&house, "/docs/style.css").send().unwrap(), "content-type"), "text/css");
}
