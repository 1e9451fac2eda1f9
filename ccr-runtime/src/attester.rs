//! Which attester a room has: the one that its configuration names, if this build carries it.

use std::path::Path;

use attestation::Attester;
use schemas::evidence::EvidenceKind;
use schemas::{Code, R, Refusal};
use serde_json::Value;

use crate::config::Config;

/// Opens the attester of this room.
pub fn open(config: &Config, path: &Path) -> R<Box<dyn Attester>> {
    match config.evidence {
        EvidenceKind::Software => software(config, path),
        #[cfg(feature = "azure-attester")]
        EvidenceKind::AzureSnp => Ok(Box::new(attesters::azure::open()?)),
        #[cfg(feature = "snp-guest-attester")]
        EvidenceKind::Snp => Ok(Box::new(attesters::snp_guest::open(config.platform_certificates.as_deref())?)),
        #[allow(unreachable_patterns)]
        kind => Err(not_built(kind)),
    }
}

/// What this room is, as values for an image set: `pcrs`, `measurements`, `id_key_digests`, `host_data`.
pub fn reference_values(config: &Config, path: &Path) -> R<Value> {
    match config.evidence {
        EvidenceKind::Software => simulated_values(config, path),
        #[cfg(feature = "azure-attester")]
        EvidenceKind::AzureSnp => Ok(words(&attesters::azure::open()?.collect()?)),
        #[cfg(feature = "snp-guest-attester")]
        EvidenceKind::Snp => {
            Ok(words(&attesters::snp_guest::open(config.platform_certificates.as_deref())?.collect()?))
        }
        #[allow(unreachable_patterns)]
        kind => Err(not_built(kind)),
    }
}

fn not_built(kind: EvidenceKind) -> Refusal {
    let name = match kind {
        EvidenceKind::Software => "software-attester",
        EvidenceKind::AzureSnp => "azure-attester",
        EvidenceKind::Snp => "snp-guest-attester",
    };
    Refusal::new(Code::EvidenceNotAllowed, format!("this build has no attester for it: build ccr with feature {name}"))
        .at("evidence")
}

/// Captured values in the words that `ccr measure` prints: `depa image-set new` and `depa kms collect` read them.
#[cfg(any(feature = "azure-attester", feature = "snp-guest-attester", feature = "swtpm-attester"))]
pub fn words(values: &attesters::ReferenceValues) -> Value {
    serde_json::json!({
        "simulated": values.kind == EvidenceKind::Software, "evidence": values.kind, "pcrs": values.pcrs,
        "measurements": values.measurements, "id_key_digests": values.id_key_digests, "host_data": values.host_data,
    })
}

#[cfg(feature = "software-attester")]
fn root(config: &Config) -> R<attestation::software::SoftwareRoot> {
    let missing = || Refusal::new(Code::ConfigInvalid, "software evidence needs software_root").at("software_root");
    attestation::software::SoftwareRoot::load(config.software_root.as_deref().ok_or_else(missing)?)
}

#[cfg(feature = "software-attester")]
fn software(config: &Config, path: &Path) -> R<Box<dyn Attester>> {
    let measurement = crate::measure::measurement(config, path)?;
    match &config.swtpm {
        None => Ok(Box::new(attestation::software::SoftwareAttester::new(root(config)?, measurement)?)),
        #[cfg(feature = "swtpm-attester")]
        Some(tcti) => Ok(Box::new(attesters::swtpm::open(tcti, root(config)?, &measurement)?)),
        #[cfg(not(feature = "swtpm-attester"))]
        Some(_) => Err(no_software_tpm()),
    }
}

#[cfg(feature = "software-attester")]
fn simulated_values(config: &Config, path: &Path) -> R<Value> {
    let measurement = crate::measure::measurement(config, path)?;
    match &config.swtpm {
        None => Ok(serde_json::json!({
            "simulated": true, "evidence": "software", "measurement": measurement,
            "pcrs": attestation::software::image_set_pcrs(&measurement),
            "measurements": [attestation::software::launch_measurement()],
            "id_key_digests": [attestation::software::id_key_digest()],
        })),
        #[cfg(feature = "swtpm-attester")]
        Some(tcti) => {
            let mut values = words(&attesters::swtpm::open(tcti, root(config)?, &measurement)?.collect()?);
            values["measurement"] = serde_json::json!(measurement);
            Ok(values)
        }
        #[cfg(not(feature = "swtpm-attester"))]
        Some(_) => Err(no_software_tpm()),
    }
}

#[cfg(all(feature = "software-attester", not(feature = "swtpm-attester")))]
fn no_software_tpm() -> Refusal {
    Refusal::new(Code::EvidenceNotAllowed, "this build knows no software TPM: build ccr with feature swtpm-attester")
        .at("swtpm")
}

#[cfg(not(feature = "software-attester"))]
fn software(config: &Config, _: &Path) -> R<Box<dyn Attester>> {
    Err(not_built(config.evidence))
}

#[cfg(not(feature = "software-attester"))]
fn simulated_values(config: &Config, _: &Path) -> R<Value> {
    Err(not_built(config.evidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(evidence: &str, more: &str) -> Config {
        let text = format!(
            "profile = \"demo\"\ncontract_service = \"http://localhost:1\"\ntrust = \"trust.json\"\n\
             trainer = \"true\"\nevidence = \"{evidence}\"\n{more}"
        );
        toml::from_str(&text).unwrap()
    }

    #[track_caller]
    fn missing(config: &Config, feature: &str) {
        let path = Path::new("ccr.toml");
        for refusal in
            [open(config, path).map(drop).unwrap_err(), reference_values(config, path).map(drop).unwrap_err()]
        {
            assert_eq!(refusal.code, Code::EvidenceNotAllowed, "{refusal}");
            assert!(refusal.sentence.contains(feature), "{refusal}");
        }
    }

    #[test]
    fn a_build_without_an_attester_names_the_feature() {
        if !cfg!(feature = "azure-attester") {
            missing(&config("azure-snp", ""), "azure-attester");
        }
        if !cfg!(feature = "snp-guest-attester") {
            missing(&config("snp", ""), "snp-guest-attester");
        }
        if !cfg!(feature = "software-attester") {
            missing(&config("software", "software_root = \"root\""), "software-attester");
        }
    }
}
