//! Composed losses: walked, counted, and their figures judged.

use super::{Loss, MAX_TERMS, Term};
use crate::problem::{Code, R, Refusal};
use crate::text::Real;

impl Loss {
    /// Whether this holds for the loss or one of its terms.
    pub fn any(&self, holds: &dyn Fn(&Loss) -> bool) -> bool {
        holds(self) || matches!(self, Loss::Sum { terms } if terms.iter().any(|term| term.loss.any(holds)))
    }

    /// Judges the figures, and that all terms read the same kind of label.
    ///
    /// # Errors
    /// `PIPELINE_INVALID`.
    pub fn figures(&self) -> R<()> {
        let mut counted = 0;
        self.judge(&mut counted)?;
        let classes = self.classes();
        let mixed = self.any(&|loss| !matches!(loss, Loss::Sum { .. }) && loss.classes() != classes);
        if mixed { Err(refuse("The terms of a loss read the same label: all classes, or none.")) } else { Ok(()) }
    }

    fn judge(&self, counted: &mut usize) -> R<()> {
        match self {
            Loss::BinaryCrossEntropy {}
            | Loss::MeanSquaredError {}
            | Loss::MeanAbsoluteError {}
            | Loss::Dice { .. } => Ok(()),
            Loss::CrossEntropy { classes } => several(*classes),
            Loss::Focal { classes, alpha, gamma } => {
                several(*classes)?;
                within(alpha, 1e-6, 1e6)?;
                if gamma.value() == 0.0 { Ok(()) } else { within(gamma, 1.0, 10.0) }
            }
            Loss::Huber { delta } => within(delta, 1e-6, 1e6),
            Loss::Sum { terms } => {
                *counted += terms.len().max(1);
                if terms.is_empty() || *counted > MAX_TERMS {
                    return Err(refuse(format!("A composed loss has 1 to {MAX_TERMS} terms, inner ones counted.")));
                }
                terms.iter().try_for_each(|Term { weight, loss }| within(weight, 1e-6, 1e6).and(loss.judge(counted)))
            }
        }
    }
}

fn refuse(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::PipelineInvalid, sentence).at("recipe.loss")
}

fn several(classes: u32) -> R<()> {
    if classes >= 2 { Ok(()) } else { Err(refuse("There are at least two classes.")) }
}

fn within(real: &Real, least: f64, most: f64) -> R<()> {
    let fits = (least..=most).contains(&real.value());
    if fits { Ok(()) } else { Err(refuse(format!("{real} does not lie from {least} to {most}."))) }
}
