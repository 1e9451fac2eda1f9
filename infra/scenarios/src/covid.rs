//! The COVID scenario's three tables: their columns, and people who do not exist in the same schema.
//!
//! Per person, drawn independently:
//!
//! | column | law |
//! |---|---|
//! | mobile number (key of all three tables) | nine digits, distinct |
//! | `a_sample_genetic_sequenced` = `a_sample_genetic_strain` | 1 with probability 0.24 |
//! | `a_icmr_test_result` | 1 where the strain is 1, else 1 with probability 0.10 |
//! | `a_test_ct_value` | 10 to 35, uniform |
//! | `pasymp`, `dsinfection`, `potravel` | 0 or 1, even |
//! | `age`, `page` | 18 to 90 and 36 to 63, uniform |
//! | `vaccine_name` | 1 or 2, even |
//!
//! So, as in the published tables, the strain carries the signal (its AUC alone is about 0.88) and all else is noise.
//! Every table is written in an order of its own, so that the join has work to do. Other columns are filled with text
//! of the right shape.

use std::collections::HashSet;

use crate::random::Random;
use crate::table::Table;

/// The seed of the shipped variant; another seed gives other people.
pub const SEED: u64 = 20_210_501;
/// Rows of each published table, and the public count of the variant.
pub const ROWS: usize = 2_119;

/// One of the three tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// Its file in the scenario's folder.
    pub file: &'static str,
    /// The column by which it is joined: a person's mobile number, once per table.
    pub key: &'static str,
    columns: &'static str,
}

impl Source {
    /// All columns, in the order of the file.
    pub fn columns(&self) -> Vec<&'static str> {
        self.columns.split_whitespace().collect()
    }
}

/// Test results.
pub const ICMR: Source = Source {
    file: "poc_data_icmr_data.csv",
    key: "icmr_patient_mobilenumber",
    columns: "icmrnumber icmr_patient_mobilenumber srfnumber a_icmr_test_type a_icmr_test_result a_test_ct_value \
              a_lab_id a_sample_genetic_sequenced a_sample_genetic_strain pupdate",
};
/// Vaccinations.
pub const COWIN: Source = Source {
    file: "poc_data_cowin_data.csv",
    key: "cowin_registered_mobile",
    columns: "cowin_registered_mobile beneficiary_name age gender id_verified uhid beneficiary_reference_id \
              vaccine_name dose_1_date d1_vaccinated_by d1_vaccinated_at dose_2_date d2_vaccinated_by \
              d2_vaccinated_at pupdate",
};
/// Hospital cases of the state war room (the index patients).
pub const STATEWARROOM: Source = Source {
    file: "poc_data_statewarroom_data.csv",
    key: "pcnumber",
    columns: "idcpatient pname pcnumber srfnumber icmrnumber bucode trbucode commby pstatus statusuby ureason \
              pahospital tpahospital htype pbtype pbquota fdate todate pasymp dsinfection potravel labcode page \
              pgender pstate pdistrict paddress pzone pward ptaluka pudate distcode",
};

/// The three tables with this many people, in the order ICMR, CoWIN, state war room.
pub fn generate(seed: u64, rows: usize) -> [Table; 3] {
    let mut random = Random::new(seed, "covid");
    let mut seen = HashSet::new();
    let mut people = Vec::with_capacity(rows);
    while people.len() < rows {
        let person = Person::draw(&mut random);
        if seen.insert(person.mobile) {
            people.push(person);
        }
    }
    [ICMR, COWIN, STATEWARROOM].map(|source| {
        let mut table = Table::new(&source.columns());
        let cells = |p: &Person, random: &mut Random| source.columns().iter().map(|c| p.cell(c, random)).collect();
        table.rows = people.iter().map(|person| cells(person, &mut random)).collect();
        random.shuffle(&mut table.rows);
        table
    })
}

/// What the three tables know of one person.
struct Person {
    mobile: u64,
    srf: u64,
    name: String,
    female: bool,
    strain: bool,
    positive: bool,
}

impl Person {
    fn draw(random: &mut Random) -> Person {
        let mobile = 100_000_000 + random.below(900_000_000);
        let strain = random.chance(0.24);
        Person {
            mobile,
            srf: 100_000_000_000 + random.below(900_000_000_000),
            name: format!("PERSON {:04} {:04}", random.below(10_000), random.below(10_000)),
            female: random.chance(0.5),
            strain,
            positive: strain || random.chance(0.10),
        }
    }

    /// The cell of a column; what is not the person's own is drawn.
    fn cell(&self, column: &str, random: &mut Random) -> String {
        let bit = |yes: bool| u8::from(yes).to_string();
        match column {
            "icmr_patient_mobilenumber" | "cowin_registered_mobile" | "pcnumber" => self.mobile.to_string(),
            "icmrnumber" => (1_000_000_000 + self.mobile).to_string(),
            "srfnumber" => self.srf.to_string(),
            "beneficiary_name" | "pname" => self.name.clone(),
            "gender" | "pgender" => (if self.female { "F" } else { "M" }).to_owned(),
            "a_icmr_test_type" => "RT-PCR".to_owned(),
            "a_icmr_test_result" => bit(self.positive),
            "a_sample_genetic_sequenced" | "a_sample_genetic_strain" => bit(self.strain),
            "a_test_ct_value" => (10 + random.below(26)).to_string(),
            "age" => (18 + random.below(73)).to_string(),
            "page" => (36 + random.below(28)).to_string(),
            "vaccine_name" => (1 + random.below(2)).to_string(),
            "pasymp" | "dsinfection" | "potravel" => bit(random.chance(0.5)),
            "pupdate" | "pudate" | "dose_1_date" | "dose_2_date" | "fdate" | "todate" => {
                format!("{:02}-{:02}-2021", 1 + random.below(28), 1 + random.below(12))
            }
            "pstate" => "KARNATAKA".to_owned(),
            "htype" => "HOSP".to_owned(),
            "pbquota" => "GOVERNMENT".to_owned(),
            other => format!("{}{}", other.to_uppercase(), random.below(1_000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strain_carries_the_signal() {
        let [icmr, ..] = generate(SEED, ROWS);
        let (strain, result) =
            (icmr.column("a_sample_genetic_strain").unwrap(), icmr.column("a_icmr_test_result").unwrap());
        let count =
            |s: &str, r: &str| icmr.rows.iter().filter(|row| row[strain] == s && row[result] == r).count() as f64;
        assert_eq!(count("1", "0"), 0.0);
        let (with, of_rest) = (count("1", "1") / 2_119.0, count("0", "1") / (count("0", "0") + count("0", "1")));
        assert!((with - 0.24).abs() < 0.03 && (of_rest - 0.10).abs() < 0.03, "{with} {of_rest}");
    }

    #[test]
    fn the_same_seed_gives_the_same_people_and_every_key_stands_once() {
        assert_eq!(generate(SEED, 100), generate(SEED, 100));
        assert_ne!(generate(SEED, 100), generate(SEED + 1, 100));
        for (table, source) in generate(SEED, 300).iter().zip([ICMR, COWIN, STATEWARROOM]) {
            let key = table.column(source.key).unwrap();
            assert_eq!(table.rows.iter().map(|r| &r[key]).collect::<HashSet<_>>().len(), 300);
        }
    }
}
