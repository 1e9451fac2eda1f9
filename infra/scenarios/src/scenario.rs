//! Which scenarios there are, and where each shipped variant differs from the reference's files.

use schemas::{Code, R, Refusal};

use crate::{covid, credit};

/// One of the five.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scenario {
    /// Three health tables, joined on a mobile number.
    Covid,
    /// Six tables of loans, left-joined.
    CreditRisk,
    /// Slices of brains with tumours, a union of four providers.
    Brats,
    /// Handwritten digits.
    Mnist,
    /// Small colour pictures.
    Cifar10,
}

impl Scenario {
    /// All five, in the order of the reference.
    pub const ALL: [Scenario; 5] =
        [Scenario::Covid, Scenario::CreditRisk, Scenario::Brats, Scenario::Mnist, Scenario::Cifar10];

    /// Its name: that of the reference's folder.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Covid => "covid",
            Scenario::CreditRisk => "credit-risk",
            Scenario::Brats => "brats",
            Scenario::Mnist => "mnist",
            Scenario::Cifar10 => "cifar10",
        }
    }

    /// The scenario of this name; `CONFIG_INVALID` lists the names.
    pub fn parse(name: &str) -> R<Scenario> {
        let names: Vec<&str> = Scenario::ALL.iter().map(|s| s.name()).collect();
        let unknown =
            || Refusal::new(Code::ConfigInvalid, format!("there is no scenario {name:?}; known: {}", names.join(", ")));
        Scenario::ALL.into_iter().find(|s| s.name() == name).ok_or_else(unknown)
    }

    /// In a line.
    pub fn title(self) -> &'static str {
        match self {
            Scenario::Covid => "three health tables joined on a mobile number; who tests positive",
            Scenario::CreditRisk => "six tables of four providers, left-joined; which loan fails",
            Scenario::Brats => "slices of brains from four providers; where the tumour is",
            Scenario::Mnist => "handwritten digits of one provider; which digit it is",
            Scenario::Cifar10 => "small colour pictures of one provider; what they show",
        }
    }

    /// The public count of people in the reference: N of δ < 1/N.
    pub fn reference_rows(self) -> u64 {
        match self {
            Scenario::Covid => covid::ROWS as u64,
            Scenario::CreditRisk => credit::ROWS as u64,
            Scenario::Brats => 327,
            Scenario::Mnist => 60_000,
            Scenario::Cifar10 => 50_000,
        }
    }

    /// Rows that a new folder has where nothing else is asked: small enough for a laptop.
    pub fn rows(self) -> u64 {
        match self {
            Scenario::Mnist => 4_000,
            Scenario::Cifar10 => 10_000,
            other => other.reference_rows(),
        }
    }

    /// The seed of the shipped data.
    pub fn seed(self) -> u64 {
        match self {
            Scenario::Covid => covid::SEED,
            Scenario::CreditRisk => credit::SEED,
            Scenario::Brats => 20_200_101,
            Scenario::Mnist => 19_980_701,
            Scenario::Cifar10 => 20_090_408,
        }
    }

    /// ε of the variant's run.
    pub fn epsilon(self) -> &'static str {
        match self {
            Scenario::Covid => "1.0",
            Scenario::CreditRisk => "4.0",
            Scenario::Brats => "1.5",
            Scenario::Mnist | Scenario::Cifar10 => "4.0",
        }
    }

    /// δ of the variant for a public count: that of the table in the handbook up to the reference's count, a tenth of
    /// 1/N, rounded down to two digits, beyond.
    pub fn delta(self, rows: u64) -> String {
        let shipped = match self {
            Scenario::Covid => "0.0000472",
            Scenario::CreditRisk => "0.00001",
            Scenario::Brats => "0.0003",
            Scenario::Mnist => "0.0000016",
            Scenario::Cifar10 => "0.000002",
        };
        if rows <= self.reference_rows() {
            return shipped.to_owned();
        }
        let tenth = 1.0 / (10.0 * rows as f64);
        let digits = (1.0 - tenth.log10().floor()).clamp(0.0, 18.0) as usize;
        let unit = 10f64.powi(i32::try_from(digits).unwrap_or(18));
        format!("{:.digits$}", (tenth * unit).floor() / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delta_is_about_a_tenth_of_one_over_n_and_never_above_one_over_n() {
        for scenario in Scenario::ALL {
            for rows in [scenario.rows(), scenario.reference_rows(), 100_000, 1_234_567, 99_999_999] {
                let delta: f64 = scenario.delta(rows).parse().unwrap();
                assert!(delta > 0.0 && delta * rows as f64 <= 0.1001, "{} {rows} {delta}", scenario.name());
            }
            assert_eq!(Scenario::parse(scenario.name()).unwrap(), scenario);
        }
        assert_eq!(Scenario::parse("imagenet").unwrap_err().code, Code::ConfigInvalid);
        assert_eq!(Scenario::Mnist.delta(120_000), "0.00000083");
    }
}
