//! A scenario's folder: data, a description of every table, the job, and what differs from the reference.

use std::fs;
use std::path::{Path, PathBuf};

use schemas::{Code, R, Refusal};

use crate::describe::Description;
use crate::scenario::Scenario;
use crate::{pictures, readme, tables};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which scenario.
    pub scenario: Scenario,
    /// People; the scenario's own number if absent.
    pub rows: Option<u64>,
    /// Seed of the data; the scenario's own if absent.
    pub seed: Option<u64>,
    /// A folder with the published tables, instead of generated ones: COVID alone has such.
    pub tables: Option<PathBuf>,
}

/// The most people that a generator makes.
pub const MOST: u64 = 10_000_000;

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// The job's form.
    pub job: PathBuf,
    /// The public count of people.
    pub rows: u64,
    /// Whether the data are published tables and not generated.
    pub published: bool,
}

/// A file to be written: its path in the folder, and its bytes.
pub(crate) type File = (String, Vec<u8>);

/// Everything of a folder but its README.
pub(crate) struct Content {
    /// The public count of people of all its tables together.
    pub(crate) rows: u64,
    pub(crate) descriptions: Vec<(String, Description)>,
    pub(crate) job: String,
    pub(crate) files: Vec<File>,
}

/// Writes a scenario into a folder that does not exist yet.
pub fn write(order: &Order, dir: &Path) -> R<Written> {
    let rows = order.rows.unwrap_or_else(|| order.scenario.rows());
    if !(20..=MOST).contains(&rows) {
        return Err(Refusal::new(Code::ConfigInvalid, format!("a scenario has 20 to {MOST} rows")).at("rows"));
    }
    if order.tables.is_some() && order.scenario != Scenario::Covid {
        let sentence = "only the covid scenario takes published tables; the others are generated";
        return Err(Refusal::new(Code::ConfigInvalid, sentence).at("tables"));
    }
    let seed = order.seed.unwrap_or_else(|| order.scenario.seed());
    let content = match order.scenario {
        Scenario::Covid => tables::covid(rows, seed, order.tables.as_deref())?,
        Scenario::CreditRisk => tables::credit(rows, seed)?,
        Scenario::Brats => pictures::brats(rows, seed)?,
        Scenario::Mnist => pictures::mnist(rows, seed)?,
        Scenario::Cifar10 => pictures::cifar10(rows, seed)?,
    };
    let fault = |path: &Path, e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display()));
    fs::create_dir(dir).map_err(|e| fault(dir, e))?;
    let mut files = content.files;
    files.extend(content.descriptions.iter().map(|(name, d)| (format!("{name}.toml"), d.toml().into_bytes())));
    files.push(("job.toml".into(), content.job.into_bytes()));
    files.push(("README.md".into(), readme::text(order.scenario, rows, order.tables.is_some()).into_bytes()));
    for (name, bytes) in files {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| fault(parent, e))?;
        }
        fs::write(&path, bytes).map_err(|e| fault(&path, e))?;
    }
    Ok(Written { job: dir.join("job.toml"), rows: content.rows, published: order.tables.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("scenarios-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    fn order(scenario: Scenario) -> Order {
        Order { scenario, rows: Some(40), seed: None, tables: None }
    }

    #[test]
    fn every_scenario_writes_a_folder_and_the_same_one_each_time() {
        for scenario in Scenario::ALL {
            let (first, second) = (fresh(scenario.name()), fresh(&format!("{}-2", scenario.name())));
            let written = write(&order(scenario), &first).unwrap();
            write(&order(scenario), &second).unwrap();
            assert_eq!((written.rows, written.published), (40, false));
            let (one, other) = (all(&first, &first), all(&second, &second));
            assert!(one == other && one.len() > 3, "{}", scenario.name());
            assert!(one.iter().any(|(name, _)| name == "README.md") && one.iter().any(|(name, _)| name == "job.toml"));
            let code = write(&order(scenario), &first).unwrap_err().code;
            assert_eq!(code, Code::ConfigInvalid, "an existing folder is not written into");
            [first, second].iter().for_each(|dir| fs::remove_dir_all(dir).unwrap());
        }
    }

    #[test]
    fn too_few_too_many_and_tables_of_others_are_refused() {
        for (rows, tables) in [(19, None), (MOST + 1, None), (40, Some(PathBuf::from("x")))] {
            let order = Order { rows: Some(rows), tables, ..order(Scenario::Mnist) };
            assert_eq!(write(&order, &fresh("no")).unwrap_err().code, Code::ConfigInvalid);
        }
    }

    fn all(root: &Path, dir: &Path) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files.extend(all(root, &path));
            } else {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                files.push((name, fs::read(&path).unwrap()));
            }
        }
        files.sort();
        files
    }
}
