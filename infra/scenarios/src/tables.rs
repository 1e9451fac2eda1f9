//! The scenarios whose data are tables: COVID and credit risk.

use std::path::Path;

use schemas::{Code, R, Refusal};

use crate::describe::{Description, Kind};
use crate::folder::Content;
use crate::scenario::Scenario;
use crate::table::Table;
use crate::{covid, credit};

/// The COVID scenario: published tables from a folder, or generated ones.
pub(crate) fn covid(rows: u64, seed: u64, published: Option<&Path>) -> R<Content> {
    use Kind::{Number, Text};
    let bit = Number("0", "1");
    let sources = [
        (
            "icmr",
            covid::ICMR,
            "laboratory test results",
            vec![
                ("a_icmr_test_result", Text),
                ("a_test_ct_value", Number("10", "40")),
                ("a_sample_genetic_sequenced", bit),
                ("a_sample_genetic_strain", bit),
            ],
        ),
        (
            "idx",
            covid::STATEWARROOM,
            "index patients of the state war room",
            vec![("pasymp", bit), ("dsinfection", bit), ("potravel", bit), ("page", Number("0", "100"))],
        ),
        ("cowin", covid::COWIN, "vaccinations", vec![("age", Number("0", "100")), ("vaccine_name", Number("1", "2"))]),
    ];
    let tables = match published {
        Some(dir) => [covid::ICMR, covid::COWIN, covid::STATEWARROOM].map(|s| Table::read(&dir.join(s.file))),
        None => covid::generate(seed, rows as usize).map(Ok),
    };
    let [icmr, cowin, statewarroom] = tables;
    let (icmr, cowin, statewarroom) = (icmr?, cowin?, statewarroom?);
    // The public count of the published tables is published with them.
    let rows = if published.is_some() { covid::ROWS as u64 } else { rows };
    let of = |file: &str| match file {
        f if f == covid::ICMR.file => &icmr,
        f if f == covid::COWIN.file => &cowin,
        _ => &statewarroom,
    };
    let mut content = Content { rows, descriptions: Vec::new(), job: String::new(), files: Vec::new() };
    for (name, source, about, sealed) in sources {
        let table = of(source.file);
        let columns: Vec<_> = std::iter::once((source.key, Text)).chain(sealed).collect();
        let missing = columns.iter().find(|(column, _)| table.column(column).is_err());
        if let Some((column, _)) = missing {
            let sentence = format!("{} has no column {column}; the DEPA COVID tables are expected", source.file);
            return Err(Refusal::new(Code::TableForm, sentence).at("tables"));
        }
        let target = columns.iter().map(|(column, _)| *column).find(|column| *column == "a_icmr_test_result");
        let description = Description {
            name: format!("COVID {about}"),
            key: source.key,
            target,
            columns,
            rows,
            epsilon: "1.5".into(),
            delta: Scenario::Covid.delta(rows),
            about: format!("{about}; one row per person"),
        };
        content.files.push((format!("data/{}", source.file), table.csv()?));
        content.descriptions.push((name.to_owned(), description));
    }
    let rate = rate(128.0, rows);
    content.job = format!(
        "# Logistic regression with differential privacy over three inner joins. `depa train local --job job.toml --out FILE`\n\
         sql = \"\"\"\nSELECT * FROM icmr JOIN idx ON idx.pcnumber = icmr.icmr_patient_mobilenumber\n\
         JOIN cowin ON idx.pcnumber = cowin.cowin_registered_mobile\"\"\"\n\n{}\
         [training]\nmodel = {{ kind = \"logistic_regression\" }}\ntarget = \"icmr.a_icmr_test_result\"\npositive = \"1\"\n\
         principal = \"icmr.icmr_patient_mobilenumber\"\nepsilon = \"{}\"\ndelta = \"{}\"\nsteps = 198\n\
         sample_rate = \"{rate}\"\nclipping_norm = \"1.0\"\nlearning_rate = \"0.5\"\ntrain_ppm = 800000\n",
        sources_of(&[("icmr", covid::ICMR.file), ("idx", covid::STATEWARROOM.file), ("cowin", covid::COWIN.file)]),
        Scenario::Covid.epsilon(),
        Scenario::Covid.delta(rows),
    );
    Ok(content)
}

/// The credit scenario.
pub(crate) fn credit(rows: u64, seed: u64) -> R<Content> {
    let mut content = Content { rows, descriptions: Vec::new(), job: String::new(), files: Vec::new() };
    let (mut joins, mut files) = (String::new(), Vec::new());
    for (table, source) in credit::generate(seed, rows as usize).iter().zip(credit::SOURCES) {
        let first = source.alias == "a";
        let target = first.then_some((credit::TARGET, Kind::Text));
        let numbers = source.numbers.iter().map(|(name, lower, upper)| (*name, Kind::Number(lower, upper)));
        let description = Description {
            name: format!("{} of {}", source.name, source.owner),
            columns: std::iter::once((credit::KEY, Kind::Text)).chain(target).chain(numbers).collect(),
            key: credit::KEY,
            target: first.then_some(credit::TARGET),
            rows,
            epsilon: source.epsilon.into(),
            delta: Scenario::CreditRisk.delta(rows),
            about: format!("{}, summed up per applicant", source.name.replace('_', " ")),
        };
        if !first {
            joins.push_str(&format!("\nLEFT JOIN {0} ON a.{1} = {0}.{1}", source.alias, credit::KEY));
        }
        content.files.push((format!("data/{}", source.file), table.csv()?));
        content.descriptions.push((source.alias.to_owned(), description));
        files.push((source.alias, source.file));
    }
    content.job = format!(
        "# Boosted trees with differential privacy over five left joins.\nsql = \"\"\"\nSELECT * FROM a{joins}\"\"\"\n\n{}\
         [training]\n\
         model = {{ kind = \"trees\", trees = {{ depth = 3, features_per_tree = 2, regularization = \"20\" }} }}\n\
         target = \"a.{}\"\npositive = \"1\"\nprincipal = \"a.{}\"\n\
         epsilon = \"{}\"\ndelta = \"{}\"\nsteps = 220\nsample_rate = \"1\"\nclipping_norm = \"0.3\"\nlearning_rate = \"0.3\"\n\
         train_ppm = 800000\n",
        sources_of(&files),
        credit::TARGET,
        credit::KEY,
        Scenario::CreditRisk.epsilon(),
        Scenario::CreditRisk.delta(rows),
    );
    Ok(content)
}

/// The part of a job's form that says which table lies where.
pub(crate) fn sources_of(tables: &[(&str, &str)]) -> String {
    let one = |(name, file): &(&str, &str)| {
        format!("[tables.{name}]\ndescription = \"{name}.toml\"\nfile = \"data/{file}\"\n\n")
    };
    tables.iter().map(one).collect()
}

/// The sampling rate of an expected batch from four fifths of so many rows, rounded down to seven decimals.
pub(crate) fn rate(batch: f64, rows: u64) -> String {
    let rate = (batch / (0.8 * rows as f64)).min(0.5);
    format!("{:.7}", (rate * 1e7).floor() / 1e7)
}
