//! A model as its makers write it: values that flow from operation to operation. `structure` makes a network of it.

use schemas::network::Layer;
use schemas::{Code, R, Refusal};

/// Operations of one graph, sub-modules unfolded.
pub const MAX_NODES: usize = 2_000;

/// What an operation does with its inputs.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// One input, one output.
    Layer(Layer),
    /// Two inputs, added: the end of a residual.
    Add,
    /// Two inputs, one after the other along the channels: the end of a skip.
    Concat,
}

/// An operation.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// What the source calls it, for refusals.
    pub name: String,
    /// What it does.
    pub step: Step,
    /// The values it reads. Value 0 is the input of the model, value n + 1 the output of node n.
    pub inputs: Vec<usize>,
}

/// Operations in an order in which each reads only what those before it gave.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
}

/// The value that goes into a model.
pub const INPUT: usize = 0;

impl Graph {
    /// Adds an operation and gives the value that comes out of it.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` beyond [`MAX_NODES`], `MODEL_FORM` if it reads what is not there yet.
    pub fn push(&mut self, name: impl Into<String>, step: Step, inputs: Vec<usize>) -> R<usize> {
        let name = name.into();
        if self.nodes.len() >= MAX_NODES {
            return Err(Refusal::new(Code::LimitExceeded, format!("a model has at most {MAX_NODES} operations")));
        }
        if inputs.iter().any(|value| *value > self.nodes.len()) {
            return Err(Refusal::new(Code::ModelForm, format!("{name} reads what nothing before it gives")));
        }
        self.nodes.push(Node { name, step, inputs });
        Ok(self.nodes.len())
    }

    /// The operation that gives this value; none gives the model's input.
    pub fn giver(&self, value: usize) -> Option<usize> {
        value.checked_sub(1).filter(|node| *node < self.nodes.len())
    }

    /// An operation.
    pub fn node(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }

    /// An operation, to be changed.
    pub fn node_mut(&mut self, at: usize) -> Option<&mut Node> {
        self.nodes.get_mut(at)
    }

    /// All operations.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}
