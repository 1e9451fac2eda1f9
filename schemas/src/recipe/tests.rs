//! One training that goes together, and one thing spoilt at a time.

use super::*;
use crate::digest::Digest;
use crate::network::{Input, Layer, Network};
use crate::pipeline::{ColumnRef, Feature, FeatureForm, Labels, Model, Training};
use crate::problem::Code;
use crate::text::Bytes;
use crate::weights::Weights;

fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

fn column(name: &str) -> ColumnRef {
    ColumnRef { handle: "a".into(), column: name.into() }
}

fn picture(channels: u32, side: u32) -> Feature {
    let form = Some(FeatureForm::Image { channels, height: side, width: side });
    Feature { column: column("picture"), lower: real("0"), upper: real("1"), form }
}

fn number(name: &str) -> Feature {
    Feature { column: column(name), lower: real("0"), upper: real("1"), form: None }
}

fn recipe(loss: Loss) -> Recipe {
    let optimizer = Optimizer::Sgd { momentum: real("0.9"), weight_decay: real("0") };
    Recipe { loss, optimizer, schedule: Schedule::Constant {}, frozen: vec![], adapters: None }
}

/// A picture of 1×4×4 to three classes.
fn training() -> Training {
    let input = Input::Image { channels: 1, height: 4, width: 4 };
    let layers = vec![
        Layer::Conv2d { channels_in: 1, channels_out: 2, kernel: 3, stride: 1, padding: 1, bias: true },
        Layer::Flatten {},
        Layer::Residual { body: vec![Layer::Linear { inputs: 32, outputs: 32, bias: true }], shortcut: vec![] },
        Layer::Linear { inputs: 32, outputs: 3, bias: true },
    ];
    Training {
        name: "model".into(),
        input: "rows".into(),
        private: true,
        model: Model::Network { network: Network { input, layers } },
        features: vec![picture(1, 4)],
        target: column("y"),
        positive: String::new(),
        principal: column("id"),
        epsilon: Some(real("1")),
        delta: Some(real("0.00001")),
        steps: 100,
        sample_rate: real("0.1"),
        clipping_norm: real("1"),
        learning_rate: real("0.1"),
        split_salt: Bytes(vec![0; 32]),
        train_ppm: 800_000,
        init_seed: 0,
        metrics: None,
        recipe: Some(recipe(Loss::CrossEntropy { classes: 3 })),
        labels: Some(Labels::Classes { classes: vec!["a".into(), "b".into(), "c".into()] }),
        weights: None,
    }
}

fn network(training: &mut Training) -> &mut Network {
    let Model::Network { network } = &mut training.model else { panic!("a network") };
    network
}

fn adapters(training: &mut Training, targets: &[&str]) {
    let targets = targets.iter().map(|t| (*t).to_owned()).collect();
    let adapters = Adapters { rank: 4, alpha: real("8"), targets, trained: vec!["3.".into()] };
    training.recipe.as_mut().unwrap().adapters = Some(adapters);
}

#[test]
fn a_training_whose_parts_go_together_has_its_shapes() {
    let shapes = training().shapes().unwrap();
    assert_eq!(shapes.parameter_count, 20 + 32 * 33 + 33 * 3);
    let mut fine = training();
    adapters(&mut fine, &["2.body.0", "3"]);
    assert!(fine.shapes().is_ok());
    let mut fine = training();
    fine.recipe.as_mut().unwrap().frozen = vec!["0.".into(), "2.body.0.weight".into()];
    assert!(fine.shapes().is_ok());
    // The plain models are networks too, under the names that they always had.
    let mut plain = training();
    (plain.recipe, plain.labels) = (None, None);
    plain.features = vec![number("x"), number("z")];
    for (model, names) in [
        (Model::LogisticRegression, vec!["0.weight", "0.bias"]),
        (Model::Mlp { hidden: vec![5] }, vec!["0.weight", "0.bias", "2.weight", "2.bias"]),
    ] {
        plain.model = model;
        let shapes = plain.shapes().unwrap();
        assert_eq!(shapes.parameters.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), names);
    }
}

/// What is spoilt, where it is refused.
type Case = (&'static str, Code, fn(&mut Training));

#[test]
fn one_spoilt_part_is_refused() {
    fn loss(training: &mut Training, loss: Loss) {
        training.recipe.as_mut().unwrap().loss = loss;
    }
    fn schedule(training: &mut Training, schedule: Schedule) {
        training.recipe.as_mut().unwrap().schedule = schedule;
    }
    fn optimizer(training: &mut Training, optimizer: Optimizer) {
        training.recipe.as_mut().unwrap().optimizer = optimizer;
    }
    let bad = Code::PipelineInvalid;
    let cases: Vec<Case> = vec![
        ("model.1", Code::ModelShape, |t| network(t).layers[1] = Layer::MeanTokens {}),
        ("model.network.input", bad, |t| t.features = vec![picture(1, 5)]),
        ("model.network.input", bad, |t| t.features.push(number("x"))),
        ("labels", bad, |t| t.labels = None),
        ("labels", bad, |t| loss(t, Loss::CrossEntropy { classes: 4 })),
        ("recipe.loss", bad, |t| t.recipe = None),
        ("recipe.loss", bad, |t| loss(t, Loss::CrossEntropy { classes: 1 })),
        ("recipe.loss", bad, |t| loss(t, Loss::MeanSquaredError {})),
        ("recipe.loss", bad, |t| loss(t, Loss::Focal { classes: 3, alpha: real("1"), gamma: real("0.5") })),
        ("recipe.loss", bad, |t| loss(t, Loss::Focal { classes: 3, alpha: real("0"), gamma: real("2") })),
        ("recipe.loss", bad, |t| loss(t, Loss::Sum { terms: vec![] })),
        ("recipe.loss", bad, |t| {
            let term = |loss| Term { weight: real("1"), loss };
            let terms = vec![term(Loss::CrossEntropy { classes: 3 }), term(Loss::MeanSquaredError {})];
            loss(t, Loss::Sum { terms });
        }),
        ("recipe.loss", bad, |t| {
            let term = Term { weight: real("1"), loss: Loss::CrossEntropy { classes: 3 } };
            loss(t, Loss::Sum { terms: vec![term; 9] });
        }),
        ("recipe.loss", bad, |t| {
            network(t).layers[3] = Layer::Linear { inputs: 32, outputs: 2, bias: true };
        }),
        ("recipe.loss", bad, |t| {
            t.labels = Some(Labels::Mask { height: 4, width: 4, threshold_ppm: 1 });
            network(t).layers.truncate(1);
            loss(t, Loss::BinaryCrossEntropy {});
        }),
        ("recipe.loss", bad, |t| {
            t.labels = Some(Labels::Number { lower: real("0"), upper: real("1") });
            network(t).layers[3] = Layer::Linear { inputs: 32, outputs: 1, bias: true };
            loss(t, Loss::BinaryCrossEntropy {});
        }),
        ("recipe.loss", bad, |t| {
            t.labels = None;
            network(t).layers[3] = Layer::Linear { inputs: 32, outputs: 1, bias: true };
            loss(t, Loss::Dice { sigmoid: false, squared: false });
        }),
        ("recipe.schedule", bad, |t| schedule(t, Schedule::Step { every: 0, factor: real("0.5") })),
        ("recipe.schedule", bad, |t| schedule(t, Schedule::Cosine { floor: real("1.5") })),
        ("recipe.schedule", bad, |t| schedule(t, Schedule::Cyclic { up: 5, peak: real("0.5") })),
        ("recipe.schedule", bad, |t| {
            let once = Schedule::Warmup { steps: 5, then: Box::new(Schedule::Constant {}) };
            schedule(t, Schedule::Warmup { steps: 5, then: Box::new(once) });
        }),
        ("recipe.optimizer", bad, |t| optimizer(t, Optimizer::Sgd { momentum: real("1"), weight_decay: real("0") })),
        ("recipe.optimizer", bad, |t| {
            let (beta1, beta2) = (real("0.9"), real("0.999"));
            optimizer(t, Optimizer::Adam { beta1, beta2, epsilon: real("0"), weight_decay: real("0") });
        }),
        ("recipe.frozen", bad, |t| t.recipe.as_mut().unwrap().frozen = vec!["9.".into()]),
        ("recipe.frozen", bad, |t| t.recipe.as_mut().unwrap().frozen = ["0.", "2.", "3."].map(String::from).into()),
        ("recipe.adapters.targets", bad, |t| adapters(t, &["0"])),
        ("recipe.adapters.targets", bad, |t| adapters(t, &["2.body"])),
        ("recipe.adapters.targets", bad, |t| adapters(t, &["3", "3"])),
        ("recipe.adapters.targets", bad, |t| adapters(t, &[])),
        ("recipe.adapters.rank", bad, |t| {
            adapters(t, &["3"]);
            t.recipe.as_mut().unwrap().adapters.as_mut().unwrap().rank = 0;
        }),
        ("recipe.frozen", bad, |t| {
            adapters(t, &["3"]);
            t.recipe.as_mut().unwrap().frozen = vec!["0.".into()];
        }),
    ];
    for (at, (field, code, spoil)) in cases.into_iter().enumerate() {
        let mut spoilt = training();
        spoil(&mut spoilt);
        let refusal = spoilt.shapes().unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_deref()), (code, Some(field)), "case {at}: {refusal}");
    }
}

#[test]
fn masks_go_with_dice_and_images() {
    let mut mask = training();
    mask.labels = Some(Labels::Mask { height: 4, width: 4, threshold_ppm: 500_000 });
    let conv = Layer::Conv2d { channels_in: 1, channels_out: 1, kernel: 3, stride: 1, padding: 1, bias: true };
    network(&mut mask).layers = vec![conv, Layer::Sigmoid {}];
    let term = |weight: &str, loss| Term { weight: real(weight), loss };
    let terms = vec![
        term("1", Loss::Dice { sigmoid: true, squared: true }),
        term("2", Loss::MeanAbsoluteError {}),
        term("1", Loss::Dice { sigmoid: false, squared: false }),
    ];
    mask.recipe = Some(recipe(Loss::Sum { terms }));
    assert_eq!(mask.shapes().unwrap().parameter_count, 10);
    network(&mut mask).layers.pop();
    assert_eq!(mask.shapes().unwrap_err().field.as_deref(), Some("recipe.loss"));
}

/// Parameters that no file gives are named, known, learnt, and not all there are.
#[test]
fn what_weights_leave_out_is_learnt() {
    let with = |fresh: &[&str], frozen: &[&str]| {
        let mut training = training();
        let fresh = fresh.iter().map(|f| (*f).to_owned()).collect();
        training.weights = Some(Weights { sha256: Digest([1; 32]), fresh, sealed: None });
        training.recipe.as_mut().unwrap().frozen = frozen.iter().map(|f| (*f).to_owned()).collect();
        training
    };
    let refused = |training: Training| {
        let refusal = training.shapes().unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_deref()), (Code::PipelineInvalid, Some("weights.fresh")));
    };
    assert!(with(&[], &["0."]).shapes().is_ok());
    assert!(with(&["3."], &["0."]).shapes().is_ok());
    refused(with(&["7."], &[]));
    refused(with(&["0.", "2.", "3."], &[]));
    refused(with(&["3.bias"], &["3."]));
    // With adapters only what they train whole may be fresh.
    let adapted = |fresh: &[&str]| {
        let mut training = with(fresh, &[]);
        adapters(&mut training, &["2.body.0"]);
        training
    };
    assert!(adapted(&["3."]).shapes().is_ok());
    refused(adapted(&["0."]));
}

#[test]
fn tokens_are_whole_numbers_of_the_vocabulary() {
    let mut tokens = training();
    *network(&mut tokens) = Network {
        input: Input::Tokens { length: 2, vocabulary: 20 },
        layers: vec![
            Layer::Embedding { count: 20, width: 4 },
            Layer::MeanTokens {},
            Layer::Linear { inputs: 4, outputs: 3, bias: true },
        ],
    };
    let token = |name: &str, lower: &str, upper: &str| Feature {
        column: column(name),
        lower: real(lower),
        upper: real(upper),
        form: None,
    };
    tokens.features = vec![token("x", "0", "19"), token("z", "1", "2")];
    tokens.shapes().unwrap();
    for (lower, upper) in [("0", "20"), ("0.5", "19"), ("0", "18.5")] {
        let mut spoilt = tokens.clone();
        spoilt.features[1] = token("z", lower, upper);
        let refused = spoilt.shapes().unwrap_err();
        assert_eq!(
            (refused.code, refused.field.as_deref()),
            (Code::PipelineInvalid, Some("features")),
            "{lower} {upper}"
        );
    }
    tokens.features = vec![picture(1, 1), token("z", "1", "2")];
    assert_eq!(tokens.shapes().unwrap_err().field.as_deref(), Some("features"));
}
