//! Attributes of one operation: taken one by one, and nothing may be left over.

use std::collections::BTreeMap;

use schemas::{R, Refusal};

use super::form;
use super::nodes::shown;
use super::proto::{AttributeProto, NodeProto, TensorProto};

/// Attributes by name.
pub struct Attributes<'a> {
    what: String,
    left: BTreeMap<&'a str, &'a AttributeProto>,
}

impl<'a> Attributes<'a> {
    /// The attributes of this operation.
    pub fn of(node: &'a NodeProto) -> Attributes<'a> {
        let left = node.attribute.iter().map(|attribute| (attribute.name.as_str(), attribute)).collect();
        Attributes { what: shown(node), left }
    }

    /// A refusal about them.
    pub fn refuse(&self, why: impl std::fmt::Display) -> Refusal {
        form(&self.what, format!("{}: {why}", self.what))
    }

    /// A whole number, or what holds without it. Some writers leave a zero out of the attribute that holds it.
    pub fn int(&mut self, name: &str, otherwise: i64) -> i64 {
        self.left.remove(name).map_or(otherwise, |a| a.i.unwrap_or(0))
    }

    /// A real, or what holds without it.
    pub fn float(&mut self, name: &str, otherwise: f32) -> f32 {
        self.left.remove(name).map_or(otherwise, |a| a.f.unwrap_or(0.0))
    }

    /// Whole numbers.
    pub fn ints(&mut self, name: &str) -> Option<Vec<i64>> {
        self.left.remove(name).map(|a| a.ints.clone())
    }

    /// A word, or what holds without it.
    pub fn word(&mut self, name: &str, otherwise: &str) -> String {
        let given = self.left.remove(name).and_then(|a| a.s.as_deref());
        given.map_or_else(|| otherwise.to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A tensor.
    pub fn tensor(&mut self, name: &str) -> Option<&'a TensorProto> {
        self.left.remove(name).and_then(|a| a.t.as_ref())
    }

    /// Drops an attribute that changes nothing here.
    pub fn ignore(&mut self, name: &str) {
        self.left.remove(name);
    }

    /// Refuses every value of a whole number but these.
    pub fn only(&mut self, name: &str, allowed: &[i64]) -> R<()> {
        match self.left.remove(name).map(|a| a.i.unwrap_or(0)) {
            Some(value) if !allowed.contains(&value) => Err(self.refuse(format!("{name} {value} is not read here"))),
            _ => Ok(()),
        }
    }

    /// Refuses every value of a word but these.
    pub fn only_word(&mut self, name: &str, allowed: &[&str]) -> R<()> {
        let given = self.word(name, allowed.first().copied().unwrap_or_default());
        if allowed.contains(&given.as_str()) {
            Ok(())
        } else {
            Err(self.refuse(format!("{name} {given} is not read here")))
        }
    }

    /// A size that is the same in both directions.
    pub fn square(&mut self, name: &str, otherwise: Option<u32>) -> R<u32> {
        let given = self.ints(name);
        match given.as_deref() {
            None => otherwise.ok_or_else(|| self.refuse(format!("{name} is missing"))),
            Some([one, other]) if one == other => {
                u32::try_from(*one).map_err(|_| self.refuse(format!("{name} is no size")))
            }
            Some(_) => Err(self.refuse(format!("{name} is not the same in both directions of an image"))),
        }
    }

    /// Refuses what nobody took.
    pub fn end(self) -> R<()> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().filter(|c| c.is_ascii_graphic()).take(40).collect();
                Err(self.refuse(format!("the attribute {name} is not known here")))
            }
        }
    }
}
