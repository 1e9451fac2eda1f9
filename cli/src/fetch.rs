//! Sealed objects by their address: `file:`, `https:`, or `http:` on loopback; bounded, without redirects.

use std::fs;
use std::io::Read as _;

use schemas::{Code, R, Refusal};

use crate::dataset::kms::http;

/// Reads an object of exactly `bytes` bytes.
pub fn fetch(url: &str, bytes: u64) -> R<Vec<u8>> {
    let fault = |why: String| Refusal::new(Code::PeerUnreachable, format!("{url} cannot be read: {why}"));
    let parsed =
        reqwest::Url::parse(url).map_err(|_| Refusal::new(Code::AddressRefused, format!("{url} is no address")))?;
    let mut object = Vec::new();
    if parsed.scheme() == "file" {
        let path = parsed
            .to_file_path()
            .map_err(|()| Refusal::new(Code::AddressRefused, format!("{url} is no local file")))?;
        let file = fs::File::open(&path).map_err(|e| fault(e.to_string()))?;
        file.take(bytes + 1).read_to_end(&mut object).map_err(|e| fault(e.to_string()))?;
    } else {
        let answer =
            http(url, "address of the object")?.get(parsed).send().map_err(|e| fault(e.without_url().to_string()))?;
        if !answer.status().is_success() {
            return Err(fault(format!("HTTP {}", answer.status().as_u16())));
        }
        answer.take(bytes + 1).read_to_end(&mut object).map_err(|e| fault(e.to_string()))?;
    }
    if object.len() as u64 != bytes {
        return Err(Refusal::new(
            Code::SealedTruncated,
            format!("{url} does not have the {bytes} bytes that it should"),
        ));
    }
    Ok(object)
}
