use super::*;

/// A seeded generator for tests (splitmix64); never for a real sketch.
fn seeded(mut state: u64) -> impl FnMut() -> R<u64> {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }
}

fn terms(session: &str, buckets: u32, epsilon: &str) -> Terms {
    Terms { session: format!("session number {session}"), buckets, epsilon: Real::parse(epsilon).unwrap() }
}

fn keys(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|person| format!("+91 98{person:08}")).collect()
}

fn sketched(keys: &[String], terms: &Terms, seed: u64) -> Sketch {
    sketch(keys.iter().map(String::as_str), terms, &mut seeded(seed)).unwrap()
}

#[test]
fn known_overlaps_are_found_within_the_interval() {
    let (mut inside, mut tried) = (0, 0);
    for (epsilon, buckets, reach) in [("0.5", 512, 1_000.0), ("1", 1024, 450.0), ("3", 4096, 250.0)] {
        for shared in [0u32, 500, 2_119] {
            let (a, b) = (keys(0..2_119), keys(2_119 - shared..4_238 - shared));
            let (mut worst, mut mean) = (0f64, 0.0);
            for seed in 0..20u64 {
                let terms = terms(&seed.to_string(), buckets, epsilon);
                let found = overlap(&sketched(&a, &terms, 2 * seed), &sketched(&b, &terms, 2 * seed + 1)).unwrap();
                let off = found.estimate - f64::from(shared);
                (worst, mean, tried) = (worst.max(off.abs()), mean + off / 20.0, tried + 1);
                inside += usize::from(found.low <= f64::from(shared) && f64::from(shared) <= found.high);
            }
            println!(
                "ε = {epsilon}, {buckets} buckets, {shared} of 2,119 shared: mean error {mean:.0}, largest {worst:.0}"
            );
            assert!(worst < reach, "{worst}");
            assert!(mean.abs() < reach / 4.0, "{mean}");
        }
    }
    println!("{inside} of {tried} within their 95 % interval");
    assert!(inside * 100 >= tried * 90);
}

#[test]
fn the_probability_ratio_is_exact_and_below_the_epsilon_asked() {
    for epsilon in ["0.01", "0.1", "0.693147", "1", "2.5", "10"] {
        let (terms, asked) = (terms("x", 16, epsilon), Real::parse(epsilon).unwrap().value());
        let ratio = threshold(&terms.epsilon) as f64 / 2f64.powi(64);
        // P(k) = (1 − a)/(1 + a) a^|k|: a count that moves by one changes any probability by at most 1/a.
        let spent = -ratio.ln();
        assert!(spent <= asked, "{epsilon}: {spent}");
        assert!(asked - spent < 1e-12 + asked * 1e-12, "{epsilon}: {spent} wastes");
    }
}

#[test]
fn noise_has_the_stated_distribution() {
    let terms = terms("x", 16, "1");
    let (mut words, draws) = (seeded(7), 200_000);
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..draws {
        *seen.entry(noise(threshold(&terms.epsilon), &mut words).unwrap()).or_insert(0u32) += 1;
    }
    let a = (-1f64).exp();
    let mut chi = 0.0;
    for k in -5i64..=5 {
        let expected = (1.0 - a) / (1.0 + a) * a.powi(k.unsigned_abs() as i32) * f64::from(draws);
        chi += (f64::from(seen.get(&k).copied().unwrap_or(0)) - expected).powi(2) / expected;
    }
    println!("chi-square of 11 cells {chi:.1}");
    assert!(chi < 30.0, "{chi}"); // 11 cells: p = 0.002
}

#[test]
fn one_person_more_moves_one_count_by_one() {
    let terms = terms("x", 64, "1");
    let before = sketched(&keys(0..100), &terms, 3);
    for person in 100..200 {
        let mut more = keys(0..100);
        more.extend([keys(person..person + 1), keys(person..person + 1), vec![String::new()]].concat());
        let after = sketched(&more, &terms, 3); // the same noise
        let moved: Vec<i64> =
            before.counts.iter().zip(&after.counts).map(|(a, b)| (a - b).abs()).filter(|d| *d > 0).collect();
        assert_eq!(moved, [1], "person {person}");
    }
}

#[test]
fn the_charge_covers_the_pure_guarantee_at_every_order() {
    for epsilon in ["0.01", "0.3", "1", "7"] {
        let terms = terms("x", 16, epsilon);
        let Mechanism::Gaussian { noise_multiplier } = charge(&terms.epsilon).unwrap() else { panic!() };
        let e = terms.epsilon.value();
        for order in policies::accountant::ORDERS {
            let charged = gaussian::rdp(noise_multiplier.value(), order).unwrap();
            // Exact Rényi divergence of randomised response at ε, the worst of all ε-private mechanisms.
            let p = e.exp() / (1.0 + e.exp());
            let sum = (order * p.ln() + (1.0 - order) * (1.0 - p).ln()).exp()
                + (order * (1.0 - p).ln() + (1.0 - order) * p.ln()).exp();
            let exact = sum.ln() / (order - 1.0);
            assert!(
                !exact.is_finite() || charged >= exact * (1.0 - 1e-9),
                "ε {epsilon} α {order}: {charged} below {exact}"
            );
        }
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (one, plain) = (sketched(&keys(0..50), &terms("x", 64, "1"), 1), terms("x", 64, "1"));
    let spoilt = |spoil: fn(&mut Sketch)| {
        let mut other = one.clone();
        spoil(&mut other);
        overlap(&one, &other).err().map(|refusal| (refusal.code, refusal.field))
    };
    let at = |field: &str| Some((Code::ConfigInvalid, Some(field.to_owned())));
    assert_eq!(spoilt(|s| s.terms.session.push('2')), at("terms"));
    assert_eq!(spoilt(|s| (s.terms.buckets, s.counts) = (32, vec![0; 32])), at("terms"));
    assert_eq!(spoilt(|s| s.counts.truncate(63)), at("counts"));
    assert_eq!(spoilt(|s| s.schema.push('2')), at("counts"));
    assert_eq!(spoilt(|s| s.terms.epsilon = Real::parse("2").unwrap()), None);
    let refused = |terms: Terms| sketch(std::iter::empty(), &terms, &mut seeded(1)).err().and_then(|r| r.field);
    assert_eq!(refused(Terms { session: "short".into(), ..plain.clone() }).as_deref(), Some("session"));
    assert_eq!(refused(Terms { buckets: 48, ..plain.clone() }).as_deref(), Some("buckets"));
    assert_eq!(refused(Terms { buckets: 8, ..plain.clone() }).as_deref(), Some("buckets"));
    assert_eq!(refused(Terms { epsilon: Real::parse("0").unwrap(), ..plain.clone() }).as_deref(), Some("epsilon"));
    assert_eq!(refused(Terms { epsilon: Real::parse("11").unwrap(), ..plain }).as_deref(), Some("epsilon"));
}
