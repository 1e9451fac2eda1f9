//! Slices with the schema of BraTS 2020: per person a folder with four modalities and a mask of the tumour, grey PNGs.
//!
//! A head is an ellipse of soft tissue with ventricles and noise; a tumour is an irregular patch that each modality
//! shows in its own way (bright in FLAIR and T2, dark in T1, a bright rim in T1ce). Nobody was scanned.

use crate::picture::{Picture, Point, soft};
use crate::random::Random;

/// The modalities, by which the files are named; `flair` is what the reference trains on.
pub const MODALITIES: [&str; 4] = ["flair", "t1", "t1ce", "t2"];

/// One person's slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slice {
    /// One picture for each of [`MODALITIES`].
    pub modalities: Vec<Picture>,
    /// White where the tumour is.
    pub mask: Picture,
}

/// A slice of this side, which is a multiple of 16 for the reference's UNet.
pub fn slice(side: usize, random: &mut Random) -> Slice {
    let head = (random.between(0.36, 0.42), random.between(0.42, 0.46));
    let tilt = random.between(-0.15, 0.15);
    let (angle, reach) = (random.between(0.0, std::f64::consts::TAU), random.between(0.08, 0.24));
    let tumour = (0.5 + reach * angle.cos(), 0.5 + reach * angle.sin());
    let radius = random.between(0.07, 0.14);
    let waves: Vec<(f64, f64)> =
        (2..6).map(|_| (random.between(0.0, 0.18), random.between(0.0, std::f64::consts::TAU))).collect();
    let edge = |point: Point| {
        let (x, y) = (point.0 - tumour.0, point.1 - tumour.1);
        let around = y.atan2(x);
        let bumps = waves.iter().enumerate().map(|(k, (a, p))| a * ((k as f64 + 2.0) * around + p).cos());
        radius * (1.0 + bumps.sum::<f64>()) - x.hypot(y)
    };
    let turned = |point: Point| {
        let (x, y) = (point.0 - 0.5, point.1 - 0.5);
        (x * tilt.cos() - y * tilt.sin(), x * tilt.sin() + y * tilt.cos())
    };
    // (tissue, ventricle, tumour, rim) of each modality.
    let light = [(0.35, 0.1, 0.9, 0.8), (0.55, 0.2, 0.35, 0.4), (0.5, 0.2, 0.4, 0.95), (0.4, 0.85, 0.8, 0.75)];
    let shade = random.between(0.9, 1.1);
    let mut modality = |(tissue, ventricle, bright, rim): (f64, f64, f64, f64)| {
        let grain: Vec<f64> = (0..side * side).map(|_| 0.035 * random.normal()).collect();
        let mut grain = grain.into_iter();
        Picture::draw(side, side, 1, |point, _| {
            let (x, y) = turned(point);
            let within = soft(1.0 - (x / head.0).hypot(y / head.1), 0.05);
            let hollow = soft(1.0 - ((x.abs() - 0.06) / 0.035).hypot(y / 0.12), 0.3);
            let (inner, outer) = (soft(edge(point) - 0.02, 0.02), soft(edge(point), 0.02));
            let base = tissue + (ventricle - tissue) * hollow;
            let with = base + (rim - base) * outer;
            let with = with + (bright - with) * inner;
            within * shade * with + grain.next().unwrap_or(0.0)
        })
    };
    let modalities = light.into_iter().map(&mut modality).collect();
    Slice { modalities, mask: Picture::draw(side, side, 1, |point, _| if edge(point) > 0.0 { 1.0 } else { 0.0 }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tumour_is_there_and_flair_shows_it() {
        let mut random = Random::new(11, "phantom");
        for _ in 0..40 {
            let slice = slice(64, &mut random);
            let of = |inside: bool| {
                let bytes = slice.modalities[0].bytes.iter().zip(&slice.mask.bytes);
                let lit: Vec<f64> = bytes.filter(|(_, m)| (**m > 127) == inside).map(|(b, _)| f64::from(*b)).collect();
                (lit.len(), lit.iter().sum::<f64>() / lit.len() as f64)
            };
            let ((pixels, tumour), (_, rest)) = (of(true), of(false));
            assert!((30..800).contains(&pixels), "{pixels}");
            assert!(tumour > rest + 60.0, "{tumour} {rest}");
        }
    }
}
