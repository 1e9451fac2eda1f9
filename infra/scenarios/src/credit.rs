//! The credit scenario's six tables: columns as the reference selects them, borrowers who do not exist.
//!
//! A borrower has four hidden traits (discipline, burden, experience, means), standard normal. Columns are noisy, skewed
//! pictures of them. Whether a loan fails follows a curved law: too little *and* too much credit for an income is
//! risky, late payments count from a threshold on, past dues count double where the balance is high, and experience
//! helps up to a point. A straight line through these columns misses most of it; trees do not. About a fifth of the
//! right-hand tables' people are missing there, as a left join must bear.

use crate::random::Random;
use crate::table::Table;

/// The seed of the shipped variant.
pub const SEED: u64 = 20_180_517;
/// The reference's rows after its join.
pub const ROWS: usize = 7_548;
/// The key of all tables.
pub const KEY: &str = "SK_ID_CURR";
/// What is foretold: 1 where the loan failed.
pub const TARGET: &str = "TARGET";

/// A number of a table, with the bounds that its provider publishes.
pub type Number = (&'static str, &'static str, &'static str);

/// One of the six tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// The table in the reference's SQL.
    pub name: &'static str,
    /// Its alias there.
    pub alias: &'static str,
    /// Whose it is.
    pub owner: &'static str,
    /// Its file; the reference's is of the same name in Parquet.
    pub file: &'static str,
    /// The ε that the reference's contract grants.
    pub epsilon: &'static str,
    /// Its numbers.
    pub numbers: &'static [Number],
}

/// The tables in the order of the reference's join.
pub const SOURCES: [Source; 6] = [
    Source {
        name: "credit_applications",
        alias: "a",
        owner: "bank_a",
        file: "bank_a_app_learn.csv",
        epsilon: "7.5",
        numbers: &[("INCOME_PER_PERSON", "0", "300000"), ("CREDIT_TO_INCOME", "0", "12"), ("CNT_CHILDREN", "0", "6")],
    },
    Source {
        name: "previous_applications",
        alias: "p",
        owner: "bank_a",
        file: "bank_a_prev_agg.csv",
        epsilon: "7.5",
        numbers: &[
            ("AMT_APPLICATION_count", "0", "20"),
            ("AMT_APPLICATION_mean", "0", "800000"),
            ("AMT_CREDIT_mean", "0", "800000"),
            ("AMT_DOWN_PAYMENT_mean", "0", "100000"),
        ],
    },
    Source {
        name: "payment_installments",
        alias: "i",
        owner: "bank_a",
        file: "bank_a_inst_agg.csv",
        epsilon: "9",
        numbers: &[
            ("AMT_PAYMENT_sum", "0", "2000000"),
            ("AMT_INSTALMENT_sum", "0", "2000000"),
            ("PAYMENT_DIFF_mean", "0", "10000"),
            ("LATE_PAYMENT_mean", "0", "1"),
        ],
    },
    Source {
        name: "bureau_records",
        alias: "b",
        owner: "bureau",
        file: "bureau_agg.csv",
        epsilon: "4.5",
        numbers: &[
            ("BUREAU_COUNT_sum", "0", "30"),
            ("AMT_CREDIT_SUM_mean", "0", "1000000"),
            ("AMT_CREDIT_SUM_DEBT_mean", "0", "1000000"),
            ("STATUS_PAST_DUE_RATE", "0", "1"),
        ],
    },
    Source {
        name: "pos_cash_balance",
        alias: "pos",
        owner: "fintech",
        file: "pos_fintech_agg.csv",
        epsilon: "4",
        numbers: &[("SK_DPD_max", "0", "60"), ("SK_DPD_DEF_mean", "0", "10"), ("MONTHS_BALANCE_count", "0", "96")],
    },
    Source {
        name: "credit_card_balance",
        alias: "cc",
        owner: "bank_b",
        file: "bank_b_cc_agg.csv",
        epsilon: "5",
        numbers: &[
            ("AMT_BALANCE_mean", "0", "300000"),
            ("AMT_CREDIT_LIMIT_ACTUAL_max", "0", "600000"),
            ("SK_DPD_max", "0", "60"),
            ("SK_DPD_DEF_mean", "0", "10"),
        ],
    },
];

/// Columns of the applications that the reference drops after its join.
pub const DROPPED: [&str; 4] = ["NAME_CONTRACT_TYPE", "CODE_GENDER", "FLAG_OWN_CAR", "FLAG_OWN_REALTY"];

impl Source {
    /// Its columns in order.
    pub fn columns(&self) -> Vec<&'static str> {
        let first = self.name == SOURCES[0].name;
        let own: &[&str] = if first { &[TARGET] } else { &[] };
        let dropped: &[&str] = if first { &DROPPED } else { &[] };
        let numbers = self.numbers.iter().map(|(name, ..)| *name);
        std::iter::once(KEY).chain(own.iter().copied()).chain(numbers).chain(dropped.iter().copied()).collect()
    }
}

/// The six tables with this many applicants.
pub fn generate(seed: u64, rows: usize) -> [Table; 6] {
    let mut random = Random::new(seed, "credit");
    let people: Vec<(u64, Borrower)> =
        (0..rows as u64).map(|place| (100_002 + 7 * place + random.below(7), Borrower::draw(&mut random))).collect();
    SOURCES.map(|source| {
        let mut table = Table::new(&source.columns());
        for (key, person) in &people {
            if source.name == SOURCES[0].name || random.chance(0.8) {
                let cells = source.columns().into_iter().map(|column| match column {
                    KEY => key.to_string(),
                    other => person.cell(other, &mut random),
                });
                table.rows.push(cells.collect());
            }
        }
        random.shuffle(&mut table.rows);
        table
    })
}

/// A borrower: what is seen of them in several tables, and whether the loan fails.
struct Borrower {
    discipline: f64,
    experience: f64,
    means: f64,
    credit_to_income: f64,
    late: f64,
    past_due: f64,
    days: f64,
    balance: f64,
    failed: bool,
}

impl Borrower {
    fn draw(random: &mut Random) -> Borrower {
        let [discipline, burden, experience, means] = [(); 4].map(|()| random.normal());
        let credit_to_income = (3.6 + 1.8 * burden + 0.6 * random.normal()).clamp(0.1, 12.0);
        let share = |x: f64| 1.0 / (1.0 + (-x).exp());
        let late = share(-1.4 - 1.1 * discipline + 0.4 * random.normal());
        let past_due = share(-1.6 - 0.8 * discipline + 0.6 * burden + 0.5 * random.normal());
        let days = (14.0 - 11.0 * discipline + 8.0 * random.normal()).clamp(0.0, 60.0).round();
        let balance = (60_000.0 * (0.5 * burden + 0.7 * means + 0.3 * random.normal()).exp()).min(300_000.0);
        let too_much_or_little = (credit_to_income - 3.6).abs();
        let risk = -4.1
            + 0.95 * too_much_or_little
            + if late > 0.35 { 1.3 } else { 0.0 }
            + if past_due > 0.25 && balance > 60_000.0 { 1.6 } else { 0.0 }
            + if (20.0..45.0).contains(&days) { 1.0 } else { 0.0 }
            + 0.5 * (experience - 0.4).powi(2)
            - 0.3 * means;
        let failed = random.chance(share(risk));
        Borrower { discipline, experience, means, credit_to_income, late, past_due, days, balance, failed }
    }

    fn cell(&self, column: &str, random: &mut Random) -> String {
        let money = |x: f64, most: f64| format!("{:.0}", x.clamp(0.0, most));
        let skewed = |middle: f64, random: &mut Random| middle * (0.5 * self.means + 0.4 * random.normal()).exp();
        let one_of = |words: &[&'static str], random: &mut Random| random.one(words).unwrap_or_default().to_owned();
        match column {
            TARGET => u8::from(self.failed).to_string(),
            "INCOME_PER_PERSON" => money(skewed(70_000.0, random), 300_000.0),
            "CREDIT_TO_INCOME" => format!("{:.4}", self.credit_to_income),
            "CNT_CHILDREN" => (random.below(3) * random.below(2)).to_string(),
            "NAME_CONTRACT_TYPE" => one_of(&["Cash loans", "Revolving loans"], random),
            "CODE_GENDER" => one_of(&["F", "M"], random),
            "FLAG_OWN_CAR" | "FLAG_OWN_REALTY" => one_of(&["N", "Y"], random),
            "AMT_APPLICATION_count" => {
                format!("{:.0}", (6.0 + 3.0 * self.experience + random.normal()).clamp(0.0, 20.0))
            }
            "BUREAU_COUNT_sum" => format!("{:.0}", (10.0 + 5.0 * self.experience + random.normal()).clamp(0.0, 30.0)),
            "MONTHS_BALANCE_count" => {
                format!("{:.0}", (40.0 + 18.0 * self.experience + 3.0 * random.normal()).clamp(0.0, 96.0))
            }
            "LATE_PAYMENT_mean" => format!("{:.4}", self.late),
            "STATUS_PAST_DUE_RATE" => format!("{:.4}", self.past_due),
            "SK_DPD_max" => format!("{:.0}", (self.days + random.normal()).clamp(0.0, 60.0)),
            "SK_DPD_DEF_mean" => format!("{:.3}", (1.5 - self.discipline + 0.5 * random.normal()).clamp(0.0, 10.0)),
            "PAYMENT_DIFF_mean" => money(1_500.0 - 900.0 * self.discipline + 400.0 * random.normal(), 10_000.0),
            "AMT_BALANCE_mean" => money(self.balance, 300_000.0),
            "AMT_CREDIT_LIMIT_ACTUAL_max" => money(skewed(180_000.0, random), 600_000.0),
            "AMT_DOWN_PAYMENT_mean" => money(skewed(12_000.0, random), 100_000.0),
            "AMT_PAYMENT_sum" | "AMT_INSTALMENT_sum" => money(skewed(350_000.0, random), 2_000_000.0),
            "AMT_CREDIT_SUM_mean" | "AMT_CREDIT_SUM_DEBT_mean" => money(skewed(250_000.0, random), 1_000_000.0),
            _ => money(skewed(150_000.0, random), 800_000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_the_references_columns_and_left_joins_have_gaps() {
        let tables = generate(SEED, 2_000);
        assert_eq!(tables, generate(SEED, 2_000));
        assert_eq!(tables[0].rows.len(), 2_000);
        for (table, source) in tables.iter().zip(SOURCES) {
            assert_eq!(table.header, source.columns());
            for (name, lower, upper) in source.numbers {
                let (place, lower, upper) =
                    (table.column(name).unwrap(), lower.parse::<f64>().unwrap(), upper.parse::<f64>().unwrap());
                let within = |row: &Vec<String>| (lower..=upper).contains(&row[place].parse::<f64>().unwrap());
                assert!(table.rows.iter().all(within), "{name}");
            }
        }
        assert!(tables[1..].iter().all(|table| (1_500..1_700).contains(&table.rows.len())));
    }

    #[test]
    fn a_loan_fails_by_a_law_that_no_line_follows() {
        let [applications, ..] = generate(SEED, 6_000);
        let (ratio, target) = (applications.column("CREDIT_TO_INCOME").unwrap(), applications.column(TARGET).unwrap());
        let rate = |low: f64, high: f64| {
            let of = applications.rows.iter().filter(|r| (low..high).contains(&r[ratio].parse::<f64>().unwrap()));
            let (failed, all) = of.fold((0.0, 0.0), |(f, n), r| (f + f64::from(u8::from(r[target] == "1")), n + 1.0));
            failed / all
        };
        let (little, fair, much) = (rate(0.0, 1.2), rate(3.0, 4.2), rate(6.0, 12.0));
        assert!(little > fair + 0.15 && much > fair + 0.15, "{little} {fair} {much}");
        let all = rate(0.0, 13.0);
        assert!((0.15..0.4).contains(&all), "{all}");
    }
}
