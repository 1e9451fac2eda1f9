//! Locations: what a document names, judged by what the configuration allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Component, PathBuf};

use schemas::bucket::BucketAddress;
use schemas::{Code, R, Refusal};
use url::{Host, Url};

use crate::{Direction, Files, Objects, Store, place};

/// A location that the configuration allows.
#[derive(Debug)]
pub enum Location<'a> {
    /// A file.
    File(PathBuf),
    /// An object behind HTTP: `https`, or `http` on loopback.
    Web(Url),
    /// An object in a bucket, and the store that has it.
    Bucket(BucketAddress<'a>, &'a Store),
}

impl<'a> Location<'a> {
    /// Judges a location: `file:` below an allowed folder without `..`, `https:`, in demos `http:` on loopback, or a
    /// bucket that a store of the configuration lists for this direction. Everything else is `ADDRESS_REFUSED`.
    pub fn parse(text: &'a str, objects: &'a Objects, direction: Direction) -> R<Location<'a>> {
        let bad = |why: &str| Refusal::new(Code::AddressRefused, format!("location {}: {why}", place(text)));
        if let Some(address) = BucketAddress::parse(text) {
            let mut stores = objects.stores.iter().filter(|store| store.has(&address, direction));
            return match (stores.next(), stores.next()) {
                (Some(store), None) => Ok(Location::Bucket(address, store)),
                // Only accounts of Azure's can share the name of a container.
                (Some(_), Some(_)) => Err(bad(
                    "two accounts have this container; write abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY",
                )),
                (None, _) => Err(bad("no store of the configuration lists this bucket, folder and direction")),
            };
        }
        let url = Url::parse(text).map_err(|_| bad("not a URL"))?;
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| bad("not a local path"))?;
                let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
                let allowed = match &objects.files {
                    Files::Below(roots) => roots.iter().any(|root| path.starts_with(root)),
                    Files::Anywhere => true,
                };
                if !plain || !allowed {
                    return Err(bad("outside the storage roots of this room"));
                }
                Ok(Location::File(path))
            }
            "https" | "http" => {
                let host = url.host().ok_or_else(|| bad("it names no host"))?;
                let (here, named_here) = (loopback(&host), host == Host::Domain("localhost"));
                let plainly_here = named_here || (here && !matches!(host, Host::Domain(_)));
                let named = !url.username().is_empty() || url.password().is_some();
                match url.scheme() {
                    _ if named => Err(bad("a user or password in an address is refused")),
                    _ if metadata(&host) => Err(bad("the machine's own metadata is no storage")),
                    _ if here && !objects.loopback => Err(bad("the services beside this room are no storage")),
                    "http" if !plainly_here => Err(bad("http is for loopback in demos only; use https")),
                    _ => Ok(Location::Web(url)),
                }
            }
            _ => Err(bad("file, https, s3, az, abfss, gs, or loopback http is expected, in plain form")),
        }
    }
}

fn loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => is_loopback(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => is_loopback(IpAddr::V6(*ip)),
    }
}

fn metadata(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "metadata.google.internal",
        Host::Ipv4(ip) => is_metadata(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => is_metadata(IpAddr::V6(*ip)),
    }
}

/// The address, and the IPv4 addresses that a packet to it could be turned towards: IPv6 has many clothes for them.
fn leads_to(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let four = match ip {
        IpAddr::V4(_) => Vec::new(),
        IpAddr::V6(six) => clothed(six),
    };
    std::iter::once(ip).chain(four.into_iter().map(IpAddr::V4))
}

/// IPv4 addresses within an IPv6 address: mapped and compatible (RFC 4291, 2.5.5), behind NAT64 (RFC 6052, 2.1; RFC 8215
/// with its address in either of the two usual places), 6to4 (RFC 3056, 2), Teredo's server and client (RFC 4380, 4).
fn clothed(six: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bytes = six.octets();
    let at = |places: [usize; 4]| {
        let [a, b, c, d] = places.map(|place| bytes.get(place).copied().unwrap_or_default());
        Ipv4Addr::new(a, b, c, d)
    };
    let last = at([12, 13, 14, 15]);
    match six.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] => vec![last],
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![last],
        // One of the two places holds nothing.
        [0x64, 0xff9b, 1, ..] => [last, at([6, 7, 9, 10])].into_iter().filter(|ip| !ip.is_unspecified()).collect(),
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        [0x2001, 0, ..] => vec![at([4, 5, 6, 7]), Ipv4Addr::from_bits(!last.to_bits())],
        _ => Vec::new(),
    }
}

/// Whether an address is this machine, or no machine at all.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    leads_to(ip).any(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// Whether an address is where a cloud's machine finds its own credentials: link-local, and the two that are not.
pub(crate) fn is_metadata(ip: IpAddr) -> bool {
    /// Alibaba's.
    const V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    /// Amazon's.
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    leads_to(ip).any(|ip| match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip == V4,
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip == V6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_known_in_any_clothes() {
        for clothed in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::1",
            "2001:0:102:304::5601:5601",
        ] {
            assert!(is_metadata(ip(clothed)), "{clothed}");
        }
        for here in ["127.0.0.1", "0.0.0.0", "::", "::1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "::ffff:0.0.0.0"] {
            assert!(is_loopback(ip(here)) && !is_metadata(ip(here)), "{here}");
        }
        // Storage in one's own network, and the same behind a gateway, is storage.
        for plain in ["10.1.2.3", "192.0.2.1", "fd00::1", "2001:db8::1", "64:ff9b::10.1.2.3", "64:ff9b:1:a01:2:300::"] {
            assert!(!is_loopback(ip(plain)) && !is_metadata(ip(plain)), "{plain}");
        }
    }
}
