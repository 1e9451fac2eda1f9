//! The model as it leaves the room: safetensors, little-endian single precision, names sorted, no metadata.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView, serialize};
use schemas::R;

use crate::fault::internal;
use crate::model::Network;

/// The bytes of a model; equal weights give equal bytes.
pub fn safetensors(network: &Network) -> R<Vec<u8>> {
    let gave_up = || internal("the model could not be written");
    let bytes: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = network
        .parameters
        .iter()
        .chain(&network.frozen)
        .map(|p| {
            let data = p.values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
            (p.name.as_str(), (p.shape.clone(), data))
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, (shape, data))| {
            Ok((*name, TensorView::new(Dtype::F32, shape.clone(), data).map_err(|_| gave_up())?))
        })
        .collect::<R<Vec<_>>>()?;
    serialize(views, &None).map_err(|_| gave_up())
}

#[cfg(test)]
mod tests {
    use schemas::pipeline::Model;

    use super::*;

    #[test]
    fn the_form_is_fixed() {
        let network = Network::new(&Model::LogisticRegression, 2, 0).unwrap();
        let bytes = safetensors(&network).unwrap();
        let header = br#"{"0.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"0.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]}}"#;
        let padded = header.len().next_multiple_of(8);
        assert_eq!(bytes[..8], (padded as u64).to_le_bytes());
        assert_eq!(&bytes[8..8 + header.len()], header);
        assert_eq!(bytes.len(), 8 + padded + 12);
    }

    #[test]
    fn the_tensor_library_reads_it_back() {
        let network = Network::new(&Model::Mlp { hidden: vec![3] }, 2, 9).unwrap();
        let path = std::env::temp_dir().join(format!("ccr-trainer-{}.safetensors", std::process::id()));
        std::fs::write(&path, safetensors(&network).unwrap()).unwrap();
        let read = tch::Tensor::read_safetensors(&path);
        std::fs::remove_file(&path).unwrap();
        for (name, tensor) in read.unwrap() {
            let parameter = network.parameters.iter().find(|p| p.name == name).unwrap();
            assert_eq!(tensor.size(), parameter.shape.iter().map(|n| *n as i64).collect::<Vec<_>>());
            let values = Vec::<f32>::try_from(tensor.reshape([-1])).unwrap();
            assert_eq!(values, parameter.values.iter().map(|v| *v as f32).collect::<Vec<_>>());
        }
    }
}
