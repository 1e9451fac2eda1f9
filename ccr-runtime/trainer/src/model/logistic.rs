//! Logistic regression: one linear layer; weights start at zero.

use super::Parameter;

/// The parameters of one layer from all features to the logit.
pub fn parameters(features: usize) -> Vec<Parameter> {
    vec![
        Parameter { name: "0.weight".into(), shape: vec![1, features], values: vec![0.0; features] },
        Parameter { name: "0.bias".into(), shape: vec![1], values: vec![0.0] },
    ]
}
