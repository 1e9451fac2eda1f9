//! What stands in a model and what is to be known about it: read only after model and proof were verified.

use std::fmt::Write as _;

use schemas::bundle::JobBundle;
use schemas::certificate::ModelCertificate;
use schemas::{Code, R, Refusal};
use serde::Serialize;
use signing::Trust;

/// A tensor of a model.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its type, as safetensors spells it.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<u64>,
}

/// The largest header that is read.
const MAX_HEADER: usize = 1 << 20;

/// The tensors of a safetensors file, in the order of their names. The file was verified before.
///
/// # Errors
/// `MODEL_FORM` where it is no safetensors file.
pub fn tensors(model: &[u8]) -> R<Vec<Tensor>> {
    let bad = || Refusal::new(Code::ModelForm, "not a safetensors file");
    let (length, rest) = model.split_first_chunk::<8>().ok_or_else(bad)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|n| *n <= MAX_HEADER).ok_or_else(bad)?;
    let header = rest.get(..length).ok_or_else(bad)?;
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).map_err(|_| bad())?;
    let tensor = |(name, value): (String, serde_json::Value)| {
        let dtype = value.get("dtype").and_then(|v| v.as_str()).ok_or_else(bad)?.to_owned();
        let shape = value.get("shape").and_then(|v| v.as_array()).ok_or_else(bad)?;
        let shape = shape.iter().map(|n| n.as_u64().ok_or_else(bad)).collect::<R<_>>()?;
        Ok(Tensor { name, dtype, shape })
    };
    let mut all = header.into_iter().filter(|(n, _)| n != "__metadata__").map(tensor).collect::<R<Vec<_>>>()?;
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// A model card in Markdown: what the certificate, the contracts and the offers say. `summary` is the certificate in words.
pub fn card(certificate: &ModelCertificate, bundle: &JobBundle, trust: &Trust, summary: &str) -> R<String> {
    let opened = signing::open_bundle(bundle.clone(), trust)?;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "# Model card\n\nMade of signed documents by `depa model card`; every line below was verified or stands in a signed contract or offer.\n"
    );
    let _ = writeln!(out, "```text\n{summary}\n```\n\n## Contracts\n");
    for contract in &opened.contracts {
        let _ = writeln!(
            out,
            "- `{}` (SHA-256 `{}`): purpose {} under the law of {}, in force from {} until {}",
            contract.contract_id,
            contract.digest(),
            contract.purpose,
            contract.jurisdiction,
            contract.effective_from,
            contract.expires_at
        );
    }
    let _ = writeln!(out, "\n## Training data\n");
    for offer in &opened.offers {
        let used = certificate.datasets.iter().find(|d| d.dataset_id == offer.dataset_id && d.version == offer.version);
        let Some(used) = used else { continue };
        let card = &offer.data_card;
        let _ = writeln!(
            out,
            "- **{}** `{}` v{} by `{}`, {} people\n  - {}\n  - collected: {}\n  - limitations: {}\n  - personal data: {}\n  - licence: {}\n  - charged: {}",
            line(&offer.name),
            offer.dataset_id,
            offer.version,
            offer.provider,
            offer.public_rows,
            line(&card.description),
            line(&card.collection),
            line(&card.limitations),
            line(&card.personal_data),
            line(&card.licence),
            used.charge.words()
        );
    }
    let _ = writeln!(
        out,
        "\n## Limits\n\n- For the purpose of the contracts only. Whoever passes the model on stays bound by them.\n- ε bounds what the model reveals about one person, given the adjacency and δ above; it says nothing about groups or about correctness.\n- There is no exact accuracy: metrics above, if any, are noised and charged."
    );
    Ok(out)
}

/// Text of others on one line, so that it begins no heading or list of its own.
fn line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_listed_and_rubbish_is_refused() {
        let header = br#"{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header);
        file.extend_from_slice(&[0; 12]);
        let found: Vec<_> = tensors(&file).unwrap().into_iter().map(|t| (t.name, t.shape)).collect();
        assert_eq!(found, [("b".to_owned(), vec![1]), ("w".to_owned(), vec![2, 1])]);
        for bad in [&b""[..], &u64::MAX.to_le_bytes(), &file[..40], br#"{"metrics":1}"#] {
            assert_eq!(tensors(bad).unwrap_err().code, Code::ModelForm);
        }
    }

    #[test]
    fn text_of_others_stays_on_its_line() {
        assert_eq!(line("a\n# b <script>"), "a # b &lt;script>");
    }
}
