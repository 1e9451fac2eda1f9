//! The HCL envelope of an Azure confidential VM's attestation report, as observed (NV index 0x01400001).
//!
//! 0..32 header, 32..1216 SNP report, 1216..1236 header of the runtime data, then the runtime data and zero padding.
//! Nothing signs the header: both known versions are legal, and the version enters no verdict.

/// The envelope's parts.
#[derive(Debug)]
pub(crate) struct Hcl<'a> {
    pub version: u32,
    pub report: &'a [u8],
    pub var_data: &'a [u8],
}

const HEADER: usize = 32;
const RUNTIME: usize = 1216;
const DATA: usize = 1236;

impl<'a> Hcl<'a> {
    /// Reads an envelope; anything but an SNP report with SHA-256 bound runtime data is refused.
    pub fn read(blob: &'a [u8]) -> Result<Hcl<'a>, String> {
        let short = || "the envelope is too short".to_owned();
        let word = |at: usize| blob.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        if blob.get(..4) != Some(b"HCLA") {
            return Err("not an HCL envelope".to_owned());
        }
        let version = word(4).ok_or_else(short)?;
        if !matches!(version, 1 | 2) {
            return Err(format!("envelope version {version}"));
        }
        let var_len = word(1232).ok_or_else(short)?;
        let expect = |at: usize, value: u32, what: &str| match word(at) {
            Some(found) if found == value => Ok(()),
            Some(found) => Err(format!("{what} is {found}, expected {value}")),
            None => Err(short()),
        };
        let total = var_len.checked_add(DATA as u32).ok_or_else(short)?;
        expect(8, total, "size")?;
        expect(12, 2, "request type")?;
        expect(16, 0, "status")?;
        expect(20, 0, "reserved word")?;
        expect(24, 0, "reserved word")?;
        expect(28, 0, "reserved word")?;
        expect(RUNTIME, total - RUNTIME as u32, "runtime data size")?;
        expect(1220, 1, "runtime data version")?;
        expect(1224, 2, "report type")?;
        expect(1228, 1, "hash type")?;
        let report = blob.get(HEADER..RUNTIME).ok_or_else(short)?;
        let var_data = blob.get(DATA..total as usize).ok_or_else(short)?;
        let padding = blob.get(total as usize..).ok_or_else(short)?;
        if padding.iter().any(|b| *b != 0) {
            return Err("the padding after the runtime data is not zero".to_owned());
        }
        Ok(Hcl { version, report, var_data })
    }
}

/// An envelope around a report and runtime data.
#[cfg(feature = "software-attester")]
pub(crate) fn wrap(report: &[u8], var_data: &[u8]) -> Vec<u8> {
    let var_len = var_data.len() as u32;
    let mut out = b"HCLA".to_vec();
    for word in [2, DATA as u32 + var_len, 2, 0, 0, 0, 0] {
        out.extend(word.to_le_bytes());
    }
    out.extend_from_slice(report);
    for word in [20 + var_len, 1, 2, 1, var_len] {
        out.extend(word.to_le_bytes());
    }
    out.extend_from_slice(var_data);
    out
}
