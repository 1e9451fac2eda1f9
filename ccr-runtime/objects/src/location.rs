//! Locations: what a document names, judged by what the configuration allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Component, PathBuf};

use schemas::bucket::BucketAddress;
use schemas::{Code, R, Refusal};
use url::{Host, Url};

use crate::{Files, Objects, Store, place};

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
    /// bucket that a store of the configuration lists. Everything else is `ADDRESS_REFUSED`.
    pub fn parse(text: &'a str, objects: &'a Objects) -> R<Location<'a>> {
        let bad = |why: &str| Refusal::new(Code::AddressRefused, format!("location {}: {why}", place(text)));
        if let Some(address) = BucketAddress::parse(text) {
            let store = objects.stores.iter().find(|store| store.has(&address));
            let store = store.ok_or_else(|| bad("no store of the configuration lists this bucket"))?;
            return Ok(Location::Bucket(address, store));
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

/// An IPv4 address in IPv6's clothes is the IPv4 address.
fn plain(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// Whether an address is this machine, or no machine at all.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    let ip = plain(ip);
    ip.is_loopback() || ip.is_unspecified()
}

/// Whether an address is where a cloud's machine finds its own credentials: link-local, and the two that are not.
pub(crate) fn is_metadata(ip: IpAddr) -> bool {
    /// Alibaba's.
    const V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    /// Amazon's.
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match plain(ip) {
        IpAddr::V4(ip) => ip.is_link_local() || ip == V4,
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip == V6,
    }
}
