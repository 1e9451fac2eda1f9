//! Points 25 to 29: the vTPM's quote (TCG TPM 2.0 Library Part 2, TPMS_ATTEST and TPMS_QUOTE_INFO).

use openssl::pkey::{PKey, Public};
use schemas::Digest;
use schemas::evidence::{EvidenceKind, Quote};

use crate::appraise::Case;
use crate::checks::Checks;
use crate::raw;

/// TPM_GENERATED_VALUE.
pub(crate) const MAGIC: [u8; 4] = [0xff, 0x54, 0x43, 0x47];
/// TPM_ST_ATTEST_QUOTE.
pub(crate) const QUOTE: u16 = 0x8018;
/// TPM_ALG_SHA256.
pub(crate) const SHA256: u16 = 0x000b;
/// All 24 PCRs of a bank.
pub(crate) const ALL_PCRS: [u8; 3] = [0xff; 3];

/// What a quote attests.
#[derive(Debug)]
pub(crate) struct Attest<'a> {
    pub extra_data: &'a [u8],
    pub reset_count: u32,
    pub safe: bool,
    /// Hash algorithm and PCR bitmap per bank.
    pub selection: Vec<(u16, &'a [u8])>,
    pub pcr_digest: &'a [u8],
}

/// Reads big-endian fields; `None` past the end.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }
    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
    /// A TPM2B: length and bytes.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }
}

impl<'a> Attest<'a> {
    /// Reads a quote to its last byte; other kinds of attestation and anything behind the end are refused.
    pub fn read(message: &'a [u8]) -> Result<Attest<'a>, String> {
        let mut fields = Fields(message);
        if fields.take(4) != Some(MAGIC.as_slice()) {
            return Err("not made by a TPM".to_owned());
        }
        if fields.u16() != Some(QUOTE) {
            return Err("not a quote".to_owned());
        }
        let attest = Attest::body(&mut fields).ok_or("the quote is malformed")?;
        if !fields.0.is_empty() {
            return Err("bytes follow the quote".to_owned());
        }
        Ok(attest)
    }

    fn body(fields: &mut Fields<'a>) -> Option<Attest<'a>> {
        fields.sized()?; // qualifiedSigner
        let extra_data = fields.sized()?;
        fields.take(8)?; // clock
        let reset_count = fields.u32()?;
        fields.take(4)?; // restartCount
        let safe = match fields.u8()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        fields.take(8)?; // firmwareVersion
        let banks = fields.u32()?;
        if banks > 16 {
            return None; // HASH_COUNT
        }
        let mut selection = Vec::new();
        for _ in 0..banks {
            let algorithm = fields.u16()?;
            let len = fields.u8()?;
            selection.push((algorithm, fields.take(usize::from(len))?));
        }
        Some(Attest { extra_data, reset_count, safe, selection, pcr_digest: fields.sized()? })
    }
}

/// Judges the quote under the attestation key of the runtime data; without one its signature stays unjudged.
pub(crate) fn judge(case: &Case, ak: Option<&PKey<Public>>, checks: &mut Checks) {
    let quote = match (case.evidence.kind, &case.evidence.quote) {
        (EvidenceKind::Snp, None) => {
            for name in QUOTE_CHECKS {
                checks.skip(name, "a bare guest has no vTPM");
            }
            return;
        }
        (EvidenceKind::Snp, Some(_)) => return checks.judge("quote_form", false, "a bare guest has no quote"),
        (_, None) => return checks.judge("quote_form", false, "there is no quote"),
        (_, Some(quote)) => quote,
    };
    if let Some(ak) = ak {
        let signed = quote.signature.0.len() == 256 && raw::rsassa_sha256(ak, &quote.message.0, &quote.signature.0);
        checks.judge("quote_signature", signed, "RSASSA with SHA-256 by the attestation key");
    }
    let pcrs = pcr_values(quote);
    match Attest::read(&quote.message.0) {
        Ok(attest) => {
            checks.judge("quote_form", true, "a quote to its last byte");
            attested(case, &attest, pcrs.as_deref(), checks);
        }
        Err(reason) => checks.judge("quote_form", false, reason),
    }
    if let Some(pcrs) = &pcrs {
        compare_pcrs(case, pcrs, checks);
    }
}

const QUOTE_CHECKS: [&str; 8] =
    ["quote_form", "quote_signature", "quote_nonce", "pcr_selection", "pcr_digest", "pcr_values", "job_pcr", "clock"];

/// 24 values of 32 bytes, or nothing.
fn pcr_values(quote: &Quote) -> Option<Vec<Digest>> {
    let values: Option<Vec<Digest>> = quote.pcrs.iter().map(|p| p.0.as_slice().try_into().ok().map(Digest)).collect();
    values.filter(|v| v.len() == 24)
}

fn attested(case: &Case, attest: &Attest, pcrs: Option<&[Digest]>, checks: &mut Checks) {
    checks.judge("quote_nonce", attest.extra_data == case.expected.nonce, "extraData against the nonce expected");
    // The exact selection: values under a re-labelled index would otherwise pass for others.
    let exact = matches!(attest.selection.as_slice(), [(SHA256, bits)] if *bits == ALL_PCRS);
    checks.judge("pcr_selection", exact, "the sha256 bank with all 24 PCRs and nothing else");
    let digest = pcrs.map(|p| Digest::of_parts(&p.iter().map(|d| d.0.as_slice()).collect::<Vec<_>>()));
    let equal = digest.is_some_and(|d| attest.pcr_digest == d.0);
    checks.judge("pcr_digest", equal, "SHA-256 over 24 values of 32 bytes");
    checks.record.reset_count = Some(attest.reset_count);
    checks.judge("clock", attest.safe, format!("reset count {}", attest.reset_count));
}

fn compare_pcrs(case: &Case, pcrs: &[Digest], checks: &mut Checks) {
    if let Some(approved) = &case.expected.approved {
        let differs = |(index, wanted): &&(usize, Digest)| pcrs.get(*index) != Some(wanted);
        let wrong: Vec<String> = approved.pcrs.iter().filter(differs).map(|(index, _)| index.to_string()).collect();
        let detail = if wrong.is_empty() { "as approved".to_owned() } else { format!("PCR {}", wrong.join(", ")) };
        checks.judge("pcr_values", wrong.is_empty() && !approved.pcrs.is_empty(), detail);
    }
    match &case.expected.job_pcr {
        Some(job) => checks.judge("job_pcr", pcrs.get(8) == Some(job), "the job, extended once into PCR 8"),
        None => checks.skip("job_pcr", "no job is expected"),
    }
}

/// A quote over a selection of the sha256 bank.
#[cfg(feature = "software-attester")]
pub(crate) fn write(nonce: &[u8], selection: [u8; 3], pcr_digest: &Digest) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(QUOTE.to_be_bytes());
    out.extend([0, 0]); // qualifiedSigner: none
    out.extend((nonce.len() as u16).to_be_bytes());
    out.extend_from_slice(nonce);
    out.extend(1u64.to_be_bytes()); // clock
    out.extend(1u32.to_be_bytes()); // resetCount
    out.extend(0u32.to_be_bytes()); // restartCount
    out.push(1); // safe
    out.extend(0u64.to_be_bytes()); // firmwareVersion
    out.extend(1u32.to_be_bytes());
    out.extend(SHA256.to_be_bytes());
    out.push(3);
    out.extend(selection);
    out.extend(32u16.to_be_bytes());
    out.extend(pcr_digest.0);
    out
}
