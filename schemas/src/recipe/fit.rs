//! Do model, features, labels and recipe of a training go together, and does every figure lie where it has a meaning?
//!
//! Pure; asked by policies before any charge and by the trainer before it makes a tensor, so that the two cannot differ.

use std::borrow::Cow;

use super::{Adapters, Loss, MAX_PREFIXES, MAX_RANK, Optimizer, Recipe, Schedule};
use crate::network::shape::{Parameter, Shape, Shapes};
use crate::network::{Input, Layer, Network};
use crate::pipeline::{Feature, FeatureForm, Labels, Model, Training};
use crate::problem::{Code, R, Refusal};
use crate::text::Real;
use crate::weights::Weights;

/// The loss where a training has no recipe.
const PLAIN: Loss = Loss::BinaryCrossEntropy {};

impl Model {
    /// The model as a network on so many inputs; parameter names are the same. `None` if it is no network.
    pub fn network(&self, inputs: usize) -> Option<Cow<'_, Network>> {
        if let Model::Network { network } = self {
            return Some(Cow::Borrowed(network));
        }
        let hidden = match self {
            Model::Mlp { hidden } => hidden.as_slice(),
            Model::LogisticRegression => &[],
            _ => return None,
        };
        let features = u32::try_from(inputs).unwrap_or(u32::MAX);
        let mut layers = Vec::with_capacity(2 * hidden.len() + 1);
        let mut width = features;
        for outputs in hidden {
            layers.push(Layer::Linear { inputs: width, outputs: *outputs, bias: true });
            layers.push(Layer::Tanh {});
            width = *outputs;
        }
        layers.push(Layer::Linear { inputs: width, outputs: 1, bias: true });
        Some(Cow::Owned(Network { input: Input::Vector { features }, layers }))
    }

    /// Whether it looks its inputs up as tokens; all others read numbers.
    pub fn reads_tokens(&self) -> bool {
        matches!(self, Model::Network { network } if matches!(network.input, Input::Tokens { .. }))
    }
}

impl Training {
    /// What the model comes to, if it, the features, the labels and the recipe go together.
    ///
    /// # Errors
    /// `MODEL_SHAPE` and `LIMIT_EXCEEDED` for the network itself, `PIPELINE_INVALID` for what does not go together.
    pub fn shapes(&self) -> R<Shapes> {
        let no_network = || Refusal::new(Code::PipelineInvalid, "The model is no network.").at("model");
        let network = self.model.network(self.inputs()).ok_or_else(no_network)?;
        let shapes = network.shapes().map_err(|refusal| within(refusal, "model"))?;
        inputs(&shapes.input, &self.features, self.inputs())?;
        let recipe = self.recipe.as_ref();
        let loss = recipe.map_or(&PLAIN, |recipe| &recipe.loss);
        loss.figures()?;
        labels(loss, self.labels.as_ref(), self.label_width(), &shapes.output, network.layers.last())?;
        recipe.map_or(Ok(()), |recipe| recipe.fits(&network, &shapes.parameters, self.steps))?;
        self.weights.as_ref().map_or(Ok(()), |weights| fresh(weights, recipe, &shapes.parameters))?;
        Ok(shapes)
    }
}

/// The same refusal with its field below another.
fn within(refusal: Refusal, above: &str) -> Refusal {
    let field = refusal.field.as_deref().map_or_else(|| above.to_owned(), |field| format!("{above}.{field}"));
    refusal.at(field)
}

fn ensure(holds: bool, field: &str, sentence: impl Into<String>) -> R<()> {
    if holds { Ok(()) } else { Err(Refusal::new(Code::PipelineInvalid, sentence).at(field)) }
}

/// The features fill the network's input exactly; a single picture has its very shape.
fn inputs(input: &Shape, features: &[Feature], given: usize) -> R<()> {
    let sentence = format!("The network reads {input}, the features give {given} numbers.");
    ensure(u128::try_from(given).is_ok_and(|given| given == input.numbers()), "model.network.input", sentence)?;
    let forms: Vec<&FeatureForm> = features.iter().filter_map(|feature| feature.form.as_ref()).collect();
    if let Shape::Tokens { vocabulary, .. } = input {
        ensure(forms.is_empty(), "features", "Tokens are single numbers, no pictures and no lists.")?;
        let whole = |bound: f64| bound.fract() == 0.0;
        let mut bounds = features.iter().map(|feature| (feature.lower.value(), feature.upper.value()));
        let known = bounds.all(|(lower, upper)| whole(lower) && whole(upper) && upper < f64::from(*vocabulary));
        let sentence =
            format!("A token is a whole number from 0 to below {vocabulary}, and so are the bounds of its feature.");
        return ensure(known, "features", sentence);
    }
    let (Shape::Image { channels, height, width }, [FeatureForm::Image { channels: c, height: h, width: w }]) =
        (input, forms.as_slice())
    else {
        return Ok(());
    };
    let sentence = format!("The network reads {input}, the picture is {c}×{h}×{w}.");
    ensure((channels, height, width) == (c, h, w), "model.network.input", sentence)
}

/// The loss reads this label and this output.
fn labels(loss: &Loss, labels: Option<&Labels>, width: usize, output: &Shape, last: Option<&Layer>) -> R<()> {
    if let Some(classes) = loss.classes() {
        let listed = matches!(labels, Some(Labels::Classes { classes: list }) if list.len() == classes as usize);
        ensure(listed, "labels", format!("The loss has {classes} classes; labels list as many."))?;
        let fits = matches!(output, Shape::Vector { features } if *features == classes);
        return ensure(fits, "recipe.loss", format!("The loss reads {classes} logits, the network gives {output}."));
    }
    let classes = matches!(labels, Some(Labels::Classes { .. }));
    ensure(!classes, "recipe.loss", "Labels that are classes need cross_entropy or focal.")?;
    let fits = u128::try_from(width).is_ok_and(|width| width == output.numbers());
    ensure(fits, "recipe.loss", format!("A label has {width} numbers, the network gives {output}."))?;
    let yes_or_no = !matches!(labels, Some(Labels::Number { .. }));
    let wants = loss.any(&|loss| matches!(loss, Loss::BinaryCrossEntropy {} | Loss::Dice { .. }));
    ensure(
        yes_or_no || !wants,
        "recipe.loss",
        "A number is learnt by mean_squared_error, mean_absolute_error or huber.",
    )?;
    let bare = loss.any(&|loss| matches!(loss, Loss::Dice { sigmoid: false, .. }));
    let closed = matches!(last, Some(Layer::Sigmoid {}));
    ensure(!bare || closed, "recipe.loss", "dice without sigmoid reads a network that ends in sigmoid.")
}

/// What no file gives is learnt, and something is given.
fn fresh(weights: &Weights, recipe: Option<&Recipe>, parameters: &[Parameter]) -> R<()> {
    let field = "weights.fresh";
    names(&weights.fresh, parameters, field)?;
    let given = parameters.iter().any(|parameter| !weights.is_fresh(&parameter.name));
    ensure(given, field, "Every parameter is fresh; no weights are needed.")?;
    let still = parameters.iter().find(|p| weights.is_fresh(&p.name) && recipe.is_some_and(|r| r.keeps(&p.name)));
    let sentence = format!("{} would be neither loaded nor learnt.", still.map_or("", |p| p.name.as_str()));
    ensure(still.is_none(), field, sentence)
}

impl Recipe {
    /// Whether this parameter of the network keeps its first values.
    pub fn keeps(&self, name: &str) -> bool {
        starts(&self.frozen, name) || self.adapters.as_ref().is_some_and(|adapters| !starts(&adapters.trained, name))
    }

    fn fits(&self, network: &Network, parameters: &[Parameter], steps: u32) -> R<()> {
        self.optimizer.figures()?;
        self.schedule.figures(steps)?;
        names(&self.frozen, parameters, "recipe.frozen")?;
        let learnt = parameters.iter().any(|parameter| !starts(&self.frozen, &parameter.name));
        ensure(learnt, "recipe.frozen", "Every parameter is frozen; nothing would be learnt.")?;
        let Some(adapters) = &self.adapters else { return Ok(()) };
        ensure(self.frozen.is_empty(), "recipe.frozen", "With adapters all is frozen but what they name as trained.")?;
        adapters.fits(network, parameters)
    }
}

/// Whether one of the prefixes begins this name.
fn starts(prefixes: &[String], name: &str) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
}

fn names(prefixes: &[String], parameters: &[Parameter], field: &str) -> R<()> {
    ensure(prefixes.len() <= MAX_PREFIXES, field, format!("At most {MAX_PREFIXES} prefixes are allowed."))?;
    prefixes.iter().try_for_each(|prefix| {
        let known = !prefix.is_empty() && parameters.iter().any(|parameter| parameter.name.starts_with(prefix));
        ensure(known, field, format!("No parameter's name begins with `{prefix}`."))
    })
}

impl Adapters {
    fn fits(&self, network: &Network, parameters: &[Parameter]) -> R<()> {
        let rank = (1..=MAX_RANK).contains(&self.rank);
        ensure(rank, "recipe.adapters.rank", format!("An adapter has a rank from 1 to {MAX_RANK}."))?;
        figure(&self.alpha, 1e-6, 1e6, "recipe.adapters.alpha")?;
        let field = "recipe.adapters.targets";
        let counted = (1..=MAX_PREFIXES).contains(&self.targets.len());
        ensure(counted, field, format!("Adapters have 1 to {MAX_PREFIXES} targets."))?;
        for (at, target) in self.targets.iter().enumerate() {
            ensure(!self.targets[..at].contains(target), field, format!("{target} stands twice."))?;
            let known = parameters.iter().any(|p| p.name.strip_suffix(".weight") == Some(target.as_str()));
            let sentence = format!("{target} is no linear layer, and no qkv or proj of an attention.");
            ensure(known && adaptable(&network.layers, target), field, sentence)?;
        }
        names(&self.trained, parameters, "recipe.adapters.trained")
    }
}

/// Whether this path leads to a matrix that an adapter may stand beside.
fn adaptable(layers: &[Layer], path: &str) -> bool {
    let (at, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(layer) = at.parse::<usize>().ok().and_then(|at| layers.get(at)) else { return false };
    match (layer, rest.split_once('.').unwrap_or((rest, ""))) {
        (Layer::Linear { .. }, ("", "")) | (Layer::Attention { .. }, ("qkv" | "proj", "")) => true,
        (Layer::Residual { body, .. } | Layer::Skip { body, .. }, ("body", inner)) => adaptable(body, inner),
        (Layer::Residual { shortcut, .. }, ("shortcut", inner)) => adaptable(shortcut, inner),
        _ => false,
    }
}

fn figure(real: &Real, least: f64, most: f64, field: &str) -> R<()> {
    ensure((least..=most).contains(&real.value()), field, format!("{real} does not lie from {least} to {most}."))
}

fn below_one(real: &Real, field: &str) -> R<()> {
    ensure(real.value() < 1.0, field, format!("{real} does not lie from 0 to below 1."))
}

impl Optimizer {
    fn figures(&self) -> R<()> {
        let field = "recipe.optimizer";
        let decay = |decay: &Real| figure(decay, 0.0, 1e3, field);
        match self {
            Optimizer::Sgd { momentum, weight_decay } => below_one(momentum, field).and(decay(weight_decay)),
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay }
            | Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                below_one(beta1, field)?;
                below_one(beta2, field)?;
                figure(epsilon, 1e-12, 1.0, field)?;
                decay(weight_decay)
            }
        }
    }
}

impl Schedule {
    fn figures(&self, steps: u32) -> R<()> {
        let field = "recipe.schedule";
        let count = |n: u32| ensure((1..=steps).contains(&n), field, format!("{n} steps; 1 to {steps} are allowed."));
        match self {
            Schedule::Constant {} => Ok(()),
            Schedule::Step { every, factor } => count(*every).and(figure(factor, 1e-6, 1.0, field)),
            Schedule::Cosine { floor } => figure(floor, 0.0, 1.0, field),
            // A flank may be longer than the run: its beginning is what runs.
            Schedule::Cyclic { up, peak } => {
                ensure(*up >= 1, field, "A flank has at least one step.").and(figure(peak, 1.0, 1e6, field))
            }
            Schedule::Warmup { steps: rise, then } => {
                let once = !matches!(**then, Schedule::Warmup { .. });
                ensure(once, field, "One warm-up is enough.")?;
                count(*rise)?;
                then.figures(steps)
            }
        }
    }
}
