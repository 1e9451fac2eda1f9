//! Networks as models: judged with their recipe before anything is charged.

use policies::{Code, R, pipeline};
use schemas::pipeline::Model;
use serde_json::{Value, json};

use crate::fixtures::{House, expect, read, real};

fn judge(house: &House) -> R<()> {
    house.judge(|facts| pipeline::decide(facts).map(drop))
}

/// A network on the features of the house, one hidden layer of this width.
fn model(features: usize, hidden: u32) -> Value {
    json!({"kind": "network", "network": {
        "input": {"kind": "vector", "features": features},
        "layers": [
            {"op": "linear", "inputs": features, "outputs": hidden, "bias": true},
            {"op": "gelu"},
            {"op": "linear", "inputs": hidden, "outputs": hidden, "bias": true},
            {"op": "layer_norm", "width": hidden},
            {"op": "linear", "inputs": hidden, "outputs": 1, "bias": true}
        ]
    }})
}

fn recipe() -> Value {
    json!({
        "loss": {"kind": "binary_cross_entropy"},
        "optimizer": {"kind": "adamw", "beta1": "0.9", "beta2": "0.999", "epsilon": "0.00000001", "weight_decay": "0.01"},
        "schedule": {"kind": "warmup", "steps": 2, "then": {"kind": "cosine", "floor": "0"}}
    })
}

fn house(change: &dyn Fn(&mut Value, &mut Value)) -> House {
    let mut house = House::new();
    let (mut model, mut recipe) = (model(house.training().inputs(), 16), recipe());
    change(&mut model, &mut recipe);
    let training = house.training();
    training.model = read::<Model>(model);
    training.recipe = Some(read(recipe));
    house.link();
    house
}

/// Room and key services make the same plan, so that nothing is charged where it is refused.
#[test]
fn a_step_expects_no_more_rows_than_single_precision_holds() {
    let planned = |rate: &str, change: fn(&mut House)| {
        let mut house = house(&|_, _| {});
        for at in 0..house.offers.len() {
            house.offers[at].public_rows = 1_000_000;
            house.contracts[0].datasets[at].public_rows = 1_000_000;
        }
        let training = house.training();
        (training.delta, training.metrics) = (Some(real("0.0000001")), None);
        training.sample_rate = real(rate);
        change(&mut house);
        house.link();
        house.judge(policies::privacy::plan)
    };
    assert_eq!(planned("0.0624375", |_| {}).unwrap().expected_batch.as_str(), "49950");
    let refused = planned("0.062438", |_| {}).unwrap_err();
    assert_eq!((refused.code, refused.field.as_deref()), (Code::LimitExceeded, Some("sample_rate")));
    // The named models are reckoned in double precision.
    let named = planned("0.062438", |house| {
        house.training().model = Model::LogisticRegression;
        house.training().recipe = None;
    });
    assert_eq!(named.unwrap().expected_batch.as_str(), "49950.4");
}

#[test]
fn a_network_is_judged_with_its_recipe_before_any_charge() {
    assert_eq!(judge(&house(&|_, _| {})), Ok(()));
    let adapters = json!({"rank": 4, "alpha": "8", "targets": ["0", "2"], "trained": ["4."]});
    assert_eq!(judge(&house(&|_, recipe| recipe["adapters"] = adapters.clone())), Ok(()));
    let wide = |width: u32| {
        move |model: &mut Value, _: &mut Value| {
            let features = model["network"]["input"]["features"].as_u64().unwrap();
            *model = self::model(features as usize, width);
        }
    };
    // 16 million numbers fit into 64 MiB; 17 million, or adapters beside 16 million, do not.
    assert_eq!(judge(&house(&wide(4_000))), Ok(()));
    type Spoil<'a> = &'a dyn Fn(&mut Value, &mut Value);
    let rows: [(Code, Spoil<'_>); 10] = [
        (Code::LimitExceeded, &wide(4_100)),
        (Code::LimitExceeded, &|model, recipe| {
            wide(4_000)(model, recipe);
            recipe["adapters"] = json!({"rank": 256, "alpha": "8", "targets": ["2"]});
        }),
        (Code::LimitExceeded, &wide(8_000)),
        (Code::ModelShape, &|model, _| model["network"]["layers"][2]["inputs"] = json!(15)),
        (Code::PipelineInvalid, &|model, _| {
            model["network"]["input"]["features"] = json!(1);
            model["network"]["layers"][0]["inputs"] = json!(1);
        }),
        (Code::PipelineInvalid, &|model, _| model["network"]["layers"][4]["outputs"] = json!(2)),
        (Code::PipelineInvalid, &|_, recipe| recipe["loss"] = json!({"kind": "cross_entropy", "classes": 2})),
        (Code::PipelineInvalid, &|_, recipe| recipe["frozen"] = json!(["7."])),
        (Code::PipelineInvalid, &|_, recipe| recipe["optimizer"]["beta1"] = json!("1")),
        (Code::PipelineInvalid, &|_, recipe| recipe["schedule"]["steps"] = json!(0)),
    ];
    for (at, (code, spoil)) in rows.into_iter().enumerate() {
        expect(judge(&house(spoil)), code, &format!("row {at}"));
    }
}
