//! A `model_config` carried out on names instead of tensors: what comes out is a graph, and of it a network.

use std::collections::{BTreeMap, BTreeSet};

use schemas::network::{Input, Layer, MAX_DEPTH, Network};
use schemas::{Code, R, Refusal};
use serde::Serialize;
use serde_json::{Map, Value};

use super::classes::{self, Made};
use super::functions::{self, Called};
use super::module::{Forward, Module, Names, Op, Values};
use crate::graph::{Graph, INPUT, Step};
use crate::notice::Notice;
use crate::structure;

/// What a reading may change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Whether operations that cannot be trained privately are replaced, each with a notice, instead of refused.
    pub replace: bool,
}

/// A network out of another description.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Read {
    /// The network.
    pub network: Network,
    /// By module of the source (`down_conv0.conv1`) the path of its layer here, to rename weights by.
    pub paths: BTreeMap<String, String>,
    /// Whether a softmax at the end was left off: the loss takes logits.
    pub softmax: bool,
    /// What was replaced.
    pub notices: Vec<Notice>,
}

/// Reads a `model_config`. It does not say the size of its input; `input` does.
///
/// # Errors
/// `MODEL_FORM` for what cannot be read, `MODEL_LAYER` and `PIPELINE_ROW_COUPLING` for operations that are not trained
/// here, `MODEL_SHAPE` and `LIMIT_EXCEEDED` as of `Network::shapes`.
pub fn model(config: &Value, input: Input, options: &Options) -> R<Read> {
    let unread = |e: serde_json::Error| Refusal::new(Code::ModelForm, format!("model_config: {e}")).at("model_config");
    let module: Module = serde_json::from_value(config.clone()).map_err(unread)?;
    let mut reader = Reader::new(&module, options);
    let output = reader.run(&module, &[Slot::At(INPUT)], &Map::new(), "", 1)?;
    let [Slot::At(output)] = output.as_slice() else {
        return Err(form("output", "a model gives exactly one value"));
    };
    let mut output = *output;
    let softmax = reader.softmaxes.contains(&output);
    if softmax {
        output = reader.graph.giver(output).and_then(|node| reader.graph.node(node)).map_or(output, |n| n.inputs[0]);
        reader.notices.push(Notice::new("softmax", "left off at the end: the loss takes logits"));
    }
    reader.softmax_inside(output)?;
    let structure = structure::of(&reader.graph, output)?;
    let network = Network { input, layers: structure.layers };
    network.shapes()?;
    let named = |(node, path): (&usize, &String)| reader.modules.get(node).map(|module| (module.clone(), path.clone()));
    let paths = structure.paths.iter().filter_map(named).collect();
    Ok(Read { network, paths, softmax, notices: reader.notices })
}

fn form(field: &str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::ModelForm, sentence).at(field)
}

/// A value in a module: at a place of the graph, or a state that nothing may read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    At(usize),
    State,
}

struct Reader<'a> {
    root: &'a Module,
    options: &'a Options,
    graph: Graph,
    /// By node the module whose parameters it has.
    modules: BTreeMap<usize, String>,
    /// Modules with parameters that were used already.
    used: BTreeSet<String>,
    /// Values that a softmax gave.
    softmaxes: BTreeSet<usize>,
    notices: Vec<Notice>,
    calls: usize,
}

/// Values of one module by name.
type Names_ = BTreeMap<String, Slot>;

impl<'a> Reader<'a> {
    fn new(root: &'a Module, options: &'a Options) -> Reader<'a> {
        Reader {
            root,
            options,
            graph: Graph::default(),
            modules: BTreeMap::new(),
            used: BTreeSet::new(),
            softmaxes: BTreeSet::new(),
            notices: Vec::new(),
            calls: 0,
        }
    }

    /// Runs a module on these values. `above` is the path of its layers, empty or ending in a full stop.
    fn run(
        &mut self,
        module: &Module,
        given: &[Slot],
        params: &Map<String, Value>,
        above: &str,
        depth: u32,
    ) -> R<Vec<Slot>> {
        self.calls += 1;
        if depth > MAX_DEPTH || self.calls > crate::graph::MAX_NODES {
            let sentence = "sub-modules nest too deep or are used too often";
            return Err(Refusal::new(Code::LimitExceeded, sentence).at(above));
        }
        module.bounded(if above.is_empty() { "model_config" } else { above })?;
        if given.len() != module.input.len() {
            let sentence = format!("{above}: {} values come in, {} are named", given.len(), module.input.len());
            return Err(form("input", sentence));
        }
        let mut values: Names_ = module.input.iter().cloned().zip(given.iter().copied()).collect();
        for step in &module.forward {
            let result = self.step(module, step, &values, params, above, depth)?;
            match &step.output {
                Names::One(name) => {
                    let slot =
                        result.first().copied().ok_or_else(|| form("output", format!("{name}: nothing comes out")))?;
                    values.insert(name.clone(), slot);
                }
                Names::Several(names) if names.len() == result.len() => {
                    values.extend(names.iter().cloned().zip(result));
                }
                Names::Several(names) => {
                    let sentence = format!("{} values come out, {} are named", result.len(), names.len());
                    return Err(form("output", sentence));
                }
            }
        }
        module.output.iter().map(|name| look_up(&values, name)).collect()
    }

    fn step(
        &mut self,
        module: &Module,
        step: &Forward,
        values: &Names_,
        params: &Map<String, Value>,
        above: &str,
        depth: u32,
    ) -> R<Vec<Slot>> {
        let mut current = Vec::new();
        for input in &step.input {
            match input {
                Values::One(name) => current.push(look_up(values, name)?),
                Values::Several(names) => {
                    for name in names {
                        current.push(look_up(values, name)?);
                    }
                }
            }
        }
        for op in &step.ops {
            let (name, given) = match op {
                Op::Named(name) => (name, Map::new()),
                Op::With(name, given) => (name, given.clone()),
            };
            current = match module.layers.get(name) {
                Some(_) if !given.is_empty() => {
                    return Err(form(name, format!("{name} is a layer and takes no arguments in forward")));
                }
                Some(definition) => {
                    let own = substituted(&definition.params, params)?;
                    let path = format!("{above}{name}");
                    match (&definition.class, &definition.submodule) {
                        (Some(class), None) => self.layer(&path, class, own, &current)?,
                        (None, Some(inner)) => {
                            let root = self.root;
                            let unknown = || form(&path, format!("{path}: there is no sub-module {inner}"));
                            let inner = module
                                .submodules
                                .get(inner)
                                .or_else(|| root.submodules.get(inner))
                                .ok_or_else(unknown)?;
                            self.run(inner, &current, &own, &format!("{path}."), depth + 1)?
                        }
                        _ => return Err(form(&path, format!("{path}: a layer has a class or a submodule"))),
                    }
                }
                None => self.function(name, substituted(&given, params)?, &current)?,
            };
        }
        Ok(current)
    }

    fn layer(&mut self, path: &str, class: &str, given: Map<String, Value>, inputs: &[Slot]) -> R<Vec<Slot>> {
        let made = classes::layer(path, class, given, self.options, &mut self.notices)?;
        let learns = matches!(
            &made,
            Made::First(_)
                | Made::Layer(
                    Layer::Linear { .. }
                        | Layer::Conv2d { .. }
                        | Layer::GroupNorm { .. }
                        | Layer::LayerNorm { .. }
                        | Layer::Embedding { .. }
                )
        );
        if learns && !self.used.insert(path.to_owned()) {
            let sentence = format!(
                "{path} is used twice: shared weights have no gradient of one sample here; give each use its own layer"
            );
            return Err(Refusal::new(Code::ModelLayer, sentence).at(path));
        }
        let slots = self.made(path, made, inputs)?;
        if let (true, Some(Slot::At(value))) = (learns, slots.first())
            && let Some(node) = self.graph.giver(*value)
        {
            self.modules.insert(node, path.to_owned());
        }
        Ok(slots)
    }

    fn function(&mut self, name: &str, given: Map<String, Value>, inputs: &[Slot]) -> R<Vec<Slot>> {
        let step = match functions::call(name, given, self.options, &mut self.notices)? {
            Called::Made(made) => return self.made(name, made, inputs),
            Called::Concat => Step::Concat,
            Called::Add => Step::Add,
        };
        let values = inputs.iter().map(|slot| at(*slot, name)).collect::<R<Vec<_>>>()?;
        if values.len() != 2 {
            return Err(form(name, format!("{name} takes two values here, not {}", values.len())));
        }
        Ok(vec![Slot::At(self.graph.push(name, step, values)?)])
    }

    fn made(&mut self, name: &str, made: Made, inputs: &[Slot]) -> R<Vec<Slot>> {
        let [input] = inputs else {
            return Err(form(name, format!("{name} takes one value, not {}", inputs.len())));
        };
        let input = at(*input, name)?;
        match made {
            Made::Nothing => Ok(vec![Slot::At(input)]),
            Made::Layer(layer) => Ok(vec![Slot::At(self.graph.push(name, Step::Layer(layer), vec![input])?)]),
            Made::First(layer) => {
                Ok(vec![Slot::At(self.graph.push(name, Step::Layer(layer), vec![input])?), Slot::State])
            }
            Made::Softmax => {
                // A stand-in that is taken off at the end; anywhere else the reading is refused.
                let value = self.graph.push(name, Step::Layer(Layer::Flatten {}), vec![input])?;
                self.softmaxes.insert(value);
                Ok(vec![Slot::At(value)])
            }
        }
    }

    /// Refuses a softmax that leads to this value.
    fn softmax_inside(&self, output: usize) -> R<()> {
        let mut wanted = BTreeSet::from([output]);
        while let Some(value) = wanted.pop_last() {
            if self.softmaxes.contains(&value) {
                return Err(Refusal::new(Code::ModelLayer, "softmax stands at the end of a model alone").at("softmax"));
            }
            if let Some(node) = self.graph.giver(value).and_then(|node| self.graph.node(node)) {
                wanted.extend(&node.inputs);
            }
        }
        Ok(())
    }
}

fn at(slot: Slot, name: &str) -> R<usize> {
    match slot {
        Slot::At(value) => Ok(value),
        Slot::State => Err(form(name, format!("{name} reads the states of an LSTM; only its output can be read"))),
    }
}

fn look_up(values: &Names_, name: &str) -> R<Slot> {
    values.get(name).copied().ok_or_else(|| form("forward", format!("there is no value {name}")))
}

/// Arguments with `$name` replaced by the argument of the layer that uses the sub-module.
fn substituted(own: &Map<String, Value>, outer: &Map<String, Value>) -> R<Map<String, Value>> {
    let replace = |(key, value): (&String, &Value)| {
        let value = match value.as_str().and_then(|text| text.strip_prefix('$')) {
            Some(name) => {
                let unknown = || form(key, format!("${name} is not among the arguments of the layer"));
                outer.get(name).cloned().ok_or_else(unknown)?
            }
            None => value.clone(),
        };
        Ok((key.clone(), value))
    };
    own.iter().map(replace).collect()
}
