//! The SNP attestation report (AMD 56860, ATTESTATION_REPORT), 1184 bytes, versions 2 to 5.

use schemas::platform::Product;

use crate::tcb::product_of_cpuid;

/// Length of a report.
pub(crate) const LENGTH: usize = 0x4a0;
/// The signature covers the bytes before this offset.
pub(crate) const SIGNED: usize = 0x2a0;

/// The fields that verdicts rest on.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    raw: &'a [u8],
    pub version: u32,
    pub guest_svn: u32,
    pub policy: u64,
    pub family_id: &'a [u8],
    pub image_id: &'a [u8],
    pub vmpl: u32,
    pub sig_algo: u32,
    pub current_tcb: [u8; 8],
    pub platform_info: u64,
    pub key_info: u32,
    pub report_data: &'a [u8],
    pub measurement: &'a [u8],
    pub host_data: &'a [u8],
    pub id_key_digest: &'a [u8],
    pub report_id_ma: &'a [u8],
    pub reported_tcb: [u8; 8],
    pub cpuid: [u8; 2],
    pub chip_id: &'a [u8],
    pub committed_tcb: [u8; 8],
    /// Build, minor and major of the running firmware.
    pub current_firmware: [u8; 3],
    /// The same of the committed firmware.
    pub committed_firmware: [u8; 3],
    pub launch_tcb: [u8; 8],
    /// Version 5; zero before.
    pub launch_mitigation: u64,
    /// Version 5; zero before.
    pub current_mitigation: u64,
    pub r: &'a [u8],
    pub s: &'a [u8],
    /// The bytes under the signature, as they came.
    pub signed: &'a [u8],
}

impl<'a> Report<'a> {
    /// Reads a report of a known version. Only the length is judged here.
    pub fn read(raw: &'a [u8]) -> Result<Report<'a>, String> {
        if raw.len() != LENGTH {
            return Err(format!("a report has {LENGTH} bytes, not {}", raw.len()));
        }
        Report::fields(raw).ok_or_else(|| "the report is too short".to_owned())
    }

    fn fields(raw: &'a [u8]) -> Option<Report<'a>> {
        let part = |at: usize, len: usize| raw.get(at..at + len);
        let u32_at = |at: usize| Some(u32::from_le_bytes(part(at, 4)?.try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(part(at, 8)?.try_into().ok()?));
        Some(Report {
            raw,
            version: u32_at(0x00)?,
            guest_svn: u32_at(0x04)?,
            policy: u64_at(0x08)?,
            family_id: part(0x10, 16)?,
            image_id: part(0x20, 16)?,
            vmpl: u32_at(0x30)?,
            sig_algo: u32_at(0x34)?,
            current_tcb: part(0x38, 8)?.try_into().ok()?,
            platform_info: u64_at(0x40)?,
            key_info: u32_at(0x48)?,
            report_data: part(0x50, 64)?,
            measurement: part(0x90, 48)?,
            host_data: part(0xc0, 32)?,
            id_key_digest: part(0xe0, 48)?,
            report_id_ma: part(0x160, 32)?,
            reported_tcb: part(0x180, 8)?.try_into().ok()?,
            cpuid: part(0x188, 2)?.try_into().ok()?,
            chip_id: part(0x1a0, 64)?,
            committed_tcb: part(0x1e0, 8)?.try_into().ok()?,
            current_firmware: part(0x1e8, 3)?.try_into().ok()?,
            committed_firmware: part(0x1ec, 3)?.try_into().ok()?,
            launch_tcb: part(0x1f0, 8)?.try_into().ok()?,
            launch_mitigation: u64_at(0x1f8)?,
            current_mitigation: u64_at(0x200)?,
            r: part(0x2a0, 72)?,
            s: part(0x2e8, 72)?,
            signed: part(0, SIGNED)?,
        })
    }

    /// The product by CPUID; reports of version 2 do not carry it.
    pub fn product(&self) -> Option<Product> {
        let [family, model] = self.cpuid;
        if self.version >= 3 { product_of_cpuid(family, model) } else { None }
    }

    /// Every reserved byte of this version is zero, also behind the signature, where nothing signs them.
    pub fn reserved_is_zero(&self) -> Result<String, String> {
        let mut ranges =
            vec![(0x4c, 0x50), (0x18b, 0x1a0), (0x1eb, 0x1ec), (0x1ef, 0x1f0), (0x208, 0x2a0), (0x330, LENGTH)];
        if self.version < 3 {
            ranges.push((0x188, 0x18b));
        }
        if self.version < 5 {
            ranges.push((0x1f8, 0x208));
        }
        let tcb_gap = if self.product() == Some(Product::Turin) { (4, 7) } else { (2, 6) };
        for base in [0x38, 0x180, 0x1e0, 0x1f0] {
            ranges.push((base + tcb_gap.0, base + tcb_gap.1));
        }
        for (from, to) in ranges {
            if self.raw.get(from..to).is_none_or(|bytes| bytes.iter().any(|b| *b != 0)) {
                return Err(format!("reserved bytes {from:#x}..{to:#x} are not zero"));
            }
        }
        if self.key_info >> 5 != 0 {
            return Err("reserved bits of key_info are set".to_owned());
        }
        Ok("reserved bytes are zero".to_owned())
    }
}
