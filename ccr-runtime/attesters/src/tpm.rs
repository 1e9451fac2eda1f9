//! A TPM 2.0 by tss-esapi: PCRs, NV indices, quotes. Each call opens the TPM anew, since `/dev/tpm0` and a software TPM
//! serve one at a time.

use std::str::FromStr;

use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use openssl::x509::X509;
use schemas::Digest;
use schemas::evidence::Quote;
use schemas::problem::{Code, R, Refusal};
use schemas::text::Bytes;
use tss_esapi::Context;
use tss_esapi::TctiNameConf;
use tss_esapi::abstraction::public::DecodedKey;
use tss_esapi::abstraction::{nv, pcr};
use tss_esapi::handles::{KeyHandle, NvIndexTpmHandle, PcrHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::NvAuth;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::pcr_slot::PcrSlot;
use tss_esapi::structures::{
    Data, DigestValues, PcrSelectionList, PcrSelectionListBuilder, Signature, SignatureScheme,
};
use tss_esapi::traits::Marshall;

use crate::vtpm::failed;

/// The persistent handle of the attestation key on Azure.
pub const AK: u32 = 0x8100_0003;
/// NV index of the report (HCL blob) on Azure.
pub const REPORT: u32 = 0x0140_0001;
/// NV index that takes user data for the next report on Azure.
pub const USER_DATA: u32 = 0x0140_0002;
/// NV index of the attestation key's certificate on Azure.
pub const AK_CERTIFICATE: u32 = 0x01c1_01d0;

/// A TPM and the way to it.
#[derive(Clone, Debug)]
pub struct Tpm(TctiNameConf);

impl Tpm {
    /// `/dev/tpm0`.
    pub fn device() -> Tpm {
        Tpm(TctiNameConf::Device(Default::default()))
    }

    /// The TPM behind a TCTI: `device:/dev/tpm0`, `swtpm:host=127.0.0.1,port=2321`.
    pub fn at(tcti: &str) -> R<Tpm> {
        let unknown = |_| Refusal::new(Code::ConfigInvalid, format!("no TPM is reached by {tcti:?}")).at("tcti");
        TctiNameConf::from_str(tcti).map(Tpm).map_err(unknown)
    }

    /// Opens the TPM, with the empty password that its public indices and the attestation key ask for.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Context) -> tss_esapi::Result<T>) -> R<T> {
        let mut context = Context::new(self.0.clone()).map_err(failed)?;
        context.set_sessions((Some(AuthSession::Password), None, None));
        act(&mut context).map_err(failed)
    }

    /// The 24 sha256 PCRs.
    pub fn pcrs(&self) -> R<Vec<Digest>> {
        self.with(|context| context.execute_without_session(read_pcrs)).and_then(twenty_four)
    }

    /// Extends a digest into a PCR of the sha256 bank.
    pub fn extend(&self, pcr: PcrHandle, digest: &Digest) -> R<()> {
        self.with(|context| {
            let mut values = DigestValues::new();
            values.set(HashingAlgorithm::Sha256, digest.0.to_vec().try_into()?);
            context.pcr_extend(pcr, values)
        })
    }

    /// The content of an NV index; none where it is not defined.
    pub fn read_nv(&self, index: u32) -> R<Option<Vec<u8>>> {
        self.with(|context| {
            let index = NvIndexTpmHandle::new(index)?;
            if !nv::list(context)?.iter().any(|(public, _)| public.nv_index() == index) {
                return Ok(None);
            }
            nv::read_full(context, NvAuth::Owner, index).map(Some)
        })
    }

    /// The attestation key's certificate as DER, cut to its own length; none where the index is not defined.
    pub fn ak_certificate(&self) -> R<Option<Vec<u8>>> {
        self.read_nv(AK_CERTIFICATE)?.map(|padded| cut(&padded)).transpose()
    }

    /// A quote over all 24 sha256 PCRs by the attestation key, in the key's own scheme.
    pub fn quote(&self, nonce: &[u8; 48]) -> R<Quote> {
        let (attest, signature, pcrs) = self.with(|context| {
            let key = ak(context)?;
            let data = Data::try_from(nonce.as_slice())?;
            let (attest, signature) = context.quote(key, data, SignatureScheme::Null, selection()?)?;
            context.clear_sessions();
            Ok((attest.marshall()?, signature, read_pcrs(context)?))
        })?;
        let Signature::RsaSsa(signature) = signature else {
            return Err(failed("the attestation key does not sign by RSASSA"));
        };
        let pcrs = twenty_four(pcrs)?.iter().map(|p| Bytes(p.0.to_vec())).collect();
        Ok(Quote { message: Bytes(attest), signature: Bytes(signature.signature().to_vec()), pcrs })
    }

    /// The attestation key.
    pub fn attestation_key(&self) -> R<PKey<Public>> {
        let (modulus, exponent) = self.with(|context| {
            let key = ak(context)?;
            let (public, _, _) = context.execute_without_session(|c| c.read_public(key))?;
            match DecodedKey::try_from(public)? {
                DecodedKey::RsaPublicKey(rsa) => Ok((
                    rsa.modulus.as_unsigned_bytes_be().to_vec(),
                    rsa.public_exponent.as_unsigned_bytes_be().to_vec(),
                )),
                _ => Err(tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::WrongValueFromTpm)),
            }
        })?;
        let build = || -> Result<PKey<Public>, ErrorStack> {
            let (n, e) = (BigNum::from_slice(&modulus)?, BigNum::from_slice(&exponent)?);
            PKey::from_rsa(Rsa::from_public_components(n, e)?)
        };
        build().map_err(failed)
    }
}

/// The certificate at the start of an NV index, without what fills it up.
pub(crate) fn cut(padded: &[u8]) -> R<Vec<u8>> {
    X509::from_der(padded)
        .and_then(|c| c.to_der())
        .map_err(|_| failed("the attestation key's certificate cannot be read"))
}

fn ak(context: &mut Context) -> tss_esapi::Result<KeyHandle> {
    let handle = TpmHandle::Persistent(PersistentTpmHandle::new(AK)?);
    context.execute_without_session(|c| c.tr_from_tpm_public(handle)).map(KeyHandle::from)
}

const SLOTS: [PcrSlot; 24] = [
    PcrSlot::Slot0,
    PcrSlot::Slot1,
    PcrSlot::Slot2,
    PcrSlot::Slot3,
    PcrSlot::Slot4,
    PcrSlot::Slot5,
    PcrSlot::Slot6,
    PcrSlot::Slot7,
    PcrSlot::Slot8,
    PcrSlot::Slot9,
    PcrSlot::Slot10,
    PcrSlot::Slot11,
    PcrSlot::Slot12,
    PcrSlot::Slot13,
    PcrSlot::Slot14,
    PcrSlot::Slot15,
    PcrSlot::Slot16,
    PcrSlot::Slot17,
    PcrSlot::Slot18,
    PcrSlot::Slot19,
    PcrSlot::Slot20,
    PcrSlot::Slot21,
    PcrSlot::Slot22,
    PcrSlot::Slot23,
];

fn selection() -> tss_esapi::Result<PcrSelectionList> {
    PcrSelectionListBuilder::new().with_selection(HashingAlgorithm::Sha256, &SLOTS).build()
}

/// Index and value of what the TPM shows.
fn read_pcrs(context: &mut Context) -> tss_esapi::Result<Vec<(PcrSlot, Vec<u8>)>> {
    let data = pcr::read_all(context, selection()?)?;
    let bank = data.pcr_bank(HashingAlgorithm::Sha256);
    Ok(bank.into_iter().flatten().map(|(slot, value)| (*slot, value.to_vec())).collect())
}

/// All 24 by index, or a refusal.
fn twenty_four(read: Vec<(PcrSlot, Vec<u8>)>) -> R<Vec<Digest>> {
    let value = |slot: &PcrSlot| {
        let found = read.iter().find(|(at, _)| at == slot);
        found.and_then(|(_, value)| value.as_slice().try_into().ok()).map(Digest)
    };
    SLOTS.iter().map(value).collect::<Option<_>>().ok_or_else(|| failed("the TPM does not show 24 sha256 PCRs"))
}
