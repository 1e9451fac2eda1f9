//! From a graph to the nested layers of a network: chains, residuals and skips; anything else is refused.
//!
//! Where a value is read more than once its ways meet again in one addition or one concatenation, the first operation
//! that all of them run through. What lies between becomes the body, and the shortcut, of a residual or a skip.

use std::collections::{BTreeMap, BTreeSet};

use schemas::network::{Layer, MAX_DEPTH};
use schemas::{Code, R, Refusal};

use crate::graph::{Graph, INPUT, Step};

/// A network's layers, with the place of every operation of the graph that became one.
#[derive(Clone, PartialEq, Debug)]
pub struct Structure {
    /// The layers.
    pub layers: Vec<Layer>,
    /// By operation the path of its layer, `3.body.0`.
    pub paths: BTreeMap<usize, String>,
}

/// The layers that lead from the model's input to this value. Operations that do not lead there fall away.
///
/// # Errors
/// `MODEL_LAYER` for a graph that is not made of chains, residuals and skips, `LIMIT_EXCEEDED` where it nests too deep.
pub fn of(graph: &Graph, output: usize) -> R<Structure> {
    let mut builder = Builder { graph, paths: BTreeMap::new() };
    let layers = builder.way(INPUT, output, &BTreeSet::new(), "", 1)?;
    Ok(Structure { layers, paths: builder.paths })
}

/// Readings of a value by an operation that do not count here, because another way takes them.
type Cut = BTreeSet<(usize, usize)>;

struct Builder<'a> {
    graph: &'a Graph,
    paths: BTreeMap<usize, String>,
}

impl Builder<'_> {
    /// The layers from one value to another.
    fn way(&mut self, from: usize, to: usize, cut: &Cut, above: &str, depth: u32) -> R<Vec<Layer>> {
        if depth > MAX_DEPTH {
            return Err(Refusal::new(Code::LimitExceeded, format!("bodies nest at most {MAX_DEPTH} deep")));
        }
        let readers = self.readers(to, cut);
        let (mut layers, mut at) = (Vec::new(), from);
        while at != to {
            let path = format!("{above}{}", layers.len());
            let next = readers.get(&at).map(Vec::as_slice).unwrap_or_default();
            let (layer, node) = match next {
                [] => return Err(self.shape_refused(at, "does not lead to the output")),
                [node] => (self.plain(*node, &path)?, *node),
                _ => {
                    let node = self.meeting(at, &readers)?;
                    (self.fork(at, node, cut, &readers, &path, depth)?, node)
                }
            };
            self.paths.insert(node, path);
            layers.push(layer);
            at = node + 1;
        }
        Ok(layers)
    }

    /// By value the operations that read it on a way to `to`.
    fn readers(&self, to: usize, cut: &Cut) -> BTreeMap<usize, Vec<usize>> {
        let mut wanted = BTreeSet::from([to]);
        let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for node in (0..to.min(self.graph.nodes().len())).rev() {
            if !wanted.contains(&(node + 1)) {
                continue;
            }
            let inputs: BTreeSet<usize> = self.graph.nodes()[node].inputs.iter().copied().collect();
            for value in inputs.into_iter().filter(|value| !cut.contains(&(*value, node))) {
                wanted.insert(value);
                readers.entry(value).or_default().push(node);
            }
        }
        readers
    }

    /// The first operation that every way from this value runs through.
    fn meeting(&self, from: usize, readers: &BTreeMap<usize, Vec<usize>>) -> R<usize> {
        // Readings that are begun and not yet done, by reader. Operations come in order, so whichever takes the last
        // one open is on every way.
        let mut open: BTreeMap<usize, usize> = BTreeMap::new();
        let mut count = 0;
        let begin = |value: usize, open: &mut BTreeMap<usize, usize>, count: &mut usize| {
            for node in readers.get(&value).into_iter().flatten() {
                *open.entry(*node).or_default() += 1;
                *count += 1;
            }
        };
        begin(from, &mut open, &mut count);
        while let Some((node, taken)) = open.pop_first() {
            count -= taken;
            if count == 0 {
                return Ok(node);
            }
            begin(node + 1, &mut open, &mut count);
        }
        Err(self.shape_refused(from, "is read on several ways that never meet"))
    }

    fn plain(&self, node: usize, path: &str) -> R<Layer> {
        match self.graph.node(node).map(|node| &node.step) {
            Some(Step::Layer(layer)) => Ok(layer.clone()),
            _ => Err(self.shape_refused(node + 1, &format!("joins two values that do not part at one place ({path})"))),
        }
    }

    /// The residual or skip that begins at this value and ends in this operation.
    fn fork(
        &mut self,
        from: usize,
        end: usize,
        cut: &Cut,
        readers: &BTreeMap<usize, Vec<usize>>,
        path: &str,
        depth: u32,
    ) -> R<Layer> {
        let node = &self.graph.nodes()[end];
        let (&[one, other], step) = (node.inputs.as_slice(), &node.step) else {
            return Err(self.shape_refused(end + 1, "does not join exactly two values"));
        };
        let (body_path, shortcut_path) = (format!("{path}.body."), format!("{path}.shortcut."));
        let mut without = cut.clone();
        without.insert((from, end));
        match step {
            Step::Concat if one == from || other == from => {
                let inner = if one == from { other } else { one };
                let body = self.way(from, inner, &without, &body_path, depth + 1)?;
                Ok(Layer::Skip { body, input_first: one == from })
            }
            Step::Add if one == from || other == from => {
                let inner = if one == from { other } else { one };
                let body = self.way(from, inner, &without, &body_path, depth + 1)?;
                Ok(Layer::Residual { body, shortcut: Vec::new() })
            }
            Step::Add => {
                let (mut left, mut right) = (cut.clone(), cut.clone());
                for reader in readers.get(&from).into_iter().flatten() {
                    let (to_one, to_other) = (self.leads(*reader, one), self.leads(*reader, other));
                    if to_one && to_other {
                        return Err(self.shape_refused(from, "is read on ways that cross"));
                    }
                    if to_one {
                        right.insert((from, *reader))
                    } else {
                        left.insert((from, *reader))
                    };
                }
                let body = self.way(from, one, &left, &body_path, depth + 1)?;
                let shortcut = self.way(from, other, &right, &shortcut_path, depth + 1)?;
                Ok(Layer::Residual { body, shortcut })
            }
            _ => {
                Err(self
                    .shape_refused(end + 1, "concatenates two paths; one of them must be the value where they part"))
            }
        }
    }

    /// Whether a way leads from this operation to this value.
    fn leads(&self, node: usize, to: usize) -> bool {
        let mut reached = BTreeSet::from([node + 1]);
        for later in node + 1..to {
            if self.graph.nodes()[later].inputs.iter().any(|value| reached.contains(value)) {
                reached.insert(later + 1);
            }
        }
        reached.contains(&to)
    }

    /// A refusal about what gives this value.
    fn shape_refused(&self, value: usize, why: &str) -> Refusal {
        let name =
            self.graph.giver(value).and_then(|node| self.graph.node(node)).map_or("the input", |n| n.name.as_str());
        let sentence = format!("{name} {why}; a network is made of chains, residuals (add) and skips (concatenate)");
        Refusal::new(Code::ModelLayer, sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELU: Step = Step::Layer(Layer::Relu {});
    const TANH: Step = Step::Layer(Layer::Tanh {});

    fn graph(nodes: &[(Step, &[usize])]) -> Graph {
        let mut graph = Graph::default();
        for (at, (step, inputs)) in nodes.iter().enumerate() {
            graph.push(format!("n{at}"), step.clone(), inputs.to_vec()).unwrap();
        }
        graph
    }

    fn path(structure: &Structure, node: usize) -> &str {
        &structure.paths[&node]
    }

    #[test]
    fn residuals_and_skips_nest() {
        // 0 → relu 1 → [tanh 2 → (relu 3 + 2 = 4)] with a skip from 1, then concatenated (4 first).
        let nodes: &[(Step, &[usize])] =
            &[(RELU, &[0]), (TANH, &[1]), (RELU, &[2]), (Step::Add, &[3, 2]), (Step::Concat, &[4, 1])];
        let structure = of(&graph(nodes), 5).unwrap();
        let inner = Layer::Residual { body: vec![Layer::Relu {}], shortcut: vec![] };
        let skip = Layer::Skip { body: vec![Layer::Tanh {}, inner], input_first: false };
        assert_eq!(structure.layers, [Layer::Relu {}, skip]);
        assert_eq!(
            [path(&structure, 2), path(&structure, 3), path(&structure, 4)],
            ["1.body.1.body.0", "1.body.1", "1"]
        );
        // A value with three readers: a residual inside a skip that begins at the same place.
        let nodes: &[(Step, &[usize])] = &[(TANH, &[0]), (Step::Add, &[0, 1]), (Step::Concat, &[0, 2])];
        let inner = Layer::Residual { body: vec![Layer::Tanh {}], shortcut: vec![] };
        assert_eq!(of(&graph(nodes), 3).unwrap().layers, [Layer::Skip { body: vec![inner], input_first: true }]);
        // Both ways of a residual have layers, one of them a fork of its own; what leads nowhere falls away.
        let nodes: &[(Step, &[usize])] =
            &[(RELU, &[0]), (TANH, &[0]), (Step::Add, &[2, 0]), (TANH, &[1]), (Step::Add, &[1, 3]), (TANH, &[4])];
        let shortcut = vec![Layer::Residual { body: vec![Layer::Tanh {}], shortcut: vec![] }];
        assert_eq!(of(&graph(nodes), 5).unwrap().layers, [Layer::Residual { body: vec![Layer::Relu {}], shortcut }]);
    }

    #[test]
    fn other_graphs_are_refused() {
        let cases: [&[(Step, &[usize])]; 4] = [
            // x + x
            &[(RELU, &[0]), (Step::Add, &[1, 1])],
            // Two paths concatenated, none of them the input.
            &[(RELU, &[0]), (TANH, &[0]), (Step::Concat, &[1, 2])],
            // Crossing ways: 1 and 2 are each read by both additions.
            &[(RELU, &[0]), (TANH, &[0]), (Step::Add, &[1, 2]), (Step::Add, &[2, 1]), (Step::Add, &[3, 4])],
            &[(Step::Add, &[0])],
        ];
        for nodes in cases {
            let refusal = of(&graph(nodes), nodes.len()).unwrap_err();
            assert_eq!(refusal.code, Code::ModelLayer, "{refusal}");
        }
        let mut deep = Graph::default();
        let (mut value, mut starts) = (0, Vec::new());
        for _ in 0..20 {
            starts.push(value);
            value = deep.push("r", RELU, vec![value]).unwrap();
        }
        for start in starts.into_iter().rev() {
            value = deep.push("a", Step::Add, vec![value, start]).unwrap();
        }
        assert_eq!(of(&deep, value).unwrap_err().code, Code::LimitExceeded);
        assert_eq!(deep.push("late", RELU, vec![99]).unwrap_err().code, Code::ModelForm);
    }
}
