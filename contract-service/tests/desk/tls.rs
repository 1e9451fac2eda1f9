//! TLS: real handshakes, certificates of the development authority, new ones without a restart.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use contract_service::{Config, Service, dev_ca, init};
use reqwest::blocking::Client;
use schemas::Code;

use crate::house::{House, folder};

fn trusting(ca: &Path) -> Client {
    let ca = reqwest::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
    Client::builder().no_proxy().tls_certs_only([ca]).pool_max_idle_per_host(0).build().unwrap()
}

/// A configuration with TLS on a free port, and its listener.
fn with_tls(dir: &Path, house: &House) -> (Config, TcpListener, dev_ca::DevCa) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let made = dev_ca::make(&dir.join("tls"), &["localhost".into(), "127.0.0.1".into()]).unwrap();
    let mut config = init(&dir.join("tls-sro"), &url, house.config.sro.clone()).unwrap();
    config.tls = Some(made.tls.clone());
    (config, listener, made)
}

#[test]
fn a_new_certificate_is_served_without_a_restart() {
    let (house, dir) = (House::empty(), folder());
    let (config, listener, made) = with_tls(&dir, &house);
    let service = Service::start_on(listener, config.clone(), house.clock()).unwrap();
    let alive = |client: &Client| client.get(format!("{}/livez", config.url)).send().map(|answer| answer.status());
    let first = trusting(&made.ca_file);
    assert_eq!(alive(&first).unwrap(), 200);
    // Our own client, told of the authority.
    let pem = std::fs::read(&made.ca_file).unwrap();
    contract_client::Client::trusting(&config.url, None, Some(&pem)).unwrap().trust().unwrap();
    // Who does not know the authority is not served, and plain HTTP is not spoken.
    assert!(alive(&Client::builder().no_proxy().build().unwrap()).is_err());
    assert!(client_of_plain(&config).is_err());
    // Another authority, another certificate, the same service.
    dev_ca::make(&dir.join("tls"), &["localhost".into()]).unwrap();
    let second = trusting(&made.ca_file);
    let until = Instant::now() + Duration::from_secs(20);
    while alive(&second).is_err() {
        assert!(Instant::now() < until, "the new certificate was never served");
        std::thread::yield_now();
    }
    assert!(alive(&first).is_err(), "the old certificate is served still");
    // Half of a pair is refused, and the pair before it goes on being served.
    std::fs::write(&made.tls.cert_file, "no certificate").unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(alive(&second).unwrap(), 200);
    service.stop();
    std::fs::remove_dir_all(dir).unwrap();
}

fn client_of_plain(config: &Config) -> reqwest::Result<u16> {
    let url = config.url.replace("https:", "http:");
    Client::builder().no_proxy().build()?.get(format!("{url}/livez")).send().map(|answer| answer.status().as_u16())
}

#[test]
fn files_that_do_not_fit_are_refused_at_the_start() {
    let (house, dir) = (House::empty(), folder());
    let (mut config, listener, made) = with_tls(&dir, &house);
    let other = dev_ca::make(&dir.join("other"), &["localhost".into()]).unwrap();
    config.tls = Some(contract_service::config::TlsFiles { cert_file: made.tls.cert_file, ..other.tls });
    let refused = Service::start_on(listener, config, house.clock()).map(drop).unwrap_err();
    assert_eq!(refused.code, Code::ConfigInvalid);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn only_tls_may_leave_this_machine() {
    let (house, dir) = (House::empty(), folder());
    let (mut config, _, made) = with_tls(&dir, &house);
    config.bind = "0.0.0.0:0".parse().unwrap();
    config.check().unwrap();
    config.tls = None;
    assert_eq!(config.check().unwrap_err().code, Code::ConfigInvalid);
    // The key is for its owner's eyes.
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(made.tls.key_file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::remove_dir_all(dir).unwrap();
}

/// Its own certificate names the host that others call, not the loopback address; and no authority here vouches for it.
#[test]
fn healthy_asks_over_tls_and_judges_no_certificate() {
    let (house, dir) = (House::empty(), folder());
    let (mut config, listener, _) = with_tls(&dir, &house);
    let elsewhere = dev_ca::make(&dir.join("elsewhere"), &["sro.example".into()]).unwrap();
    config.tls = Some(elsewhere.tls);
    config.bind = std::net::SocketAddr::from(([0, 0, 0, 0], listener.local_addr().unwrap().port()));
    let file = dir.join("tls-sro/asked.toml");
    config.save(&file).unwrap();
    let asked = |file: &Path| {
        let mut healthy = std::process::Command::new(env!("CARGO_BIN_EXE_contract-service"));
        let done = healthy.args(["healthy", "--config"]).arg(file).output().unwrap();
        (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
    };
    let service = Service::start_on(listener, config.clone(), house.clock()).unwrap();
    let (code, told) = asked(&file);
    assert!(code == Some(0) && told.starts_with("https://127.0.0.1:"), "{told}");
    // A configuration that no longer says so asks in plain HTTP, which is not spoken there.
    let plain = Config { tls: None, bind: ([127, 0, 0, 1], config.bind.port()).into(), ..config };
    plain.save(&file).unwrap();
    let (code, told) = asked(&file);
    assert!(code == Some(1) && told.contains("UNAVAILABLE"), "{told}");
    service.stop();
    std::fs::remove_dir_all(dir).unwrap();
}
