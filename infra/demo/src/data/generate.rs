//! A generator of our own: people who do not exist, in three tables with the schema of the DEPA COVID tables.
//!
//! Per person, drawn independently from one seeded stream (SplitMix64; nothing secret hangs on it):
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
//! So, as in the real tables, the strain carries the signal (its AUC alone is about 0.88) and all else is noise. Every
//! table is written in an order of its own, so that the join has work to do. Other columns are filled with text of the
//! right shape; they are never sealed.

use super::{Table, TableKind, Tables};

/// Makes the three tables with this many people.
pub fn generate(seed: u64, rows: usize) -> Tables {
    let mut random = Random(seed);
    let mut seen = std::collections::HashSet::new();
    let people: Vec<Person> = (0..rows)
        .map(|_| {
            loop {
                let person = Person::draw(&mut random);
                if seen.insert(person.mobile) {
                    return person;
                }
            }
        })
        .collect();
    let mut table = |kind: TableKind| {
        let mut rows: Vec<Vec<String>> =
            people.iter().map(|p| kind.columns().iter().map(|c| p.cell(c, &mut random)).collect()).collect();
        random.shuffle(&mut rows);
        Table { header: kind.columns().into_iter().map(str::to_owned).collect(), rows }
    };
    Tables {
        icmr: table(TableKind::Icmr),
        cowin: table(TableKind::Cowin),
        statewarroom: table(TableKind::Statewarroom),
    }
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

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough for people who do not exist.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    fn chance(&mut self, probability: f64) -> bool {
        ((self.next() >> 11) as f64) / ((1u64 << 53) as f64) < probability
    }

    /// Fisher and Yates.
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strain_carries_the_signal() {
        let icmr = generate(super::super::SEED, 2_119).icmr;
        let (strain, result) =
            (icmr.column("a_sample_genetic_strain").unwrap(), icmr.column("a_icmr_test_result").unwrap());
        let count =
            |s: &str, r: &str| icmr.rows.iter().filter(|row| row[strain] == s && row[result] == r).count() as f64;
        assert_eq!(count("1", "0"), 0.0);
        let (with, of_rest) = (count("1", "1") / 2_119.0, count("0", "1") / (count("0", "0") + count("0", "1")));
        assert!((with - 0.24).abs() < 0.03 && (of_rest - 0.10).abs() < 0.03, "{with} {of_rest}");
    }
}
