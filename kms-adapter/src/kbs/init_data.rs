//! Init-data: what a host started the guest with. Its digest is in PCR 8; only what a contract names counts.

use std::collections::BTreeMap;

use schemas::{Code, Digest, R, Refusal, canonical};
use serde::Deserialize;

use super::wire::InitData;

/// The document's envelope; what `data` holds is the guest's own affair.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: String,
    algorithm: String,
    #[allow(dead_code)] // read for its form only
    data: BTreeMap<String, String>,
}

/// The digest that a guest extended into PCR 8: SHA-256 over the document as it was sent. `KBS_INIT_DATA` where it is no
/// init-data of version 0.1.0, or names another algorithm: a PCR of the sha256 bank takes no longer digest.
pub(crate) fn digest(init_data: &InitData) -> R<Digest> {
    let bad = |why: &str| Refusal::new(Code::KbsInitData, why).at("init-data");
    let document: Document = match init_data.format.as_str() {
        "toml" => toml::from_str(&init_data.body).map_err(|_| bad("no init-data in TOML"))?,
        "json" => canonical::parse(init_data.body.as_bytes()).map_err(|_| bad("no init-data in JSON"))?,
        _ => return Err(bad("toml or json is expected")),
    };
    if document.version != "0.1.0" || !matches!(document.algorithm.as_str(), "sha256" | "sha-256") {
        return Err(bad("version 0.1.0 with sha256 is expected"));
    }
    Ok(Digest::of(init_data.body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(format: &str, body: &str) -> Result<Digest, Code> {
        digest(&InitData { format: format.into(), body: body.into() }).map_err(|e| e.code)
    }

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let toml = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"aa.toml\" = \"x = 1\"\n";
        let json = r#"{"version":"0.1.0","algorithm":"sha-256","data":{"policy.rego":"package agent"}}"#;
        assert_eq!(of("toml", toml), Ok(Digest::of(toml.as_bytes())));
        assert_eq!(of("json", json), Ok(Digest::of(json.as_bytes())));
        for (format, body) in [
            ("yaml", json.to_owned()),
            ("toml", json.to_owned()),
            ("json", toml.to_owned()),
            ("toml", toml.replace("sha256", "sha384")),
            ("toml", toml.replace("0.1.0", "0.2.0")),
            ("toml", format!("colour = \"red\"\n{toml}")),
            ("json", json.replace("\"package agent\"", "1")),
        ] {
            assert_eq!(of(format, &body), Err(Code::KbsInitData), "{format} {body}");
        }
    }
}
