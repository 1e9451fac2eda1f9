//! Arguments of a class, function, loss, optimiser or scheduler: taken one by one, and nothing may be left over.

use schemas::text::Real;
use schemas::{Code, R, Refusal};
use serde_json::{Map, Value};

/// Arguments by name.
pub struct Params {
    /// What is being made, for refusals.
    what: String,
    left: Map<String, Value>,
}

impl Params {
    /// The arguments of `what`.
    pub fn new(what: impl Into<String>, given: Map<String, Value>) -> Params {
        Params { what: what.into(), left: given }
    }

    /// A refusal about these arguments.
    pub fn refuse(&self, why: impl std::fmt::Display) -> Refusal {
        Refusal::new(Code::ModelForm, format!("{}: {why}", self.what)).at(self.what.clone())
    }

    /// An argument as it stands; null counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// A whole number that may be absent.
    pub fn maybe(&mut self, name: &str) -> R<Option<u32>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        whole(&value).map(Some).ok_or_else(|| self.refuse(format!("{name} is no whole number that can be used")))
    }

    /// A whole number.
    pub fn count(&mut self, name: &str) -> R<u32> {
        self.maybe(name)?.ok_or_else(|| self.refuse(format!("{name} is missing")))
    }

    /// A size for both directions of an image: one number, or a list of equal ones.
    pub fn square(&mut self, name: &str) -> R<Option<u32>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let sides: Option<Vec<u32>> = match &value {
            Value::Array(sides) => sides.iter().map(whole).collect(),
            other => whole(other).map(|side| vec![side]),
        };
        match sides.as_deref() {
            Some([side]) => Ok(Some(*side)),
            Some([one, other]) if one == other => Ok(Some(*one)),
            _ => Err(self.refuse(format!("{name} is the same whole number in both directions"))),
        }
    }

    /// A yes or no that may be absent.
    pub fn flag(&mut self, name: &str, otherwise: bool) -> R<bool> {
        match self.take(name) {
            None => Ok(otherwise),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.refuse(format!("{name} is neither true nor false"))),
        }
    }

    /// A number that may be absent.
    pub fn number(&mut self, name: &str) -> R<Option<f64>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(_) => Err(self.refuse(format!("{name} is no number"))),
        }
    }

    /// A number that is not negative, as documents write it.
    pub fn real(&mut self, name: &str, otherwise: f64) -> R<Real> {
        let value = self.number(name)?.unwrap_or(otherwise);
        real(value).ok_or_else(|| self.refuse(format!("{name} is no number from 0 that can be written")))
    }

    /// A word that may be absent.
    pub fn word(&mut self, name: &str) -> R<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(word)) => Ok(Some(word)),
            Some(_) => Err(self.refuse(format!("{name} is no word"))),
        }
    }

    /// Refuses every value of this argument but these (absent counts as allowed).
    pub fn only(&mut self, name: &str, allowed: &[Value]) -> R<()> {
        let same = |value: &Value, wanted: &Value| match (value.as_f64(), wanted.as_f64()) {
            (Some(one), Some(other)) => one == other,
            _ => value == wanted,
        };
        match self.take(name) {
            Some(value) if !allowed.iter().any(|wanted| same(&value, wanted)) => {
                let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
                Err(self.refuse(format!("{name} can only be {} here", allowed.join(" or "))))
            }
            _ => Ok(()),
        }
    }

    /// The usual ε of a norm, 10^-5.
    pub fn usual_epsilon(&mut self) -> R<()> {
        self.only("eps", &[Value::from(1e-5)])
    }

    /// Drops an argument that changes nothing (`inplace`).
    pub fn ignore(&mut self, name: &str) {
        self.left.remove(name);
    }

    /// Refuses what nobody took.
    pub fn end(self) -> R<()> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.refuse(format!("the argument {name} is not known here"))),
        }
    }
}

fn whole(value: &Value) -> Option<u32> {
    let exact = value
        .as_u64()
        .or_else(|| value.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0 && *n < 4e9).map(|n| n as u64));
    exact.and_then(|n| u32::try_from(n).ok())
}

/// A number as documents write it; `None` if it is negative, no number, or has too many digits.
pub fn real(value: f64) -> Option<Real> {
    if !value.is_finite() || value < 0.0 {
        return None;
    }
    // Rust writes no exponents, and the fewest digits that read back the same.
    Real::parse(&format!("{}", value.abs())).ok()
}
