//! What stands in the way of work, before it is noticed in the middle of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract_client::Client;
use schemas::{R, Refusal, Timestamp};
use serde::Serialize;

use crate::{dataset, keys, log, trust};

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found, and the next step where it is not.
    pub detail: String,
}

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Patient {
    /// Base URL of the contract service.
    pub registry: Option<String>,
    /// Base URL of a key service.
    pub kms: Option<String>,
    /// Authorities (PEM) that vouch for its certificate; the machine's if absent.
    pub ca: Option<Vec<u8>>,
    /// Trust file.
    pub trust: Option<PathBuf>,
    /// Key files.
    pub keys: Vec<PathBuf>,
}

/// Looks at everything that is named; nothing is changed.
pub fn examine(patient: &Patient, now: Timestamp) -> Vec<Finding> {
    let mut findings: Vec<Finding> = patient.keys.iter().map(|path| key_file(path)).collect();
    let pinned = patient.trust.as_ref().map(|path| (path, trust::load(path)));
    if let Some((path, loaded)) = &pinned {
        let detail =
            |t: &signing::Trust| format!("{}: registry {}, {} SRO people", path.display(), t.registry, t.sro.len());
        findings.push(finding("trust file", loaded.as_ref().map(detail)));
    }
    if let Some(url) = &patient.registry {
        let client = Client::trusting(url, None, patient.ca.as_deref());
        let ready = client.as_ref().map_err(Clone::clone).and_then(Client::ready);
        findings.push(finding("contract service", ready.as_ref().map(|()| format!("{url} is ready"))));
        if let (Ok(client), Ok(()), Some((_, Ok(pinned)))) = (&client, &ready, &pinned) {
            let signed = log::checkpoint(client, pinned);
            findings.push(finding(
                "log",
                signed.as_ref().map(|c| format!("{} entries, signed by the pinned key", c.head.size)),
            ));
            let same = client.trust().map(|told| told == *pinned);
            let detail =
                |same: &bool| if *same { "the service says what is pinned".to_owned() } else { "differs".into() };
            let told = same.as_ref().map(detail);
            findings.push(Finding { ok: matches!(same, Ok(true)), ..finding("pinned trust", told) });
        }
        if ready.is_ok() {
            findings.push(clock(url, patient.ca.as_deref(), now));
        }
    }
    if let Some(url) = &patient.kms {
        findings.push(kms(url));
    }
    findings
}

fn finding(name: &str, result: Result<String, &Refusal>) -> Finding {
    match result {
        Ok(detail) => Finding { name: name.into(), ok: true, detail },
        Err(refusal) => Finding { name: name.into(), ok: false, detail: refusal.to_string() },
    }
}

fn key_file(path: &Path) -> Finding {
    // Somebody may have written a PIN into it.
    let name = if hardware::Uri::is(path) { "key on a token".to_owned() } else { format!("key {}", path.display()) };
    match keys::show(path) {
        Ok(view) => {
            let whose = view.did.map_or_else(|| view.purpose.to_owned(), |did| did.to_string());
            Finding { name, ok: true, detail: format!("{whose}, thumbprint {}", view.thumbprint) }
        }
        Err(refusal) => {
            let mode = std::fs::metadata(path).map(|m| m.permissions().mode() & 0o777);
            let mode = mode.map_or(String::new(), |m| format!(" (mode {m:o})"));
            Finding { name, ok: false, detail: format!("{}{mode}", refusal.sentence) }
        }
    }
}

fn kms(url: &str) -> Finding {
    let answer = dataset::kms::Kms::new(url).and_then(|kms| kms.public_info());
    let detail = answer.as_ref().map(|info| format!("{} serves {}, profile {}", info.kms, info.provider, info.profile));
    finding("key service", detail)
}

/// The service's clock by its `Date` header, which has whole seconds.
fn clock(url: &str, ca: Option<&[u8]>, now: Timestamp) -> Finding {
    let date = || -> R<i64> {
        let fault = |why: &str| Refusal::new(schemas::Code::PeerFault, format!("{url} {why}"));
        let http = dataset::kms::http_trusting(url, "address of the contract service", ca)?;
        let request = http.get(format!("{}/livez", url.trim_end_matches('/'))).timeout(Duration::from_secs(5));
        let answer = request.send().map_err(|_| fault("cannot be reached"))?;
        let header =
            answer.headers().get("date").and_then(|d| d.to_str().ok()).ok_or_else(|| fault("names no date"))?;
        http_date(header).ok_or_else(|| fault("names a date that is not understood"))
    };
    let skew = date().map(|at| now.seconds() - at);
    let detail = |s: &i64| match s.abs() <= SKEW_SECONDS {
        true => format!("{} s from the service's", s.abs()),
        false => format!("{} s from the service's; set the clock (NTP), short-lived tokens will be refused", s.abs()),
    };
    let ok = matches!(&skew, Ok(s) if s.abs() <= SKEW_SECONDS);
    Finding { ok, ..finding("clock", skew.as_ref().map(detail)) }
}

/// Reads an IMF-fixdate (RFC 9110 5.6.7), like `Sun, 06 Nov 1994 08:49:37 GMT`, into seconds since the epoch.
fn http_date(text: &str) -> Option<i64> {
    let mut parts = text.split_once(", ")?.1.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|m| *m == month)? + 1;
    let text = format!("{year}-{month:02}-{day}T{time}Z");
    (zone == "GMT").then(|| Timestamp::parse(&text).ok()).flatten().map(Timestamp::seconds)
}

/// Clocks may differ by this much.
const SKEW_SECONDS: i64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        for bad in
            ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 PST", "Sun, 6 Nov 1994 08:49:37 GMT"]
        {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let patient = Patient {
            ca: None,
            trust: Some("/nonexistent/trust.json".into()),
            keys: vec!["/nonexistent/a.key".into()],
            registry: Some("http://example.org".into()),
            kms: None,
        };
        let findings = examine(&patient, Timestamp::from_seconds(0));
        assert_eq!(findings.iter().map(|f| f.ok).collect::<Vec<_>>(), [false, false, false]);
        assert!(findings[2].detail.contains("https"), "{findings:?}");
    }
}
