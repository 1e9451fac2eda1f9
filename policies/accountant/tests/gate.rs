//! The accountant's gate: our figures against those of three public accountants.
//! Where the reference file is absent the test says NOT RUN and proves nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::fs;

use accountant::{Event, RdpVector, calibrate, pld, rdp};
use serde_json::Value;

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/dp_reference.json");

#[test]
fn rdp_of_the_settings() {
    each_setting("RDP", |row| {
        let ours = RdpVector::of(&[row.event()]).unwrap().epsilon(row.delta);
        (ours, 1.01 * row.best_rdp())
    });
}

#[test]
fn pld_of_the_settings() {
    each_setting("PLD", |row| {
        let ours = pld::epsilon(row.noise, row.rate, row.steps, row.delta).unwrap();
        (ours, 1.005 * row.number("/pld_dp_accounting/pessimistic"))
    });
}

#[test]
fn rdp_of_single_steps() {
    let Some(reference) = reference("rdp_of_single_steps") else { return };
    let mut failures = Vec::new();
    let mut checked = 0;
    for row in rows(&reference, "rdp_single_step") {
        let (noise, rate) = (number(row, "/noise_multiplier"), number(row, "/sampling_rate"));
        for (at, order) in row["orders"].as_array().unwrap().iter().enumerate() {
            let order = order.as_f64().unwrap();
            let exact = number(row, &format!("/rdp_opacus/{at}"));
            let whole = row["rdp_dp_accounting"][at].as_f64().filter(|_| order.fract() == 0.0);
            let bound = 1.01 * whole.map_or(exact, |whole| whole.min(exact));
            let ours = rdp::sampled_gaussian(noise, rate, order).unwrap();
            if exceeds(ours, bound) {
                failures.push(format!("σ {noise} q {rate} α {order}: {ours} above {bound}"));
            }
            if exceeds(exact * (1.0 - 1e-6), ours) {
                failures.push(format!("σ {noise} q {rate} α {order}: {ours} below {exact}"));
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 153);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn calibrated_noise() {
    let Some(reference) = reference("calibrated_noise") else { return };
    for row in rows(&reference, "calibration") {
        let [target, rate, delta, theirs] =
            ["/target_epsilon", "/sampling_rate", "/delta", "/noise_multiplier_rdp"].map(|path| number(row, path));
        let steps = number(row, "/steps") as u32;
        let ours = calibrate(target, delta, rate, steps, &RdpVector::zero(), 1.0).unwrap();
        let event = Event::SampledGaussian { noise_multiplier: ours, sample_rate: rate, steps };
        let spent = RdpVector::of(&[event]).unwrap().epsilon(delta);
        println!("calibration ε {target} q {rate} T {steps}: σ {ours}, theirs {theirs}, spent {spent}");
        assert!(spent <= target, "ε {target} q {rate} T {steps}: σ {ours} costs {spent}");
        assert!(ours <= 1.01 * theirs, "ε {target} q {rate} T {steps}: σ {ours} above 1.01 × {theirs}");
    }
}

#[test]
fn noise_calibrated_by_pld() {
    let Some(reference) = reference("noise_calibrated_by_pld") else { return };
    let mut worst = 0.0f64;
    for row in rows(&reference, "calibration") {
        let [target, rate, delta, theirs, by_rdp] =
            ["/target_epsilon", "/sampling_rate", "/delta", "/noise_multiplier_pld", "/noise_multiplier_rdp"]
                .map(|path| number(row, path));
        let steps = number(row, "/steps") as u32;
        let ours = pld::calibrate(target, delta, rate, steps).unwrap();
        let spent = pld::epsilon(ours, rate, steps, delta).unwrap();
        println!("calibration by PLD ε {target} q {rate} T {steps}: σ {ours}, theirs {theirs}, spent {spent}");
        assert!(spent <= target, "ε {target} q {rate} T {steps}: σ {ours} costs {spent}");
        assert!(pld::epsilon(ours - 0.001, rate, steps, delta).unwrap() > target, "σ {ours} is not the least");
        // Theirs has four decimals, ours three, rounded up.
        assert!(ours <= 1.001 * theirs + 0.001 && ours < by_rdp, "ε {target}: σ {ours} above {theirs}");
        worst = worst.max(ours / theirs - 1.0);
    }
    println!("calibration by PLD: at most {:.4} % above the reference", worst * 100.0);
    for (target, rate) in [(0.0, 0.1), (f64::NAN, 0.1), (1.0, 1.5), (1.0, -0.1)] {
        assert_eq!(pld::calibrate(target, 1e-5, rate, 10), None);
    }
}

/// Compares (our ε, the highest allowed) of each row, and our ε with the row's lower bounds.
fn each_setting(name: &str, figures: impl Fn(&Setting) -> (f64, f64)) {
    let Some(reference) = reference(name) else { return };
    let mut failures = Vec::new();
    let (mut closest, mut farthest) = ((f64::INFINITY, ""), (0.0f64, ""));
    let settings = rows(&reference, "settings");
    assert_eq!(settings.len(), 40);
    for row in settings {
        let row = Setting::of(row);
        let (ours, highest) = figures(&row);
        let lowest = row.lowest();
        println!("{name} {}: {lowest} <= {ours} <= {highest}", row.name);
        if lowest > 0.0 && ours / lowest < closest.0 {
            closest = (ours / lowest, row.name);
        }
        if ours / highest > farthest.0 {
            farthest = (ours / highest, row.name);
        }
        if exceeds(ours, highest) {
            failures.push(format!("{}: {name} ε {ours} above {highest}", row.name));
        }
        if exceeds(lowest, ours) {
            failures.push(format!("{}: {name} ε {ours} below {lowest}", row.name));
        }
    }
    println!("{name}: nearest to the lower bound {:.6} of it ({})", closest.0, closest.1);
    println!("{name}: nearest to the highest allowed {:.6} of it ({})", farthest.0, farthest.1);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Not a number counts as too much.
fn exceeds(value: f64, bound: f64) -> bool {
    value > bound || value.is_nan() || bound.is_nan()
}

struct Setting<'a> {
    row: &'a Value,
    name: &'a str,
    noise: f64,
    rate: f64,
    steps: u32,
    delta: f64,
}

impl Setting<'_> {
    fn of(row: &Value) -> Setting<'_> {
        Setting {
            row,
            name: row["name"].as_str().unwrap(),
            noise: number(row, "/noise_multiplier"),
            rate: number(row, "/sampling_rate"),
            steps: number(row, "/steps") as u32,
            delta: number(row, "/delta"),
        }
    }

    fn event(&self) -> Event {
        Event::SampledGaussian { noise_multiplier: self.noise, sample_rate: self.rate, steps: self.steps }
    }

    fn number(&self, path: &str) -> f64 {
        number(self.row, path)
    }

    /// The smaller RDP column; the second counts only where its order is whole.
    fn best_rdp(&self) -> f64 {
        let whole = self.number("/rdp_dp_accounting/order").fract() == 0.0;
        let second = if whole { self.number("/rdp_dp_accounting/epsilon") } else { f64::INFINITY };
        self.number("/rdp_opacus/epsilon").min(second)
    }

    /// What no true ε can lie below.
    fn lowest(&self) -> f64 {
        let exact = self.row.pointer("/exact_gaussian").and_then(Value::as_f64).unwrap_or(0.0);
        let optimistic = self.number("/pld_dp_accounting/optimistic");
        // An optimistic figure of 0 bounds nothing; there the third accountant's lower end does.
        let lower = if optimistic > 0.0 { optimistic } else { self.number("/prv_microsoft/lower") };
        lower.max(exact)
    }
}

fn reference(test: &str) -> Option<Value> {
    let Ok(text) = fs::read_to_string(REFERENCE) else {
        println!("NOT RUN gate: {test}: no file {REFERENCE}");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn rows<'a>(reference: &'a Value, table: &str) -> &'a [Value] {
    reference[table].as_array().unwrap()
}

fn number(row: &Value, path: &str) -> f64 {
    row.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path} of {row}"))
}
