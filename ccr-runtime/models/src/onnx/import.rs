//! A graph carried out on names: every value is an activation, a constant, or a piece of something put together later.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use schemas::network::shape::Shape;
use schemas::network::{Input, Layer, Network};
use schemas::{R, Refusal};

use super::attention::Piece;
use super::constant::Constant;
use super::nodes::{self, shown};
use super::proto::{FLOAT, GraphProto, INT32, INT64, NodeProto, ValueInfo};
use super::{form, refused};
use crate::graph::{Graph, INPUT, Step};
use crate::notice::Notice;
use crate::weights::Tensor;

/// An activation: where it stands in the graph, and what one sample of it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Act {
    /// The value in the graph.
    pub value: usize,
    /// Its shape.
    pub shape: Shape,
}

/// A member of a shape that is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dim {
    /// The number of samples.
    Batch,
    /// A number.
    Size(i64),
}

/// What a name stands for.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// An activation, samples first.
    Act(Act),
    /// A constant.
    Constant(Rc<Constant>),
    /// A shape, or one member of it.
    Dims(Vec<Dim>),
    /// Zeros of some shape: initial states of an LSTM.
    Zeros,
    /// An activation times a number.
    Scaled(Act, f64),
    /// erf(x / √2) of an activation x.
    Erf(Act),
    /// factor · (1 + erf(x / √2)).
    Phi(Act, f64),
    /// x · factor · (1 + erf(x / √2)); at one half it is GELU.
    Gelu(Act, f64),
    /// An image seen as [samples, groups, the rest].
    Grouped(Act, u32),
    /// That image normalised by groups, with scale and shift of every group.
    Normed(Act, u32, Vec<f32>, Vec<f32>),
    /// A sequence with positions first, samples second.
    TimeFirst(Act),
    /// The output of an LSTM with its dimension for directions.
    Directed(Act),
    /// The last state of an LSTM whose output is this.
    LastState(Act),
    /// A piece of attention.
    Attention(Piece),
}

/// What a graph comes to.
pub struct Run {
    /// The operations.
    pub graph: Graph,
    /// The value that goes out.
    pub output: usize,
    /// What goes in.
    pub input: Input,
    /// By operation its tensors.
    pub weights: BTreeMap<usize, Vec<(&'static str, Tensor)>>,
    /// Operations whose weights went into a layer of another: they may have no place of their own.
    pub absorbed: BTreeSet<usize>,
    /// What was left off.
    pub notices: Vec<Notice>,
}

/// The state of an import.
pub struct Import {
    pub(super) graph: Graph,
    pub(super) weights: BTreeMap<usize, Vec<(&'static str, Tensor)>>,
    pub(super) notices: Vec<Notice>,
    /// The fixed number of samples, where the file has one.
    pub(super) batch: Option<i64>,
    /// The name of the graph's output.
    pub(super) output: String,
    values: BTreeMap<String, Value>,
    /// How often each name is read.
    uses: BTreeMap<String, usize>,
    /// Constants that became weights.
    taken: BTreeSet<String>,
    vocabulary: u32,
    /// Linear layers, or thirds of one, that became part of an attention: they may not stand by themselves too.
    pub(super) absorbed: BTreeSet<(usize, Option<usize>)>,
}

/// Carries the graph out.
pub fn run(graph: &GraphProto, given: Option<Input>) -> R<Run> {
    let constants: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let inputs: Vec<&ValueInfo> = graph.input.iter().filter(|i| !constants.contains(i.name.as_str())).collect();
    let (&[input], [output]) = (inputs.as_slice(), graph.output.as_slice()) else {
        return Err(form("graph", "a model has exactly one input, besides its weights, and one output"));
    };
    let mut shape = sample(input, given)?;
    let batch = dims(input).and_then(|dims| dims.first().copied().flatten());
    let mut import = Import {
        graph: Graph::default(),
        weights: BTreeMap::new(),
        notices: Vec::new(),
        batch,
        output: output.name.clone(),
        values: BTreeMap::new(),
        uses: BTreeMap::new(),
        taken: BTreeSet::new(),
        vocabulary: 0,
        absorbed: BTreeSet::new(),
    };
    for name in graph.node.iter().flat_map(|node| &node.input).chain([&output.name]) {
        *import.uses.entry(name.clone()).or_default() += 1;
    }
    for tensor in &graph.initializer {
        let constant = Constant::read(tensor, &tensor.name)?;
        import.define(&tensor.name, Value::Constant(Rc::new(constant)))?;
    }
    import.define(&input.name, Value::Act(Act { value: INPUT, shape: described(&shape) }))?;
    for node in &graph.node {
        nodes::carry_out(&mut import, node)?;
    }
    let Some(Value::Act(act)) = import.values.get(&output.name).cloned() else {
        return Err(refused("output", "the output of the graph is no plain result of an operation"));
    };
    if let Input::Tokens { vocabulary, .. } = &mut shape {
        *vocabulary = import.vocabulary;
    }
    let absorbed = import.absorbed.iter().filter_map(|(value, _)| import.graph.giver(*value)).collect();
    let (graph, weights, notices) = (import.graph, import.weights, import.notices);
    Ok(Run { graph, output: act.value, input: shape, weights, absorbed, notices })
}

/// The sizes of a tensor; `None` where one is open.
fn dims(info: &ValueInfo) -> Option<Vec<Option<i64>>> {
    let shape = info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    Some(shape.dim.iter().map(|dim| dim.dim_value.filter(|value| *value > 0)).collect())
}

/// What one sample is, by the file or by who asks.
fn sample(info: &ValueInfo, given: Option<Input>) -> R<Input> {
    let element = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).map(|t| t.elem_type);
    let whole = match element {
        Some(FLOAT) => false,
        Some(INT32 | INT64) => true,
        _ => return Err(form("input", "an input is single precision, or whole numbers (tokens)")),
    };
    if let Some(given) = given {
        let fits = matches!(given, Input::Tokens { .. }) == whole;
        return if fits { Ok(given) } else { Err(form("input", "the file's input is of another type than named")) };
    }
    let open = || form("input", "the file leaves sizes of its input open; name them");
    let sizes = dims(info).ok_or_else(open)?;
    let sizes: Option<Vec<u32>> = sizes.iter().skip(1).map(|size| size.and_then(|n| u32::try_from(n).ok())).collect();
    match (whole, sizes.ok_or_else(open)?.as_slice()) {
        (true, &[length]) => Ok(Input::Tokens { length, vocabulary: 1 }),
        (false, &[features]) => Ok(Input::Vector { features }),
        (false, &[length, width]) => Ok(Input::Sequence { length, width }),
        (false, &[channels, height, width]) => Ok(Input::Image { channels, height, width }),
        _ => Err(form("input", "an input is [samples, …]: a vector, a sequence, an image or tokens")),
    }
}

fn described(input: &Input) -> Shape {
    match *input {
        Input::Vector { features } => Shape::Vector { features },
        Input::Image { channels, height, width } => Shape::Image { channels, height, width },
        // The embedding says how many there are.
        Input::Tokens { length, .. } => Shape::Tokens { length, vocabulary: 1 },
        Input::Sequence { length, width } => Shape::Sequence { length, width },
    }
}

fn as_input(shape: Shape) -> Input {
    match shape {
        Shape::Vector { features } => Input::Vector { features },
        Shape::Image { channels, height, width } => Input::Image { channels, height, width },
        Shape::Tokens { length, vocabulary } => Input::Tokens { length, vocabulary },
        Shape::Sequence { length, width } => Input::Sequence { length, width },
    }
}

impl Import {
    /// Gives a name its value.
    pub(super) fn define(&mut self, name: &str, value: Value) -> R<()> {
        if self.values.insert(name.to_owned(), value).is_some() {
            let shown: String = name.chars().filter(|c| c.is_ascii_graphic()).take(80).collect();
            return Err(form(&shown, format!("{shown} is given twice")));
        }
        Ok(())
    }

    /// What an input of an operation is; `None` for an optional one that is absent.
    pub(super) fn maybe(&self, node: &NodeProto, at: usize) -> R<Option<Value>> {
        let Some(name) = node.input.get(at).filter(|name| !name.is_empty()) else { return Ok(None) };
        let unknown = || form(&shown(node), format!("{} reads what nothing before it gives", shown(node)));
        self.values.get(name).cloned().map(Some).ok_or_else(unknown)
    }

    /// What an input of an operation is.
    pub(super) fn value(&self, node: &NodeProto, at: usize) -> R<Value> {
        let missing = || form(&shown(node), format!("{} lacks input {at}", shown(node)));
        self.maybe(node, at)?.ok_or_else(missing)
    }

    /// An input that is an activation.
    pub(super) fn act(&self, node: &NodeProto, at: usize) -> R<Act> {
        match self.value(node, at)? {
            Value::Act(act) => Ok(act),
            _ => Err(self.unknown(node)),
        }
    }

    /// An input that is a constant; `None` if it is absent.
    pub(super) fn constant(&self, node: &NodeProto, at: usize) -> R<Option<Rc<Constant>>> {
        match self.maybe(node, at)? {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(_) => {
                let sentence = format!("input {at} of {} is computed; weights and shapes are constants", shown(node));
                Err(refused(&shown(node), sentence))
            }
        }
    }

    /// A constant as weights: once only, since shared weights have no gradient of one sample here. Exporters keep the
    /// equal first values of several norms or biases once; those are shared by accident and may come again.
    pub(super) fn weight(&mut self, node: &NodeProto, constant: &Constant, shape: &[usize]) -> R<Tensor> {
        let what = shown(node);
        let unfit = || form(&what, format!("{what}: weights of the shape {:?} do not make {shape:?}", constant.dims));
        let tensor = constant.tensor(shape).ok_or_else(unfit)?;
        let even = tensor.values.windows(2).all(|pair| pair.first() == pair.last());
        let again = !self.taken.insert(constant.name.clone());
        let accident = even && shape.len() == 1;
        if again && !accident {
            let sentence = format!("{what} shares weights with another operation; give each its own");
            return Err(refused(&what, sentence));
        }
        Ok(tensor)
    }

    /// Whether only this operation reads that input.
    pub(super) fn only_reader(&self, node: &NodeProto, at: usize) -> bool {
        node.input.get(at).and_then(|name| self.uses.get(name)) == Some(&1)
    }

    /// Adds a layer behind an activation.
    pub(super) fn layer(
        &mut self,
        node: &NodeProto,
        layer: Layer,
        act: Act,
        parts: Vec<(&'static str, Tensor)>,
    ) -> R<Value> {
        let what = shown(node);
        if let Layer::Embedding { count, .. } = &layer {
            self.vocabulary = *count;
        }
        let one = Network { input: as_input(act.shape), layers: vec![layer.clone()] };
        let shape = one
            .shapes()
            .map_err(|refusal| Refusal::new(refusal.code, format!("{what}: {}", refusal.sentence)).at(&what))?
            .output;
        let value = self.graph.push(what, Step::Layer(layer), vec![act.value])?;
        if !parts.is_empty() {
            self.weights.insert(value - 1, parts);
        }
        Ok(Value::Act(Act { value, shape }))
    }

    /// A refusal of an operation that is not known in this use.
    pub(super) fn unknown(&self, node: &NodeProto) -> Refusal {
        let what = shown(node);
        let sentence = format!(
            "{what} is not among the operations that are trained here, or not in this use; attention is known \
             without a mask, from three linear layers; `depa model new transformer` shows it as a layer"
        );
        refused(&what, sentence)
    }
}
