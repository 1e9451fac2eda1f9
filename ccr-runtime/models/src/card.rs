//! A network for people: what is in a file, its shapes, its parameters, what a sample takes.

use std::fmt::Write as _;

use schemas::network::shape::Shapes;
use schemas::network::{Network, refused};
use schemas::{Code, R, Refusal, canonical};
use serde_json::Value;

use crate::kind::{self, Kind};

/// Reads a network as documents write it. An operation that no network may have is named with its replacement.
///
/// # Errors
/// `MODEL_FORMAT` for another kind of file, `PIPELINE_ROW_COUPLING` and `MODEL_LAYER` for such operations, `MODEL_FORM`
/// for what else cannot be read.
pub fn network(bytes: &[u8]) -> R<Network> {
    kind::expect(bytes, Kind::Json)?;
    let unread = |e: serde_json::Error| Refusal::new(Code::ModelForm, format!("this is no network: {e}"));
    let value = canonical::parse_value(bytes)?;
    unknown_operation(value.get("layers").unwrap_or(&Value::Null), "")?;
    serde_json::from_value(value).map_err(unread)
}

/// Looks through layers for an operation with a known replacement. serde_json's own bound on nesting bounds this.
fn unknown_operation(layers: &Value, above: &str) -> R<()> {
    for (at, layer) in layers.as_array().into_iter().flatten().enumerate() {
        let op = layer.get("op").and_then(Value::as_str).unwrap_or_default();
        if let Some(instead) = refused(op) {
            let mixes = op.to_ascii_lowercase().contains("batch");
            let code = if mixes { Code::PipelineRowCoupling } else { Code::ModelLayer };
            let path = format!("{above}{at}");
            return Err(Refusal::new(code, format!("{path}: {op} is refused; {instead}")).at(path));
        }
        for inner in ["body", "shortcut"] {
            unknown_operation(layer.get(inner).unwrap_or(&Value::Null), &format!("{above}{at}.{inner}."))?;
        }
    }
    Ok(())
}

/// The shapes as a table.
pub fn table(shapes: &Shapes) -> String {
    let mut text = format!("input {}\n", shapes.input);
    for row in &shapes.layers {
        let _ = writeln!(text, "{:<24} {:<20} {:<24} {:>12}", row.path, row.op, row.output.to_string(), row.parameters);
    }
    let _ = write!(
        text,
        "output {}\n{} parameters in {} tensors; one sample leaves {} numbers behind and takes {} bytes in a step",
        shapes.output,
        shapes.parameter_count,
        shapes.parameters.len(),
        shapes.activations,
        shapes.bytes_per_sample()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mixes_samples_is_named_with_its_place_and_replacement() {
        let json = |op: &str| {
            format!(
                r#"{{"input":{{"kind":"vector","features":2}},"layers":[{{"op":"residual","shortcut":[],"body":[{{"op":"{op}"}}]}}]}}"#
            )
        };
        let refusal = network(json("batch_norm").as_bytes()).unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_deref()), (Code::PipelineRowCoupling, Some("0.body.0")));
        assert!(refusal.sentence.contains("group_norm"));
        assert_eq!(network(json("dropout").as_bytes()).unwrap_err().code, Code::ModelLayer);
        assert_eq!(network(json("eval").as_bytes()).unwrap_err().code, Code::ModelForm);
        assert_eq!(network(b"PK\x03\x04").unwrap_err().code, Code::ModelFormat);
        let read = network(json("relu").as_bytes()).unwrap();
        assert!(table(&read.shapes().unwrap()).contains("0.body.0"));
    }
}
