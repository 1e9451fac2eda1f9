//! Digits with the schema of MNIST: 28 × 28 grey pixels, ten classes. Strokes with a hand's jitter; nobody wrote them.

use crate::picture::{Picture, Point, distance, soft};
use crate::random::Random;

/// Side of a picture.
pub const SIDE: usize = 28;
/// Classes: the digits.
pub const CLASSES: usize = 10;

/// A digit, drawn.
pub fn digit(class: usize, random: &mut Random) -> Picture {
    let turn = random.between(-0.22, 0.22);
    let (wide, high) = (random.between(0.75, 1.1), random.between(0.85, 1.1));
    let slant = random.between(-0.2, 0.2);
    let (right, down) = (random.between(-0.07, 0.07), random.between(-0.07, 0.07));
    let thick = random.between(0.028, 0.058);
    let ink = random.between(0.8, 1.0);
    let mut place = |(x, y): Point| {
        let (x, y) = (x - 0.5 + 0.015 * random.normal(), y - 0.5 + 0.015 * random.normal());
        let (x, y) = (wide * (x + slant * -y), high * y);
        let (x, y) = (x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos());
        (x + 0.5 + right, y + 0.5 + down)
    };
    let strokes: Vec<Vec<Point>> =
        strokes(class).into_iter().map(|stroke| stroke.into_iter().map(&mut place).collect()).collect();
    let grain: Vec<f64> = (0..SIDE * SIDE).map(|_| 0.02 * random.normal()).collect();
    let mut grain = grain.into_iter();
    Picture::draw(SIDE, SIDE, 1, |point, _| {
        let near = strokes.iter().flat_map(|s| s.windows(2)).map(|pair| distance(point, pair[0], pair[1]));
        ink * soft(thick - near.fold(f64::INFINITY, f64::min), 0.05) + grain.next().unwrap_or(0.0)
    })
}

/// An arc of an ellipse between two angles in units of a full turn, clockwise from the right.
fn arc(centre: Point, radii: Point, from: f64, to: f64) -> Vec<Point> {
    let at = |step: u32| {
        let angle = std::f64::consts::TAU * (from + (to - from) * f64::from(step) / 12.0);
        (centre.0 + radii.0 * angle.cos(), centre.1 + radii.1 * angle.sin())
    };
    (0..=12).map(at).collect()
}

fn strokes(class: usize) -> Vec<Vec<Point>> {
    match class {
        0 => vec![arc((0.5, 0.5), (0.2, 0.3), 0.0, 1.0)],
        1 => vec![vec![(0.4, 0.3), (0.52, 0.2), (0.52, 0.8)]],
        2 => vec![[arc((0.5, 0.35), (0.18, 0.16), 0.5, 1.05), vec![(0.32, 0.8), (0.7, 0.8)]].concat()],
        3 => vec![arc((0.47, 0.35), (0.18, 0.15), 0.6, 1.25), arc((0.47, 0.65), (0.2, 0.15), 0.75, 1.4)],
        4 => vec![vec![(0.58, 0.8), (0.58, 0.2), (0.3, 0.6), (0.72, 0.6)]],
        5 => vec![[vec![(0.68, 0.2), (0.37, 0.2), (0.36, 0.45)], arc((0.48, 0.62), (0.19, 0.18), 0.75, 1.4)].concat()],
        6 => vec![[vec![(0.6, 0.2), (0.42, 0.4)], arc((0.5, 0.64), (0.17, 0.16), 0.5, 1.5)].concat()],
        7 => vec![vec![(0.3, 0.2), (0.7, 0.2), (0.45, 0.8)]],
        8 => vec![arc((0.5, 0.35), (0.15, 0.14), 0.25, 1.25), arc((0.5, 0.65), (0.18, 0.16), -0.25, 0.75)],
        _ => vec![[arc((0.5, 0.37), (0.17, 0.16), 0.0, 1.0), vec![(0.64, 0.6), (0.55, 0.8)]].concat()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nearest mean picture tells most digits apart, and not all: neither noise nor a gift.
    #[test]
    fn digits_are_told_apart_but_not_by_a_glance_at_one() {
        let mut random = Random::new(3, "digits");
        let mut drawn = |count: usize| -> Vec<(usize, Picture)> {
            (0..count).map(|i| (i % CLASSES, digit(i % CLASSES, &mut random))).collect()
        };
        let (known, asked) = (drawn(600), drawn(300));
        let mut means = vec![vec![0.0; SIDE * SIDE]; CLASSES];
        for (class, picture) in &known {
            means[*class].iter_mut().zip(&picture.bytes).for_each(|(m, b)| *m += f64::from(*b) / 60.0);
        }
        let far = |mean: &[f64], p: &Picture| -> f64 {
            mean.iter().zip(&p.bytes).map(|(m, b)| (m - f64::from(*b)).powi(2)).sum()
        };
        let right = asked.iter().filter(|(class, p)| {
            let best = (0..CLASSES).min_by(|a, b| far(&means[*a], p).total_cmp(&far(&means[*b], p)));
            best == Some(*class)
        });
        let right = right.count();
        assert!((180..300).contains(&right), "{right} of 300");
        assert!(known.iter().all(|(_, p)| p.bytes.iter().filter(|b| **b > 128).count() > 12));
    }
}
