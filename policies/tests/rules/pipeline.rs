//! The taint walk and the limits of a pipeline.

use policies::pipeline::{decide, factors};
use policies::{Code, R};
use schemas::pipeline::{ColumnRef, Comparison, Filter, JoinKind, Model, OutputKind, Stage};
use schemas::text::Bytes;

use crate::fixtures::{House, again, did, expect, real, spoilt};

fn judge(house: &House) -> R<()> {
    house.judge(|facts| decide(facts).map(drop))
}

fn column(handle: &str, column: &str) -> ColumnRef {
    ColumnRef { handle: handle.into(), column: column.into() }
}

#[test]
fn the_stages_are_handed_out() {
    let house = House::new();
    house.judge(|facts| {
        let pipeline = decide(facts).unwrap();
        assert_eq!((pipeline.join.name.as_str(), pipeline.training.steps), ("joined", 198));
        assert_eq!(pipeline.output.input, "model");
    });
}

#[test]
fn raw_data_never_leaves() {
    spoilt(
        judge,
        &[
            (Code::PipelineRawOutput, |h| h.output().input = "joined".into()),
            (Code::PipelineRawOutput, |h| h.output().input = "icmr".into()),
            (Code::PipelineRawOutput, |h| h.output().kind = OutputKind::Table),
            (Code::PipelineRawOutput, |h| {
                let mut second = h.output().clone();
                second.input = "joined".into();
                h.job.stages.push(Stage::Output(second));
            }),
            (Code::PipelineRawOutput, |h| {
                h.output().input = "joined".into();
                h.job.stages.remove(1);
            }),
            (Code::PipelineNotPrivate, |h| h.training().private = false),
        ],
    );
}

#[test]
fn stages_come_once_and_in_order() {
    spoilt(
        judge,
        &[
            (Code::PipelineInvalid, |h| h.job.stages.clear()),
            (Code::PipelineInvalid, |h| drop(h.job.stages.remove(0))),
            (Code::PipelineInvalid, |h| drop(h.job.stages.remove(1))),
            (Code::PipelineInvalid, |h| drop(h.job.stages.remove(2))),
            (Code::PipelineInvalid, |h| h.job.stages.reverse()),
            (Code::PipelineInvalid, |h| h.job.stages.swap(0, 1)),
            (Code::PipelineInvalid, |h| h.job.stages.push(h.job.stages[2].clone())),
            (Code::PipelineInvalid, |h| {
                let mut second = h.training().clone();
                second.name = "other".into();
                h.job.stages.insert(2, Stage::Train(second));
            }),
            (Code::PipelineInvalid, |h| {
                let mut second = h.join().clone();
                second.name = "other".into();
                h.job.stages.insert(1, Stage::Join(second));
            }),
            (Code::PipelineInvalid, |h| h.training().input = "nowhere".into()),
            (Code::PipelineInvalid, |h| h.training().name = "joined".into()),
            (Code::PipelineInvalid, |h| h.join().name = "icmr".into()),
            (Code::PipelineInvalid, |h| h.join().name = "a b".into()),
            (Code::PipelineInvalid, |h| h.output().input = "nowhere".into()),
            (Code::PipelineInvalid, |h| h.job.datasets[0].handle = "0icmr".into()),
        ],
    );
}

#[test]
fn joins_take_every_table_once_on_the_principals_key() {
    spoilt(
        judge,
        &[
            (Code::PipelineInvalid, |h| drop(h.join().steps.pop())),
            (Code::PipelineInvalid, |h| h.join().first = "nowhere".into()),
            (Code::PipelineInvalid, |h| h.join().steps[1].handle = "icmr".into()),
            (Code::PipelineJoinKey, |h| h.join().steps[0].left = column("index", "mobno")),
            (Code::PipelineJoinKey, |h| h.join().steps[0].right = column("index", "mobno")),
            (Code::PipelineJoinKey, |h| h.join().steps[0].left.column = "ct".into()),
            (Code::PipelineJoinKey, |h| h.join().steps[0].right.column = "age".into()),
            // A key of both tables, but not the one that the first step joined on.
            (Code::PipelineJoinKey, |h| {
                h.join().steps[1].left.column = "icmrno".into();
                h.join().steps[1].right.column = "icmrno".into();
            }),
            (Code::PipelineJoinKey, |h| h.training().principal = column("icmr", "icmrno")),
            (Code::PipelineJoinKey, |h| h.training().principal = column("icmr", "ct")),
            (Code::PipelineInvalid, |h| h.training().principal = column("nowhere", "mobno")),
            // The principal must stand in a table whose rows are always there.
            (Code::PipelineJoinKey, |h| {
                h.join().steps[0].kind = JoinKind::Left;
                h.training().principal = column("cowin", "mobno");
            }),
        ],
    );
    let mut chained = House::new();
    chained.join().steps[1].left = column("cowin", "mobno");
    assert_eq!(judge(&chained), Ok(()), "a chain of one key");
}

#[test]
fn only_contracted_columns_are_read() {
    spoilt(
        judge,
        &[
            (Code::PipelineColumn, |h| h.join().projection.push(column("cowin", "address"))),
            (Code::PipelineInvalid, |h| h.join().projection.push(column("nowhere", "age"))),
            (Code::PipelineInvalid, |h| h.join().projection.push(column("cowin", "age"))),
            (Code::LimitExceeded, |h| h.join().projection.clear()),
            (Code::PipelineColumn, |h| h.join().filters[0].column = column("cowin", "address")),
            (Code::PipelineColumn, |h| h.join().filters[0].column = column("icmr", "mobno")),
            (Code::PipelineInvalid, |h| h.join().filters[0].value = "old".into()),
            (Code::PipelineInvalid, |h| h.join().filters[0].value = "inf".into()),
            (Code::PipelineInvalid, |h| h.join().filters[0].column = column("cowin", "vaccine")),
            (Code::LimitExceeded, |h| h.join().filters = vec![h.join().filters[0].clone(); 65]),
            (Code::LimitExceeded, |h| {
                h.join().filters[0] =
                    Filter { column: column("cowin", "vaccine"), op: Comparison::Eq, value: "x".repeat(257) }
            }),
            (Code::PipelineColumn, |h| h.training().features[2].column = column("cowin", "address")),
            (Code::PipelineColumn, |h| h.training().features[2].column = column("cowin", "mobno")),
            (Code::PipelineColumn, |h| h.join().projection.retain(|c| c.column != "age")),
            (Code::PipelineColumn, |h| h.join().projection.retain(|c| c.column != "result")),
            (Code::PipelineInvalid, |h| again(&mut h.training().features)),
            (Code::LimitExceeded, |h| h.training().features.clear()),
            (Code::PipelineInvalid, |h| h.training().features[0].column.handle = "nowhere".into()),
        ],
    );
}

#[test]
fn the_target_is_contracted_and_nothing_else() {
    spoilt(
        judge,
        &[
            (Code::PipelineTarget, |h| h.training().target = column("icmr", "strain")),
            (Code::PipelineTarget, |h| h.training().target = column("index", "page")),
            (Code::PipelineTarget, |h| {
                h.training().features.retain(|f| f.column.column != "page");
                h.training().target = column("index", "page");
                h.join().filters[0].column = column("index", "page");
            }),
            // Not an allowed column, so it is refused as one before it is known to be the target.
            (Code::PipelineColumn, |h| {
                h.join().filters[0] = Filter { column: column("icmr", "result"), op: Comparison::Eq, value: "1".into() }
            }),
            (Code::PipelineInvalid, |h| h.training().positive = String::new()),
            (Code::PipelineInvalid, |h| h.training().positive = "x".repeat(257)),
        ],
    );
}

#[test]
fn bounds_are_those_of_the_public_schema() {
    spoilt(
        judge,
        &[
            (Code::PipelineBounds, |h| h.training().features[0].lower = real("11")),
            (Code::PipelineBounds, |h| h.training().features[0].upper = real("39.99")),
            (Code::PipelineBounds, |h| {
                let feature = &mut h.training().features[0];
                std::mem::swap(&mut feature.lower, &mut feature.upper);
            }),
            (Code::PipelineBounds, |h| h.training().features[2].column = column("cowin", "vaccine")),
            (Code::PipelineBounds, |h| {
                (h.offers[0].columns[2].lower, h.offers[0].columns[2].upper) = (None, None);
            }),
        ],
    );
    let mut same = House::new();
    same.training().features[0].lower = real("10.00");
    assert_eq!(judge(&same), Ok(()), "the same number in other digits");
}

#[test]
fn models_and_numbers_have_limits() {
    spoilt(
        judge,
        &[
            (Code::PipelineInvalid, |h| h.training().model = Model::Mlp { hidden: vec![] }),
            (Code::PipelineInvalid, |h| h.training().model = Model::Mlp { hidden: vec![8; 5] }),
            (Code::PipelineInvalid, |h| h.training().model = Model::Mlp { hidden: vec![8, 0] }),
            (Code::PipelineInvalid, |h| h.training().model = Model::Mlp { hidden: vec![513] }),
            (Code::PipelineInvalid, |h| h.training().steps = 0),
            (Code::PipelineInvalid, |h| h.training().steps = 100_001),
            (Code::PipelineInvalid, |h| h.training().sample_rate = real("0")),
            (Code::PipelineInvalid, |h| h.training().sample_rate = real("1.01")),
            (Code::PipelineInvalid, |h| h.training().clipping_norm = real("0.0")),
            (Code::PipelineInvalid, |h| h.training().clipping_norm = real("1000.1")),
            (Code::PipelineInvalid, |h| h.training().learning_rate = real("0")),
            (Code::PipelineInvalid, |h| h.training().learning_rate = real("1001")),
            (Code::PipelineInvalid, |h| h.training().split_salt = Bytes(vec![7; 31])),
            (Code::PipelineInvalid, |h| h.training().train_ppm = 0),
            (Code::PipelineInvalid, |h| h.training().train_ppm = 1_000_000),
            (Code::PipelineInvalid, |h| h.training().metrics.as_mut().unwrap().noise_multiplier = real("0.99")),
            (Code::PipelineInvalid, |h| h.training().metrics.as_mut().unwrap().noise_multiplier = real("1000001")),
            (Code::PipelineInvalid, |h| {
                h.join().steps[0].kind = JoinKind::Left;
                h.training().metrics.as_mut().unwrap().noise_multiplier = real("1.5");
            }),
        ],
    );
    let mut largest = House::new();
    largest.training().model = Model::Mlp { hidden: vec![512; 4] };
    largest.training().steps = 100_000;
    largest.training().sample_rate = real("1");
    assert_eq!(judge(&largest), Ok(()));
}

#[test]
fn the_model_goes_to_the_contracts_recipient_alone() {
    spoilt(
        judge,
        &[
            (Code::PipelineRecipient, |h| h.output().recipient = did("did:web:other.example")),
            (Code::PipelineRecipient, |h| h.contracts[0].outputs.recipient = did("did:web:other.example")),
            (Code::PipelineRecipient, |h| h.job.tdc = did("did:web:other.example")),
            (Code::KeyForm, |h| h.output().recipient_jwk = crate::fixtures::jwk(1)),
            (Code::AddressRefused, |h| h.output().upload = "http://blob.example/models".into()),
            (Code::AddressRefused, |h| h.output().upload = "https://blob.example/models?signature=x".into()),
            (Code::AddressRefused, |h| h.output().upload = "https://blob.example/models#".into()),
            (Code::AddressRefused, |h| h.output().upload = "file:///models/victim.depa#".into()),
            (Code::AddressRefused, |h| h.output().upload = "file:///models/victim.depa?".into()),
            (Code::AddressRefused, |h| h.output().upload = format!("s3://bucket-of-models/{}", "x".repeat(1000))),
        ],
    );
}

#[test]
fn refusals_name_the_stage() {
    let mut house = House::new();
    house.training().steps = 0;
    let refusal = judge(&house).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("stages.1.steps"));
    house.job.datasets[0].version = 9;
    expect(judge(&house), Code::JobMismatch, "a dataset that no contract gives");
}

/// The table of `depa-spec.md` 3.11.
#[test]
fn factors_follow_from_the_join() {
    let factors_of = |first, second, second_on: &str| {
        let mut house = House::new();
        let join = house.join();
        (join.steps[0].kind, join.steps[1].kind) = (first, second);
        join.steps[1].left = column(second_on, "mobno");
        factors(join).into_iter().map(|(_, factor)| factor).collect::<Vec<_>>()
    };
    use JoinKind::{Inner, Left};
    assert_eq!(factors_of(Inner, Inner, "icmr"), [1, 1, 1]);
    assert_eq!(factors_of(Left, Inner, "icmr"), [1, 2, 1]);
    assert_eq!(factors_of(Inner, Left, "icmr"), [1, 1, 2]);
    assert_eq!(factors_of(Left, Left, "icmr"), [1, 2, 2]);
    assert_eq!(factors_of(Left, Inner, "cowin"), [1, 2, 2], "through a key that may be absent");
}
