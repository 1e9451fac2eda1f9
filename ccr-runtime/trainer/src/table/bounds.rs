//! Public bounds of a feature: they clamp a cell, scale it to [−1, 1] and stand in for what is no number.

use schemas::R;

use crate::fault::pipeline;

/// The bounds of one feature, from the public schema of its dataset.
pub struct Bounds {
    lower: f64,
    upper: f64,
}

impl Bounds {
    /// Bounds with lower < upper.
    pub fn new(lower: f64, upper: f64) -> R<Bounds> {
        match lower.is_finite() && upper.is_finite() && lower < upper {
            true => Ok(Bounds { lower, upper }),
            false => Err(pipeline("the lower bound of a feature lies below the upper one")),
        }
    }

    /// The cell clamped and scaled. A missing cell, text and NaN become the midpoint of the bounds, which is 0.
    pub fn scale(&self, cell: Option<&str>) -> f32 {
        let number = cell.and_then(|text| text.trim().parse::<f64>().ok()).filter(|number| !number.is_nan());
        let Some(number) = number else { return 0.0 };
        let clamped = number.clamp(self.lower, self.upper);
        (2.0 * ((clamped - self.lower) / (self.upper - self.lower)) - 1.0) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_clamped_scaled_and_imputed_with_public_figures() {
        let bounds = Bounds::new(10.0, 40.0).unwrap();
        for (cell, value) in [
            ("10", -1.0),
            ("40", 1.0),
            ("25", 0.0),
            (" 32.5 ", 0.5),
            ("-7", -1.0),
            ("1e9", 1.0),
            ("inf", 1.0),
            ("-inf", -1.0),
            ("1e999", 1.0),
            ("NaN", 0.0),
            ("", 0.0),
            ("none", 0.0),
            ("0x10", 0.0),
        ] {
            assert_eq!(bounds.scale(Some(cell)), value, "{cell:?}");
        }
        assert_eq!(bounds.scale(None), 0.0);
        for (lower, upper) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            assert!(Bounds::new(lower, upper).is_err());
        }
    }
}
