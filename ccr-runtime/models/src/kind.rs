//! What kind of model file this is, by its first bytes and not by its name.
//!
//! Pickles and TorchScript archives are programs: reading one runs it. They are recognised and never opened.

use schemas::{Code, R, Refusal};

/// Kinds of files that are read here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// JSON: a network, a `model_config`, a `train_config`.
    Json,
    /// ONNX: a protobuf message `ModelProto`.
    Onnx,
    /// Safetensors: named tensors and nothing else.
    Safetensors,
}

/// The kind of these bytes. A file that holds code is refused with the way out; so is what nobody knows.
///
/// # Errors
/// `MODEL_FORMAT`.
pub fn of(bytes: &[u8]) -> R<Kind> {
    if let Some((what, instead)) = refused(bytes) {
        return Err(Refusal::new(Code::ModelFormat, format!("this is {what}; {instead}")));
    }
    if is_safetensors(bytes) {
        return Ok(Kind::Safetensors);
    }
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') {
        return Ok(Kind::Json);
    }
    // Field 1 of `ModelProto` is `ir_version`, a varint; writers put it first.
    if bytes.first() == Some(&0x08) {
        return Ok(Kind::Onnx);
    }
    let sentence = "this is no kind of model file that is read here: JSON, ONNX and safetensors are";
    Err(Refusal::new(Code::ModelFormat, sentence))
}

/// Refuses bytes of another kind than wanted, saying which they are.
///
/// # Errors
/// `MODEL_FORMAT`.
pub fn expect(bytes: &[u8], wanted: Kind) -> R<()> {
    let kind = of(bytes)?;
    if kind == wanted {
        return Ok(());
    }
    let name = |kind| match kind {
        Kind::Json => "JSON",
        Kind::Onnx => "ONNX",
        Kind::Safetensors => "safetensors",
    };
    Err(Refusal::new(Code::ModelFormat, format!("this is {}; {} is expected", name(kind), name(wanted))))
}

const SAVE: &str = "save its state_dict with safetensors.torch.save_file and describe the layers as a network";

/// Formats that hold code, or whose readers have to interpret more than tensors: what it is, and what to do instead.
fn refused(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Some((
            "a zip archive as torch.save, TorchScript and Keras write it, which holds a pickle or code",
            SAVE,
        ));
    }
    // HDF5 may begin behind a user block of 512 bytes, doubled as often as one likes.
    let blocks = std::iter::once(0).chain((9..20).map(|bits| 1usize << bits));
    if blocks.into_iter().any(|at| bytes.get(at..).is_some_and(|rest| rest.starts_with(HDF5))) {
        return Some(("an HDF5 file", "write the weights as safetensors and describe the layers as a network"));
    }
    if is_pickle(bytes) {
        return Some(("a pickle, which is a program", SAVE));
    }
    if bytes.get(257..262) == Some(b"ustar") || bytes.starts_with(b"\x1f\x8b") {
        return Some(("an archive, as old versions of torch.save write it", SAVE));
    }
    None
}

/// Protocols 2 to 5 begin with PROTO and their number. Protocols 0 and 1 begin with a mark, a list, a dictionary or a
/// global and end with a full stop.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..] | [b'(' | b']' | b'}' | b'c', .., b'.'])
}

/// Eight bytes of header length, then the header's opening brace.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
    let fits = usize::try_from(u64::from_le_bytes(*length)).is_ok_and(|n| n >= 2 && n <= rest.len());
    fits && rest.first() == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8]) -> Option<Code> {
        of(bytes).err().map(|refusal| refusal.code)
    }

    #[test]
    fn files_that_hold_code_are_refused_by_their_first_bytes() {
        let mut behind_a_block = vec![0u8; 512];
        behind_a_block.extend(b"\x89HDF\r\n\x1a\n rest");
        let mut tar = vec![b'a'; 600];
        tar[257..262].copy_from_slice(b"ustar");
        let cases: [(&[u8], &str); 8] = [
            (b"\x80\x02}q\x00.", "pickle"),
            (b"\x80\x05\x95 rest", "pickle"),
            (b"(dp0\nS'a'\np1\n.", "pickle"),
            (b"cposix\nsystem\n(S'id'\ntR.", "pickle"),
            (b"PK\x03\x04archive/data.pkl", "zip"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
            (&behind_a_block, "HDF5"),
            (&tar, "archive"),
        ];
        for (bytes, word) in cases {
            let refusal = of(bytes).unwrap_err();
            assert_eq!(refusal.code, Code::ModelFormat);
            assert!(refusal.sentence.contains(word), "{}", refusal.sentence);
            assert!(refusal.sentence.contains("safetensors"), "no way out: {}", refusal.sentence);
        }
        assert_eq!(code(b""), Some(Code::ModelFormat));
        assert_eq!(code(b"GGUF\x03"), Some(Code::ModelFormat));
    }

    #[test]
    fn what_is_read_here_is_known() {
        assert_eq!(of(b" \n{\"layers\":[]}").unwrap(), Kind::Json);
        assert_eq!(of(&[0x08, 0x08, 0x3a, 0x00]).unwrap(), Kind::Onnx);
        assert_eq!(of(b"\x02\0\0\0\0\0\0\0{}").unwrap(), Kind::Safetensors);
        assert_eq!(expect(b"{}", Kind::Onnx).unwrap_err().code, Code::ModelFormat);
    }
}
