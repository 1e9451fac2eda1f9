//! The table `[transit]`.

use kms_adapter::Config;
use schemas::Code;

const FILE: &str = r#"
profile = "demo"
url = "http://127.0.0.1:8451"
dir = "kms"
provider = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
trust = "trust.json"
"#;

const TABLE: &str = "backend = \"transit\"\n[transit]\nurl = \"https://vault.example:8200\"\ntoken_file = \"token\"\n";

fn read(text: &str) -> Result<Config, Code> {
    Config::read(&format!("{FILE}{text}"), std::iter::empty()).map_err(|refusal| refusal.code)
}

#[test]
fn a_table_is_read_with_its_defaults() {
    let config = read(TABLE).unwrap();
    let transit = config.transit.clone().unwrap();
    assert_eq!((transit.mount.as_str(), transit.attempts, transit.timeout_ms), ("transit", 3, 5_000));
    assert_eq!(Config::read(&config.to_toml().unwrap(), std::iter::empty()).unwrap(), config);
    let inline = r#"{ url = "https://vault.example", token_file = "token" }"#;
    let variables = [("DEPA_KMS__BACKEND", "transit"), ("DEPA_KMS__TRANSIT", inline)];
    let config = Config::read(FILE, variables.iter().map(|(k, v)| (k.to_string(), v.to_string()))).unwrap();
    assert_eq!(config.transit.unwrap().url, "https://vault.example");
}

#[test]
fn what_is_unknown_unsafe_or_of_no_use_is_refused() {
    for line in [
        "colour = \"red\"",
        "mount = \"../sys\"",
        "mount = \"transit/\"",
        "mount = \"\"",
        "namespace = \"a b\"",
        "key_prefix = \"a/b\"",
        "key_prefix = \"\"",
        "attempts = 0",
        "attempts = 11",
        "timeout_ms = 0",
        "timeout_ms = 60001",
        "backoff_ms = 5001",
    ] {
        assert_eq!(read(&format!("{TABLE}{line}")).unwrap_err(), Code::ConfigInvalid, "{line}");
    }
    for url in ["http://vault.example", "https://vault.example/", "https://me:secret@vault.example", "vault.example"] {
        let text = TABLE.replace("https://vault.example:8200", url);
        assert_eq!(read(&text).unwrap_err(), Code::ConfigInvalid, "{url}");
    }
    assert!(read(&TABLE.replace("https://vault.example:8200", "http://127.0.0.1:8200")).is_ok(), "an agent beside it");
    assert_eq!(read("backend = \"transit\"").unwrap_err(), Code::ConfigInvalid);
    assert_eq!(read(&TABLE.replace("backend = \"transit\"", "")).unwrap_err(), Code::ConfigInvalid);
}

#[cfg(not(feature = "azure"))]
#[test]
fn a_build_without_azure_refuses_its_backends() {
    for backend in ["azure-wrap", "azure-skr"] {
        let text = format!("backend = \"{backend}\"\n[azure]\nvault = \"https://tdp.vault.azure.net\"\n");
        assert_eq!(read(&text).unwrap_err(), Code::ConfigInvalid, "{backend}");
    }
}
