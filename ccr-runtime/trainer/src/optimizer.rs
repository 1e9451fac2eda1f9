//! What is done with the noised mean gradient: post-processing, by public constants alone.
//!
//! Everything is reckoned in double precision, number by number in a fixed order, so that a training that goes on from a
//! checkpoint gives the same bits. No weight leaves [`MOST_WEIGHT`]. What an optimiser remembers between steps is a [`Memory`], part of the checkpoint.

use schemas::recipe::{Optimizer, Recipe, Schedule};

use crate::lanes;
use crate::model::{MOST_WEIGHT, Parameter};

/// What an optimiser remembers is set back to this, so that it stays finite.
const MOST_MOMENT: f64 = 1e30;

/// What an optimiser remembers: for every parameter its running moments, one after the other; empty for plain SGD.
pub type Memory = Vec<Vec<f64>>;

/// The public figures of one step.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What noised sums are divided by.
    pub divisor: f64,
    /// The training's learning rate.
    pub learning_rate: f64,
    /// The step, from 1.
    pub step: u32,
    /// All steps.
    pub steps: u32,
}

/// The rule of a training.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    kind: Kind,
    schedule: Schedule,
}

#[derive(Clone, PartialEq, Debug)]
enum Kind {
    Sgd { momentum: f64, decay: f64 },
    Adam { beta1: f64, beta2: f64, epsilon: f64, decay: f64, apart: bool },
}

impl Rule {
    /// The rule of a recipe; plain SGD at a constant rate without one.
    pub fn new(recipe: Option<&Recipe>) -> Rule {
        let Some(recipe) = recipe else {
            return Rule { kind: Kind::Sgd { momentum: 0.0, decay: 0.0 }, schedule: Schedule::Constant {} };
        };
        let adam = |beta1: f64, beta2, epsilon, decay, apart| Kind::Adam { beta1, beta2, epsilon, decay, apart };
        let kind = match &recipe.optimizer {
            Optimizer::Sgd { momentum, weight_decay } => {
                Kind::Sgd { momentum: momentum.value(), decay: weight_decay.value() }
            }
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay } => {
                adam(beta1.value(), beta2.value(), epsilon.value(), weight_decay.value(), false)
            }
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                adam(beta1.value(), beta2.value(), epsilon.value(), weight_decay.value(), true)
            }
        };
        Rule { kind, schedule: recipe.schedule.clone() }
    }

    /// An empty memory for these parameters.
    pub fn memory(&self, parameters: &[Parameter]) -> Memory {
        let moments = match self.kind {
            Kind::Sgd { momentum: 0.0, .. } => return Memory::new(),
            Kind::Sgd { .. } => 1,
            Kind::Adam { .. } => 2,
        };
        parameters.iter().flat_map(|p| (0..moments).map(|_| vec![0.0; p.values.len()])).collect()
    }

    /// One step: `sums` over the divisor is the noised mean.
    pub fn step(&self, parameters: &mut [Parameter], memory: &mut Memory, sums: &[Vec<f64>], pace: Pace) {
        let Pace { divisor, step, .. } = pace;
        let rate = pace.learning_rate * factor(&self.schedule, step.saturating_sub(1), pace.steps);
        match self.kind {
            Kind::Sgd { momentum: 0.0, decay: 0.0 } => {
                let rate = rate / divisor;
                for (parameter, sum) in parameters.iter_mut().zip(sums) {
                    lanes::descend(&mut parameter.values, sum, rate, MOST_WEIGHT);
                }
            }
            Kind::Sgd { momentum, decay } => {
                let mut none = Vec::new();
                for (place, (parameter, sum)) in parameters.iter_mut().zip(sums).enumerate() {
                    let velocity = memory.get_mut(place).unwrap_or(&mut none);
                    velocity.resize(sum.len(), 0.0);
                    for ((value, gradient), v) in parameter.values.iter_mut().zip(sum).zip(velocity) {
                        *v = finite(momentum * *v + gradient / divisor + decay * *value);
                        *value = (*value - rate * *v).clamp(-MOST_WEIGHT, MOST_WEIGHT);
                    }
                }
            }
            Kind::Adam { beta1, beta2, epsilon, decay, apart } => {
                let debias = |beta: f64| 1.0 - beta.powf(f64::from(step));
                let (first, second) = (debias(beta1), debias(beta2));
                for ((parameter, sum), moments) in parameters.iter_mut().zip(sums).zip(memory.chunks_mut(2)) {
                    let [mean, square] = moments else { continue };
                    let values = parameter.values.iter_mut().zip(sum).zip(mean.iter_mut().zip(square));
                    for ((value, gradient), (m, v)) in values {
                        let pull = decay * *value;
                        let g = finite(gradient / divisor + if apart { 0.0 } else { pull });
                        *m = beta1 * *m + (1.0 - beta1) * g;
                        *v = beta2 * *v + (1.0 - beta2) * g * g;
                        let step = *m / first / ((*v / second).sqrt() + epsilon);
                        let moved = *value - rate * (step + if apart { pull } else { 0.0 });
                        *value = moved.clamp(-MOST_WEIGHT, MOST_WEIGHT);
                    }
                }
            }
        }
    }
}

/// Moments stay finite, however large a gradient may be.
fn finite(value: f64) -> f64 {
    value.clamp(-MOST_MOMENT, MOST_MOMENT)
}

/// The learning rate's factor after `done` of `steps` steps.
fn factor(schedule: &Schedule, done: u32, steps: u32) -> f64 {
    let at = f64::from(done);
    match schedule {
        Schedule::Constant {} => 1.0,
        Schedule::Step { every, factor } => factor.value().powf(f64::from(done / (*every).max(1))),
        Schedule::Cosine { floor } => {
            let share = at / f64::from(steps.max(1));
            floor.value() + (1.0 - floor.value()) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
        }
        Schedule::Cyclic { up, peak } => {
            let up = (*up).max(1);
            let place = f64::from(done % up.saturating_mul(2)) / f64::from(up);
            1.0 + (peak.value() - 1.0) * (1.0 - (place - 1.0).abs())
        }
        Schedule::Warmup { steps: rise, then } => {
            if done < *rise {
                (at + 1.0) / f64::from(*rise)
            } else {
                self::factor(then, done - rise, steps.saturating_sub(*rise))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::recipe::Loss;

    use super::*;
    use crate::fixtures::real;

    fn recipe(optimizer: Optimizer, schedule: Schedule) -> Recipe {
        Recipe { loss: Loss::BinaryCrossEntropy {}, optimizer, schedule, frozen: vec![], adapters: None }
    }

    /// The weight after some steps on f(w) = w²/2, from 2.
    fn walked(optimizer: Optimizer, steps: u32) -> f64 {
        let rule = Rule::new(Some(&recipe(optimizer, Schedule::Constant {})));
        let mut parameters = [Parameter { name: "w".into(), shape: vec![1], values: vec![2.0] }];
        let mut memory = rule.memory(&parameters);
        for step in 1..=steps {
            let sums = [vec![parameters[0].values[0] * 10.0]];
            rule.step(&mut parameters, &mut memory, &sums, Pace { divisor: 10.0, learning_rate: 0.1, step, steps });
        }
        parameters[0].values[0]
    }

    #[test]
    fn optimisers_take_the_steps_of_their_papers() {
        let sgd = |momentum, decay| Optimizer::Sgd { momentum: real(momentum), weight_decay: real(decay) };
        assert!((walked(sgd("0", "0"), 2) - 2.0 * 0.81).abs() < 1e-12);
        assert!((walked(sgd("0", "0.5"), 1) - (2.0 - 0.1 * (2.0 + 1.0))).abs() < 1e-12);
        // v1 = 2, w1 = 1.8; v2 = 0.9 · 2 + 1.8 = 3.6, w2 = 1.44.
        assert!((walked(sgd("0.9", "0"), 2) - 1.44).abs() < 1e-12);
        let adam = |apart, decay: &str| {
            let (beta1, beta2, epsilon) = (real("0.9"), real("0.999"), real("0.00000001"));
            let weight_decay = real(decay);
            match apart {
                false => Optimizer::Adam { beta1, beta2, epsilon, weight_decay },
                true => Optimizer::AdamW { beta1, beta2, epsilon, weight_decay },
            }
        };
        // The first step of Adam is the rate, whatever the gradient.
        assert!((walked(adam(false, "0"), 1) - 1.9).abs() < 1e-7);
        assert!((walked(adam(false, "0.5"), 1) - 1.9).abs() < 1e-7);
        assert!((walked(adam(true, "0.5"), 1) - (1.9 - 0.1 * 0.5 * 2.0)).abs() < 1e-7);
        assert!(walked(adam(false, "0"), 200).abs() < 0.1);
    }

    #[test]
    fn schedules_follow_the_number_of_the_step() {
        let at = |schedule: &Schedule, done| factor(schedule, done, 100);
        let step = Schedule::Step { every: 10, factor: real("0.5") };
        assert_eq!([at(&step, 0), at(&step, 9), at(&step, 10), at(&step, 25)], [1.0, 1.0, 0.5, 0.25]);
        let cosine = Schedule::Cosine { floor: real("0.2") };
        assert!((at(&cosine, 0) - 1.0).abs() < 1e-12 && (at(&cosine, 50) - 0.6).abs() < 1e-12);
        assert!((at(&cosine, 100) - 0.2).abs() < 1e-12);
        let cyclic = Schedule::Cyclic { up: 10, peak: real("5") };
        assert_eq!([at(&cyclic, 0), at(&cyclic, 5), at(&cyclic, 10), at(&cyclic, 15)], [1.0, 3.0, 5.0, 3.0]);
        let warm = Schedule::Warmup { steps: 4, then: Box::new(Schedule::Step { every: 10, factor: real("0.5") }) };
        assert_eq!([at(&warm, 0), at(&warm, 3), at(&warm, 4), at(&warm, 14)], [0.25, 1.0, 1.0, 0.5]);
    }
}
