//! The few lines of DER (X.690) that certificates need beyond what the openssl crate offers: a strict reader, and a
//! writer for the software attester.

/// One element: tag, content, and both with the length between.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub whole: &'a [u8],
}

/// Reads elements one after another. `None` at the end and on anything that is not DER.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element: low tag number, definite length in its shortest form.
    pub fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, &first) = (self.0.first()?, self.0.get(1)?);
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (len, head) = match first {
            0..=0x7f => (usize::from(first), 2),
            0x81 => (usize::from(*self.0.get(2)?), 3),
            0x82 => (usize::from(*self.0.get(2)?) << 8 | usize::from(*self.0.get(3)?), 4),
            _ => return None,
        };
        let shortest = match head {
            2 => true,
            3 => len >= 0x80,
            _ => len >= 0x100,
        };
        if !shortest {
            return None;
        }
        let whole = self.0.get(..head + len)?;
        let content = whole.get(head..)?;
        self.0 = self.0.get(head + len..)?;
        Some(Element { tag, content, whole })
    }

    /// The next element if it has this tag.
    pub fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|e| e.tag == tag)
    }

    /// The only element of these bytes.
    pub fn only(bytes: &'a [u8], tag: u8) -> Option<Element<'a>> {
        let mut reader = Reader(bytes);
        let element = reader.expect(tag)?;
        reader.0.is_empty().then_some(element)
    }
}

/// The bytes of a bit string without unused bits.
pub(crate) fn whole_bits(content: &[u8]) -> Option<&[u8]> {
    content.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bytes)| bytes)
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
/// `[0]` (version) and `[3]` (extensions) of a certificate.
pub(crate) const VERSION: u8 = 0xa0;
pub(crate) const EXTENSIONS: u8 = 0xa3;
/// `[0]` (extensions) of a revocation list.
pub(crate) const LIST_EXTENSIONS: u8 = 0xa0;

/// An element written out.
#[cfg(feature = "software-attester")]
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|p| p.len()).sum();
    let mut out = vec![tag];
    match len {
        0..=0x7f => out.push(len as u8),
        0x80..=0xff => out.extend([0x81, len as u8]),
        _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shortest_definite_form_is_read() {
        assert_eq!(Reader(&[0x02, 0x01, 0x05]).next().unwrap().content, [5]);
        for bad in [
            &[0x02][..],
            &[0x02, 0x02, 0x05],
            &[0x02, 0x81, 0x01, 0x05],
            &[0x02, 0x82, 0x00, 0x01, 0x05],
            &[0x30, 0x80, 0x00, 0x00],
            &[0x1f, 0x01, 0x05],
        ] {
            assert!(Reader(bad).next().is_none(), "{bad:?}");
        }
        assert!(Reader::only(&[0x02, 0x01, 0x05, 0x00], INTEGER).is_none());
    }
}
