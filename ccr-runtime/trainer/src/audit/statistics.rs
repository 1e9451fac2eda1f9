//! Tails of the normal and the binomial distribution, and bounds that follow from them.

pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The x with this probability below it.
pub fn normal_quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if normal_cdf(middle) < probability { low = middle } else { high = middle }
    }
    low
}

/// P[Bin(n, p) = k] for every k.
pub fn binomial(n: u32, p: f64) -> Vec<f64> {
    let choose = |k: u32| {
        libm::lgamma(f64::from(n) + 1.0) - libm::lgamma(f64::from(k) + 1.0) - libm::lgamma(f64::from(n - k) + 1.0)
    };
    let log = |count: u32, p: f64| if count == 0 { 0.0 } else { f64::from(count) * p.ln() };
    (0..=n).map(|k| (choose(k) + log(k, p) + log(n - k, 1.0 - p)).exp()).collect()
}

/// Clopper and Pearson's upper bound of a probability that was met `hits` times of `n`, wrong with probability `wrong`.
pub fn upper_bound(hits: u32, n: u32, wrong: f64) -> f64 {
    if hits == n {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        let below: f64 = binomial(n, middle).iter().take(hits as usize + 1).sum();
        if below > wrong { low = middle } else { high = middle }
    }
    high
}

#[test]
fn tails_match_published_figures() {
    assert!((normal_quantile(0.975) - 1.959_963_985).abs() < 1e-8);
    assert!((binomial(10, 0.3).iter().take(4).sum::<f64>() - 0.649_610_717_9).abs() < 1e-9);
    // 0 of n: 1 − wrong^(1/n); the exact interval of 4 of 20 ends at 0.4366.
    assert!((upper_bound(0, 100, 0.025) - (1.0 - 0.025f64.powf(0.01))).abs() < 1e-9);
    assert!((upper_bound(4, 20, 0.025) - 0.436_614_1).abs() < 1e-6);
    assert_eq!(upper_bound(5, 5, 0.05), 1.0);
}
