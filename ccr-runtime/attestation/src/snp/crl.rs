//! Point 8: revocation lists (RFC 5280, section 5), as AMD publishes them per product: signed by the ARK, naming ASKs.
//! A list of the ASK, where there is one, names VCEKs. All AMD VCEKs share the serial number 0, so a single chip is
//! refused by the policy's chip list.

use schemas::Timestamp;

use crate::appraise::Case;
use crate::checks::Checks;
use crate::der::{self, Reader};
use crate::snp::certificate::{Certificate, is_pss_sha384, read_extensions};

/// At most this many lists are looked at, each of at most this many bytes.
const MAX_LISTS: usize = 8;
const MAX_LIST: usize = 64 * 1024;

/// A revocation list, signed in AMD's form.
#[derive(Debug)]
pub(crate) struct Crl<'a> {
    /// DER of the issuer's name.
    pub issuer: &'a [u8],
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    /// Serial numbers as they are encoded.
    pub revoked: Vec<&'a [u8]>,
    signed: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Crl<'a> {
    /// Reads a list to its last byte. Lists for a part of the certificates, by other issuers than the one named, or with
    /// critical extensions at all, are not understood and refused, as are lists without `nextUpdate`.
    pub fn read(bytes: &'a [u8]) -> Option<Crl<'a>> {
        if bytes.len() > MAX_LIST {
            return None;
        }
        let mut outer = Reader(Reader::only(bytes, der::SEQUENCE)?.content);
        let tbs = outer.expect(der::SEQUENCE)?;
        let algorithm = outer.expect(der::SEQUENCE)?;
        let signature = der::whole_bits(outer.expect(der::BIT_STRING)?.content)?;
        let mut fields = Reader(tbs.content);
        let version = fields.expect(der::INTEGER)?;
        let inner = fields.expect(der::SEQUENCE)?;
        let issuer = fields.expect(der::SEQUENCE)?.whole;
        let this_update = time(fields.next()?)?;
        let next_update = time(fields.next()?)?;
        let mut rest = fields.next();
        let mut revoked = Vec::new();
        if let Some(list) = rest.filter(|e| e.tag == der::SEQUENCE) {
            revoked = entries(list.content)?;
            rest = fields.next();
        }
        if let Some(extensions) = rest {
            let read = (extensions.tag == der::LIST_EXTENSIONS).then(|| read_extensions(extensions.content))??;
            if read.iter().any(|e| e.critical) {
                return None;
            }
        }
        let ends = outer.0.is_empty() && fields.0.is_empty();
        if !ends || version.content != [1] || inner.whole != algorithm.whole || !is_pss_sha384(algorithm.content) {
            return None;
        }
        Some(Crl { issuer, this_update, next_update, revoked, signed: tbs.whole, signature })
    }
}

fn entries(mut content: &[u8]) -> Option<Vec<&[u8]>> {
    let mut out = Vec::new();
    while !content.is_empty() {
        let mut list = Reader(content);
        let mut entry = Reader(list.expect(der::SEQUENCE)?.content);
        content = list.0;
        out.push(entry.expect(der::INTEGER)?.content);
        time(entry.next()?)?;
        if !entry.0.is_empty() {
            let extensions = entry.expect(der::SEQUENCE)?;
            if !entry.0.is_empty() || read_extensions(extensions.whole)?.iter().any(|e| e.critical) {
                return None;
            }
        }
    }
    Some(out)
}

/// UTCTime or GeneralizedTime in seconds and UTC (RFC 5280, 4.1.2.5).
fn time(element: der::Element<'_>) -> Option<Timestamp> {
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (element.tag, text.len()) {
        (der::UTC_TIME, 12) => {
            let (short, rest) = text.split_at_checked(2)?;
            (format!("{}{short}", if short < "50" { "20" } else { "19" }), rest)
        }
        (der::GENERALIZED_TIME, 14) => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2);
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

/// Judges the policy's lists against a chain of VCEK, ASK, ARK. A list of this root is needed if the policy says so.
pub(crate) fn judge(case: &Case, chain: [&Certificate; 3], checks: &mut Checks) {
    match judged(case, chain) {
        Ok(Some(detail)) => checks.judge("crl", true, detail),
        Ok(None) if case.policy.crl_required => checks.judge("crl", false, "no revocation list of this root was given"),
        Ok(None) => checks.skip("crl", "no revocation list of this root was given, and the policy asks for none"),
        Err(reason) => checks.judge("crl", false, reason),
    }
}

fn judged(case: &Case, chain: [&Certificate; 3]) -> Result<Option<String>, String> {
    let [leaf, ask, ark] = chain;
    if case.policy.crls.len() > MAX_LISTS {
        return Err(format!("more than {MAX_LISTS} revocation lists"));
    }
    let mut until: Option<Timestamp> = None;
    for bytes in &case.policy.crls {
        let list = Crl::read(bytes).ok_or("a revocation list cannot be read")?;
        // The ARK's list names what the ARK issued, the ASK's what the ASK issued.
        let (issuer, named) = if list.issuer == ark.subject {
            (ark, vec![("ASK", ask), ("ARK", ark)])
        } else if list.issuer == ask.subject {
            (ask, vec![("VCEK", leaf)])
        } else {
            continue;
        };
        if !issuer.signed_this(list.signed, list.signature) {
            return Err("a revocation list was not signed by this root".to_owned());
        }
        if case.now < list.this_update || case.now > list.next_update {
            return Err(format!("a revocation list counts from {} until {}", list.this_update, list.next_update));
        }
        if let Some((name, _)) = named.iter().find(|(_, c)| list.revoked.contains(&c.serial.as_slice())) {
            return Err(format!("the {name} is revoked"));
        }
        if std::ptr::eq(issuer, ark) {
            until = Some(until.map_or(list.next_update, |u| u.max(list.next_update)));
        }
    }
    Ok(until.map(|u| format!("nothing revoked; the list counts until {u}")))
}
