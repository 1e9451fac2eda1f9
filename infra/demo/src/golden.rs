//! The published golden examples beside the documents that the demo makes: same members, so the examples stay true.

use schemas::{Code, R, Refusal};
use serde_json::Value;

/// The golden contract.
pub const CONTRACT: &str = include_str!("../../../schemas/examples/contract.json");
/// The golden offer.
pub const OFFER: &str = include_str!("../../../schemas/examples/dataset-offer.json");
/// The golden job.
pub const JOB: &str = include_str!("../../../schemas/examples/job.json");

/// Requires that a signed payload has exactly the members of its golden example, at the top and in the first element
/// of every list of objects.
pub fn has_the_shape_of(example: &str, payload: &[u8]) -> R<()> {
    let golden: Value = serde_json::from_str(example).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    let made = schemas::canonical::parse_value(payload)?;
    compare("", &golden, &made)
}

fn compare(place: &str, golden: &Value, made: &Value) -> R<()> {
    match (golden, made) {
        (Value::Object(golden), Value::Object(made)) => {
            let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            // Tagged variants (stages, models) and maps by index differ by nature; what they share is compared.
            let tagged = golden.contains_key("op") || golden.contains_key("kind") && golden.len() < 4;
            if !tagged && names(golden) != names(made) {
                let sentence = format!("{place}: members differ from the golden example");
                return Err(Refusal::new(Code::SchemaMismatch, sentence).at(place));
            }
            golden
                .iter()
                .filter_map(|(k, v)| Some((k, v, made.get(k)?)))
                .try_for_each(|(k, v, m)| if k == "pcrs" { Ok(()) } else { compare(&format!("{place}.{k}"), v, m) })
        }
        (Value::Array(golden), Value::Array(made)) => match (golden.first(), made.first()) {
            (Some(golden), Some(made)) => compare(&format!("{place}.0"), golden, made),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_its_own_shape_and_a_lost_member_is_seen() {
        for example in [CONTRACT, OFFER, JOB] {
            has_the_shape_of(example, example.as_bytes()).unwrap();
            let mut value: Value = serde_json::from_str(example).unwrap();
            value.as_object_mut().unwrap().remove("registry");
            let code = has_the_shape_of(example, value.to_string().as_bytes()).unwrap_err().code;
            assert_eq!(code, Code::SchemaMismatch);
        }
    }
}
