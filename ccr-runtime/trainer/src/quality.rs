//! The quality that the contract's noise leaves: the whole worker on the COVID tables, judged outside of it, beside a line
//! fitted without privacy to the same rows.

use std::path::Path;

use policies::accountant::{RdpVector, calibrate};
use safetensors::SafeTensors;
use scenarios::{Table, covid};
use schemas::pipeline::Join;
use schemas::text::{Bytes, Real};
use schemas::worker::Start;

use crate::fixtures::{column, feature, head, inner, real, serve, start};
use crate::table::{self, Rows};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/covid");
/// A tenth of 1/2,119, rounded down.
const DELTA: f64 = 0.0000472;
const STEPS: u32 = 198;
/// 128 of 1,695 rows.
const RATE: &str = "0.07551622";
/// ε, and how far below the line without privacy the median may lie (decisions.md, 8).
const GOALS: [(f64, f64); 3] = [(0.5, 0.02), (1.0, 0.01), (1.5, 0.01)];

/// A job over three tables, in the order ICMR, CoWIN, state war room, at this ε.
fn job(tables: &[Table; 3], epsilon: f64) -> (Start, Vec<String>) {
    let columns: [(&str, &[&str]); 3] = [
        (
            "icmr",
            &[
                "icmr_patient_mobilenumber",
                "a_icmr_test_result",
                "a_test_ct_value",
                "a_sample_genetic_sequenced",
                "a_sample_genetic_strain",
            ],
        ),
        ("cowin", &["cowin_registered_mobile", "age", "vaccine_name"]),
        ("index", &["pcnumber", "pasymp", "dsinfection", "potravel", "page"]),
    ];
    let (mut heads, mut files, mut projection) = (vec![], vec![], vec![]);
    for ((handle, names), table) in columns.into_iter().zip(tables) {
        let text = String::from_utf8(table.csv().unwrap()).unwrap();
        projection.extend(names.iter().map(|name| column(&format!("{handle}.{name}"))));
        heads.push(head(handle, names, text.len()));
        files.push(text);
    }
    let key = "icmr.icmr_patient_mobilenumber";
    let steps = vec![inner("index.pcnumber", key), inner("index.pcnumber", "cowin.cowin_registered_mobile")];
    let join =
        Join { name: "joined".into(), first: "index".into(), steps, projection, filters: vec![], aggregates: vec![] };
    let features = vec![
        feature("icmr.a_test_ct_value", "10", "40"),
        feature("icmr.a_sample_genetic_sequenced", "0", "1"),
        feature("icmr.a_sample_genetic_strain", "0", "1"),
        feature("index.pasymp", "0", "1"),
        feature("index.dsinfection", "0", "1"),
        feature("index.potravel", "0", "1"),
        feature("index.page", "0", "100"),
        feature("cowin.age", "0", "100"),
        feature("cowin.vaccine_name", "1", "2"),
    ];
    let mut start = start(heads, join, features, "icmr.a_icmr_test_result", key, STEPS);
    let noise = calibrate(epsilon, DELTA, real(RATE).value(), STEPS, &RdpVector::zero(), 1.0).unwrap();
    start.training.sample_rate = real(RATE);
    start.plan.sample_rate = real(RATE);
    start.plan.expected_batch = real("128");
    start.plan.noise_multiplier = Real::rounded_up(noise, 3).unwrap();
    (start, files)
}

fn published() -> Option<[Table; 3]> {
    let of = |source: covid::Source| Table::read(&Path::new(FOLDER).join(source.file)).ok();
    Some([of(covid::ICMR)?, of(covid::COWIN)?, of(covid::STATEWARROOM)?])
}

/// Area under the curve by ranks, ties counting half.
pub fn auc(scores: &[f64], labels: &[f32]) -> f64 {
    let of = |wanted: f32| scores.iter().zip(labels).filter(move |(_, l)| **l == wanted).map(|(s, _)| *s);
    let (mut won, mut pairs) = (0.0, 0.0);
    for positive in of(1.0) {
        for negative in of(0.0) {
            won += if positive > negative {
                1.0
            } else if positive == negative {
                0.5
            } else {
                0.0
            };
            pairs += 1.0;
        }
    }
    won / pairs
}

/// The numbers of a tensor of the artifact.
pub fn numbers(model: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let data = model.tensor(name).unwrap();
    data.data().chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect()
}

/// Area and accuracy of a line, whose bias comes last, on some rows.
fn judged(line: &[f64], rows: &Rows) -> (f64, f64) {
    let (bias, weights) = line.split_last().unwrap();
    let score = |x: &[f32]| x.iter().zip(weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>() + bias;
    let scores: Vec<f64> = rows.features.chunks(weights.len()).map(score).collect();
    let right = scores.iter().zip(&rows.labels).filter(|(s, l)| (**s >= 0.0) == (**l > 0.5)).count();
    (auc(&scores, &rows.labels), right as f64 / scores.len() as f64)
}

/// Logistic regression without privacy or bounds on a row's weight: full gradient descent until it hardly moves.
fn plain(rows: &Rows, width: usize) -> Vec<f64> {
    let mut line = vec![0.0; width + 1];
    for _ in 0..600 {
        let mut slope = vec![0.0; width + 1];
        for (x, label) in rows.features.chunks(width).zip(&rows.labels) {
            let x = || x.iter().map(|x| f64::from(*x)).chain([1.0]);
            let z: f64 = x().zip(&line).map(|(x, w)| x * w).sum();
            let wrong = f64::from(*label) - 1.0 / (1.0 + (-z).exp());
            x().zip(&mut slope).for_each(|(x, slope)| *slope += wrong * x);
        }
        line.iter_mut().zip(slope).for_each(|(w, slope)| *w += slope / rows.labels.len() as f64);
    }
    line
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// Medians over splits and draws of noise, each of a fixed seed, held against the goals. Every setting of the training is
/// a public constant that was chosen before anybody looked at these tables. `scatter` is what a median of few draws may
/// lie off.
fn holds_the_goals(which: &str, tables: &[Table; 3], (splits, draws): (u8, u8), scatter: f64) {
    for (epsilon, gap) in GOALS {
        let (mut start, files) = job(tables, epsilon);
        let (mut areas, mut accuracies, mut lines) = (vec![], vec![], vec![]);
        for salt in 1..=splits {
            start.training.split_salt = Bytes(vec![salt; 32]);
            let read = start.tables.iter().zip(&files).map(|(head, file)| table::read(head, file.as_bytes()).unwrap());
            let parts = table::prepare(&start, read.collect()).unwrap();
            assert_eq!(parts.train.len() + parts.held_out.len(), 2_119);
            let width = start.training.features.len();
            lines.push(judged(&plain(&parts.train, width), &parts.held_out).0);
            for draw in 0..draws {
                start.seed.0 = Bytes(vec![100 + salt + 10 * draw; 32]);
                let model = serve(&start, &files).model.unwrap();
                let model = SafeTensors::deserialize(&model).unwrap();
                let line = [numbers(&model, "0.weight"), numbers(&model, "0.bias")].concat();
                let (area, accuracy) = judged(&line, &parts.held_out);
                areas.push(area);
                accuracies.push(accuracy);
            }
        }
        let (area, accuracy, line) = (median(areas), median(accuracies), median(lines));
        println!(
            "{which}, ε = {epsilon}, σ = {}: median AUC {area:.4} and accuracy {accuracy:.4} over {splits} splits with \
             {draws} draws of noise each; without privacy {line:.4}",
            start.plan.noise_multiplier
        );
        assert!(
            area >= line - gap - scatter && area >= 0.85 && accuracy >= 0.90,
            "{which}, ε = {epsilon}: {area} {accuracy}"
        );
    }
}

#[test]
fn the_contracts_noise_leaves_the_covid_model_nearly_as_good_as_without() {
    match published() {
        Some(tables) => holds_the_goals("published tables", &tables, (3, 2), 0.01),
        None => println!(
            "NOT RUN the_contracts_noise_leaves_the_covid_model_nearly_as_good_as_without: ../shared/data/covid is absent"
        ),
    }
}

#[test]
fn the_same_holds_for_generated_people() {
    holds_the_goals("generated tables", &covid::generate(covid::SEED, covid::ROWS), (3, 2), 0.01);
}

#[test]
#[ignore = "minutes: ten splits with three draws of noise each, at three ε"]
fn the_same_holds_over_ten_splits() {
    if let Some(tables) = published() {
        holds_the_goals("published tables", &tables, (10, 3), 0.0);
    } else {
        println!("NOT RUN the_same_holds_over_ten_splits: ../shared/data/covid is absent");
    }
    holds_the_goals("generated tables", &covid::generate(covid::SEED, covid::ROWS), (10, 3), 0.0);
}
