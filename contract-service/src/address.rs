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

/// Of IPv6 only 2000::/3 is global unicast: NAT64, discard, unique-local, link-local, site-local and multicast lie outside.
fn is_global_v6(ip: Ipv6Addr) -> bool {
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return is_global_v4(mapped);
    }
    let s = ip.segments();
    // Within it: protocol assignments and Teredo, documentation, 6to4.
    let special = matches!((s[0], s[1]), (0x2001, 0x0000..=0x01ff | 0x0db8) | (0x2002, _) | (0x3fff, 0..=0x0fff));
    s[0] & 0xe000 == 0x2000 && !special
}

/// Who may be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Loopback too: the demo profile.
    pub loopback: bool,
}

fn refused(why: &str) -> Refusal {
    Refusal::new(Code::AddressRefused, format!("address: {why}"))
}

impl Reach {
    fn allows(self, ip: IpAddr) -> bool {
        is_global(ip) || (self.loopback && ip.to_canonical().is_loopback())
    }

    /// Judges a URL before a call: https, or http to loopback where that is allowed; a literal address is judged here,
    /// a name when it is resolved.
    pub fn check(self, url: &str) -> R<reqwest::Url> {
        let url = reqwest::Url::parse(url).map_err(|_| refused("not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("user names and passwords do not belong in it"));
        }
        let host = url.host_str().ok_or_else(|| refused("no host"))?;
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        if literal.is_some_and(|ip| !self.allows(ip)) {
            return Err(refused("private and special addresses are not called"));
        }
        let here = is_here(host) || literal.is_some_and(|ip| ip.to_canonical().is_loopback());
        match url.scheme() {
            "https" if !here || self.loopback => Ok(url),
            "http" if here && self.loopback => Ok(url),
            _ => Err(refused("https is needed")),
        }
    }

    /// [`Reach::check`] of an address that a participant names for being called again and again: no fragment, and one of
    /// these ports unless it is this machine's.
    pub fn check_hook(self, url: &str, ports: &[u16]) -> R<reqwest::Url> {
        let url = self.check(url)?;
        let host = url.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let here = is_here(host) || literal.is_some_and(|ip| ip.to_canonical().is_loopback());
        let port = url.port_or_known_default().unwrap_or_default();
        if !here && !ports.contains(&port) {
            let allowed: Vec<String> = ports.iter().map(u16::to_string).collect();
            return Err(refused(&format!("port {port} is not called, only {}", allowed.join(", "))));
        }
        if url.fragment().is_some() {
            return Err(refused("a fragment is sent to nobody"));
        }
        Ok(url)
    }

    /// A client that never follows a redirect and connects to allowed addresses only.
    pub fn client(self, timeout: Duration) -> R<Client> {
        let builder = Client::builder().redirect(Policy::none()).no_proxy().tls_info(true).timeout(timeout);
        builder.dns_resolver(Arc::new(Guard { reach: self, lookup: lookup() })).build().map_err(fault)
    }

    /// The same for many calls at once. Behind a proxy names are resolved by that proxy.
    pub fn many(self, timeout: Duration, proxy: Option<&str>) -> R<reqwest::Client> {
        let builder = reqwest::Client::builder().redirect(Policy::none()).timeout(timeout).user_agent("depa-webhooks");
        let builder = builder.pool_max_idle_per_host(32).pool_idle_timeout(Duration::from_secs(30));
        let builder = match proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).map_err(fault)?),
            None => builder.no_proxy().dns_resolver(Arc::new(Guard { reach: self, lookup: lookup() })),
        };
        builder.build().map_err(fault)
    }
}

/// Whether a name stands for this machine (RFC 6761 6.3).
fn is_here(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// Where names are looked up.
type Lookup = Arc<dyn Fn(&str) -> std::io::Result<Vec<SocketAddr>> + Send + Sync>;

/// As the machine does it.
fn lookup() -> Lookup {
    Arc::new(|host| (host, 0).to_socket_addrs().map(Vec::from_iter))
}

/// Resolves names and drops what must not be called: judged at connect time, so a rebinding name gains nothing.
struct Guard {
    reach: Reach,
    lookup: Lookup,
}

/// A name led to no allowed address.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to no address that may be called")]
pub struct NoAllowedAddress;

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, lookup) = (self.reach, Arc::clone(&self.lookup));
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::task::spawn_blocking(move || lookup(&host)).await??;
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
#[path = "address_tests.rs"]
mod tests;
