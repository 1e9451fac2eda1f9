//! Pictures with the schema of CIFAR-10: 32 × 32 pixels in three colours, ten classes. Shapes and textures in random
//! colours, sizes and places; a class is told by form, not by colour.

use crate::picture::{Picture, Point, soft};
use crate::random::Random;

/// Side of a picture.
pub const SIDE: usize = 32;
/// The classes in order.
pub const CLASSES: [&str; 10] =
    ["disc", "square", "triangle", "cross", "ring", "bars", "columns", "chequers", "slants", "dots"];

/// A picture of a class.
pub fn texture(class: usize, random: &mut Random) -> Picture {
    let colour = |random: &mut Random| [random.unit(), random.unit(), random.unit()];
    let (front, mut back) = (colour(random), colour(random));
    // Too equal colours would show nothing.
    if front.iter().zip(back).map(|(a, b)| (a - b).abs()).sum::<f64>() < 0.8 {
        back = front.map(|c| (c + 0.5) % 1.0);
    }
    let centre = (random.between(0.35, 0.65), random.between(0.35, 0.65));
    let (size, period, phase) = (random.between(0.2, 0.34), random.between(0.17, 0.3), random.unit());
    let turn = random.between(-0.25, 0.25);
    let grain: Vec<f64> = (0..SIDE * SIDE * 3).map(|_| 0.06 * random.normal()).collect();
    let mut grain = grain.into_iter();
    Picture::draw(SIDE, SIDE, 3, |point, channel| {
        let (x, y) = (point.0 - centre.0, point.1 - centre.1);
        let turned = (x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos());
        let part = soft(inside(class, turned, size, period, phase), 0.04);
        front[channel] * part + back[channel] * (1.0 - part) + grain.next().unwrap_or(0.0)
    })
}

/// How far a point lies within the form; below 0 outside.
fn inside(class: usize, (x, y): Point, size: f64, period: f64, phase: f64) -> f64 {
    let wave = |along: f64| ((along / period + phase).rem_euclid(1.0) - 0.5).abs() * period - period / 4.0;
    match class {
        0 => size - x.hypot(y),
        1 => 0.85 * size - x.abs().max(y.abs()),
        2 => (0.6 * size - y).min(0.45 * size + 0.5 * y - x.abs() * 0.87),
        3 => (0.3 * size - x.abs().min(y.abs())).min(size - x.abs().max(y.abs())),
        4 => 0.3 * size - (x.hypot(y) - size).abs(),
        5 => wave(y),
        6 => wave(x),
        7 => wave(x).abs().min(wave(y).abs()) * (wave(x) * wave(y)).signum(),
        8 => wave((x + y) * std::f64::consts::FRAC_1_SQRT_2),
        _ => {
            let near = |along: f64| ((along / period + phase).rem_euclid(1.0) - 0.5) * period;
            0.3 * period - near(x).hypot(near(y))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_shows_something_and_colours_do_not_tell_it() {
        let mut random = Random::new(5, "textures");
        for (class, name) in CLASSES.iter().enumerate() {
            let mut mean = [0.0; 3];
            for _ in 0..60 {
                let picture = texture(class, &mut random);
                assert_eq!(picture.bytes.len(), SIDE * SIDE * 3);
                let (low, high) = (picture.bytes.iter().min().unwrap(), picture.bytes.iter().max().unwrap());
                assert!(high - low > 60, "{name}");
                for (channel, total) in mean.iter_mut().enumerate() {
                    let sum: u64 = picture.bytes.iter().skip(channel).step_by(3).map(|b| u64::from(*b)).sum();
                    *total += sum as f64 / (SIDE * SIDE) as f64 / 60.0;
                }
            }
            assert!(mean.iter().all(|m| (70.0..185.0).contains(m)), "{name} {mean:?}");
        }
    }
}
