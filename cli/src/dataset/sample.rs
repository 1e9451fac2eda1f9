//! The sample of a dataset, which anyone may read before there is a contract.

use objects::Objects;
use schemas::dataset::Sample;
use schemas::{Code, Digest, R, Refusal};

/// The largest sample that is fetched, in bytes.
pub const LARGEST: u64 = 64 << 20;

/// Fetches the sample that an offer names, whole.
///
/// # Errors
/// `NOT_FOUND` where the offer has none; `LIMIT_EXCEEDED` beyond [`LARGEST`]; `OBJECT_CHANGED` where other bytes lie there;
/// what its address answers.
pub fn fetch(offered: Option<&Sample>, reach: &Objects) -> R<Vec<u8>> {
    let sample = offered.ok_or_else(|| Refusal::new(Code::NotFound, "the offer of this dataset names no sample"))?;
    if sample.bytes > LARGEST {
        let sentence = format!("the sample has {} bytes; at most {LARGEST} are fetched", sample.bytes);
        return Err(Refusal::new(Code::LimitExceeded, sentence));
    }
    let bytes = crate::fetch::fetch(&sample.url, sample.bytes, reach)?;
    if Digest::of(&bytes) == sample.sha256 {
        return Ok(bytes);
    }
    let sentence = format!("{} holds other bytes than the sample that was offered", objects::place(&sample.url));
    Err(Refusal::new(Code::ObjectChanged, sentence))
}

#[cfg(test)]
mod tests {
    use schemas::dataset::SampleKind;

    use super::*;

    #[test]
    fn a_sample_is_the_bytes_that_were_offered_or_none() {
        let file = std::env::temp_dir().join(format!("depa-sample-{}.csv", crate::edge::fresh().simple()));
        std::fs::write(&file, "a,b\n1,2\n").unwrap();
        let offered = Sample {
            url: format!("file://{}", file.display()),
            sha256: Digest::of(b"a,b\n1,2\n"),
            bytes: 8,
            media_type: "text/csv".into(),
            kind: SampleKind::Synthetic,
        };
        let reach = crate::fetch::reach(None).unwrap();
        let code = |sample: &Sample| fetch(Some(sample), &reach).map_err(|refusal| refusal.code);
        assert_eq!(code(&offered).unwrap(), b"a,b\n1,2\n");
        assert_eq!(fetch(None, &reach).unwrap_err().code, Code::NotFound);
        assert_eq!(code(&Sample { bytes: LARGEST + 1, ..offered.clone() }), Err(Code::LimitExceeded));
        assert_eq!(code(&Sample { bytes: 7, ..offered.clone() }), Err(Code::SealedTruncated));
        std::fs::write(&file, "a,b\n1,3\n").unwrap();
        assert_eq!(code(&offered), Err(Code::ObjectChanged));
        std::fs::remove_file(&file).unwrap();
    }
}
