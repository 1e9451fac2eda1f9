//! Descriptions in the reference's form, one thing spoilt at a time.

#![allow(clippy::unwrap_used, clippy::panic)] // tests

use models::reference::{Options, Public, loss, model, training, trees};
use schemas::network::{Input, Layer};
use schemas::recipe::{Loss, Optimizer, Schedule};
use schemas::{Code, Refusal};
use serde_json::{Value, json};

/// A picture of 1×8×8 through one convolution with its norm, beside itself, to three classes.
fn config() -> Value {
    json!({
        "submodules": {"Block": {
            "layers": {
                "conv": {"class": "nn.Conv2d", "params":
                    {"in_channels": "$in", "out_channels": "$out", "kernel_size": [3, 3], "padding": "same"}},
                "norm": {"class": "nn.GroupNorm", "params": {"num_groups": 2, "num_channels": "$out"}}
            },
            "input": ["x"],
            "forward": [{"ops": ["conv", "norm", "F.relu"], "input": ["x"], "output": "y"}],
            "output": ["y"]
        }},
        "layers": {
            "block": {"submodule": "Block", "params": {"in": 1, "out": 4}},
            "pool": {"class": "nn.AdaptiveAvgPool2d", "params": {"output_size": 1}},
            "fc": {"class": "nn.Linear", "params": {"in_features": 5, "out_features": 3}}
        },
        "input": ["x"],
        "forward": [
            {"ops": ["block"], "input": ["x"], "output": "a"},
            {"ops": [["torch.cat", {"dim": 1}]], "input": [["a", "x"]], "output": "b"},
            {"ops": ["pool", ["torch.flatten", {"start_dim": 1}], "fc"], "input": ["b"], "output": "c"}
        ],
        "output": ["c"]
    })
}

const INPUT: Input = Input::Image { channels: 1, height: 8, width: 8 };

fn refusal(config: &Value) -> Refusal {
    model(config, INPUT, &Options::default()).unwrap_err()
}

#[test]
fn sub_modules_and_skips_are_read_with_the_places_of_their_weights() {
    let read = model(&config(), INPUT, &Options::default()).unwrap();
    let [Layer::Skip { body, input_first: false }, rest @ ..] = read.network.layers.as_slice() else { panic!() };
    assert_eq!(body.len(), 3);
    assert_eq!(rest.len(), 3);
    let paths: Vec<(&str, &str)> = read.paths.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(paths, [("block.conv", "0.body.0"), ("block.norm", "0.body.1"), ("fc", "3")]);
    assert!(read.notices.is_empty());
}

#[test]
fn one_spoilt_thing_is_refused() {
    let step = |ops: Value| json!({"ops": ops, "input": ["x"], "output": "a"});
    let cases: Vec<(&str, Value, Code)> = vec![
        ("/layers/block/params/in", json!(2), Code::ModelShape),
        ("/layers/block/params", json!({"out": 4}), Code::ModelForm),
        ("/layers/block/submodule", json!("Nobody"), Code::ModelForm),
        ("/layers/fc/params/in_features", json!(4), Code::ModelShape),
        ("/layers/fc/params/surprise", json!(4), Code::ModelForm),
        ("/layers/fc/class", json!("nn.Bilinear"), Code::ModelLayer),
        ("/layers/fc/class", json!("os.system"), Code::ModelLayer),
        ("/layers/pool", json!({"class": "nn.BatchNorm2d", "params": {"num_features": 5}}), Code::PipelineRowCoupling),
        ("/layers/pool", json!({"class": "nn.ConvTranspose2d", "params": {}}), Code::ModelLayer),
        ("/forward/0", step(json!(["block", "F.batch_norm"])), Code::PipelineRowCoupling),
        ("/forward/0", step(json!(["block", "torch.load"])), Code::ModelLayer),
        ("/forward/0", step(json!(["block", "F.softmax"])), Code::PipelineRowCoupling),
        ("/forward/0", step(json!(["block", ["F.softmax", {"dim": 1}]])), Code::ModelLayer),
        ("/forward/0", step(json!(["block", ["F.relu", {"out": 1}]])), Code::ModelLayer),
        ("/forward/0", step(json!(["block", "block"])), Code::ModelLayer),
        ("/forward/0/input", json!(["nobody"]), Code::ModelForm),
        ("/forward/1/ops/0/1/dim", json!(0), Code::PipelineRowCoupling),
        ("/forward/1/ops/0/1/dim", json!(2), Code::ModelForm),
        ("/forward/2/ops/1/1/start_dim", json!(0), Code::PipelineRowCoupling),
        ("/forward/2/ops", json!(vec!["F.relu"; 11]), Code::LimitExceeded),
        ("/output", json!(["c", "b"]), Code::ModelForm),
        ("/output", json!([]), Code::ModelForm),
    ];
    for (place, value, code) in cases {
        let mut spoilt = config();
        match spoilt.pointer_mut(place) {
            Some(old) => *old = value,
            None => {
                let (parent, name) = place.rsplit_once('/').unwrap();
                spoilt.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
            }
        }
        let refusal = refusal(&spoilt);
        assert_eq!(refusal.code, code, "{place}: {refusal}");
    }
    let mut long = config();
    *long.pointer_mut("/forward").unwrap() = Value::Array(vec![config().pointer("/forward/0").unwrap().clone(); 201]);
    assert_eq!(refusal(&long).code, Code::LimitExceeded);
    assert_eq!(refusal(&json!({"layers": 3})).code, Code::ModelForm);
}

#[test]
fn sub_modules_that_multiply_end_at_a_bound() {
    // Each of thirty modules uses the next one twice: 2^30 uses, and none of them learns anything.
    let mut submodules = serde_json::Map::new();
    for at in 0..12 {
        let inner = format!("m{}", at + 1);
        let module = json!({
            "layers": {"a": {"submodule": inner, "params": {}}},
            "input": ["x"],
            "forward": [{"ops": vec!["a"; 10], "input": ["x"], "output": "y"}],
            "output": ["y"]
        });
        submodules.insert(format!("m{at}"), module);
    }
    let leaf = json!({"layers": {}, "input": ["x"], "forward": [], "output": ["x"]});
    submodules.insert("m12".into(), leaf);
    let config = json!({
        "submodules": submodules,
        "layers": {"a": {"submodule": "m0", "params": {}}},
        "input": ["x"],
        "forward": [{"ops": ["a"], "input": ["x"], "output": "y"}],
        "output": ["y"]
    });
    assert_eq!(refusal(&config).code, Code::LimitExceeded);
}

#[test]
fn what_cannot_be_trained_privately_is_replaced_where_that_is_asked_for() {
    let mut config = config();
    config["layers"]["pool"] = json!({"class": "nn.BatchNorm2d", "params": {"num_features": 5}});
    let ops = json!(["pool", "F.dropout", ["F.adaptive_avg_pool2d", {"output_size": [1, 1]}], "fc"]);
    config["forward"][2]["ops"] = ops;
    let read = model(&config, INPUT, &Options { replace: true }).unwrap();
    assert!(read.network.layers.contains(&Layer::GroupNorm { groups: 5, channels: 5 }));
    let fields: Vec<&str> = read.notices.iter().map(|notice| notice.field.as_str()).collect();
    assert_eq!(fields, ["pool", "F.dropout"]);
}

#[test]
fn losses_are_read_as_what_they_mean() {
    let of = |config: Value| loss(&config, Some(4)).map(|read| read.loss);
    let atomic = |class: &str, params: Value| json!({"class": class, "params": params});
    assert_eq!(of(atomic("nn.MSELoss", json!({}))).unwrap(), Loss::MeanSquaredError {});
    assert_eq!(
        of(atomic("F.cross_entropy", json!({"input": "outputs", "target": "targets"}))).unwrap(),
        Loss::CrossEntropy { classes: 4 }
    );
    let composed = |expression: &str| {
        json!({
            "expression": expression,
            "components": {
                "mse": {"class": "nn.MSELoss"},
                "l1": {"class": "torch.nn.L1Loss", "params": {"reduction": "mean"}},
                "ce": {"class": "nn.CrossEntropyLoss", "params": {"reduction": "none"}},
                "mean_ce": {"class": "nn.CrossEntropyLoss"},
                "pt": {"class": "torch.exp", "params": {"input": "-$ce"}},
                "mixed": {"class": "torch.exp", "params": {"input": "-mean_ce"}},
                "both": {"expression": "mse + l1", "components": {"mse": {"class": "nn.MSELoss"}, "l1": {"class": "nn.L1Loss"}}},
                "broken": {"class": "piq.Unheard"},
                "bce": {"class": "torch.nn.BCELoss"}
            },
            "variables": {"alpha": 0.25, "two": 2}
        })
    };
    let weights = |expression: &str| match of(composed(expression)) {
        Ok(Loss::Sum { terms }) => terms.iter().map(|term| term.weight.as_str().to_owned()).collect::<Vec<_>>(),
        other => panic!("{expression}: {other:?}"),
    };
    assert_eq!(weights("mse + 0.5 * l1"), ["1", "0.5"]);
    assert_eq!(weights("(mse + l1 / 4) * two"), ["2", "0.5"]);
    assert_eq!(weights("-(-mse) + two ** 3 * both"), ["1", "8", "8"]);
    let Loss::Focal { alpha, gamma, .. } = of(composed("alpha * (1 - pt)**two * ce")).unwrap() else { panic!() };
    assert_eq!((alpha.as_str(), gamma.as_str()), ("0.25", "2"));
    let refused = [
        ("mse - l1", Code::ModelForm),
        ("mse * l1", Code::ModelForm),
        ("mse + 1", Code::ModelForm),
        ("mse + pt", Code::ModelForm),
        ("(2 - pt) * ce", Code::ModelForm),
        ("(1 - pt) * mean_ce", Code::ModelForm),
        ("(1 - mixed) * mean_ce", Code::PipelineRowCoupling),
        ("nobody", Code::ModelForm),
        ("broken", Code::ModelLayer),
        ("bce + l1", Code::ModelForm),
        ("mse + ce", Code::PipelineInvalid),
        ("__import__('os')", Code::ModelForm),
        ("mse +", Code::ModelForm),
        ("(mse", Code::ModelForm),
        ("mse / 0", Code::ModelForm),
        ("1.2.3 * mse", Code::ModelForm),
    ];
    for (expression, code) in refused {
        assert_eq!(of(composed(expression)).unwrap_err().code, code, "{expression}");
    }
    assert_eq!(of(composed(&"(".repeat(900))).unwrap_err().code, Code::ModelForm);
    let batch = atomic("monai.losses.DiceLoss", json!({"batch": true}));
    assert_eq!(of(batch).unwrap_err().code, Code::PipelineRowCoupling);
    assert_eq!(of(atomic("nn.MSELoss", json!({"reduction": "sum"}))).unwrap_err().code, Code::ModelForm);
    assert_eq!(loss(&atomic("nn.CrossEntropyLoss", json!({})), None).unwrap_err().code, Code::ModelForm);
}

fn stage() -> Value {
    json!({"name": "Train_DL", "config": {
        "paths": {"base_model_path": "model.safetensors"},
        "model_type": "safetensors",
        "is_private": true,
        "privacy_params": {"epsilon": 1.5, "delta": 1e-5, "max_grad_norm": 1.0},
        "batch_size": 10,
        "total_epochs": 4,
        "optimizer": {"name": "AdamW", "params": {"lr": 0.01, "betas": [0.8, 0.99]}},
        "scheduler": {"name": "StepLR", "params": {"step_size": 2, "gamma": 0.5}},
        "model_config": config(),
        "loss_config": {"class": "nn.CrossEntropyLoss", "params": {"reduction": "mean"}}
    }})
}

fn public() -> Public {
    Public { input: Some(INPUT), classes: None, rows: Some(95) }
}

#[test]
fn a_training_has_its_figures_and_a_spoilt_one_is_refused() {
    let read = training(&stage(), &public(), &Options::default()).unwrap();
    assert_eq!((read.steps, read.sample_rate.as_ref().map(|q| q.value())), (Some(40), Some(0.105263157895)));
    let Schedule::Step { every: 20, factor } = &read.recipe.schedule else { panic!() };
    assert_eq!(factor.as_str(), "0.5");
    let Optimizer::AdamW { beta1, weight_decay, .. } = &read.recipe.optimizer else { panic!() };
    assert_eq!((beta1.as_str(), weight_decay.as_str()), ("0.8", "0.01"));
    assert_eq!(read.delta.unwrap().as_str(), "0.00001");
    let cases = [
        ("/config/model_type", json!("pytorch"), Code::ModelFormat),
        ("/config/paths/base_model_path", json!("model.pt"), Code::ModelFormat),
        ("/config/optimizer/name", json!("LBFGS"), Code::ModelLayer),
        ("/config/optimizer/params/lr", json!(-1), Code::ModelForm),
        ("/config/optimizer/params/betas", json!([0.8]), Code::ModelForm),
        ("/config/scheduler/name", json!("OneCycleLR"), Code::ModelLayer),
        ("/config/loss_config/class", json!("nn.BCELoss"), Code::ModelForm),
        ("/config/loss_config/class", json!("nn.NLLLoss"), Code::ModelForm),
        ("/config/surprise", json!(1), Code::ModelForm),
        ("/name", json!("Train_XGB"), Code::ModelForm),
    ];
    for (place, value, code) in cases {
        let mut spoilt = stage();
        let (parent, name) = place.rsplit_once('/').unwrap();
        spoilt.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
        let refusal = training(&spoilt, &public(), &Options::default()).unwrap_err();
        assert_eq!(refusal.code, code, "{place}: {refusal}");
    }
    let unknown = Public { rows: None, ..public() };
    assert_eq!(training(&stage(), &unknown, &Options::default()).unwrap_err().code, Code::ModelForm);
}

/// Whoever asks for a look at the loss on the way hears why there is none, not just that a name is unknown.
#[test]
fn what_watches_private_data_while_it_trains_is_refused_with_the_reason() {
    let cases = [
        ("/early_stopping", json!(true), Code::ModelForm, "early stopping"),
        ("/config/early_stopping", json!({"patience": 3}), Code::ModelForm, "fixed number of steps"),
        ("/config/early_stop", json!(true), Code::ModelForm, "early stopping"),
        ("/config/early_stopping_patience", json!(5), Code::ModelForm, "early stopping"),
        ("/config/patience", json!(5), Code::ModelForm, "early stopping"),
        ("/config/save_best", json!(true), Code::ModelForm, "best checkpoint"),
        ("/config/save_best_model", json!(true), Code::ModelForm, "best checkpoint"),
        ("/config/best_checkpoint", json!("best.safetensors"), Code::ModelForm, "last step"),
        ("/config/load_best_model_at_end", json!(true), Code::ModelForm, "best checkpoint"),
        ("/config/scheduler/name", json!("ReduceLROnPlateau"), Code::ModelLayer, "looks at a loss of private data"),
    ];
    for (place, value, code, word) in cases {
        let mut spoilt = stage();
        let (parent, name) = place.rsplit_once('/').unwrap();
        spoilt.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
        let refusal = training(&spoilt, &public(), &Options::default()).unwrap_err();
        let field = if code == Code::ModelLayer { "scheduler" } else { name };
        assert_eq!((refusal.code, refusal.field.as_deref()), (code, Some(field)), "{place}: {refusal}");
        assert!(refusal.sentence.contains(word), "{place}: {refusal}");
    }
    // Trees are stopped early by a member of the ensemble.
    let ensemble = json!({"n_estimators": 5, "max_depth": 2, "early_stopping_rounds": 3});
    let whole = json!({"name": "Train_XGB", "config": {"model_config": ensemble}});
    for config in [ensemble, whole] {
        let refusal = trees(&config).unwrap_err();
        assert_eq!(refusal.code, Code::ModelForm, "{refusal}");
        assert!(refusal.sentence.contains("early stopping"), "{refusal}");
    }
}

#[test]
fn a_sigmoid_goes_along_with_its_loss() {
    let mut stage = stage();
    stage["config"]["loss_config"]["class"] = json!("torch.nn.BCELoss");
    stage["config"]["model_config"]["layers"]["fc"]["params"]["out_features"] = json!(1);
    stage["config"]["model_config"]["forward"][2]["ops"].as_array_mut().unwrap().push(json!("torch.sigmoid"));
    let read = training(&stage, &public(), &Options::default()).unwrap();
    assert_eq!(read.recipe.loss, Loss::BinaryCrossEntropy {});
    assert!(matches!(read.model.unwrap().network.layers.last(), Some(Layer::Linear { outputs: 1, .. })));
    assert!(read.notices.iter().any(|notice| notice.field == "sigmoid"));
}
