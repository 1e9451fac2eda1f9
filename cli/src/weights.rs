//! Weights that a training begins with: sealed by the consumer whose they are, their key at its own key service only.

use std::fs;
use std::path::Path;

use models::weights;
use schemas::contract::Assurance;
use schemas::dataset::{OfferKey, SealedObject};
use schemas::id::{DataKeyId, WeightsId};
use schemas::network::Network;
use schemas::release::KmsInfo;
use schemas::weights::{MAX_BYTES, MEDIA_TYPE, SealedWeights, Weights, WeightsImport};
use schemas::{Code, Digest, R, Refusal, Timestamp};
use sealing::{DEFAULT_CHUNK, DatasetKey, Plan, Subject, manifest_path};
use signing::{Signer, Trust};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::dataset::kms::{Kms, hand_over};
use crate::dataset::seal::{Partial, file_url};
use crate::edge;

/// What is sealed, and whereto.
#[derive(Debug)]
pub struct Job<'a> {
    /// The file: safetensors in single precision.
    pub file: &'a Path,
    /// The network it is for, to compare names and shapes with; not compared if absent.
    pub network: Option<&'a Network>,
    /// Prefixes of parameters that the file does not give: new heads.
    pub fresh: Vec<String>,
    /// The least assurance that opens it.
    pub min_assurance: Assurance,
    /// The sealed object; its manifest lies beside it. Neither may exist.
    pub out: &'a Path,
    /// Where the object will be fetched from; `file://` of `out` if none is given.
    pub url: Option<String>,
}

/// Reads a file of weights: safetensors in single precision, finite, at most 64 MiB. What holds code is refused.
pub fn read(file: &Path) -> R<Zeroizing<Vec<u8>>> {
    let bytes = Zeroizing::new(edge::read(file)?);
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Refusal::new(Code::LimitExceeded, "weights have at most 64 MiB"));
    }
    weights::read(&bytes)?;
    Ok(bytes)
}

/// Seals weights. `draw` gives fresh ids. Object and manifest appear under their names only after the key service has
/// taken the key. What comes back stands in a job as it is.
pub fn seal(
    job: &Job<'_>,
    kms: &Kms,
    key: &dyn Signer,
    trust: &Trust,
    draw: &mut dyn FnMut() -> Uuid,
    now: Timestamp,
) -> R<Weights> {
    let plain = read(job.file)?;
    let mut named = Weights { sha256: Digest::of(&plain), fresh: job.fresh.clone(), sealed: None };
    if let Some(network) = job.network {
        let mut shapes = network.shapes()?;
        shapes.parameters.retain(|parameter| !named.is_fresh(&parameter.name));
        weights::check(&plain, &shapes)?;
    }
    let info = kms.info(&key.did()?)?;
    let (weights_id, key_id) = (WeightsId::new(draw()), DataKeyId::new(draw()));
    let data_key = DatasetKey::random()?;
    let part = Partial::beside(job.out)?;
    let mut file = part.create()?;
    let subject = Subject::Weights { id: weights_id.clone() };
    let plan = Plan { subject, total_len: plain.len() as u64, chunk_len: DEFAULT_CHUNK };
    let written = sealing::seal(plain.as_slice(), &mut file, &data_key, &plan)?;
    file.sync_all().map_err(|e| edge::file_fault(job.out, e))?;
    let sealed = SealedWeights {
        weights_id,
        object: SealedObject {
            url: job.url.clone().map_or_else(|| file_url(job.out), Ok)?,
            bytes: written.bytes,
            media_type: MEDIA_TYPE.into(),
        },
        manifest_root: written.manifest.root(),
        key: OfferKey {
            kms: info.kms.clone(),
            kms_jwk: info.sign_jwk.clone(),
            key_id,
            min_assurance: job.min_assurance,
        },
    };
    edge::write_new(&manifest_path(job.out), &written.manifest.to_json())?;
    let handed = import(&sealed, &info, &data_key, key, trust, now)
        .and_then(|import| hand_over(kms, "/v1/weights/keys", &signing::sign(&import, key, now)?, &sealed.key.key_id));
    if let Err(refusal) = handed {
        let _ = fs::remove_file(manifest_path(job.out));
        return Err(refusal);
    }
    part.rename(job.out)?;
    named.sealed = Some(sealed);
    Ok(named)
}

fn import(
    sealed: &SealedWeights,
    info: &KmsInfo,
    data_key: &DatasetKey,
    key: &dyn Signer,
    trust: &Trust,
    now: Timestamp,
) -> R<WeightsImport> {
    let bound = sealing::wrap::weights_context(&sealed.key.key_id, &sealed.manifest_root);
    Ok(WeightsImport {
        schema: "weights-key.v1".into(),
        registry: trust.registry.clone(),
        kms: info.kms.clone(),
        key_id: sealed.key.key_id.clone(),
        provider: key.did()?,
        weights_id: sealed.weights_id.clone(),
        manifest_root: sealed.manifest_root,
        min_assurance: sealed.key.min_assurance,
        jwe: signing::jose::wrap_key(data_key.expose(), &info.import_jwk, &bound)?,
        at: now,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use models::weights::{Tensor, Tensors};
    use schemas::network::{Input, Layer};
    use signing::FileKey;

    use super::*;

    fn tensors() -> Tensors {
        let tensor = |shape: &[usize]| Tensor { shape: shape.to_vec(), values: vec![0.5; shape.iter().product()] };
        [("0.weight".to_owned(), tensor(&[3, 2])), ("0.bias".to_owned(), tensor(&[3]))].into()
    }

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("depa-weights-{name}-{}", Uuid::now_v7()));
        fs::create_dir(&dir).unwrap();
        dir
    }

    #[test]
    fn only_finite_single_precision_safetensors_are_read() {
        let dir = folder("read");
        let code = |bytes: &[u8]| {
            let file = dir.join("w");
            fs::write(&file, bytes).unwrap();
            read(&file).map(drop).map_err(|refusal| refusal.code)
        };
        let whole = weights::write(&tensors()).unwrap();
        assert_eq!(code(&whole), Ok(()));
        assert_eq!(code(b"\x80\x02}q\x00."), Err(Code::ModelFormat), "a pickle");
        assert_eq!(code(b"PK\x03\x04 torch"), Err(Code::ModelFormat), "TorchScript");
        assert_eq!(code(&whole[..whole.len() - 1]), Err(Code::ModelWeights));
        let mut tensors = tensors();
        tensors.get_mut("0.bias").unwrap().values[0] = f32::NAN;
        assert_eq!(code(&weights::write(&tensors).unwrap()), Err(Code::ModelWeights));
        assert_eq!(code(&vec![0; MAX_BYTES as usize + 1]), Err(Code::LimitExceeded));
        fs::remove_dir_all(dir).unwrap();
    }

    /// Compared with the network before anybody is asked; and without a key service nothing is left behind.
    #[test]
    fn a_file_is_compared_with_its_network_but_for_what_is_fresh() {
        let dir = folder("seal");
        let file = dir.join("w.safetensors");
        fs::write(&file, weights::write(&tensors()).unwrap()).unwrap();
        let layer = |inputs, outputs| Layer::Linear { inputs, outputs, bias: true };
        let network = Network { input: Input::Vector { features: 2 }, layers: vec![layer(2, 3), layer(3, 1)] };
        let key = FileKey::generate().unwrap();
        let trust = Trust {
            registry: schemas::id::Did::parse("did:web:sro.example").unwrap(),
            registry_jwk: schemas::Signer::jwk(&key).clone(),
            origin: "sro.example/log".into(),
            sro: vec![],
            witnesses: vec![],
            quorum: 0,
            lineage: Default::default(),
        };
        let code = |fresh: &[&str]| {
            let job = Job {
                file: &file,
                network: Some(&network),
                fresh: fresh.iter().map(|prefix| (*prefix).to_owned()).collect(),
                min_assurance: Assurance::Software,
                out: &dir.join("w.depa"),
                url: None,
            };
            let kms = Kms::new("http://127.0.0.1:1").unwrap();
            seal(&job, &kms, &key, &trust, &mut Uuid::now_v7, edge::now()).unwrap_err().code
        };
        assert_eq!(code(&[]), Code::ModelWeights);
        assert_eq!(code(&["0."]), Code::ModelWeights, "what is fresh is not in the file");
        assert_eq!(code(&["1."]), Code::PeerUnreachable, "it fits");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }
}
