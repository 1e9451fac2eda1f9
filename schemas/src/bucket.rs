//! Addresses of sealed objects in buckets, read strictly: nothing is escaped, nothing is left to a client's reading.
//!
//! `s3://bucket/key`, `gs://bucket/key`, `az://container/key`, and as the reference writes Azure's:
//! `abfss://container@account.dfs.core.windows.net/key`.

use serde::{Deserialize, Serialize};

/// Whose interface a bucket speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketKind {
    /// Amazon S3, and what speaks like it.
    S3,
    /// Azure Blob Storage; a bucket is a container of an account there.
    Azure,
    /// Google Cloud Storage.
    Gcs,
}

/// An object in a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BucketAddress<'a> {
    /// Whose interface.
    pub kind: BucketKind,
    /// Bucket or container.
    pub bucket: &'a str,
    /// The account, where the address names one (`abfss:`).
    pub account: Option<&'a str>,
    /// The object's key: parts of letters, digits and `-_.=+@`, joined by single slashes; no part is `.` or `..`.
    pub key: &'a str,
}

impl<'a> BucketAddress<'a> {
    /// The longest address, in bytes.
    pub const MOST: usize = 1024;

    /// Reads an address; none where it is not exactly in this form.
    pub fn parse(text: &'a str) -> Option<BucketAddress<'a>> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, key) = rest.split_once('/')?;
        let (kind, bucket, account) = match scheme {
            "s3" => (BucketKind::S3, authority, None),
            "gs" => (BucketKind::Gcs, authority, None),
            "az" => (BucketKind::Azure, authority, None),
            "abfss" => {
                let (container, host) = authority.split_once('@')?;
                (BucketKind::Azure, container, Some(host.strip_suffix(".dfs.core.windows.net")?))
            }
            _ => return None,
        };
        let well = text.len() <= Self::MOST
            && is_bucket(kind, bucket)
            && account.is_none_or(is_account)
            && key.split('/').all(is_part);
        well.then_some(BucketAddress { kind, bucket, account, key })
    }
}

/// Whether this names a bucket of this kind: 3 to 63 lower-case letters, digits and dashes, with a letter or digit at
/// both ends; dots too in S3 and GCS, underscores in GCS.
pub fn is_bucket(kind: BucketKind, name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let allowed = |b: u8| {
        plain(b) || b == b'-' || (b == b'.' && kind != BucketKind::Azure) || (b == b'_' && kind == BucketKind::Gcs)
    };
    let ends = [name.bytes().next(), name.bytes().next_back()];
    (3..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && ends.iter().all(|end| end.is_some_and(plain))
        && !name.contains("..")
}

/// Whether this names a storage account of Azure: 3 to 24 lower-case letters and digits.
pub fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_part(part: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.=+@".contains(&b);
    !matches!(part, "" | "." | "..") && part.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_a_bucket_and_a_key_and_nothing_else() {
        let read = |text| BucketAddress::parse(text).map(|a| (a.kind, a.bucket, a.account, a.key));
        assert_eq!(read("s3://depa-sealed/enc/a.depa"), Some((BucketKind::S3, "depa-sealed", None, "enc/a.depa")));
        assert_eq!(read("gs://a_b.c/x"), Some((BucketKind::Gcs, "a_b.c", None, "x")));
        assert_eq!(read("az://enc/a"), Some((BucketKind::Azure, "enc", None, "a")));
        let abfss = "abfss://enc@acct1.dfs.core.windows.net/d=1/a";
        assert_eq!(read(abfss), Some((BucketKind::Azure, "enc", Some("acct1"), "d=1/a")));
        for bad in [
            "s3://depa-sealed",
            "s3://depa-sealed/",
            "s3://depa-sealed//a",
            "s3://depa-sealed/a/",
            "s3://depa-sealed/../a",
            "s3://depa-sealed/./a",
            "s3://depa-sealed/a%2fb",
            "s3://depa-sealed/a?versionId=1",
            "s3://depa-sealed/a#b",
            "s3://depa-sealed/a b",
            "s3://user:secret@depa-sealed/a",
            "s3://169.254.169.254:80/latest",
            "s3://De/a",
            "s3://depa..sealed/a",
            "s3://-depa/a",
            "az://a.b.c/a",
            "abfss://enc/a",
            "abfss://enc@acct1.dfs.core.windows.net.evil.example/a",
            "abfss://enc@evil.example/a",
            "abfss://enc@a/b.dfs.core.windows.net/a",
            "S3://depa-sealed/a",
            "gcs://depa-sealed/a",
            "depa-sealed/a",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("s3://depa-sealed/{}", "a".repeat(1024))), None);
    }
}
