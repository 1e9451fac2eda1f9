//! The five reference scenarios: their own files read as they lie, each with its verdict; and the shipped variants, which
//! the rules accept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use depa::scenario::{self, check};
use depa::{edge, train};
use models::reference::Options;
use scenarios::{Order, Scenario};
use schemas::Code;
use schemas::network::Input;
use serde_json::Value;

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/depa-scenarios");

/// What the handbook says of a scenario's own files.
struct Row {
    datasets: usize,
    filled_in: &'static str,
    pipeline: &'static str,
    pipeline_with_delta_mended: Option<&'static str>,
    join: Option<&'static str>,
    model: Option<&'static str>,
    loss: Option<&'static str>,
    data: &'static str,
}

fn row(scenario: Scenario) -> Row {
    let tabular = Row {
        datasets: 3,
        filled_in: "DELTA_TOO_LARGE",
        pipeline: "DELTA_TOO_LARGE",
        pipeline_with_delta_mended: Some("PIPELINE_ROW_COUPLING"),
        join: Some(
            "icmr, then inner idx on icmr.pk_mobno_hashed = idx.pk_mobno_hashed, \
             inner cowin on idx.pk_mobno_hashed = cowin.pk_mobno_hashed; factors icmr 1, idx 1, cowin 1",
        ),
        model: None,
        loss: Some("torch.nn.BCELoss"),
        data: "tabular",
    };
    let unprotected = Row {
        datasets: 1,
        filled_in: "PRIVACY_CLAUSE_MISSING",
        pipeline: "PRIVACY_CLAUSE_MISSING",
        pipeline_with_delta_mended: Some("PRIVACY_CLAUSE_MISSING"),
        join: None,
        model: None,
        loss: Some("alpha * (1 - pt)**gamma * ce_loss"),
        data: "serialized",
    };
    match scenario {
        Scenario::Covid => tabular,
        Scenario::CreditRisk => Row {
            datasets: 6,
            // The run's own δ would pass; the contract's does not.
            pipeline: "PIPELINE_ROW_COUPLING",
            join: Some(
                "a, then left p on a.sk_id_curr = p.sk_id_curr, left i on a.sk_id_curr = i.sk_id_curr, \
                 left b on a.sk_id_curr = b.sk_id_curr, left pos on a.sk_id_curr = pos.sk_id_curr, \
                 left cc on a.sk_id_curr = cc.sk_id_curr; factors a 1, p 2, i 2, b 2, pos 2, cc 2",
            ),
            model: Some("250 trees of depth 6"),
            loss: None,
            ..tabular
        },
        Scenario::Brats => Row {
            datasets: 4,
            pipeline_with_delta_mended: None,
            join: Some("union of 4 folders"),
            model: Some("graph of 20 layers and 2 submodules in 22 steps"),
            loss: Some("dice_loss + 2 * l1_loss"),
            data: "directory",
            ..tabular
        },
        Scenario::Mnist => unprotected,
        Scenario::Cifar10 => Row {
            model: Some("graph of 6 layers and 0 submodules in 6 steps"),
            loss: Some("nn.CrossEntropyLoss"),
            ..unprotected
        },
    }
}

#[test]
fn the_references_own_files_are_read_and_get_their_verdicts() {
    if !Path::new(REFERENCE).is_dir() {
        println!("NOT RUN the_references_own_files_are_read_and_get_their_verdicts: no ../shared/data/depa-scenarios");
        return;
    }
    println!(
        "{:<12} {:<42} {:<24} {:<24} with δ mended",
        "scenario", "contract as it lies", "gaps filled in", "pipeline"
    );
    for scenario in Scenario::ALL {
        let folder = Path::new(REFERENCE).join(scenario.name());
        let (read, wanted) = (check::check(&folder, scenario.reference_rows(), edge::now()).unwrap(), row(scenario));
        assert_eq!(read.as_it_lies, ["CONTRACT_INCOMPLETE", "CONTRACT_EXPIRED"], "{}", scenario.name());
        assert_eq!(
            (read.datasets, read.filled_in.clone()),
            (wanted.datasets, vec![wanted.filled_in]),
            "{}",
            scenario.name()
        );
        assert_eq!(read.filled_in, [scenario::verdict(scenario).as_str()], "the list that users see says the same");
        assert_eq!(read.pipeline, Some(wanted.pipeline), "{}", scenario.name());
        assert_eq!(read.pipeline_with_delta_mended, wanted.pipeline_with_delta_mended, "{}", scenario.name());
        let parts = [read.join.as_deref(), read.model.as_deref(), read.loss.as_deref(), read.data.as_deref()];
        assert_eq!(parts, [wanted.join, wanted.model, wanted.loss, Some(wanted.data)], "{}", scenario.name());
        assert!(read.notices.iter().any(|notice| notice.starts_with("random_state")), "{:?}", read.notices);
        println!(
            "{:<12} {:<42} {:<24} {:<24} {}",
            scenario.name(),
            read.as_it_lies.join(", "),
            read.filled_in.join(", "),
            read.pipeline.unwrap_or("accepted"),
            read.pipeline_with_delta_mended.unwrap_or("accepted")
        );
    }
}

/// Every one of the reference's files: a contract and a pipeline with their verdicts above, a part that stands in that
/// pipeline word for word and so shares its verdict, or a variant with a verdict of its own.
#[test]
fn no_file_of_the_reference_is_left_unread() {
    if !Path::new(REFERENCE).is_dir() {
        println!("NOT RUN no_file_of_the_reference_is_left_unread: no ../shared/data/depa-scenarios");
        return;
    }
    let json = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let mut files = 0;
    for scenario in Scenario::ALL {
        let folder = Path::new(REFERENCE).join(scenario.name());
        let pipeline = json(&folder.join("pipeline_config.json"));
        let stages = pipeline["pipeline"].as_array().unwrap();
        let train = &stages.iter().find(|s| s["name"].as_str().unwrap().starts_with("Train")).unwrap()["config"];
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            files += 1;
            match name.as_str() {
                "contract.json" | "pipeline_config.json" => {}
                "train_config.json" | "join_config.json" => assert!(stages.contains(&json(&path)), "{name}"),
                "dataset_config.json" | "loss_config.json" | "model_config.json" => {
                    assert_eq!(json(&path), train[name.trim_end_matches(".json")], "{name}");
                }
                "eval_config.json" => {
                    for (member, value) in json(&path).as_object().unwrap() {
                        assert_eq!(value, &train[member], "{name}: {member}");
                    }
                }
                "sample_variants" => {
                    let read = |name: &str| {
                        let input = Input::Vector { features: 10 };
                        models::reference::model(&json(&path.join(name)), input, &Options::default())
                    };
                    let refusal = read("model_config_safetensors.json").unwrap_err();
                    assert_eq!((refusal.code, refusal.field.as_deref()), (Code::ModelLayer, Some("dropout")));
                    let trees = models::reference::trees(&json(&path.join("model_config_xgboost.json"))).unwrap();
                    assert_eq!((trees.steps, trees.trees.depth), (250, 6));
                    files += std::fs::read_dir(&path).unwrap().count() - 1;
                }
                _ => panic!("{}: who reads {name}?", scenario.name()),
            }
        }
    }
    println!("{files} files of the reference are read");
    assert_eq!(files, 37);
}

fn fresh(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("depa-scenarios-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

/// The shipped variants get through the very rules of room and key services: tables and BraTS at the public counts they
/// are shipped with. Thousands of pictures take long to draw: MNIST and CIFAR-10 have fewer, so a larger sampling rate.
#[test]
fn every_shipped_variant_is_accepted_and_planned() {
    for scenario in Scenario::ALL {
        let dir = fresh(scenario.name());
        let rows = matches!(scenario, Scenario::Mnist | Scenario::Cifar10).then_some(400);
        scenario::new(&Order { scenario, rows, seed: None, tables: None }, &dir).unwrap();
        let form: train::LocalForm = edge::read_form(&dir.join("job.toml")).unwrap();
        let prepared = train::prepare(&form, &dir, &BTreeMap::new()).unwrap();
        let (plan, asked) = (&prepared.plan, scenario.epsilon().parse::<f64>().unwrap());
        let most = plan.charges.iter().map(|charge| charge.epsilon_micro).max().unwrap() as f64 / 1e6;
        assert!(most <= asked && most > 0.9 * asked, "{}: {most} of {asked}", scenario.name());
        let factors: Vec<u8> = plan.charges.iter().map(|charge| charge.factor).collect();
        let expected = if scenario == Scenario::CreditRisk { vec![1, 2, 2, 2, 2, 2] } else { vec![1; factors.len()] };
        assert_eq!(factors, expected, "{}", scenario.name());
        println!("{}: σ = {} over {} steps, factors {factors:?}", scenario.name(), plan.noise_multiplier, plan.steps);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

/// `Train_XGB` as it lies, in the shipped tables: its own trees, ε and δ, which room and key services would plan. What stands
/// in the way of the reference's pipeline are its fitted splits and the contract's δ, not the ensemble.
#[test]
fn the_references_own_trees_are_planned_on_the_shipped_tables() {
    let test = "the_references_own_trees_are_planned_on_the_shipped_tables";
    let folder = Path::new(REFERENCE).join("credit-risk");
    if !folder.is_dir() {
        println!("NOT RUN {test}: no ../shared/data/depa-scenarios");
        return;
    }
    let read = check::check(&folder, 7_548, edge::now()).unwrap();
    assert!(
        read.notices.iter().any(|notice| notice.starts_with("model_config.min_child_weight: left out")),
        "{read:?}"
    );
    let file = edge::read(&folder.join("pipeline_config.json")).unwrap();
    let trees = models::reference::trees(&serde_json::from_slice(&file).unwrap()).unwrap();
    let dir = fresh("xgb");
    scenario::new(&Order { scenario: Scenario::CreditRisk, rows: None, seed: None, tables: None }, &dir).unwrap();
    let mut form: train::LocalForm = edge::read_form(&dir.join("job.toml")).unwrap();
    let training = &mut form.training;
    training.model = schemas::pipeline::Model::Trees { trees: trees.trees };
    (training.epsilon, training.delta, training.steps) = (trees.epsilon, trees.delta, trees.steps);
    (training.sample_rate, training.clipping_norm) = (trees.sample_rate, trees.clipping_norm);
    training.learning_rate = trees.learning_rate;
    let plan = train::prepare(&form, &dir, &BTreeMap::new()).unwrap().plan;
    let most = plan.charges.iter().map(|charge| charge.epsilon_micro).max().unwrap();
    assert!(plan.steps == 250 && (3_600_000..=4_000_000).contains(&most), "{plan:?}");
    println!("the reference's 250 trees: σ = {} at ε = 4 over five left joins", plan.noise_multiplier);
    std::fs::remove_dir_all(dir).unwrap();
}
