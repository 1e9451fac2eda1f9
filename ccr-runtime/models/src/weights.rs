//! Weights in safetensors: exactly the tensors that a network has, and nothing beside them.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use schemas::network::MAX_PARAMETERS;
use schemas::network::shape::{Parameter, Shapes};
use schemas::{Code, R, Refusal};

use crate::kind::{self, Kind};

/// Bytes of a file of weights: every number that a network may have, and the header.
pub const MAX_BYTES: usize = MAX_PARAMETERS as usize * 4 + MAX_HEADER;
/// Bytes of the header: a network has at most some thousand tensors.
const MAX_HEADER: usize = 1 << 20;

/// A tensor: its shape and its values, row-major.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// Reads weights of any names. Single precision only, finite values only.
///
/// # Errors
/// `MODEL_FORMAT` for another kind of file, `LIMIT_EXCEEDED` for one that is too large, `MODEL_WEIGHTS` for the rest.
pub fn read(bytes: &[u8]) -> R<Tensors> {
    let file = open(bytes)?;
    let tensor = |(name, view): (String, TensorView<'_>)| {
        let values = values(&name, &view)?;
        Ok((name, Tensor { shape: view.shape().to_vec(), values }))
    };
    file.tensors().into_iter().map(tensor).collect()
}

/// Judges weights against the network: the same names, the same shapes, single precision, finite, no metadata of note.
///
/// # Errors
/// As [`read`], and `MODEL_WEIGHTS` naming the first tensor that is missing, too many or different.
pub fn check(bytes: &[u8], shapes: &Shapes) -> R<()> {
    let file = open(bytes)?;
    let mut given: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    for Parameter { name, shape } in &shapes.parameters {
        let view = given.remove(name).ok_or_else(|| refuse(name, "is missing"))?;
        if view.shape() != shape.as_slice() {
            return Err(refuse(name, &format!("has the shape {:?}; the network has {shape:?}", view.shape())));
        }
        values(name, &view)?;
    }
    match given.keys().next() {
        Some(name) => Err(refuse(name, "is in the file and not in the network")),
        None => Ok(()),
    }
}

/// Writes weights: names sorted, no metadata, so that equal weights give equal bytes.
///
/// # Errors
/// `INTERNAL` if a shape and its values differ.
pub fn write(tensors: &Tensors) -> R<Vec<u8>> {
    let gave_up = || Refusal::new(Code::Internal, "the weights could not be written");
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, t)| (name.as_str(), t.shape.as_slice(), t.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, data)| {
            Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), data).map_err(|_| gave_up())?))
        })
        .collect::<R<Vec<_>>>()?;
    serialize(views, &None).map_err(|_| gave_up())
}

/// Gives tensors their names in the network: by module path of the source the path of the layer here.
///
/// # Errors
/// `MODEL_WEIGHTS` for a tensor of a module that did not become a layer.
pub fn renamed(tensors: Tensors, paths: &BTreeMap<String, String>) -> R<Tensors> {
    let rename = |(name, tensor): (String, Tensor)| {
        let (module, part) = name.rsplit_once('.').unwrap_or(("", &name));
        let path = paths.get(module).ok_or_else(|| refuse(&name, "belongs to no layer of the network"))?;
        // torch numbers the layers of an LSTM; here there is one.
        let part = match part {
            "weight_ih_l0" => "ih.weight",
            "bias_ih_l0" => "ih.bias",
            "weight_hh_l0" => "hh.weight",
            "bias_hh_l0" => "hh.bias",
            other => other,
        };
        Ok((format!("{path}.{part}"), tensor))
    };
    tensors.into_iter().map(rename).collect()
}

fn open(bytes: &[u8]) -> R<SafeTensors<'_>> {
    if bytes.len() > MAX_BYTES {
        return Err(Refusal::new(Code::LimitExceeded, format!("weights have at most {MAX_BYTES} bytes")));
    }
    kind::expect(bytes, Kind::Safetensors)?;
    let header = bytes.first_chunk::<8>().map_or(u64::MAX, |length| u64::from_le_bytes(*length));
    if header > MAX_HEADER as u64 {
        return Err(Refusal::new(Code::LimitExceeded, format!("a header has at most {MAX_HEADER} bytes")));
    }
    let damaged = |_| Refusal::new(Code::ModelWeights, "this is no whole file of safetensors");
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    // Python's writers say {"format": "pt"}; anything more could carry what nobody looks at.
    let told = metadata.metadata().as_ref();
    if told.is_some_and(|told| told.iter().any(|(key, value)| key != "format" || value != "pt")) {
        let sentence = "the file carries metadata; write it with none, or with format \"pt\" alone";
        return Err(Refusal::new(Code::ModelWeights, sentence).at("__metadata__"));
    }
    SafeTensors::deserialize(bytes).map_err(damaged)
}

fn values(name: &str, view: &TensorView<'_>) -> R<Vec<f32>> {
    if view.dtype() != Dtype::F32 {
        return Err(refuse(name, "is not in single precision (F32)"));
    }
    let values: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(refuse(name, "holds what is no number")) }
}

fn refuse(name: &str, what: &str) -> Refusal {
    // A name out of a stranger's file: only its beginning, and printable.
    let shown: String = name.chars().filter(|c| c.is_ascii_graphic()).take(80).collect();
    Refusal::new(Code::ModelWeights, format!("{shown} {what}")).at(shown)
}

#[cfg(test)]
mod tests {
    use schemas::network::{Input, Layer, Network};

    use super::*;

    fn shapes() -> Shapes {
        let layers = vec![Layer::Linear { inputs: 2, outputs: 3, bias: true }];
        Network { input: Input::Vector { features: 2 }, layers }.shapes().unwrap()
    }

    fn tensors() -> Tensors {
        let tensor = |shape: &[usize]| Tensor { shape: shape.to_vec(), values: vec![0.5; shape.iter().product()] };
        [("0.weight".to_owned(), tensor(&[3, 2])), ("0.bias".to_owned(), tensor(&[3]))].into()
    }

    /// A file with this header and so many bytes behind it.
    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(vec![0; data]);
        bytes
    }

    #[test]
    fn the_networks_own_weights_are_taken_and_come_back() {
        let bytes = write(&tensors()).unwrap();
        assert_eq!(check(&bytes, &shapes()), Ok(()));
        assert_eq!(read(&bytes).unwrap(), tensors());
        let header = r#"{"__metadata__":{"format":"pt"},"0.bias":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},
            "0.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[12,36]}}"#;
        assert_eq!(check(&file(header, 36), &shapes()), Ok(()));
    }

    #[test]
    fn one_difference_is_refused_by_its_name() {
        let spoilt = |spoil: &dyn Fn(&mut Tensors)| {
            let mut tensors = tensors();
            spoil(&mut tensors);
            let refusal = check(&write(&tensors).unwrap(), &shapes()).unwrap_err();
            assert_eq!(refusal.code, Code::ModelWeights);
            refusal.field.unwrap()
        };
        let more = Tensor { shape: vec![1], values: vec![0.0] };
        assert_eq!(spoilt(&|t| drop(t.remove("0.bias"))), "0.bias");
        assert_eq!(spoilt(&|t| drop(t.insert("1.weight".into(), more.clone()))), "1.weight");
        assert_eq!(spoilt(&|t| t.get_mut("0.weight").unwrap().shape = vec![2, 3]), "0.weight");
        assert_eq!(spoilt(&|t| t.get_mut("0.weight").unwrap().values[1] = f32::NAN), "0.weight");
        let named = r#"{"__metadata__":{"note":"hello"},"0.bias":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#;
        assert_eq!(check(&file(named, 12), &shapes()).unwrap_err().field.as_deref(), Some("__metadata__"));
        let half = r#"{"0.bias":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},
            "0.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[6,30]}}"#;
        assert_eq!(check(&file(half, 30), &shapes()).unwrap_err().code, Code::ModelWeights);
    }

    #[test]
    fn hostile_files_are_refused() {
        let whole = write(&tensors()).unwrap();
        assert_eq!(read(&whole[..whole.len() - 1]).unwrap_err().code, Code::ModelWeights);
        let code = |header: &str, data| read(&file(header, data)).unwrap_err().code;
        assert_eq!(code(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,1000]}}"#, 12), Code::ModelWeights);
        assert_eq!(
            code(r#"{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,8]}}"#, 8),
            Code::ModelWeights
        );
        let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        assert_eq!(code(twice, 8), Code::ModelWeights);
        let long = format!("{{{}}}", " ".repeat(MAX_HEADER));
        assert_eq!(code(&long, 0), Code::LimitExceeded);
        assert_eq!(read(b"\x80\x02}q\x00.").unwrap_err().code, Code::ModelFormat);
    }

    #[test]
    fn weights_of_a_source_get_the_names_of_the_network() {
        let source: Tensors = tensors().into_iter().map(|(name, t)| (name.replace("0.", "block.fc."), t)).collect();
        let paths = [("block.fc".to_owned(), "0".to_owned())].into();
        assert_eq!(renamed(source.clone(), &paths).unwrap(), tensors());
        assert_eq!(renamed(source, &BTreeMap::new()).unwrap_err().code, Code::ModelWeights);
    }
}
