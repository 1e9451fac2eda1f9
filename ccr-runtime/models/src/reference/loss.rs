//! `loss_config`: one class, or an expression over components.

use std::collections::BTreeMap;

use schemas::recipe::{Loss, Term};
use schemas::{Code, R, Refusal};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::expression::{self, Symbol};
use super::params::{self, Params};

/// Components inside components.
const MAX_DEPTH: u32 = 4;

/// A loss out of its configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct ReadLoss {
    /// The loss, on logits.
    pub loss: Loss,
    /// What the configuration's class reads in place of logits.
    pub reads: Reads,
}

/// What a loss of the reference reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reads {
    /// The output as it is.
    Output,
    /// Probabilities behind a sigmoid: that sigmoid belongs to the loss here.
    Sigmoid,
    /// The logarithms of a softmax: that softmax belongs to the loss here.
    LogSoftmax,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Config {
    Composed(Composed),
    Atomic(Atomic),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Composed {
    expression: String,
    #[serde(default)]
    components: BTreeMap<String, Value>,
    #[serde(default)]
    variables: BTreeMap<String, f64>,
    #[serde(default)]
    reduction: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Atomic {
    class: String,
    #[serde(default)]
    params: Map<String, Value>,
}

/// Reads a `loss_config`. `classes` is the number of outputs of the network, for losses over classes. Components that
/// the expression does not name are not looked at.
///
/// # Errors
/// `MODEL_FORM` for what cannot be read, `MODEL_LAYER` for a loss that is not known, `PIPELINE_ROW_COUPLING` for one that
/// mixes samples.
pub fn loss(config: &Value, classes: Option<u32>) -> R<ReadLoss> {
    let (terms, reads) = read("loss_config", config, classes, 1)?;
    let terms = terms.into_iter().map(|(weight, _, loss)| Ok(Term { weight: positive(weight)?, loss }));
    let mut terms = terms.collect::<R<Vec<Term>>>()?;
    let loss = match terms.pop() {
        Some(Term { weight, loss }) if terms.is_empty() && weight.value() == 1.0 => loss,
        Some(last) => {
            terms.push(last);
            Loss::Sum { terms }
        }
        None => return Err(refuse("loss_config", "no loss is left over")),
    };
    loss.figures().map_err(|refusal| refusal.at("loss_config"))?;
    Ok(ReadLoss { loss, reads })
}

fn refuse(field: &str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::ModelForm, sentence).at(field)
}

fn positive(weight: f64) -> R<schemas::text::Real> {
    let real = params::real(weight).filter(|_| weight > 0.0);
    real.ok_or_else(|| refuse("loss_config", format!("the weight {weight} of a loss does not lie above 0")))
}

/// A weighted sum of losses with the names of their components.
type Terms = Vec<(f64, String, Loss)>;

fn read(name: &str, config: &Value, classes: Option<u32>, depth: u32) -> R<(Terms, Reads)> {
    if depth > MAX_DEPTH {
        return Err(Refusal::new(Code::LimitExceeded, format!("losses nest at most {MAX_DEPTH} deep")).at(name));
    }
    let unread = |_| refuse(name, format!("{name}: a loss has a class and params, or an expression and components"));
    match serde_json::from_value(config.clone()).map_err(unread)? {
        Config::Atomic(Atomic { class, params }) => {
            let (loss, reads, _) = atomic(name, &class, params, classes)?;
            Ok((vec![(1.0, name.to_owned(), loss)], reads))
        }
        Config::Composed(composed) => composed.read(name, classes, depth),
    }
}

impl Composed {
    fn read(&self, field: &str, classes: Option<u32>, depth: u32) -> R<(Terms, Reads)> {
        if !matches!(self.reduction.as_deref(), None | Some("mean")) {
            return Err(refuse(field, "samples are averaged (reduction mean)"));
        }
        let mut all = Vec::new();
        let symbol = expression::evaluate(&self.expression, &mut |name| {
            if let Some(value) = self.variables.get(name) {
                return Ok(Symbol::Number(*value));
            }
            let (symbol, reads) = self.component(name, classes, depth)?;
            all.push(reads);
            Ok(symbol)
        })?;
        let Symbol::Losses(terms) = symbol else {
            return Err(refuse(field, "the expression does not come to a loss"));
        };
        match all.iter().find(|reads| **reads != Reads::Output) {
            None => Ok((terms, Reads::Output)),
            Some(reads) if all.iter().all(|other| other == reads) => Ok((terms, *reads)),
            Some(_) => {
                Err(refuse(field, "a loss on probabilities stands beside one on the output; use BCEWithLogitsLoss"))
            }
        }
    }

    fn component(&self, name: &str, classes: Option<u32>, depth: u32) -> R<(Symbol, Reads)> {
        let config = self.components.get(name).ok_or_else(|| refuse(name, format!("there is no component {name}")))?;
        if let Ok(Atomic { class, params }) = serde_json::from_value::<Atomic>(config.clone())
            && class == "torch.exp"
        {
            return self.probability(name, params, classes);
        }
        let (terms, reads) = read(name, config, classes, depth + 1)?;
        Ok((Symbol::Losses(terms), reads))
    }

    /// `torch.exp` of minus a cross-entropy per sample: the probability of the label's class.
    fn probability(&self, name: &str, given: Map<String, Value>, classes: Option<u32>) -> R<(Symbol, Reads)> {
        let mut params = Params::new(name, given);
        let input = params.word("input")?.unwrap_or_default();
        params.end()?;
        // "-$c", or "-c" as older files spell it.
        let of = input.strip_prefix('-').map(|rest| rest.strip_prefix('$').unwrap_or(rest));
        let of = of.ok_or_else(|| refuse(name, "torch.exp is known of minus a component alone"))?;
        let component = self.components.get(of).ok_or_else(|| refuse(of, format!("there is no component {of}")))?;
        let unread = |_| refuse(of, format!("{of} is no cross-entropy"));
        let Atomic { class, params } = serde_json::from_value(component.clone()).map_err(unread)?;
        let (loss, reads, per_sample) = atomic(of, &class, params, classes)?;
        if !matches!(loss, Loss::CrossEntropy { .. }) {
            return Err(refuse(of, format!("{of} is no cross-entropy")));
        }
        if !per_sample {
            let sentence = format!("e^-{of} of a mean over samples mixes them: give {of} the reduction \"none\"");
            return Err(Refusal::new(Code::PipelineRowCoupling, sentence).at(name));
        }
        Ok((Symbol::Probability(of.to_owned()), reads))
    }
}

/// A class or function as a loss, what it reads, and whether it keeps one value for each sample.
fn atomic(name: &str, class: &str, given: Map<String, Value>, classes: Option<u32>) -> R<(Loss, Reads, bool)> {
    let mut params = Params::new(format!("{name} ({class})"), given);
    let reduction = params.word("reduction")?;
    let per_sample = match reduction.as_deref() {
        None | Some("mean") => false,
        Some("none") => true,
        Some(other) => return Err(params.refuse(format!("the reduction {other} is not known; samples are averaged"))),
    };
    for (argument, words) in [("input", ["output", "outputs"]), ("target", ["target", "targets"])] {
        params.only(argument, &words.map(Value::from))?;
    }
    let classes = |params: &Params| {
        classes.ok_or_else(|| params.refuse("the number of classes is not known: the network ends in a vector of them"))
    };
    let (loss, reads) = match class.rsplit('.').next().unwrap_or(class) {
        "BCELoss" | "binary_cross_entropy" => (Loss::BinaryCrossEntropy {}, Reads::Sigmoid),
        "BCEWithLogitsLoss" | "binary_cross_entropy_with_logits" => (Loss::BinaryCrossEntropy {}, Reads::Output),
        "CrossEntropyLoss" | "cross_entropy" => {
            params.only("label_smoothing", &[json!(0)])?;
            (Loss::CrossEntropy { classes: classes(&params)? }, Reads::Output)
        }
        "NLLLoss" | "nll_loss" => (Loss::CrossEntropy { classes: classes(&params)? }, Reads::LogSoftmax),
        "MSELoss" | "mse_loss" => (Loss::MeanSquaredError {}, Reads::Output),
        "L1Loss" | "l1_loss" => (Loss::MeanAbsoluteError {}, Reads::Output),
        "HuberLoss" | "huber_loss" => (Loss::Huber { delta: params.real("delta", 1.0)? }, Reads::Output),
        // Huber's loss divided by β; at β = 1 they are the same.
        "SmoothL1Loss" | "smooth_l1_loss" => {
            params.only("beta", &[json!(1)])?;
            (Loss::Huber { delta: params.real("delta", 1.0)? }, Reads::Output)
        }
        "DiceLoss" => (dice(&mut params)?, Reads::Output),
        other => {
            let sentence = format!("{name}: the loss {other} is not known here");
            return Err(Refusal::new(Code::ModelLayer, sentence).at(name));
        }
    };
    if !known_root(class) {
        return Err(Refusal::new(Code::ModelLayer, format!("{name}: {class} is no class of torch or monai")).at(name));
    }
    params.end()?;
    Ok((loss, reads, per_sample))
}

fn known_root(class: &str) -> bool {
    let roots = ["nn.", "torch.nn.functional.", "torch.nn.", "F.", "monai.losses."];
    roots.iter().any(|root| class.strip_prefix(root).is_some_and(|rest| !rest.contains('.')))
}

/// MONAI's Dice loss of one channel, each sample for itself.
fn dice(params: &mut Params) -> R<Loss> {
    if params.flag("batch", false)? {
        let sentence = "DiceLoss with batch true mixes the samples of a batch: leave it false";
        return Err(Refusal::new(Code::PipelineRowCoupling, sentence).at("batch"));
    }
    for name in ["to_onehot_y", "softmax", "jaccard", "soft_label"] {
        params.only(name, &[json!(false)])?;
    }
    params.only("include_background", &[json!(true)])?;
    params.only("smooth_nr", &[json!(1e-5)])?;
    params.only("smooth_dr", &[json!(1e-5)])?;
    Ok(Loss::Dice { sigmoid: params.flag("sigmoid", false)?, squared: params.flag("squared_pred", false)? })
}
