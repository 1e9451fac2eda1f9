//! The days that somebody asks about: a year, a quarter, a month, or a stretch of days, all in UTC.

use std::str::FromStr;

use schemas::{Code, R, Refusal, Timestamp};

/// Whole days in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    begins: Timestamp,
    /// The first instant after it.
    ends: Timestamp,
}

const DAY_SECONDS: i64 = 86_400;

impl Period {
    /// Its first instant.
    pub fn begins(&self) -> Timestamp {
        self.begins
    }

    /// The first instant after it.
    pub fn ends(&self) -> Timestamp {
        self.ends
    }

    /// Whether an instant is in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        (self.begins..self.ends).contains(&at)
    }

    /// Its first and its last day.
    pub fn days(&self) -> [String; 2] {
        let day = |at: Timestamp| at.to_string().chars().take("2026-12-31".len()).collect();
        [day(self.begins), day(Timestamp::from_micros(self.ends.micros() - 1))]
    }
}

impl FromStr for Period {
    type Err = Refusal;

    fn from_str(text: &str) -> R<Period> {
        let bad = |why: &str| Refusal::new(Code::ConfigInvalid, why.to_owned());
        let forms = "a year (2026), a quarter (2026-Q3), a month (2026-09) or a stretch of days \
                     (2026-07-01..2026-09-30) is expected";
        let (begins, ends) = stretch(text).or_else(|| months(text)).ok_or_else(|| bad(forms))?;
        if ends <= begins {
            return Err(bad("the stretch of days ends before it begins"));
        }
        Ok(Period { begins, ends })
    }
}

/// From the first instant of one day to the one after the last of another.
fn stretch(text: &str) -> Option<(Timestamp, Timestamp)> {
    let (first, last) = text.split_once("..")?;
    Some((day(first)?, day(last)?.plus_seconds(DAY_SECONDS)))
}

/// A year, a quarter or a month: from its first instant to that of the month after it.
fn months(text: &str) -> Option<(Timestamp, Timestamp)> {
    let (year, first, count) = match text.split_once('-') {
        None => (text, "01", 12),
        Some((year, "Q1")) => (year, "01", 3),
        Some((year, "Q2")) => (year, "04", 3),
        Some((year, "Q3")) => (year, "07", 3),
        Some((year, "Q4")) => (year, "10", 3),
        Some((year, month)) => (year, month, 1),
    };
    let begins = day(&format!("{year}-{first}-01"))?;
    // Months of all years up to the one after it.
    let after = year.parse::<u32>().ok()? * 12 + first.parse::<u32>().ok()? - 1 + count;
    let ends = day(&format!("{}-{:02}-01", after / 12, after % 12 + 1))?;
    Some((begins, ends))
}

/// The first instant of a day of the calendar.
fn day(text: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{text}T00:00:00Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn years_quarters_months_and_stretches_are_read() {
        for (text, words, ends) in [
            ("2026", "2026-01-01 to 2026-12-31", "2027-01-01T00:00:00Z"),
            ("2026-Q1", "2026-01-01 to 2026-03-31", "2026-04-01T00:00:00Z"),
            ("2026-Q2", "2026-04-01 to 2026-06-30", "2026-07-01T00:00:00Z"),
            ("2026-Q3", "2026-07-01 to 2026-09-30", "2026-10-01T00:00:00Z"),
            ("2026-Q4", "2026-10-01 to 2026-12-31", "2027-01-01T00:00:00Z"),
            ("2026-09", "2026-09-01 to 2026-09-30", "2026-10-01T00:00:00Z"),
            ("2026-12", "2026-12-01 to 2026-12-31", "2027-01-01T00:00:00Z"),
            ("2028-02", "2028-02-01 to 2028-02-29", "2028-03-01T00:00:00Z"),
            ("2026-07-01..2026-09-30", "2026-07-01 to 2026-09-30", "2026-10-01T00:00:00Z"),
            ("2026-12-31..2026-12-31", "2026-12-31 to 2026-12-31", "2027-01-01T00:00:00Z"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!((period.days().join(" to ").as_str(), period.ends()), (words, at(ends)), "{text}");
        }
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in [
            "",
            "..",
            "26",
            "2026-",
            "2026-Q0",
            "2026-Q5",
            "2026-q3",
            "2026-9",
            "2026-+9",
            "2026-00",
            "2026-13",
            "2026-09-01",
            "1969",
            "2026-02-30..2026-03-01",
            "2026-02-01..2026-02-30",
            "2026-07-01..",
            "..2026-07-01",
            "2026-07-01..2026-08-01..2026-09-01",
            "2026-07..2026-09",
            "2026-07-01T00:00:00Z..2026-07-02",
            " 2026",
            "last quarter",
        ] {
            let refusal = text.parse::<Period>().unwrap_err();
            assert_eq!(refusal.code, Code::ConfigInvalid, "{text}");
            assert!(refusal.sentence.contains("a quarter (2026-Q3)"), "{text}: {refusal}");
            assert_eq!(crate::exit::of(&refusal), crate::exit::USAGE);
        }
        let reversed = "2026-09-30..2026-07-01".parse::<Period>().unwrap_err();
        assert!(reversed.code == Code::ConfigInvalid && reversed.sentence.contains("before it begins"), "{reversed}");
    }

    #[test]
    fn both_ends_are_in_it_and_what_lies_beyond_is_not() {
        let period: Period = "2026-Q3".parse().unwrap();
        for (instant, inside) in [
            ("2026-06-30T23:59:59.999999Z", false),
            ("2026-07-01T00:00:00Z", true),
            ("2026-09-30T23:59:59.999999Z", true),
            ("2026-10-01T00:00:00Z", false),
        ] {
            assert_eq!(period.contains(at(instant)), inside, "{instant}");
        }
    }
}
