//! To what a wrapped data key is bound: the context that stands in its JWE and enters the key derivation.

use schemas::Digest;
use schemas::id::{DataKeyId, RunId};

/// The context of a data key on its way from the TDP to its own KMS: this key id, this sealed object, nothing else.
pub fn import_context(key_id: &DataKeyId, manifest_root: &Digest) -> [u8; 32] {
    Digest::of_parts(&[IMPORT_LABEL, key_id.as_str().as_bytes(), &manifest_root.0]).0
}

/// The context of the key of sealed weights on its way from the TDC to its own KMS: this key id, this sealed object, and
/// never a data key's.
pub fn weights_context(key_id: &DataKeyId, manifest_root: &Digest) -> [u8; 32] {
    Digest::of_parts(&[WEIGHTS_LABEL, key_id.as_str().as_bytes(), &manifest_root.0]).0
}

/// The context of a model's content key on its way from the room to the TDC: this run, nothing else.
pub fn content_key_context(run: &RunId) -> [u8; 32] {
    Digest::of_parts(&[CONTENT_LABEL, run.as_str().as_bytes()]).0
}

const CONTENT_LABEL: &[u8] = b"depa/content-key/1";
const IMPORT_LABEL: &[u8] = b"depa/key-import/1";
const WEIGHTS_LABEL: &[u8] = b"depa/weights-import/1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_object_enter_the_context() {
        let id = |n: u8| DataKeyId::parse(&format!("key_01900000-0000-7000-8000-00000000000{n}")).unwrap();
        let contexts = [
            import_context(&id(1), &Digest([1; 32])),
            import_context(&id(2), &Digest([1; 32])),
            import_context(&id(1), &Digest([2; 32])),
        ];
        assert!(contexts[0] != contexts[1] && contexts[0] != contexts[2] && contexts[1] != contexts[2]);
        assert!(!contexts.contains(&weights_context(&id(1), &Digest([1; 32]))));
    }
}
