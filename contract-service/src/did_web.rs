//! Fetches a did:web document, once, at registration: guarded address, no redirect, at most 64 KiB, at most 5 seconds.

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::blocking::Client;
use schemas::id::Did;
use schemas::party::Resolution;
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp};

use crate::address::{Reach, was_refused};

const LIMIT: u64 = 64 * 1024;
const TIME: Duration = Duration::from_secs(5);
/// Hosts asked at a time: anybody may apply, and slow hosts must not hold every thread of the service.
const AT_ONCE: usize = 8;

/// The one fetcher of did:web documents.
pub struct DidWeb {
    reach: Reach,
    client: Client,
    asking: AtomicUsize,
}

/// A place among those who ask; given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(asking: &'a AtomicUsize) -> R<Place<'a>> {
        let place = Place(asking);
        if asking.fetch_add(1, Ordering::SeqCst) >= AT_ONCE {
            return Err(Refusal::new(Code::RateLimited, "too many did:web hosts are being asked now; try again later"));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl DidWeb {
    /// A fetcher; loopback (and plain HTTP to it) is allowed in the demo profile only.
    pub fn new(demo: bool) -> R<DidWeb> {
        let reach = Reach { loopback: demo };
        Ok(DidWeb { reach, client: reach.client(TIME)?, asking: AtomicUsize::new(0) })
    }

    /// The document that the DID's host serves now. Whether it names the right key is `signing`'s question.
    pub fn fetch(&self, did: &Did, now: Timestamp) -> R<Resolution> {
        let url = self.reach.check(&signing::did::web_url(did, self.reach.loopback)?)?;
        let _place = Place::take(&self.asking)?;
        let bad = |why: &str| Refusal::new(Code::DidUnresolved, format!("{did} cannot be resolved: {why}"));
        let response = self.client.get(url.clone()).header("accept", "application/did+json, application/json").send();
        let response = response.map_err(|e| match was_refused(&e) {
            true => Refusal::new(Code::AddressRefused, format!("{did} leads to a private or special address")),
            false => bad("its host does not answer"),
        })?;
        if response.status() != 200 {
            return Err(bad(&format!("its host answers with status {}", response.status().as_u16())));
        }
        let certificate = response.extensions().get::<reqwest::tls::TlsInfo>();
        let certificate_sha256 = certificate.and_then(|tls| tls.peer_certificate()).map(Digest::of);
        let mut document = Vec::new();
        response.take(LIMIT + 1).read_to_end(&mut document).map_err(|_| bad("its document does not arrive"))?;
        if document.len() as u64 > LIMIT {
            return Err(bad("its document has more than 64 KiB"));
        }
        Ok(Resolution { url: url.to_string(), document: Bytes(document), fetched_at: now, certificate_sha256 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_hosts_are_asked_at_a_time() {
        let asking = AtomicUsize::new(0);
        let mut places: Vec<Place> = (0..AT_ONCE).map(|_| Place::take(&asking).unwrap()).collect();
        assert_eq!(Place::take(&asking).err().map(|e| e.code), Some(Code::RateLimited));
        assert_eq!(asking.load(Ordering::SeqCst), AT_ONCE, "a refusal takes no place");
        places.pop();
        assert!(Place::take(&asking).is_ok());
    }

    #[test]
    fn production_asks_no_host_inside() {
        let fetcher = DidWeb::new(false).unwrap();
        for did in ["did:web:localhost%3A9", "did:web:127.0.0.1%3A9", "did:web:10.0.0.1", "did:web:169.254.169.254"] {
            let refusal = fetcher.fetch(&Did::parse(did).unwrap(), Timestamp::from_seconds(0)).unwrap_err();
            assert_eq!(refusal.code, Code::AddressRefused, "{did}");
        }
    }
}
