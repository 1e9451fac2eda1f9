//! The quality that the contract's noise leaves: the whole worker on the COVID tables, judged outside of it.

use std::path::PathBuf;

use safetensors::SafeTensors;
use schemas::pipeline::Join;
use schemas::text::Bytes;
use schemas::worker::Start;

use crate::fixtures::{column, feature, head, inner, real, serve, start};
use crate::table;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/covid");

/// icmr, cowin and index, with the columns a job needs.
fn tables() -> Option<(Start, Vec<String>)> {
    let columns: [(&str, &str, &[&str]); 3] = [
        (
            "icmr",
            "poc_data_icmr_data.csv",
            &[
                "icmr_patient_mobilenumber",
                "a_icmr_test_result",
                "a_test_ct_value",
                "a_sample_genetic_sequenced",
                "a_sample_genetic_strain",
            ],
        ),
        ("cowin", "poc_data_cowin_data.csv", &["cowin_registered_mobile", "age", "vaccine_name"]),
        ("index", "poc_data_statewarroom_data.csv", &["pcnumber", "pasymp", "dsinfection", "potravel", "page"]),
    ];
    let (mut heads, mut files, mut projection) = (vec![], vec![], vec![]);
    for (handle, file, names) in columns {
        let text = std::fs::read_to_string(PathBuf::from(FOLDER).join(file)).ok()?;
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
    let mut start = start(heads, join, features, "icmr.a_icmr_test_result", key, 198);
    start.training.sample_rate = real("0.07551622"); // 128 of 1,695 rows
    start.plan.sample_rate = real("0.07551622");
    start.plan.expected_batch = real("128");
    start.plan.noise_multiplier = real("4.100"); // ε = 1 at δ = 0.0000472
    Some((start, files))
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

#[test]
fn private_logistic_regression_reaches_its_auc_on_the_covid_tables() {
    let Some((mut start, files)) = tables() else {
        println!(
            "NOT RUN private_logistic_regression_reaches_its_auc_on_the_covid_tables: ../shared/data/covid is absent"
        );
        return;
    };
    let mut areas = Vec::new();
    for salt in 1..=5u8 {
        start.training.split_salt = Bytes(vec![salt; 32]);
        start.seed.0 = Bytes(vec![100 + salt; 32]);
        let begun = std::time::Instant::now();
        let model = serve(&start, &files).model.unwrap();
        let seconds = begun.elapsed().as_secs_f64();
        let read = start.tables.iter().zip(&files).map(|(head, file)| table::read(head, file.as_bytes()).unwrap());
        let parts = table::prepare(&start, read.collect()).unwrap();
        assert_eq!(parts.train.len() + parts.held_out.len(), 2_119);
        let model = SafeTensors::deserialize(&model).unwrap();
        let (weights, bias) = (numbers(&model, "0.weight"), numbers(&model, "0.bias")[0]);
        let rows = parts.held_out.features.chunks(weights.len());
        let score = |x: &[f32]| x.iter().zip(&weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>() + bias;
        let scores: Vec<f64> = rows.map(score).collect();
        let area = auc(&scores, &parts.held_out.labels);
        println!("salt {salt}: AUC {area:.4} on {} held-out rows, {seconds:.2} s", parts.held_out.len());
        areas.push(area);
    }
    areas.sort_by(f64::total_cmp);
    println!("median AUC {:.4} at noise multiplier 4.100, 198 steps", areas[2]);
    assert!(areas[2] >= 0.85, "median AUC {}", areas[2]);
}
