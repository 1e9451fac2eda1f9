//! Products of matrices against the same in double precision, whichever library makes them: handed over or not, laid out
//! straight, turned or with gaps, added to something or not. See [`::products`].

use tch::{Kind, Tensor};

/// How a matrix lies in memory.
#[derive(Clone, Copy, Debug)]
enum Lies {
    Straight,
    Turned,
    /// Every row with numbers behind it that are not its own.
    WithGaps,
}

const LIES: [Lies; 3] = [Lies::Straight, Lies::Turned, Lies::WithGaps];

/// Multiplications per matrix on both sides of what is handed over, and sides that fill no vector.
const SHAPES: [(i64, i64, i64, i64); 9] = [
    (1, 3, 4, 5),
    (1, 1, 784, 512),
    (1, 300, 784, 1),
    (1, 127, 129, 131),
    (1, 64, 128, 512),
    (1, 17, 4_099, 33),
    (64, 64, 65, 31),
    (256, 16, 255, 48),
    (300, 7, 5, 6),
];

/// Numbers in (-1, 1) that repeat.
fn numbers(shape: &[i64], seed: i64) -> Tensor {
    let count: i64 = shape.iter().product();
    let hashed = (Tensor::arange(count, (Kind::Int64, tch::Device::Cpu)) * 48_271 + seed * 7_919).remainder(65_537);
    ((hashed.to_kind(Kind::Double) / 32_768.5 - 1.0).to_kind(Kind::Float)).reshape(shape)
}

fn laid(shape: [i64; 3], lies: Lies, seed: i64) -> Tensor {
    let [count, rows, columns] = shape;
    match lies {
        Lies::Straight => numbers(&shape, seed),
        Lies::Turned => numbers(&[count, columns, rows], seed).transpose(1, 2),
        Lies::WithGaps => numbers(&[count, rows + 2, columns + 3], seed).narrow(1, 1, rows).narrow(2, 2, columns),
    }
}

/// Something to which a product is added, by how much of each.
type Added<'a> = Option<(&'a Tensor, f64, f64)>;

/// By how much `found` is off at most, in roundings of single precision for each number added up.
fn off(found: &Tensor, a: &Tensor, b: &Tensor, added: Added<'_>) -> f64 {
    let double = |t: &Tensor| t.to_kind(Kind::Double);
    let (a, b) = (double(a), double(b));
    // The product, and Σ |a||b|, which its rounding is measured against.
    let (mut exact, mut size) = (a.matmul(&b), a.abs().matmul(&b.abs()));
    if let Some((added, beta, alpha)) = added {
        let added = double(added) * beta;
        exact = exact * alpha + &added;
        size = size * alpha.abs() + added.abs();
    }
    let terms = a.size().last().copied().unwrap_or(0) as f64 + 1.0;
    ((double(found) - exact).abs() / (size + 1e-30)).max().double_value(&[]) / terms * 2f64.powi(24)
}

#[test]
fn products_are_as_exact_as_their_sums_allow_however_matrices_lie() {
    let handed_over = ::products::settle();
    let mut worst = 0f64;
    for (count, m, k, n) in SHAPES {
        for (left, right) in LIES.iter().flat_map(|left| LIES.map(|right| (*left, right))) {
            let mut seen = |name: &str, found: &dyn Fn() -> Tensor, a: &Tensor, b: &Tensor, added: Added<'_>| {
                let first = found();
                let off = off(&first, a, b, added);
                assert!(off <= 1.0, "{name} {count} times {m}×{k}×{n}, {left:?} and {right:?}: {off}");
                assert!(first.equal(&found()), "{name} {count} times {m}×{k}×{n}: the same bits each time");
                worst = worst.max(off);
            };
            let (a, b) = (laid([count, m, k], left, 1), laid([count, k, n], right, 2));
            let plus = numbers(&[count, m, n], 3);
            let room = || Tensor::empty([count, m, n], (Kind::Float, tch::Device::Cpu));
            seen("bmm", &|| a.bmm(&b), &a, &b, None);
            seen("bmm into", &|| a.bmm_out(&room(), &b), &a, &b, None);
            seen("bmm into gaps", &|| a.bmm_out(&laid([count, m, n], Lies::WithGaps, 5), &b), &a, &b, None);
            seen("baddbmm", &|| plus.baddbmm(&a, &b, 1, 1), &a, &b, Some((&plus, 1.0, 1.0)));
            seen("baddbmm of parts", &|| plus.baddbmm(&a, &b, 0.5, -2.0), &a, &b, Some((&plus, 0.5, -2.0)));
            let (a, b, plus, line) = (a.select(0, 0), b.select(0, 0), plus.select(0, 0), numbers(&[n], 4));
            let each = line.expand([m, n], false);
            seen("mm", &|| a.mm(&b), &a, &b, None);
            seen("mm into", &|| a.mm_out(&room().select(0, 0), &b), &a, &b, None);
            seen("addmm", &|| plus.addmm(&a, &b), &a, &b, Some((&plus, 1.0, 1.0)));
            seen("addmm in place", &|| plus.copy().addmm_(&a, &b), &a, &b, Some((&plus, 1.0, 1.0)));
            seen("linear", &|| a.linear(&b.tr(), Some(&line)), &a, &b, Some((&each, 1.0, 1.0)));
        }
    }
    println!("handed over: {handed_over}; off by {worst:.3} of what the additions may round at most");
}

/// Numbers that are none stay where they are, and what is overwritten counts for nothing.
#[test]
fn what_is_no_number_reaches_its_own_row_alone() {
    ::products::settle();
    let (a, b) = (numbers(&[128, 128], 1), numbers(&[128, 128], 2));
    let whole = a.mm(&b);
    let room = Tensor::full([128, 128], f64::NAN, (Kind::Float, tch::Device::Cpu));
    assert!(a.mm_out(&room, &b).equal(&whole), "what lay there before");
    let _ = a.select(0, 5).select(0, 7).fill_(f64::NAN);
    let found = a.mm(&b);
    assert!(found.select(0, 5).isnan().all().int64_value(&[]) == 1);
    for row in (0..128).filter(|row| *row != 5) {
        assert!(found.select(0, row).equal(&whole.select(0, row)), "row {row}");
    }
}
