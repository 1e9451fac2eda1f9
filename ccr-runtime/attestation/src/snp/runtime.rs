//! Points 20 to 23: what the report binds. The runtime data names the quote's key, the VM's settings and the user data.

use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use schemas::canonical;
use schemas::text::Bytes;
use serde_json::Value;

use crate::appraise::Case;
use crate::checks::Checks;
use crate::snp::report::Report;

/// Judges the runtime data and gives the attestation key of the vTPM.
pub(crate) fn judge(
    case: &Case,
    report: &Report,
    var_data: Option<&[u8]>,
    checks: &mut Checks,
) -> Option<PKey<Public>> {
    let wanted = case.expected.user_data;
    let Some(var_data) = var_data else {
        // A bare guest puts the user data straight into the report.
        checks.judge("report_data", report.report_data == wanted, "user data in the report itself");
        for name in ["ak_form", "vm_configuration", "user_data"] {
            checks.skip(name, "a bare guest has no runtime data");
        }
        return None;
    };
    let digest = schemas::Digest::of(var_data).0;
    let (bound, rest) = report.report_data.split_at_checked(32).unwrap_or((&[], &[]));
    checks.judge("report_data", bound == digest && rest.iter().all(|b| *b == 0), "SHA-256 of the runtime data");

    let runtime = match canonical::parse_value(var_data) {
        Ok(runtime) => runtime,
        Err(refusal) => {
            let detail = format!("runtime data: {}", refusal.sentence);
            for name in ["ak_form", "vm_configuration", "user_data"] {
                checks.judge(name, false, detail.clone());
            }
            return None;
        }
    };
    checks.outcome("vm_configuration", vm_configuration(&runtime, case.policy.level().rules.console));
    checks.outcome("user_data", user_data(&runtime, &wanted));
    match attestation_key(&runtime) {
        Ok(key) => {
            checks.judge("ak_form", true, "one HCLAkPub, RSA-2048, e = 65537");
            checks.record.ak_sha256 = key.public_key_to_der().ok().map(|der| schemas::Digest::of(&der));
            Some(key)
        }
        Err(reason) => {
            checks.judge("ak_form", false, reason);
            None
        }
    }
}

/// Secure boot and vTPM are on; a console is off where the level says so (every known Azure VM has one).
fn vm_configuration(runtime: &Value, console: bool) -> Result<String, String> {
    let setting = |name: &str| runtime.get("vm-configuration").and_then(|c| c.get(name));
    let on = |name: &str| setting(name) == Some(&Value::Bool(true));
    if !console && setting("console-enabled") != Some(&Value::Bool(false)) {
        return Err("the console is on".to_owned());
    }
    match (on("secure-boot"), on("tpm-enabled")) {
        (true, true) => Ok("secure boot and vTPM are on".to_owned()),
        (false, _) => Err("secure boot is off".to_owned()),
        (_, false) => Err("the vTPM is off".to_owned()),
    }
}

fn user_data(runtime: &Value, wanted: &[u8; 64]) -> Result<String, String> {
    let text = runtime.get("user-data").and_then(Value::as_str).ok_or("there is none")?;
    let found = hex::decode(text).map_err(|_| "not hexadecimal")?;
    if found != wanted {
        return Err("not the value expected".to_owned());
    }
    Ok("all 64 bytes as expected".to_owned())
}

fn attestation_key(runtime: &Value) -> Result<PKey<Public>, String> {
    let keys = runtime.get("keys").and_then(Value::as_array).ok_or("there are no keys")?;
    let is_ak = |key: &&Value| key.get("kid").and_then(Value::as_str) == Some("HCLAkPub");
    let mut found = keys.iter().filter(is_ak);
    let (Some(key), None) = (found.next(), found.next()) else {
        return Err("exactly one HCLAkPub is expected".to_owned());
    };
    let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
    let modulus = Bytes::parse(text("n")).map_err(|_| "the modulus is not base64url")?.0;
    let rsa_2048 = modulus.len() == 256 && modulus.first().is_some_and(|b| b & 0x80 != 0);
    if text("kty") != "RSA" || text("e") != "AQAB" || !rsa_2048 {
        return Err("not an RSA-2048 key with e = 65537".to_owned());
    }
    let build = || -> Result<PKey<Public>, ErrorStack> {
        let (n, e) = (BigNum::from_slice(&modulus)?, BigNum::from_u32(65537)?);
        PKey::from_rsa(Rsa::from_public_components(n, e)?)
    };
    build().map_err(|_| "the key cannot be used".to_owned())
}
