//! Fully connected layers with tanh between them; weights start uniform within ±1/√inputs.

use chacha20::rand_core::Rng;
use schemas::R;

use super::Parameter;
use crate::noise::Streams;

/// The parameters of all layers, drawn from the public seed of the job.
pub fn parameters(features: usize, hidden: &[u32], streams: &Streams) -> R<Vec<Parameter>> {
    let widths: Vec<usize> =
        std::iter::once(features).chain(hidden.iter().map(|w| *w as usize)).chain(std::iter::once(1)).collect();
    let mut parameters = Vec::new();
    for (layer, pair) in widths.windows(2).enumerate() {
        let &[inputs, outputs] = pair else { continue };
        for (kind, shape) in [("weight", vec![outputs, inputs]), ("bias", vec![outputs])] {
            let name = format!("{}.{kind}", 2 * layer);
            let values = uniform(shape.iter().product(), 1.0 / (inputs as f64).sqrt(), streams, &name)?;
            parameters.push(Parameter { name, shape, values });
        }
    }
    Ok(parameters)
}

fn uniform(count: usize, bound: f64, streams: &Streams, name: &str) -> R<Vec<f64>> {
    let mut stream = streams.init(name)?;
    let unit = 2f64.powi(-53);
    Ok((0..count).map(|_| bound * (2.0 * ((stream.next_u64() >> 11) as f64 * unit) - 1.0)).collect())
}

#[cfg(test)]
mod tests {
    use schemas::pipeline::Model;

    use crate::model::Network;

    #[test]
    fn names_shapes_and_weights_follow_from_public_figures() {
        let model = Model::Mlp { hidden: vec![5, 3] };
        let network = Network::new(&model, 4, 7).unwrap();
        let told: Vec<String> = network.parameters.iter().map(|p| format!("{} {:?}", p.name, p.shape)).collect();
        assert_eq!(
            told,
            ["0.weight [5, 4]", "0.bias [5]", "2.weight [3, 5]", "2.bias [3]", "4.weight [1, 3]", "4.bias [1]"]
        );
        assert_eq!(network.coordinates(), 20 + 5 + 15 + 3 + 3 + 1);
        assert!(network.parameters[0].values.iter().all(|v| v.abs() <= 0.5));
        assert_eq!(network, Network::new(&model, 4, 7).unwrap());
        assert_ne!(network, Network::new(&model, 4, 8).unwrap());
    }
}
