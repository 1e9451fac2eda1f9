//! Weights that come in: safetensors of exactly the network's names, shapes and type.

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use schemas::{Code, R, Refusal};

use super::Network;

fn refuse(sentence: &'static str) -> Refusal {
    Refusal::new(Code::ModelWeights, sentence)
}

/// Every parameter but the fresh ones must be there once, and nothing else. Adapters are there all, or none of them. What
/// is not there keeps its first values. No weight may be above `most`, of either sign.
pub fn load(network: &mut Network, bytes: &[u8], most: f64, fresh: impl Fn(&str) -> bool) -> R<()> {
    let read = SafeTensors::deserialize(bytes).map_err(|_| refuse("the weights are no safetensors file"))?;
    let adapter = |name: &str| name.ends_with(".lora_a") || name.ends_with(".lora_b");
    let adapted = read.names().iter().any(|name| adapter(name));
    let given = |name: &str| if adapter(name) { adapted } else { !fresh(name) };
    let mut wanted: Vec<_> =
        network.parameters.iter_mut().chain(&mut network.frozen).filter(|p| given(&p.name)).collect();
    if read.len() != wanted.len() {
        return Err(refuse("the weights have other names than the network's parameters"));
    }
    let mut values = Vec::with_capacity(wanted.len());
    for parameter in &wanted {
        let name = "the weights have other names than the network's parameters";
        let view = read.tensor(&parameter.name).map_err(|_| refuse(name))?;
        if view.dtype() != Dtype::F32 || view.shape() != parameter.shape {
            return Err(refuse("the weights have other shapes or types than the network's parameters"));
        }
        let (words, _) = view.data().as_chunks::<4>();
        let numbers: Vec<f64> = words.iter().map(|word| f64::from(f32::from_le_bytes(*word))).collect();
        if numbers.len() != parameter.values.len() || !numbers.iter().all(|v| v.is_finite()) {
            return Err(refuse("the weights hold numbers that are not finite"));
        }
        if numbers.iter().any(|v| v.abs() > most) {
            return Err(refuse("a training begins with no weight above 10000"));
        }
        values.push(numbers);
    }
    for (parameter, numbers) in wanted.iter_mut().zip(values) {
        parameter.values = numbers;
    }
    Ok(())
}
