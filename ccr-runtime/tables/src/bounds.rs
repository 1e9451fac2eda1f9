//! Public bounds of a feature: they clamp a number, scale it to [−1, 1] and stand in for what is no number.

use schemas::R;

use crate::fault::pipeline;

/// The bounds of one feature, from the public schema of its dataset.
#[derive(Clone, Copy)]
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

    /// The number clamped and scaled. A missing one and NaN become the midpoint of the bounds, which is 0.
    pub fn scale(&self, number: Option<f64>) -> f32 {
        let Some(number) = number.filter(|number| !number.is_nan()) else { return 0.0 };
        let clamped = number.clamp(self.lower, self.upper);
        (2.0 * ((clamped - self.lower) / (self.upper - self.lower)) - 1.0) as f32
    }

    /// The number clamped and rounded to a whole one, unscaled: a token's place in its vocabulary. A missing one and NaN
    /// become the lower bound.
    pub fn token(&self, number: Option<f64>) -> f32 {
        let number = number.filter(|number| !number.is_nan()).unwrap_or(self.lower);
        number.clamp(self.lower, self.upper).round() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_clamped_scaled_and_imputed_with_public_figures() {
        let bounds = Bounds::new(10.0, 40.0).unwrap();
        for (number, value) in [
            (10.0, -1.0),
            (40.0, 1.0),
            (25.0, 0.0),
            (32.5, 0.5),
            (-7.0, -1.0),
            (1e38, 1.0),
            (f64::INFINITY, 1.0),
            (f64::NEG_INFINITY, -1.0),
            (f64::NAN, 0.0),
        ] {
            assert_eq!(bounds.scale(Some(number)), value, "{number}");
        }
        assert_eq!(bounds.scale(None), 0.0);
        for (number, token) in [
            (10.0, 10.0),
            (10.4, 10.0),
            (39.5, 40.0),
            (-7.0, 10.0),
            (1e38, 40.0),
            (f64::INFINITY, 40.0),
            (f64::NAN, 10.0),
        ] {
            assert_eq!(bounds.token(Some(number)), token, "{number}");
        }
        assert_eq!(bounds.token(None), 10.0);
        for (lower, upper) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            assert!(Bounds::new(lower, upper).is_err());
        }
    }
}
