//! United tables, numbers taken over several rows, pictures, lists, and labels that are not yes or no.

use policies::{Code, R, pipeline};
use schemas::dataset::ColumnType;
use schemas::pipeline::{Aggregate, AggregateFunction, ColumnRef, Comparison, Feature, FeatureForm, JoinKind, Labels};
use serde_json::json;

use crate::fixtures::{House, TABLES, expect, read, real};

fn judge(house: &House) -> R<()> {
    house.judge(|facts| pipeline::decide(facts).map(drop))
}

type Spoil = fn(&mut House);

fn each(right: fn() -> House, rows: &[(Code, Spoil)]) {
    let mut house = right();
    house.link();
    assert_eq!(judge(&house), Ok(()), "the correct house");
    for (at, (code, spoil)) in rows.iter().enumerate() {
        let mut house = right();
        spoil(&mut house);
        house.link();
        expect(judge(&house), *code, &format!("row {at}"));
    }
}

fn column(handle: &str, column: &str) -> ColumnRef {
    ColumnRef { handle: handle.into(), column: column.into() }
}

/// Three tables of the same columns, one below the other.
fn united() -> House {
    let mut house = House::new();
    let (columns, terms) = (house.offers[0].columns.clone(), house.contracts[0].datasets[0].clone());
    for offer in &mut house.offers {
        offer.columns = columns.clone();
    }
    for dataset in &mut house.contracts[0].datasets {
        dataset.allowed_columns = terms.allowed_columns.clone();
        dataset.join_keys = terms.join_keys.clone();
        dataset.target_columns = terms.target_columns.clone();
    }
    let join = house.join();
    join.steps.iter_mut().for_each(|step| step.kind = JoinKind::Union);
    join.filters.clear();
    join.projection.retain(|column| column.handle == "icmr");
    house.training().features.truncate(2);
    house
}

#[test]
fn united_tables_hold_the_same_columns_under_every_contract() {
    each(
        united,
        &[
            (Code::PipelineInvalid, |h| h.join().steps[1].kind = JoinKind::Inner),
            (Code::PipelineInvalid, |h| h.join().steps[1].left = column("cowin", "mobno")),
            (Code::PipelineInvalid, |h| h.join().projection.push(column("cowin", "ct"))),
            (Code::PipelineInvalid, |h| {
                h.join().aggregates =
                    vec![Aggregate { column: column("icmr", "ct"), function: AggregateFunction::Mean }];
            }),
            (Code::PipelineColumn, |h| h.contracts[0].datasets[2].allowed_columns.retain(|name| name != "ct")),
            (Code::PipelineColumn, |h| h.contracts[0].datasets[1].target_columns.clear()),
            (Code::PipelineTarget, |h| {
                let dataset = &mut h.contracts[0].datasets[1];
                dataset.allowed_columns.append(&mut dataset.target_columns);
            }),
            (Code::PipelineBounds, |h| h.offers[2].columns[2].upper = Some(real("50"))),
            (Code::PipelineJoinKey, |h| h.contracts[0].datasets[1].join_keys.clear()),
            (Code::PipelineJoinKey, |h| h.training().principal = column("cowin", "mobno")),
        ],
    );
    let mut house = united();
    assert_eq!(pipeline::factors(house.join()), TABLES.map(|handle| (handle, 1)), "removing a person removes a row");
}

#[test]
fn the_batch_of_united_tables_is_drawn_from_all_of_them() {
    let batch = |house: &mut House| {
        house.link();
        house.judge(policies::privacy::plan).unwrap().expected_batch.value()
    };
    let (one, three) = (batch(&mut House::new()), batch(&mut united()));
    assert!((three / one - 3.0).abs() < 1e-6, "{one} {three}");
}

/// The mean age over a person's vaccinations.
fn aggregated() -> House {
    let mut house = House::new();
    house.join().aggregates = vec![Aggregate { column: column("cowin", "age"), function: AggregateFunction::Mean }];
    house
}

#[test]
fn numbers_over_several_rows_stay_within_public_bounds_and_one_person() {
    each(
        aggregated,
        &[
            (Code::PipelineInvalid, |h| {
                let again = h.join().aggregates[0].clone();
                h.join().aggregates.push(again);
            }),
            (Code::LimitExceeded, |h| h.join().aggregates = vec![h.join().aggregates[0].clone(); 513]),
            (Code::PipelineColumn, |h| h.join().aggregates[0].column = column("cowin", "address")),
            (Code::PipelineColumn, |h| h.join().aggregates[0].column = column("icmr", "mobno")),
            (Code::PipelineBounds, |h| h.join().aggregates[0].column = column("cowin", "vaccine")),
            (Code::PipelineInvalid, |h| h.join().aggregates[0].column = column("nowhere", "age")),
            (Code::PipelineInvalid, |h| h.join().filters[0].op = Comparison::Eq),
            (Code::PipelineTarget, |h| {
                h.training().features.pop();
                h.training().target = column("index", "page");
                h.join().aggregates[0].column = column("index", "page");
            }),
        ],
    );
}

/// A list of vaccines and a picture beside the numbers.
fn formed() -> House {
    let mut house = House::new();
    let strain = &mut house.offers[0].columns[3];
    (strain.column_type, strain.upper) = (ColumnType::Image, Some(real("255")));
    let values = FeatureForm::Values { values: vec!["a".into(), "b".into()] };
    let features = &mut house.training().features;
    features[1].upper = real("255");
    features[1].form = Some(FeatureForm::Image { channels: 1, height: 4, width: 4 });
    let column = column("cowin", "vaccine");
    features.push(Feature { column, lower: real("0"), upper: real("1"), form: Some(values) });
    house
}

fn form(house: &mut House, at: usize, form: FeatureForm) {
    house.training().features[at].form = Some(form);
}

#[test]
fn pictures_and_lists_are_what_the_public_schema_says() {
    each(
        formed,
        &[
            (Code::PipelineInvalid, |h| form(h, 4, FeatureForm::Values { values: vec![] })),
            (Code::PipelineInvalid, |h| form(h, 4, FeatureForm::Values { values: vec!["a".into(), "a".into()] })),
            (Code::PipelineInvalid, |h| form(h, 4, FeatureForm::Values { values: vec!["a".repeat(257)] })),
            (Code::PipelineInvalid, |h| {
                form(h, 0, FeatureForm::Values { values: vec!["a".into()] });
                let feature = &mut h.training().features[0];
                (feature.lower, feature.upper) = (real("0"), real("1"));
            }),
            (Code::PipelineBounds, |h| h.training().features[4].upper = real("2")),
            (Code::PipelineBounds, |h| h.training().features[1].upper = real("1")),
            (Code::PipelineBounds, |h| h.training().features[1].form = None),
            (Code::PipelineBounds, |h| form(h, 0, FeatureForm::Image { channels: 1, height: 4, width: 4 })),
            (Code::PipelineInvalid, |h| form(h, 1, FeatureForm::Image { channels: 2, height: 4, width: 4 })),
            (Code::PipelineInvalid, |h| form(h, 1, FeatureForm::Image { channels: 1, height: 0, width: 4 })),
            (Code::PipelineInvalid, |h| form(h, 1, FeatureForm::Image { channels: 1, height: 4, width: 1_025 })),
            (Code::LimitExceeded, |h| form(h, 1, FeatureForm::Image { channels: 3, height: 1_024, width: 1_024 })),
        ],
    );
}

/// A number of the index patients as the target.
fn numbered() -> House {
    let mut house = House::new();
    let training = house.training();
    training.features.pop();
    training.target = column("index", "page");
    training.labels = Some(Labels::Number { lower: real("0"), upper: real("100") });
    training.recipe = Some(read(json!({
        "loss": {"kind": "mean_squared_error"}, "optimizer": {"kind": "sgd", "momentum": "0", "weight_decay": "0"},
        "schedule": {"kind": "constant"}
    })));
    (training.positive, training.metrics) = (String::new(), None);
    house
}

#[test]
fn labels_come_from_public_lists_and_bounds() {
    each(
        numbered,
        &[
            (Code::PipelineInvalid, |h| h.training().positive = "1".into()),
            (Code::PipelineInvalid, |h| h.training().metrics = House::new().training().metrics.clone()),
            (Code::PipelineInvalid, |h| h.training().recipe = None),
            (Code::PipelineBounds, |h| {
                h.training().labels = Some(Labels::Number { lower: real("0"), upper: real("99") });
            }),
            (Code::PipelineInvalid, |h| {
                h.training().labels = Some(Labels::Mask { height: 4, width: 4, threshold_ppm: 300_000 });
            }),
            (Code::PipelineInvalid, |h| {
                h.training().labels = Some(Labels::Mask { height: 4, width: 4, threshold_ppm: 1_000_000 });
            }),
            (Code::PipelineInvalid, |h| h.training().labels = Some(Labels::Classes { classes: vec!["one".into()] })),
            (Code::PipelineInvalid, |h| h.training().labels = None),
        ],
    );
}
