//! `optimizer` and `scheduler` of a training.

use schemas::recipe::{Optimizer, Schedule};
use schemas::text::Real;
use schemas::{Code, R, Refusal};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::params::{self, Params};
use crate::notice::Notice;

/// A class of `torch.optim` with its arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The class.
    pub name: String,
    /// Its arguments.
    #[serde(default)]
    pub params: Map<String, Value>,
}

/// The optimiser and its learning rate. Without one it is SGD at 10^-3, torch's default.
pub fn optimizer(named: Option<Named>) -> R<(Optimizer, Real)> {
    let Named { name, params } = named.unwrap_or_else(|| Named { name: "SGD".into(), params: Map::new() });
    let mut params = Params::new(format!("optimizer ({name})"), params);
    let rate = params.real("lr", 0.001)?;
    for flag in ["maximize", "nesterov", "amsgrad", "differentiable"] {
        params.only(flag, &[json!(false)])?;
    }
    for speed in ["foreach", "fused", "capturable"] {
        params.ignore(speed);
    }
    let optimizer = match name.as_str() {
        "SGD" => {
            params.only("dampening", &[json!(0)])?;
            Optimizer::Sgd { momentum: params.real("momentum", 0.0)?, weight_decay: params.real("weight_decay", 0.0)? }
        }
        "Adam" | "AdamW" => {
            let (beta1, beta2) = betas(&mut params)?;
            let epsilon = params.real("eps", 1e-8)?;
            let weight_decay = params.real("weight_decay", if name == "Adam" { 0.0 } else { 0.01 })?;
            match name.as_str() {
                "Adam" => Optimizer::Adam { beta1, beta2, epsilon, weight_decay },
                _ => Optimizer::AdamW { beta1, beta2, epsilon, weight_decay },
            }
        }
        other => {
            let sentence = format!("the optimizer {other} is not known here; SGD, Adam and AdamW are");
            return Err(Refusal::new(Code::ModelLayer, sentence).at("optimizer"));
        }
    };
    params.end()?;
    Ok((optimizer, rate))
}

fn betas(params: &mut Params) -> R<(Real, Real)> {
    let unread = params.refuse("betas are two numbers from 0 to below 1");
    let given = params.take("betas").unwrap_or_else(|| json!([0.9, 0.999]));
    let pair: Vec<Real> =
        given.as_array().into_iter().flatten().filter_map(Value::as_f64).filter_map(params::real).collect();
    <[Real; 2]>::try_from(pair).map(|[one, two]| (one, two)).map_err(|_| unread)
}

/// The schedule. The reference's schedulers count in epochs where torch's examples do; here all count in steps.
pub fn schedule(
    named: Option<Named>,
    rate: &mut Real,
    per_epoch: Option<u32>,
    notices: &mut Vec<Notice>,
) -> R<Schedule> {
    let Some(Named { name, params }) = named else { return Ok(Schedule::Constant {}) };
    let mut params = Params::new(format!("scheduler ({name})"), params);
    params.ignore("verbose");
    params.only("last_epoch", &[json!(-1)])?;
    let schedule = match name.as_str() {
        "StepLR" => step(&mut params, per_epoch, notices)?,
        "CosineAnnealingLR" => {
            params.ignore("T_max");
            notices.push(Notice::new("scheduler.T_max", "the half cosine spans all steps of the run"));
            Schedule::Cosine { floor: ratio(params.number("eta_min")?.unwrap_or(0.0), rate, &params)? }
        }
        "CyclicLR" => cyclic(&mut params, rate, notices)?,
        // Known, but it watches a loss: the reader hears why it cannot be.
        "ReduceLROnPlateau" => {
            let sentence = "ReduceLROnPlateau looks at a loss of private data again and again, which no plan charges; \
                            StepLR, CosineAnnealingLR and CyclicLR look at the step alone";
            return Err(Refusal::new(Code::ModelLayer, sentence).at("scheduler"));
        }
        other => {
            let sentence =
                format!("the scheduler {other} is not known here; StepLR, CosineAnnealingLR and CyclicLR are");
            return Err(Refusal::new(Code::ModelLayer, sentence).at("scheduler"));
        }
    };
    params.end()?;
    Ok(schedule)
}

fn step(params: &mut Params, per_epoch: Option<u32>, notices: &mut Vec<Notice>) -> R<Schedule> {
    let epochs = params.count("step_size")?;
    let needed = params.refuse("step_size counts epochs; the public number of rows is needed to count steps");
    let every = per_epoch.and_then(|steps| steps.checked_mul(epochs)).ok_or(needed)?;
    notices.push(Notice::new("scheduler.step_size", format!("{epochs} epochs are {every} steps")));
    Ok(Schedule::Step { every, factor: params.real("gamma", 0.1)? })
}

fn cyclic(params: &mut Params, rate: &mut Real, notices: &mut Vec<Notice>) -> R<Schedule> {
    params.only("mode", &[json!("triangular")])?;
    params.only("gamma", &[json!(1)])?;
    params.only("scale_mode", &[json!("cycle")])?;
    for name in ["base_momentum", "max_momentum"] {
        params.ignore(name);
    }
    if params.flag("cycle_momentum", true)? {
        notices.push(Notice::new("scheduler.cycle_momentum", "momentum stays constant"));
    }
    let up = params.maybe("step_size_up")?.unwrap_or(2_000);
    if params.maybe("step_size_down")?.is_some_and(|down| down != up) {
        return Err(params.refuse("both flanks are equally long here"));
    }
    let base = params.number("base_lr")?.and_then(params::real).filter(|base| base.value() > 0.0);
    let missing = params.refuse("base_lr and max_lr lie above 0");
    *rate = base.ok_or(missing)?;
    let peak = params.number("max_lr")?.unwrap_or(rate.value());
    let peak = ratio(peak, rate, params)?;
    Ok(Schedule::Cyclic { up, peak })
}

/// A rate as a factor of another, with at most twelve decimals.
fn ratio(rate: f64, of: &Real, params: &Params) -> R<Real> {
    let unfit = || params.refuse("a rate is no number from 0");
    let exact = rate / of.value();
    let rounded = (exact * 1e12).round() / 1e12;
    if of.value() > 0.0 { params::real(rounded).ok_or_else(unfit) } else { Err(unfit()) }
}
