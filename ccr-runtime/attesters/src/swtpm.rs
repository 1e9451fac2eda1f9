//! SIMULATED: a software TPM (`swtpm`) under a software root. The quotes are a TPM's own; what an Azure VM's paravisor
//! does (the report, the attestation key, the NV indices) is played here, at the same handles and indices.
//!
//! For demos and tests. The evidence is of kind `software`, and the production package is built without this module.

use attestation::software::{SoftwareRoot, envelope};
use schemas::Digest;
use schemas::evidence::{EvidenceKind, Quote};
use schemas::problem::R;
use tss_esapi::Context;
use tss_esapi::abstraction::nv::{self, NvOpenOptions};
use tss_esapi::attributes::{NvIndexAttributesBuilder, ObjectAttributesBuilder};
use tss_esapi::constants::CapabilityType;
use tss_esapi::handles::{NvIndexTpmHandle, PcrHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::dynamic_handles::Persistent;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::{Hierarchy, NvAuth, Provision};
use tss_esapi::structures::{
    CapabilityData, HashScheme, NvPublicBuilder, Public, PublicBuilder, PublicKeyRsa, PublicRsaParametersBuilder,
    RsaExponent, RsaScheme,
};

use crate::tpm::{AK, REPORT, Tpm, USER_DATA};
use crate::vtpm::{Patience, Vtpm, VtpmAttester, failed};

/// The PCRs that a boot fills before the room starts, besides PCR 11.
const BOOT_PCRS: [(usize, PcrHandle); 4] =
    [(4, PcrHandle::Pcr4), (7, PcrHandle::Pcr7), (9, PcrHandle::Pcr9), (12, PcrHandle::Pcr12)];

/// A software TPM with a paravisor that is played.
pub struct SoftParavisor {
    tpm: Tpm,
    root: SoftwareRoot,
}

/// An attester over the TPM behind this TCTI (`swtpm:host=127.0.0.1,port=2321`), for code of this measurement.
///
/// Makes the attestation key and the first report where they are missing, and "boots": PCRs 4, 7, 9, 11 and 12 are
/// extended once. A TPM that booted with another measurement is refused.
pub fn open(tcti: &str, root: SoftwareRoot, measurement: &Digest) -> R<VtpmAttester<SoftParavisor>> {
    let tpm = Tpm::at(tcti)?;
    make_key(&tpm)?;
    boot(&tpm, measurement)?;
    let certificates = root.certificates();
    let mut paravisor = SoftParavisor { tpm, root };
    paravisor.write_report(&[0; 64])?;
    Ok(VtpmAttester::new(EvidenceKind::Software, paravisor, certificates, Patience::default()))
}

impl SoftParavisor {
    /// What the paravisor does when user data is written: a report that binds it lies in the NV index.
    fn write_report(&mut self, user_data: &[u8; 64]) -> R<()> {
        let blob = envelope(&self.root, &self.tpm.attestation_key()?, user_data)?;
        write_nv(&self.tpm, REPORT, &blob)
    }
}

impl Vtpm for SoftParavisor {
    fn report_for(&mut self, user_data: &[u8; 64]) -> R<Vec<u8>> {
        write_nv(&self.tpm, USER_DATA, user_data)?;
        let written = self.tpm.read_nv(USER_DATA)?.and_then(|d| d.try_into().ok());
        self.write_report(&written.ok_or_else(|| failed("the user data does not lie in its index"))?)?;
        self.report()
    }

    fn report(&mut self) -> R<Vec<u8>> {
        self.tpm.read_nv(REPORT)?.ok_or_else(|| failed("there is no report"))
    }

    fn quote(&mut self, nonce: &[u8; 48]) -> R<Quote> {
        self.tpm.quote(nonce)
    }

    fn pcrs(&mut self) -> R<Vec<Digest>> {
        self.tpm.pcrs()
    }

    fn extend_job(&mut self, digest: &Digest) -> R<()> {
        self.tpm.extend(PcrHandle::Pcr8, digest)
    }

    fn ak_certificate(&mut self) -> R<Option<Vec<u8>>> {
        self.tpm.ak_certificate()
    }
}

/// Extends what a boot would: fixed labels, and the measurement into PCR 11. Does nothing where that has happened.
fn boot(tpm: &Tpm, measurement: &Digest) -> R<()> {
    let label = |index: usize| Digest::of(format!("depa software TPM: PCR {index}").as_bytes());
    let mut events: Vec<(usize, PcrHandle, Digest)> =
        BOOT_PCRS.map(|(index, handle)| (index, handle, label(index))).to_vec();
    events.push((11, PcrHandle::Pcr11, *measurement));
    let pcrs = tpm.pcrs()?;
    for (index, handle, event) in events {
        let booted = Digest::of_parts(&[&[0; 32], &event.0]);
        match pcrs.get(index) {
            Some(value) if *value == booted => {}
            Some(Digest([0, ..])) if pcrs.get(index) == Some(&Digest([0; 32])) => tpm.extend(handle, &event)?,
            _ => return Err(failed(format!("PCR {index} is of another boot; start the software TPM anew"))),
        }
    }
    Ok(())
}

/// Makes the attestation key where there is none: restricted, RSA-2048, RSASSA with SHA-256.
fn make_key(tpm: &Tpm) -> R<()> {
    tpm.with(|context| {
        if has_key(context)? {
            return Ok(());
        }
        let made = context.create_primary(Hierarchy::Endorsement, key_template()?, None, None, None, None)?;
        let persistent = Persistent::Persistent(PersistentTpmHandle::new(AK)?);
        context.evict_control(Provision::Owner, made.key_handle.into(), persistent)?;
        context.flush_context(made.key_handle.into())
    })
}

fn has_key(context: &mut Context) -> tss_esapi::Result<bool> {
    let (found, _) = context.execute_without_session(|c| c.get_capability(CapabilityType::Handles, AK, 1))?;
    let wanted = TpmHandle::Persistent(PersistentTpmHandle::new(AK)?);
    Ok(matches!(found, CapabilityData::Handles(handles) if handles.contains(&wanted)))
}

fn key_template() -> tss_esapi::Result<Public> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_restricted(true)
        .with_sign_encrypt(true)
        .build()?;
    let parameters = PublicRsaParametersBuilder::new()
        .with_scheme(RsaScheme::RsaSsa(HashScheme::new(HashingAlgorithm::Sha256)))
        .with_key_bits(RsaKeyBits::Rsa2048)
        .with_exponent(RsaExponent::default())
        .with_is_signing_key(true)
        .with_is_decryption_key(false)
        .with_restricted(true)
        .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Rsa)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_rsa_parameters(parameters)
        .with_rsa_unique_identifier(PublicKeyRsa::default())
        .build()
}

/// Writes an NV index whole; defines it anew where it is missing or has another size.
fn write_nv(tpm: &Tpm, index: u32, data: &[u8]) -> R<()> {
    tpm.with(|context| {
        let nv_index_handle = NvIndexTpmHandle::new(index)?;
        let listed = nv::list(context)?.into_iter().find(|(public, _)| public.nv_index() == nv_index_handle);
        let size = listed.map(|(public, _)| public.data_size());
        if size.is_some_and(|size| size != data.len()) {
            let old = context.execute_without_session(|c| c.tr_from_tpm_public(nv_index_handle.into()))?;
            context.nv_undefine_space(Provision::Owner, old.into())?;
        }
        if size != Some(data.len()) {
            let attributes = NvIndexAttributesBuilder::new().with_owner_write(true).with_owner_read(true).build()?;
            let public = NvPublicBuilder::new()
                .with_nv_index(nv_index_handle)
                .with_index_name_algorithm(HashingAlgorithm::Sha256)
                .with_index_attributes(attributes)
                .with_data_area_size(data.len())
                .build()?;
            context.nv_define_space(Provision::Owner, None, public)?;
        }
        let options = NvOpenOptions::ExistingIndex { nv_index_handle, auth_handle: NvAuth::Owner };
        let mut writer = options.open(context)?;
        std::io::Write::write_all(&mut writer, data)
            .map_err(|_| tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::InvalidParam))
    })
}
