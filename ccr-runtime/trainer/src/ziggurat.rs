//! Fast sampling of the discrete Gaussian N_Z(0, σ²) for a large whole σ, in integers: the ziggurat of Marsaglia and
//! Tsang (2000) on integer abscissae, as in the discrete ziggurat of Buchmann et al. (2013).
//!
//! Half the curve ρ(x) = exp(−x²/2σ²) is covered by 1,024 boxes of one area A: box i is X_i integers wide and A/X_i high,
//! and the boxes stand on each other. A draw takes a box, an integer of it and a height of it, each uniform, and is kept
//! where the height lies below the curve: so every integer comes with probability ∝ ρ(x), as in the exact sampler.
//!
//! What differs from exact, and by how much, for one draw in total variation: the tail beyond 13 σ is cut off (2^−125),
//! heights of boxes are rounded to 2^−108 (2^−94, for 1,024 boxes of at most 13 σ each over an area of 1.25 σ). A height is
//! compared by its first 64 bits and in doubles; where these cannot tell, 128 bits of it are compared with the curve in
//! fixed point, so that neither a float nor a coarse height decides. 10^12 draws (a million parameters for a million steps)
//! are together within 10^−15 of exact, which adds at most (1 + e^ε) · 10^−15 to a training's δ.
//!
//! **Fast.** 299 of 300 draws lie so far inside their box that nothing is compared. [`Ziggurat::fill`] makes these by a
//! loop without branches, in vectors as wide as the CPU's, and marks the others, which are then worked out one by one: the
//! fast loop gives, where it does not mark, the very integer that [`Ziggurat::settle`] gives for the same word. A draw
//! takes some 2 ns with its part of the stream, against 200 ns of [`crate::gaussian`]. The time depends on the values, as
//! there.

use chacha20::rand_core::Rng;
use fearless_simd::{Level, Simd, dispatch};

use crate::fixed::{EXP_BITS, exp, product_high};
use crate::stream::{NoiseStream, WORDS};

/// Boxes, chosen by a word's lowest ten bits; the eleventh is the sign.
const BOXES: usize = 1_024;
/// Bits of a word below those that choose the integer.
const CHOICE_BITS: u32 = 11;
/// Where the tail is cut, in σ.
const REACH: u64 = 13;
/// Bits behind the point of a height.
const HEIGHT_BITS: u32 = 108;
/// Bits of a word that choose the integer.
const PLACE_BITS: u32 = 64 - CHOICE_BITS;
/// Doubles whose relative distance is below this are not trusted to be in order.
const DOUBT: f64 = 1e-12;

/// One box.
struct Layer {
    /// Integers 0 .. width lie in it.
    width: u64,
    /// Integers below lie under the curve up to the top of the box.
    sure: u64,
    /// Words below this are drawn again, so that every integer is equally likely.
    again: u64,
    /// Bottom and height, with [`HEIGHT_BITS`].
    bottom: u128,
    height: u128,
    /// The same as doubles.
    bottom_near: f64,
    height_near: f64,
}

/// A sampler for one σ.
pub struct Ziggurat {
    layers: Vec<Layer>,
    /// What the fast loop needs of each: its width, and above it the number of integers from 1 on that are sure.
    entries: Box<[u64; BOXES]>,
    /// 2 σ².
    exponent_den: u128,
}

impl Ziggurat {
    /// For σ from 2^20 to 2^27; none otherwise.
    pub fn new(sigma: u64) -> Option<Ziggurat> {
        if !((1 << 20)..=(1 << 27)).contains(&sigma) {
            return None;
        }
        // The least area, in integers times heights, with which the boxes reach the top of the curve.
        let exact = sigma as f64 * (std::f64::consts::PI / 2.0).sqrt() / BOXES as f64;
        let (mut low, mut high) = (exact as u64, (exact * 1.1) as u64);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if covers(&layers(sigma, middle)) { high = middle } else { low = middle }
        }
        let layers = layers(sigma, high);
        let mut entries = Box::new([0; BOXES]);
        for (entry, layer) in entries.iter_mut().zip(&layers) {
            // Both below 2^32, as 13 · 2^27 is.
            *entry = layer.sure.saturating_sub(1) << 32 | layer.width;
        }
        covers(&layers).then_some(Ziggurat { layers, entries, exponent_den: 2 * u128::from(sigma).pow(2) })
    }

    /// Draws, as doubles.
    pub fn fill(&self, draws: &mut [f64; WORDS], stream: &mut NoiseStream) {
        self.fill_by(Level::new(), draws, stream);
    }

    fn fill_by(&self, level: Level, draws: &mut [f64; WORDS], stream: &mut NoiseStream) {
        let (mut words, mut marks) = ([0; WORDS], [0; WORDS]);
        stream.fill(&mut words);
        let marked = dispatch!(level, lanes => fast(lanes, &self.entries, &words, draws, &mut marks));
        if marked == 0 {
            return;
        }
        const STRETCH: usize = 16;
        let stretches = draws.chunks_mut(STRETCH).zip(words.chunks(STRETCH)).zip(marks.chunks(STRETCH));
        for ((draws, words), marks) in stretches.filter(|(_, marks)| marks.iter().sum::<u64>() > 0) {
            for ((draw, word), _) in draws.iter_mut().zip(words).zip(marks).filter(|(_, mark)| **mark > 0) {
                *draw = self.settle(*word, stream) as f64;
            }
        }
    }

    /// The draw that a word begins; where the word leads to none, other words of `rng` do.
    fn settle(&self, mut word: u64, rng: &mut impl Rng) -> i64 {
        loop {
            let layer = &self.layers[word as usize & (BOXES - 1)];
            let product = u128::from(word >> CHOICE_BITS) * u128::from(layer.width);
            let (size, negative) = ((product >> PLACE_BITS) as u64, word >> (CHOICE_BITS - 1) & 1 == 1);
            // Words that would favour some integers lead to none, nor does a negative zero: zero has two signs.
            let fair = product as u64 & ((1 << PLACE_BITS) - 1) >= layer.again && !(negative && size == 0);
            if fair && (size < layer.sure || self.below_curve(rng, layer, size)) {
                return if negative { -(size as i64) } else { size as i64 };
            }
            word = rng.next_u64();
        }
    }

    /// Whether a uniform height of the box lies below the curve at `size`.
    #[cold]
    fn below_curve(&self, rng: &mut impl Rng, layer: &Layer, size: u64) -> bool {
        let drawn = rng.next_u64();
        let unit = 2f64.powi(-(HEIGHT_BITS as i32));
        let height = (layer.bottom_near + layer.height_near * (drawn as f64 * 2f64.powi(-64))) * unit;
        let square = u128::from(size).pow(2);
        let curve = (-(square as f64) / self.exponent_den as f64).exp();
        // What 64 bits leave open of the height, and as much again: under the tail it is more than the curve.
        let blur = layer.height_near * unit * 2f64.powi(-63);
        if (height - curve).abs() > DOUBT * (height + curve) + blur {
            return height < curve;
        }
        let drawn = u128::from(drawn) << 64 | u128::from(rng.next_u64());
        let height = layer.bottom + product_high(layer.height, drawn);
        height < exp(square, self.exponent_den) >> (EXP_BITS - HEIGHT_BITS)
    }
}

/// The draws of words, and a mark of 1 where [`Ziggurat::settle`] has to say. How many marks there are.
///
/// The whole word w takes the place of its upper bits: ⌊w · width / 2^64⌋ is the same integer as from the upper 53 bits
/// alone, and fair, unless the upper half of the product's fraction, of 2^32, is at most ⌊width / 2^20⌋; such words are
/// marked. So are 0, whose sign matters, and integers that are not sure.
#[inline(always)]
fn fast<S: Simd>(
    _: S,
    entries: &[u64; BOXES],
    words: &[u64; WORDS],
    draws: &mut [f64; WORDS],
    marks: &mut [u64; WORDS],
) -> u64 {
    // A double with these bits above 32 of an integer is 2^52 more than it.
    const ABOVE: u64 = 0x4330_0000_0000_0000;
    const HALF: u64 = 0xffff_ffff;
    let mut chosen = [0; WORDS];
    for (entry, word) in chosen.iter_mut().zip(words) {
        *entry = entries[*word as usize & (BOXES - 1)];
    }
    for (((word, entry), draw), mark) in words.iter().zip(&chosen).zip(draws.iter_mut()).zip(marks.iter_mut()) {
        let (width, sure) = (entry & HALF, entry >> 32);
        let product = (word >> 32) * width + (((word & HALF) * width) >> 32);
        let (size, fraction) = (product >> 32, product & HALF);
        let unsure = (size.wrapping_sub(1) & HALF).wrapping_sub(sure) >> 63 ^ 1;
        let unfair = fraction.wrapping_sub((width >> 20) + 1) >> 63;
        *mark = unsure | unfair;
        let size = f64::from_bits(ABOVE | size) - f64::from_bits(ABOVE);
        *draw = f64::from_bits(size.to_bits() ^ (word >> (CHOICE_BITS - 1)) << 63);
    }
    marks.iter().sum()
}

/// Boxes of one area from the tail upwards, as many as there are until the top is passed.
fn layers(sigma: u64, area: u64) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::with_capacity(BOXES);
    let (mut width, mut bottom) = (REACH * sigma, 0u128);
    for _ in 0..BOXES {
        let height = (u128::from(area) << HEIGHT_BITS) / u128::from(width.max(1));
        let again = (1u64 << PLACE_BITS) % width.max(1);
        let (bottom_near, height_near) = (bottom as f64, height as f64);
        layers.push(Layer { width, sure: 0, again, bottom, height, bottom_near, height_near });
        bottom = bottom.saturating_add(height);
        // One integer more on either side than the doubles say: the curve falls by far more from one to the next than
        // they err.
        let next = reach(sigma, bottom);
        if let Some(layer) = layers.last_mut() {
            layer.sure = next.saturating_sub(2);
        }
        width = next + 1;
    }
    layers
}

/// The first integer at which the curve is not above a height, as doubles say.
fn reach(sigma: u64, height: u128) -> u64 {
    let height = height as f64 * 2f64.powi(-(HEIGHT_BITS as i32));
    if height >= 1.0 { 0 } else { (sigma as f64 * (-2.0 * height.ln()).sqrt()).ceil() as u64 }
}

fn covers(layers: &[Layer]) -> bool {
    layers.last().is_some_and(|last| last.bottom.saturating_add(last.height) >= 1 << HEIGHT_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What must not be asked.
    struct Nothing;

    impl chacha20::rand_core::TryRng for Nothing {
        type Error = chacha20::rand_core::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            panic!("a sure draw asks for nothing")
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            panic!("a sure draw asks for nothing")
        }

        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
            panic!("a sure draw asks for nothing")
        }
    }

    /// Words whose products lie at the edges of integers, of sureness and of fairness, and any others.
    fn words(ziggurat: &Ziggurat, stream: &mut NoiseStream) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        stream.fill(&mut words);
        for word in words.iter_mut().step_by(2) {
            let choice = stream.next_u64();
            let layer = &ziggurat.layers[choice as usize & (BOXES - 1)];
            let size = match choice >> 60 {
                0..6 => layer.sure.saturating_sub(choice >> 12 & 3),
                6..12 => (choice >> 12) % layer.width,
                12..14 => choice >> 12 & 1,
                _ => layer.width - 1,
            };
            // The first word of an integer, and a few around it, with the box and sign of their own.
            let first = (u128::from(size) << 64).div_ceil(u128::from(layer.width));
            let off = (choice >> 40 & 0xff) as i128 - 8;
            let near = (first as i128 + (off << CHOICE_BITS)).clamp(0, i128::from(u64::MAX)) as u64;
            *word = near & !((1 << CHOICE_BITS) - 1) | choice & ((1 << CHOICE_BITS) - 1);
        }
        words
    }

    #[test]
    fn the_fast_loop_gives_what_the_slow_one_gives_at_every_width() {
        for sigma in [1u64 << 20, 20_000_003, 1 << 27] {
            let (ziggurat, mut stream) = (Ziggurat::new(sigma).unwrap(), NoiseStream::new(&[6; 32]));
            let (mut sure, mut marked, mut rejected) = (0, 0, 0);
            for _ in 0..2_000 {
                let words = words(&ziggurat, &mut stream);
                let run = |level: Level| {
                    let (mut draws, mut marks) = ([0.0; WORDS], [0; WORDS]);
                    dispatch!(level, lanes => fast(lanes, &ziggurat.entries, &words, &mut draws, &mut marks));
                    (draws.map(f64::to_bits), marks)
                };
                let (draws, marks) = run(Level::new());
                assert_eq!((draws, marks), run(Level::baseline()));
                for ((word, draw), mark) in words.iter().zip(draws).zip(marks) {
                    let layer = &ziggurat.layers[*word as usize & (BOXES - 1)];
                    let product = u128::from(word >> CHOICE_BITS) * u128::from(layer.width);
                    rejected += u32::from((product as u64 & ((1 << PLACE_BITS) - 1)) < layer.again);
                    if mark == 0 {
                        sure += 1;
                        assert_eq!(ziggurat.settle(*word, &mut Nothing) as f64, f64::from_bits(draw), "{word:#x}");
                    } else {
                        marked += 1;
                    }
                }
            }
            assert!(sure > 100_000 && marked > 10_000 && rejected > 100, "{sure} {marked} {rejected}");
        }
    }

    #[test]
    fn draws_are_the_same_at_every_width_and_few_are_marked() {
        let (ziggurat, mut draws) = (Ziggurat::new(20_000_003).unwrap(), [[0.0; WORDS]; 2]);
        let mut streams = [NoiseStream::new(&[2; 32]), NoiseStream::new(&[2; 32])];
        for _ in 0..2_000 {
            ziggurat.fill_by(Level::new(), &mut draws[0], &mut streams[0]);
            ziggurat.fill_by(Level::baseline(), &mut draws[1], &mut streams[1]);
            assert_eq!(draws[0], draws[1]);
        }
        let sure = ziggurat.layers.iter().map(|layer| layer.sure as f64 / layer.width as f64).sum::<f64>();
        assert!(sure / BOXES as f64 > 0.995, "{sure}");
    }

    /// For every integer the boxes give it a share of ρ(x), no more and no less: coverage and order of the boxes, and
    /// that what is kept unseen lies below the curve.
    #[test]
    fn the_boxes_cover_the_curve_and_nothing_is_kept_above_it() {
        for sigma in [1u64 << 20, 17_000_001, 1 << 25, (1 << 27) - 3] {
            let ziggurat = Ziggurat::new(sigma).unwrap();
            let unit = 2f64.powi(-108);
            let area = ziggurat.layers[0].width as f64 * ziggurat.layers[0].height as f64 * unit;
            for step in 0..4_000u64 {
                let x = step * sigma / 400 + step % 7;
                let curve = (-(x as f64).powi(2) / ziggurat.exponent_den as f64).exp();
                let mut share = 0.0;
                for layer in ziggurat.layers.iter().filter(|layer| x < layer.width) {
                    let (bottom, height) = (layer.bottom as f64 * unit, layer.height as f64 * unit);
                    let below = (curve - bottom).clamp(0.0, height);
                    assert!(x >= layer.sure || below > height * (1.0 - 1e-9), "kept above the curve at {x} of {sigma}");
                    share += below / height / layer.width as f64 * area;
                }
                assert!((share - curve).abs() < 1e-9 * curve + 1e-30, "σ {sigma} x {x}: {share} of {curve}");
            }
        }
    }

    #[test]
    fn draws_follow_the_normal_distribution_in_value_and_in_their_last_bits() {
        let (sigma, count) = (20_000_003u64, 1_000_000usize);
        let (ziggurat, mut stream) = (Ziggurat::new(sigma).unwrap(), NoiseStream::new(&[3; 32]));
        let mut draws = Vec::with_capacity(count + WORDS);
        while draws.len() < count {
            let mut block = [0.0; WORDS];
            ziggurat.fill(&mut block, &mut stream);
            draws.extend(block);
        }
        let (mut bins, mut bits, mut square) = (vec![0f64; 62], vec![0f64; 64], 0.0);
        for draw in &draws[..count] {
            let x = draw / sigma as f64;
            square += x * x;
            bins[((x * 10.0).floor() + 31.0).clamp(0.0, 61.0) as usize] += 1.0;
            bits[draw.rem_euclid(64.0) as usize] += 1.0;
        }
        let deviation = (square / count as f64).sqrt();
        assert!((deviation - 1.0).abs() < 0.003, "deviation {deviation}");
        let cdf = |x: f64| 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2);
        let expected = |bin: usize| match bin {
            0 => cdf(-3.0),
            61 => 1.0 - cdf(3.0),
            bin => cdf((bin as f64 - 30.0) / 10.0) - cdf((bin as f64 - 31.0) / 10.0),
        };
        let chi = |seen: &[f64], expected: &dyn Fn(usize) -> f64| -> f64 {
            let of = |(at, n): (usize, &f64)| {
                let mean = expected(at) * count as f64;
                (n - mean).powi(2) / mean
            };
            seen.iter().enumerate().map(of).sum()
        };
        // 99.99 % points of chi-square with 61 and 63 degrees of freedom lie below 115.
        let (values, last) = (chi(&bins, &expected), chi(&bits, &|_| 1.0 / 64.0));
        assert!(values < 115.0 && last < 115.0, "chi-square {values} and {last}");
    }

    /// Words that were drawn before.
    struct Drawn(Vec<u64>);

    impl chacha20::rand_core::TryRng for Drawn {
        type Error = chacha20::rand_core::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            panic!("words alone are drawn")
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(self.0.remove(0))
        }

        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
            panic!("words alone are drawn")
        }
    }

    /// Under the tail the curve is below what the first 64 bits of a height can tell from 0.
    #[test]
    fn the_lowest_heights_are_settled_by_all_their_bits() {
        let sigma = 20_000_003;
        let ziggurat = Ziggurat::new(sigma).unwrap();
        let layer = &ziggurat.layers[0];
        let below = |words: &[u64], size| ziggurat.below_curve(&mut Drawn(words.to_vec()), layer, size);
        let far = 11 * sigma + sigma / 2;
        assert!(below(&[0, 0], far), "the lowest height of all");
        assert!(!below(&[0, 1 << 63], far), "the first 64 bits alone say 0");
        // Nearer, one word settles it, and no other is drawn.
        assert!(below(&[1 << 20], 5 * sigma) && !below(&[u64::MAX], 5 * sigma));
    }

    #[test]
    fn out_of_range_is_refused() {
        for sigma in [0, 1, (1 << 20) - 1, (1 << 27) + 1, u64::MAX] {
            assert!(Ziggurat::new(sigma).is_none(), "{sigma}");
        }
    }
}
