//! `model_config` as JSON writes it.

use std::collections::BTreeMap;

use schemas::{Code, R, Refusal};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Steps of one `forward`, as in the reference.
pub const MAX_FORWARD_STEPS: usize = 200;
/// Operations of one step, as in the reference.
pub const MAX_OPS_PER_STEP: usize = 10;

/// A module: its layers, and how values run through them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Modules that layers may be, by name.
    #[serde(default)]
    pub submodules: BTreeMap<String, Module>,
    /// Layers by name.
    #[serde(default)]
    pub layers: BTreeMap<String, Definition>,
    /// Names of the values that come in.
    pub input: Vec<String>,
    /// The steps in order.
    pub forward: Vec<Forward>,
    /// Names of the values that go out.
    pub output: Vec<String>,
}

/// A layer: a class or a sub-module, with parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// `nn.Linear` and the like.
    #[serde(default)]
    pub class: Option<String>,
    /// A name out of `submodules`.
    #[serde(default)]
    pub submodule: Option<String>,
    /// Its arguments.
    #[serde(default)]
    pub params: Map<String, Value>,
}

/// A step: operations in a chain, from values to a value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The chain.
    pub ops: Vec<Op>,
    /// Names of values; one level of nesting stands for a sequence of them.
    pub input: Vec<Values>,
    /// The name of what comes out, or several names.
    pub output: Names,
}

/// An operation: its name, with arguments where it stands in a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Op {
    /// A layer or function.
    Named(String),
    /// A function with keyword arguments.
    With(String, Map<String, Value>),
}

/// One value, or a sequence of values.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// One name, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// One.
    One(String),
    /// Several: the result is taken apart.
    Several(Vec<String>),
}

impl Module {
    /// Judges the limits of the reference.
    pub fn bounded(&self, name: &str) -> R<()> {
        let long =
            self.forward.len() > MAX_FORWARD_STEPS || self.forward.iter().any(|f| f.ops.len() > MAX_OPS_PER_STEP);
        if long {
            let sentence =
                format!("{name}: a forward has at most {MAX_FORWARD_STEPS} steps of {MAX_OPS_PER_STEP} operations");
            return Err(Refusal::new(Code::LimitExceeded, sentence));
        }
        Ok(())
    }
}
