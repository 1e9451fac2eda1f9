//! Which addresses the service calls: global ones only, judged when it connects, so that no name can lead it inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use schemas::{Code, R, Refusal};

use crate::error::fault;

/// Whether the address is reachable from everywhere, by the IANA special-purpose registries.
pub fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_global_v4(ip),
        IpAddr::V6(ip) => is_global_v6(ip),
    }
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return is_global_v4(mapped);
    }
    let s = ip.segments();
    let refused = matches!(
        (s[0], s[1]),
        (0x0064, 0xff9b) | (0x0100, 0) | (0x2001, 0x0db8) | (0x2002, _) | (0x3fff, 0..=0x0fff) | (0x5f00, _)
    );
    let kind = s[0];
    let local =
        kind & 0xfe00 == 0xfc00 || kind & 0xffc0 == 0xfe80 || kind & 0xffc0 == 0xfec0 || kind & 0xff00 == 0xff00;
    let low = s[..6].iter().all(|p| *p == 0);
    let special_2001 = kind == 0x2001 && s[1] < 0x0200;
    !(refused || local || low || special_2001)
}

/// Who may be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Loopback too: the demo profile.
    pub loopback: bool,
}

impl Reach {
    fn allows(self, ip: IpAddr) -> bool {
        is_global(ip) || (self.loopback && ip.to_canonical().is_loopback())
    }

    /// Judges a URL before a call: https, or http to loopback where that is allowed; a literal address is judged here,
    /// a name when it is resolved.
    pub fn check(self, url: &str) -> R<reqwest::Url> {
        let refused = |why: &str| Refusal::new(Code::AddressRefused, format!("address: {why}"));
        let url = reqwest::Url::parse(url).map_err(|_| refused("not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("user names and passwords do not belong in it"));
        }
        let host = url.host_str().ok_or_else(|| refused("no host"))?;
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        if literal.is_some_and(|ip| !self.allows(ip)) {
            return Err(refused("private and special addresses are not called"));
        }
        let here = host == "localhost" || literal.is_some_and(|ip| ip.is_loopback());
        match url.scheme() {
            "https" if !here || self.loopback => Ok(url),
            "http" if here && self.loopback => Ok(url),
            _ => Err(refused("https is needed")),
        }
    }

    /// A client that never follows a redirect and connects to allowed addresses only.
    pub fn client(self, timeout: Duration) -> R<Client> {
        let builder = Client::builder().redirect(Policy::none()).no_proxy().tls_info(true).timeout(timeout);
        builder.dns_resolver(Arc::new(Guard(self))).build().map_err(fault)
    }
}

/// Resolves names and drops what must not be called: judged at connect time, so a rebinding name gains nothing.
struct Guard(Reach);

/// A name led to no allowed address.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to no address that may be called")]
pub struct NoAllowedAddress;

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found =
                tokio::task::spawn_blocking(move || (host.as_str(), 0).to_socket_addrs().map(Vec::from_iter)).await??;
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|a| reach.allows(a.ip())).collect();
            if allowed.is_empty() {
                return Err(NoAllowedAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether a failed call failed because the name led to no allowed address.
pub fn was_refused(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<NoAllowedAddress>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_global() {
        let inside = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
        ];
        for text in inside {
            assert!(!is_global(text.parse().unwrap()), "{text}");
        }
        for text in
            ["8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"]
        {
            assert!(is_global(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn urls_are_judged_before_a_call() {
        let (open, demo) = (Reach { loopback: false }, Reach { loopback: true });
        for url in ["https://hooks.example/x", "https://8.8.8.8/"] {
            assert!(open.check(url).is_ok(), "{url}");
        }
        let bad = [
            "http://hooks.example/",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://[::1]/",
            "https://10.0.0.1/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://u:p@hooks.example/",
            "ftp://x",
            "file:///etc/passwd",
        ];
        for url in bad {
            assert_eq!(open.check(url).unwrap_err().code, Code::AddressRefused, "{url}");
        }
        assert!(demo.check("http://127.0.0.1:9/").is_ok() && demo.check("http://localhost:9/").is_ok());
        assert!(demo.check("http://10.0.0.1/").is_err() && demo.check("https://10.0.0.1/").is_err());
    }

    #[test]
    fn a_name_that_leads_inside_is_refused_when_connecting() {
        let client = Reach { loopback: false }.client(Duration::from_secs(2)).unwrap();
        let error = client.get("https://localhost:9/").send().unwrap_err();
        assert!(was_refused(&error), "{error:?}");
    }
}
