//! What a forward pass leaves behind, and the backward pass over it.

use tch::Tensor;

use super::lstm::Saved;
use super::part::Part;
use super::{T, Weights, broken, lstm};

/// Numbers of per-row gradients that one pass keeps: 256 MB in single precision, for each thread that makes one.
const KEEP: i64 = 64 << 20;

/// What a pass is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Outputs alone.
    Infer,
    /// Every row's own gradient.
    PerRow,
    /// The plain gradient of the summed losses: training without privacy, for comparison.
    Plain,
    /// As `Plain`, with every layer in single operations of the library: what tests measure the others by.
    Oracle,
}

/// A layer with weights: what its weights' gradients need beside g.
pub enum Form {
    /// a is [rows, inputs] or [rows, positions, inputs].
    Linear { weight: Option<usize>, bias: Option<usize>, a: Tensor },
    /// See [`super::conv::Site`].
    Conv(super::conv::Site),
    /// Statistics are [rows, groups].
    GroupNorm { gamma: Option<usize>, beta: Option<usize>, x: Tensor, mean: Tensor, rstd: Tensor },
    /// Statistics are as x with one number in the last dimension.
    LayerNorm { gamma: Option<usize>, beta: Option<usize>, x: Tensor, mean: Tensor, rstd: Tensor },
    /// Tokens [rows, positions].
    Table { weight: usize, tokens: Tensor, count: i64 },
    /// g is the row's gradient itself.
    Direct { weight: usize },
    /// One probe for all steps of an LSTM in single operations: a is [rows, steps, inputs], h the states before.
    Cell { learnt: lstm::Learnt, a: Tensor, h: Tensor },
}

struct Site {
    form: Form,
    s: Tensor,
}

/// The tape between two cuts: a cut is an LSTM, whose output is a leaf here.
#[derive(Default)]
struct Segment {
    /// The cut before this segment, with its output.
    entry: Option<(Saved, Tensor)>,
    sites: Vec<Site>,
    leaves: Vec<(usize, Tensor)>,
    /// What the next cut read.
    exit: Option<Tensor>,
}

/// The tape of one pass.
pub struct Tape {
    mode: Mode,
    segments: Vec<Segment>,
    keep: i64,
}

impl Tape {
    /// An empty one.
    pub fn new(mode: Mode) -> Tape {
        // Every pass begins here, with privacy and without.
        products::settle();
        Tape { mode, segments: vec![Segment::default()], keep: KEEP }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether so many more numbers may be kept; if so they count from now on.
    pub(super) fn keep(&mut self, numbers: i64) -> bool {
        let fits = numbers <= self.keep;
        if fits {
            self.keep -= numbers;
        }
        fits
    }

    fn open(&mut self) -> T<&mut Segment> {
        self.segments.last_mut().ok_or_else(|| broken("a tape has a segment"))
    }

    /// Puts a layer on the tape; returns its output with a gradient.
    pub(super) fn site(&mut self, form: Form, s: Tensor) -> T<Tensor> {
        if self.mode != Mode::PerRow {
            return Ok(s);
        }
        let s = if s.requires_grad() { s } else { s.f_set_requires_grad(true)? };
        self.open()?.sites.push(Site { form, s: s.shallow_clone() });
        Ok(s)
    }

    /// In plain modes, leaves in place of learnt weights.
    pub(super) fn leaves<const N: usize>(
        &mut self,
        weights: &Weights<'_>,
        places: [Option<usize>; N],
    ) -> T<[Option<Tensor>; N]> {
        let mut leaves = [const { None }; N];
        if matches!(self.mode, Mode::Plain | Mode::Oracle) {
            for (leaf, place) in leaves.iter_mut().zip(places) {
                if let Some(place) = weights.learnt(place) {
                    let tensor = weights.get(place)?.f_detach()?.f_set_requires_grad(true)?;
                    self.open()?.leaves.push((place, tensor.shallow_clone()));
                    *leaf = Some(tensor);
                }
            }
        }
        Ok(leaves)
    }

    /// Ends the segment at `x` and begins the next with the cut's output.
    pub(super) fn cut(&mut self, x: &Tensor, saved: Saved, output: Tensor) -> T<Tensor> {
        if self.mode == Mode::Infer {
            return Ok(output);
        }
        let output = output.f_set_requires_grad(true)?;
        self.open()?.exit = Some(x.shallow_clone());
        let entry = Some((saved, output.shallow_clone()));
        self.segments.push(Segment { entry, ..Segment::default() });
        Ok(output)
    }

    /// One backward pass from the rows' losses, a vector: what every learnt weight's gradients are made of.
    pub fn backward(self, losses: &Tensor, weights: &Weights<'_>) -> T<Vec<Part>> {
        let mut parts = Vec::new();
        let mut segments = self.segments;
        let mut root = losses.shallow_clone();
        while let Some(segment) = segments.pop() {
            let Segment { entry, sites, leaves, .. } = segment;
            let mut inputs: Vec<&Tensor> = sites.iter().map(|site| &site.s).collect();
            inputs.extend(leaves.iter().map(|(_, leaf)| leaf));
            inputs.extend(entry.iter().map(|(_, output)| output));
            if inputs.is_empty() {
                break;
            }
            let mut gradients = Tensor::f_run_backward(&[&root], &inputs, false, false)?.into_iter();
            for (site, g) in sites.into_iter().zip(gradients.by_ref()) {
                parts.extend(tch::no_grad(|| Part::of(site.form, g))?);
            }
            for ((place, _), g) in leaves.into_iter().zip(gradients.by_ref()) {
                parts.push(Part::Total { weight: place, gradient: g });
            }
            let (Some((saved, _)), Some(g)) = (entry, gradients.next()) else { break };
            let before = segments.last().and_then(|segment| segment.exit.as_ref()).filter(|exit| exit.requires_grad());
            let (part, input) = tch::no_grad(|| lstm::backward(saved, &g, weights, before.is_some()))?;
            parts.extend(part);
            match (before, input) {
                (Some(exit), Some(v)) => root = exit.f_mul(&v)?.f_sum(None::<tch::Kind>)?,
                _ => break,
            }
        }
        Ok(parts)
    }
}
