use std::path::PathBuf;

use clap::{Args, Subcommand};
use depa::table::Table;
use depa::train::{self, LABEL, LocalForm};
use depa::{edge, scenario};
use scenarios::{Order, Scenario};
use schemas::{Code, R, Refusal};
use serde_json::json;

use super::Global;
use super::train::Options;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// The five reference scenarios: the verdict on the reference's own files, and what the safe variant asks for.
    #[command(after_help = "Example:\n  depa scenario list")]
    List,
    /// Write a scenario's safe variant into a new folder: data, descriptions of the tables, the job, and a README of what
    /// differs from the reference and why.
    #[command(
        after_help = "Examples:\n  depa scenario new covid --dir covid --tables FOLDER\n  depa scenario new mnist --dir mnist --rows 10000"
    )]
    New {
        /// covid, credit-risk, brats, mnist or cifar10.
        name: String,
        /// The new folder; the scenario's name if absent.
        #[arg(long)]
        dir: Option<PathBuf>,
        #[command(flatten)]
        data: Data,
    },
    /// Run a scenario here, outside any room. Its folder is written first where it is not there.
    #[command(
        after_help = "Examples:\n  depa scenario run covid --tables FOLDER\n  depa scenario run credit-risk --dir credit --json"
    )]
    Run {
        /// covid, credit-risk, brats, mnist or cifar10.
        name: String,
        /// The folder; the scenario's name if absent.
        #[arg(long)]
        dir: Option<PathBuf>,
        #[command(flatten)]
        data: Data,
        /// The trainer; else DEPA_TRAINER, else `ccr-trainer` beside this program.
        #[arg(long, value_name = "FILE")]
        trainer: Option<PathBuf>,
        /// Draw sampling and noise from this number; from the system if absent.
        #[arg(long)]
        noise_seed: Option<u64>,
    },
    /// Read a folder with files of DEPA's reference as they lie, and say what becomes of them.
    #[command(after_help = "Example:\n  depa scenario check scenarios/covid --rows 2119")]
    Check {
        /// The folder with contract.json and pipeline_config.json.
        folder: PathBuf,
        /// The public count of people, N of δ < 1/N; that of the scenario by the folder's name if absent.
        #[arg(long)]
        rows: Option<u64>,
    },
}

/// The data of a new folder.
#[derive(Args)]
pub struct Data {
    /// People to generate.
    #[arg(long)]
    rows: Option<u64>,
    /// Seed of the data; the scenario's own if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// The folder with the three published COVID tables, instead of generated ones.
    #[arg(long, value_name = "FOLDER")]
    tables: Option<PathBuf>,
}

pub fn run(verb: Verb, _: &Global) -> R<Answer> {
    match verb {
        Verb::List => Ok(list()),
        Verb::New { name, dir, data } => {
            let scenario = Scenario::parse(&name)?;
            let dir = dir.unwrap_or_else(|| scenario.name().into());
            let written = scenario::new(&order(scenario, data), &dir)?;
            say(&format!(
                "read {}; run it with depa scenario run {name} --dir {}",
                dir.join("README.md").display(),
                dir.display()
            ));
            let document = json!({"scenario": scenario.name(), "dir": dir, "job": written.job, "public_rows": written.rows,
                                  "published_tables": written.published});
            Ok(Answer::new(&document, format!("wrote {}", dir.display())))
        }
        Verb::Run { name, dir, data, trainer, noise_seed } => {
            let scenario = Scenario::parse(&name)?;
            let dir = dir.unwrap_or_else(|| scenario.name().into());
            let job = dir.join("job.toml");
            if !job.exists() {
                scenario::new(&order(scenario, data), &dir)?;
                say(&format!("wrote {}", dir.display()));
            } else if data.rows.is_some() || data.seed.is_some() || data.tables.is_some() {
                let sentence =
                    format!("{} is there already; --rows, --seed and --tables are for a new folder", dir.display());
                return Err(Refusal::new(Code::ConfigInvalid, sentence).at("dir"));
            }
            let form: LocalForm = edge::read_form(&job)?;
            let prepared = train::prepare(&form, &dir, &Default::default())?;
            let out = scenario::free_name(&dir);
            super::train::rehearse(&prepared, &Options { out, predictions: None, seed: noise_seed, trainer })
        }
        Verb::Check { folder, rows } => check(&folder, rows),
    }
}

fn order(scenario: Scenario, data: Data) -> Order {
    Order { scenario, rows: data.rows, seed: data.seed, tables: data.tables }
}

fn list() -> Answer {
    let (mut rows, mut all) = (Vec::new(), Vec::new());
    for scenario in Scenario::ALL {
        let (verdict, people) = (scenario::verdict(scenario), scenario.rows());
        rows.push([
            scenario.name().to_owned(),
            verdict.as_str().to_owned(),
            scenario.epsilon().to_owned(),
            scenario.delta(people),
            people.to_string(),
            scenario.title().to_owned(),
        ]);
        all.push(json!({
            "name": scenario.name(), "title": scenario.title(), "reference_verdict": verdict.as_str(),
            "epsilon": scenario.epsilon(), "delta": scenario.delta(people), "rows": people,
        }));
    }
    let heads = ["scenario", "reference as it lies", "ε", "δ", "people", "what"];
    let table = Table::new(heads, rows).numbers(&["ε", "δ", "people"]).text();
    let more = format!("ε, δ and people are those of the shipped variant; depa scenario run NAME trains it: {LABEL}");
    Answer::new(&json!({"scenarios": all}), format!("{table}\n{more}"))
}

fn check(folder: &std::path::Path, rows: Option<u64>) -> R<Answer> {
    let named = folder.file_name().and_then(|name| name.to_str()).and_then(|name| Scenario::parse(name).ok());
    let rows = rows.or(named.map(Scenario::reference_rows)).ok_or_else(|| {
        let sentence = "the files do not say how many people there are; add --rows N, the public count";
        Refusal::new(Code::ConfigInvalid, sentence).at("rows")
    })?;
    let reading = scenario::check::check(folder, rows, edge::now())?;
    let one = |code: Option<&'static str>| code.unwrap_or("accepted");
    let mut lines = vec![
        format!("contract over {} datasets, as it lies: {}", reading.datasets, reading.as_it_lies.join(", ")),
        format!("contract, gaps filled in: {}", reading.filled_in.join(", ")),
        format!("pipeline: {}", one(reading.pipeline)),
        format!("pipeline with δ mended: {}", one(reading.pipeline_with_delta_mended)),
    ];
    let parts = [("join", &reading.join), ("model", &reading.model), ("loss", &reading.loss), ("data", &reading.data)];
    lines.extend(parts.iter().filter_map(|(name, part)| part.as_ref().map(|part| format!("{name}: {part}"))));
    lines.extend(reading.notices.iter().map(|notice| format!("notice: {notice}")));
    Ok(Answer::new(&reading, lines.join("\n")))
}
