//! What may leave the room.

use policies::output::{MAX_MODEL, decide};
use policies::{CheckedOutput, Code, R};
use schemas::digest::Digest;
use schemas::pipeline::OutputKind;
use schemas::privacy::Plan;
use schemas::worker::{NoiseSampler, NoisedMetrics, Outcome};

use crate::fixtures::{expect, plan};

const HEADER: &str = r#"{"__metadata__":{"format":"depa"},"bias":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},"weight":{"dtype":"F32","shape":[1,4],"data_offsets":[0,16]}}"#;

fn file(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + data, 0);
    file
}

fn metrics() -> NoisedMetrics {
    NoisedMetrics {
        true_positives: 100,
        false_positives: -3,
        true_negatives: 280,
        false_negatives: 47,
        accuracy_ppm: 896_226,
        curve: None,
        loss: None,
    }
}

fn judge(model: Vec<u8>, spoil: impl FnOnce(&mut Outcome, &mut Plan)) -> R<CheckedOutput> {
    let mut plan = plan();
    let (bytes, sha256) = (model.len() as u64, Digest::of(&model));
    let mut outcome = Outcome {
        kind: "model".into(),
        bytes,
        sha256,
        steps: 198,
        noise_draws: 198,
        configuration: Digest([7; 32]),
        noise: NoiseSampler::DiscreteGaussian,
        metrics: Some(metrics()),
    };
    spoil(&mut outcome, &mut plan);
    decide(outcome, model, &plan, &Digest([7; 32]), OutputKind::Model)
}

#[test]
fn a_model_of_the_plan_leaves() {
    let model = file(HEADER, 20);
    let checked = judge(model.clone(), |_, _| {}).unwrap();
    assert_eq!((checked.content(), checked.sha256(), checked.steps()), (model.as_slice(), Digest::of(&model), 198));
    assert_eq!(checked.metrics(), Some(&metrics()));
    assert!(!format!("{checked:?}").contains('['));
    let plain = judge(model, |outcome, plan| (outcome.metrics, plan.metrics_noise_multiplier) = (None, None)).unwrap();
    assert_eq!(plain.metrics(), None);
}

#[test]
fn outcomes_are_refused_for_one_thing_at_a_time() {
    let rows: [fn(&mut Outcome, &mut Plan); 10] = [
        |o, _| o.kind = "table".into(),
        |o, _| o.bytes += 1,
        |o, _| o.sha256 = Digest([0; 32]),
        |o, _| o.steps = 197,
        |o, _| o.noise_draws = 197,
        |o, _| o.configuration = Digest([8; 32]),
        |o, _| (o.steps, o.noise_draws) = (199, 199),
        |o, _| o.metrics = None,
        |_, p| p.metrics_noise_multiplier = None,
        |o, _| o.metrics.as_mut().unwrap().accuracy_ppm += 1,
    ];
    for (at, spoil) in rows.into_iter().enumerate() {
        expect(judge(file(HEADER, 20), spoil), Code::OutputRefused, &format!("row {at}"));
    }
    expect(judge(vec![0; MAX_MODEL + 1], |_, _| {}), Code::OutputRefused, "too large");
}

#[test]
fn a_model_file_holds_tensors_and_nothing_else() {
    let tensor = |kind: &str, shape: &str, offsets: &str| {
        format!(r#"{{"w":{{"dtype":"{kind}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let good = |header: &str, data| judge(file(header, data), |_, _| {}).is_ok();
    assert!(good(&tensor("F32", "[2,3]", "[0,24]"), 24));
    for (header, data) in [
        (HEADER.to_owned(), 21),
        (HEADER.to_owned(), 19),
        (HEADER.replace("[16,20]", "[20,24]"), 24),
        (HEADER.replace("[16,20]", "[12,16]"), 20),
        (HEADER.replace("\"format\":\"depa\"", "\"rows\":[1,2]"), 20),
        (tensor("F32", "[2,3]", "[0,28]"), 28),
        (tensor("U8", "[24]", "[0,24]"), 24),
        (tensor("F32", "[0]", "[0,0]"), 0),
        (tensor("F32", "[9007199254740991,9007199254740991]", "[0,4]"), 4),
        (tensor("F32", "[1]", "[4,0]"), 4),
        ("{}".to_owned(), 0),
        ("[]".to_owned(), 0),
        ("name,age\n1,2\n".to_owned(), 0),
    ] {
        assert!(!good(&header, data), "{header} with {data} bytes");
    }
    for model in [vec![], vec![1, 2, 3], u64::MAX.to_le_bytes().to_vec(), 100u64.to_le_bytes().to_vec()] {
        expect(judge(model, |_, _| {}), Code::OutputRefused, "too short");
    }
    expect(judge(file(&format!("{HEADER}{}", " ".repeat(65_536)), 20), |_, _| {}), Code::OutputRefused, "long header");
}

#[test]
fn accuracy_follows_from_the_noised_counts() {
    let of = |counts: [i64; 4]| {
        let [true_positives, false_positives, true_negatives, false_negatives] = counts;
        NoisedMetrics::of_counts([true_positives, false_positives, true_negatives, false_negatives])
            .accuracy_of_counts()
    };
    assert_eq!(of([50, 25, 25, 0]), 750_000);
    assert_eq!(of([1, 0, 1, 1]), 666_666);
    assert_eq!(of([-5, 20, 2, 3]), 0);
    assert_eq!(of([50, -20, 50, -10]), 1_000_000);
    assert_eq!((of([0, 0, 0, 0]), of([-1, -1, -1, -1])), (0, 0));
    assert_eq!(of([i64::MAX, i64::MAX, i64::MAX, i64::MAX]), 500_000);
}
