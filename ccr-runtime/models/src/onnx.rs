//! ONNX import: the operations that networks here have, and nothing else; weights come along under our names.
//!
//! A file is a stranger's: its size and counts are bounded, protobuf is read into the few declared messages, every
//! attribute must be known. Refused by code: control flow, functions and operators of other domains, training graphs,
//! sparse and external tensors, BatchNormalization and whatever runs along the batch. A graph must be made of chains,
//! residuals and skips. Exporters write some operations in pieces; GELU by Erf, SiLU, GroupNorm by InstanceNormalization
//! flattening by Shape, and self-attention without a mask are put together again; `nn.MultiheadAttention` is written in
//! other pieces, which are not.
//!
//! Versions: IR 3 to 13, operator set 9 and later.

mod affine;
mod attention;
mod attributes;
mod constant;
mod import;
mod nodes;
mod picture;
pub mod proto;
mod sequence;
mod shaping;

use std::collections::BTreeMap;

use prost::Message as _;
use schemas::network::{Input, Network};
use schemas::{Code, R, Refusal};

use crate::kind::{self, Kind};
use crate::notice::Notice;
use crate::structure;
use crate::weights::{self, Tensors};

/// Bytes of a file: weights, and some room for the graph.
pub const MAX_BYTES: usize = weights::MAX_BYTES + (8 << 20);
/// Constants of a graph.
const MAX_CONSTANTS: usize = 8_192;

/// A network out of an ONNX file.
#[derive(Clone, PartialEq, Debug)]
pub struct Imported {
    /// The network.
    pub network: Network,
    /// Its weights by our names.
    pub weights: Tensors,
    /// What was left off.
    pub notices: Vec<Notice>,
}

/// Reads an ONNX file. `input` is needed only where the file leaves sizes of its input open.
///
/// # Errors
/// `MODEL_FORMAT` for another kind of file, `MODEL_FORM` for a damaged one, `LIMIT_EXCEEDED` beyond a bound,
/// `MODEL_LAYER` and `PIPELINE_ROW_COUPLING` for what is not trained here, `MODEL_SHAPE` as of `Network::shapes`.
pub fn import(bytes: &[u8], input: Option<Input>) -> R<Imported> {
    if bytes.len() > MAX_BYTES {
        return Err(Refusal::new(Code::LimitExceeded, format!("an ONNX file has at most {MAX_BYTES} bytes")));
    }
    kind::expect(bytes, Kind::Onnx)?;
    let damaged = |_| form("model", "this is no whole ONNX file");
    let model = proto::ModelProto::decode(bytes).map_err(damaged)?;
    let graph = judged(model)?;
    let run = import::run(&graph, input)?;

    let structure = structure::of(&run.graph, run.output)?;
    if run.absorbed.iter().any(|node| structure.paths.contains_key(node)) {
        let sentence = "a linear layer of an attention is read outside of it as well; give each its own";
        return Err(refused("attention", sentence));
    }
    let network = Network { input: run.input, layers: structure.layers };
    let shapes = network.shapes()?;
    let mut tensors: Tensors = BTreeMap::new();
    for (node, parts) in run.weights {
        // An operation that does not lead to the output has no place; its weights go with it.
        let Some(path) = structure.paths.get(&node) else { continue };
        tensors.extend(parts.into_iter().map(|(part, tensor)| (format!("{path}.{part}"), tensor)));
    }
    let file = weights::write(&tensors)?;
    weights::check(&file, &shapes)?;
    Ok(Imported { network, weights: tensors, notices: run.notices })
}

fn form(field: &str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::ModelForm, sentence).at(field)
}

fn refused(field: &str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::ModelLayer, sentence).at(field)
}

/// The graph, if the model holds nothing beside it that would be passed over.
fn judged(model: proto::ModelProto) -> R<proto::GraphProto> {
    if !(3..=13).contains(&model.ir_version) {
        return Err(form("ir_version", format!("IR version {} is not read; 3 to 13 are", model.ir_version)));
    }
    let own = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let version = model.opset_import.iter().find(|set| own(&set.domain)).map(|set| set.version);
    if version.is_none_or(|version| version < 9) {
        return Err(form("opset_import", "operator set 9 or later is needed: export the model again"));
    }
    if !model.training_info.is_empty() || !model.functions.is_empty() {
        return Err(refused("functions", "functions and training graphs are not read: export the plain graph"));
    }
    let graph = model.graph.ok_or_else(|| form("graph", "the model has no graph"))?;
    if graph.node.len() > crate::graph::MAX_NODES || graph.initializer.len() > MAX_CONSTANTS {
        let sentence =
            format!("a graph has at most {} operations and {MAX_CONSTANTS} constants", crate::graph::MAX_NODES);
        return Err(Refusal::new(Code::LimitExceeded, sentence));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(refused("sparse_initializer", "sparse weights are not read: export them dense"));
    }
    for node in &graph.node {
        let shown = nodes::shown(node);
        if !own(&node.domain) {
            let sentence =
                format!("{shown} is of the domain {}; only the standard's own operators are read", node.domain);
            return Err(refused(&shown, sentence));
        }
        let inside = |a: &proto::AttributeProto| a.g.is_some() || !a.graphs.is_empty() || !a.ref_attr_name.is_empty();
        if ["If", "Loop", "Scan"].contains(&node.op_type.as_str()) || node.attribute.iter().any(inside) {
            return Err(refused(
                &shown,
                format!("{shown} is control flow: a network runs the same way for every sample"),
            ));
        }
    }
    Ok(graph)
}
