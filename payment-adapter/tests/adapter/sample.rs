//! The sample in `infra/config` is the defaults, key by key, and what stands in it as a comment is understood.

use std::path::Path;

use payment_adapter::Config;
use payment_adapter::config::Kind;

fn sample() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/config/payment-adapter.toml")).unwrap()
}

fn load(text: &str) -> Config {
    let path = std::env::temp_dir().join(format!("payment-sample-{}.toml", uuid::Uuid::now_v7()));
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path, std::iter::empty());
    std::fs::remove_file(&path).unwrap();
    config.unwrap()
}

#[test]
fn the_sample_is_the_defaults() {
    let least = r#"
        profile = "demo"
        contract_service = "http://localhost:8080"
        trust = "/etc/depa/trust.json"
        key_file = "/etc/depa/psp.key"
        endpoint_files = ["/etc/depa/endpoint.json"]
        data_dir = "/var/lib/depa-payments"
        provider = "webhook"
        [webhook]
        url = "https://bank.example/instructions"
        secret_file = "/etc/depa/bank.secret"
    "#;
    assert_eq!(load(&sample()), load(least));
    let keys = |text: &str| -> Vec<String> { text.parse::<toml::Table>().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&sample()), keys(&load(least).to_toml().unwrap()));
}

#[test]
fn the_commented_payment_systems_are_understood() {
    // A line of a comment that sets something or opens a table counts as if it were none.
    let sets = |line: &str| {
        let text = line.strip_prefix("# ")?;
        let name = text.split(" = ").next()?;
        let sets = text.contains(" = ") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        (sets || text.starts_with('[')).then(|| text.to_owned())
    };
    let uncommented: Vec<String> = sample().lines().map(|line| sets(line).unwrap_or_else(|| line.to_owned())).collect();
    let whole = uncommented.join("\n");
    for (word, kind) in
        [("pain001", Kind::Pain001), ("upi", Kind::Upi), ("card_like", Kind::CardLike), ("recording", Kind::Recording)]
    {
        let config = load(&whole.replace("provider = \"webhook\"", &format!("provider = {word:?}")));
        assert_eq!(config.provider, kind);
        assert!(config.pain001.is_some() && config.upi.is_some() && config.card_like.is_some());
    }
}
