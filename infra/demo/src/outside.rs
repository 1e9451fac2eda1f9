//! Computed outside the room: what only somebody who owns all three plaintexts can know.
//!
//! The demo plays all providers, so it can join the tables itself, repeat the room's public split, and hold the opened
//! model against the held-out people. No such figure ever leaves a room; each is labelled where it is shown.

use std::collections::{HashMap, HashSet};

use depa::train::quality::auc;
use hmac::{Hmac, KeyInit, Mac};
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::data::{FEATURES, PRINCIPAL, TARGET, Table, TableKind, Tables};

/// One joined person: features scaled to [−1, 1], the label, and the key that the split hashes.
#[derive(Clone, PartialEq)]
pub struct Person {
    /// The principal's key.
    pub principal: String,
    /// In the order of [`FEATURES`].
    pub features: Vec<f64>,
    /// Whether the target is positive.
    pub positive: bool,
}

/// How good a model is on people it was not trained on.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Quality {
    /// Area under the ROC curve.
    pub auc: f64,
    /// Share of right answers at probability one half.
    pub accuracy: f64,
    /// Held-out people.
    pub test_rows: usize,
}

/// The inner join of the three tables on the mobile number, in the order of the first.
pub fn joined(tables: &Tables) -> R<Vec<Person>> {
    let by_key = |kind: TableKind| -> R<HashMap<&str, &Vec<String>>> {
        let table = tables.of(kind);
        let key = table.column(kind.key())?;
        let mut rows = HashMap::new();
        for row in &table.rows {
            rows.entry(cell(row, key)?).or_insert(row);
        }
        Ok(rows)
    };
    let (cowin, war_room) = (by_key(TableKind::Cowin)?, by_key(TableKind::Statewarroom)?);
    let icmr = &tables.icmr;
    let (key, target) = (icmr.column(PRINCIPAL.1)?, icmr.column(TARGET.1)?);
    let mut seen = HashSet::new();
    let mut people = Vec::new();
    for row in &icmr.rows {
        let principal = cell(row, key)?;
        let (Some(c), Some(w)) = (cowin.get(principal), war_room.get(principal)) else { continue };
        if principal.is_empty() || !seen.insert(principal) {
            continue;
        }
        let features = FEATURES
            .iter()
            .map(|f| {
                let row = match f.table {
                    TableKind::Icmr => row,
                    TableKind::Cowin => c,
                    TableKind::Statewarroom => w,
                };
                scaled(cell(row, column(tables.of(f.table), f.column)?)?, f.lower, f.upper)
            })
            .collect::<R<_>>()?;
        people.push(Person { principal: principal.to_owned(), features, positive: cell(row, target)? == "1" });
    }
    Ok(people)
}

/// Whether the room trains on this person: the documented split of `ccr-trainer`, repeated from its definition.
///
/// The first eight bytes of HMAC-SHA256(salt, principal), big-endian, below ⌊train_ppm · 2^64 / 10^6⌋.
pub fn trains(salt: &[u8], train_ppm: u32, principal: &str) -> R<bool> {
    let fault = || Refusal::new(Code::Internal, "the split cannot be computed");
    let keyed = Hmac::<Sha256>::new_from_slice(salt).map_err(|_| fault())?;
    let tag = keyed.chain_update(principal.as_bytes()).finalize().into_bytes();
    let first = tag.first_chunk::<8>().ok_or_else(fault)?;
    Ok(u128::from(u64::from_be_bytes(*first)) < (u128::from(train_ppm) << 64) / 1_000_000)
}

/// The people that the room held out.
pub fn held_out<'a>(people: &'a [Person], salt: &[u8], train_ppm: u32) -> R<Vec<&'a Person>> {
    let mut out = Vec::new();
    for person in people {
        if !trains(salt, train_ppm, &person.principal)? {
            out.push(person);
        }
    }
    Ok(out)
}

/// An opened model: one linear layer.
#[derive(Clone, PartialEq, Debug)]
pub struct Linear {
    weights: Vec<f64>,
    bias: f64,
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl Linear {
    /// Reads a logistic regression in safetensors: tensors `0.weight` [1, n] and `0.bias` [1], single precision.
    pub fn read(model: &[u8]) -> R<Linear> {
        let bad = || Refusal::new(Code::OutputRefused, "the opened model is no logistic regression in safetensors");
        let (length, rest) = model.split_first_chunk::<8>().ok_or_else(bad)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| bad())?;
        let (header, data) = rest.split_at_checked(length).ok_or_else(bad)?;
        let tensors: HashMap<String, Tensor> = serde_json::from_slice(header).map_err(|_| bad())?;
        let values = |name: &str, shape: &[usize]| -> R<Vec<f64>> {
            let tensor = tensors.get(name).filter(|t| t.dtype == "F32" && t.shape == shape).ok_or_else(bad)?;
            let bytes = data.get(tensor.data_offsets[0]..tensor.data_offsets[1]).ok_or_else(bad)?;
            let (floats, left) = bytes.as_chunks::<4>();
            if !left.is_empty() || floats.len() != shape.iter().product::<usize>() {
                return Err(bad());
            }
            Ok(floats.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect())
        };
        let bias = values("0.bias", &[1])?;
        Ok(Linear { weights: values("0.weight", &[1, FEATURES.len()])?, bias: bias.first().copied().ok_or_else(bad)? })
    }

    fn logit(&self, person: &Person) -> f64 {
        self.weights.iter().zip(&person.features).map(|(w, x)| w * x).sum::<f64>() + self.bias
    }

    /// AUC and accuracy on these people.
    pub fn quality(&self, people: &[&Person]) -> Quality {
        let scored: Vec<(f64, bool)> = people.iter().map(|p| (self.logit(p), p.positive)).collect();
        let right = scored.iter().filter(|(logit, positive)| (*logit >= 0.0) == *positive).count();
        Quality { auc: auc(scored), accuracy: right as f64 / people.len().max(1) as f64, test_rows: people.len() }
    }
}

fn scaled(cell: &str, lower: &str, upper: &str) -> R<f64> {
    let bound = |text: &str| text.parse::<f64>().map_err(|_| Refusal::new(Code::Internal, "a bound is no number"));
    let (lower, upper) = (bound(lower)?, bound(upper)?);
    let Some(number) = cell.trim().parse::<f64>().ok().filter(|n| !n.is_nan()) else { return Ok(0.0) };
    Ok(2.0 * ((number.clamp(lower, upper) - lower) / (upper - lower)) - 1.0)
}

fn column(table: &Table, name: &str) -> R<usize> {
    table.column(name)
}

fn cell(row: &[String], place: usize) -> R<&str> {
    row.get(place).map(String::as_str).ok_or_else(|| Refusal::new(Code::TableForm, "a row is too short"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SEED, generate};

    /// The same vector as in the room's `table/split.rs`.
    #[test]
    fn the_split_is_the_rooms() {
        for (principal, first) in [("alice", 0xce38_37f7_6a54_a635_u64), ("629434961", 0x8ff8_8c1e_5865_bec4)] {
            let ppm = ((u128::from(first) * 1_000_000) >> 64) as u32;
            assert!(!trains(&[0; 32], ppm, principal).unwrap());
            assert!(trains(&[0; 32], ppm + 1, principal).unwrap());
        }
    }

    #[test]
    fn everybody_joins_once_in_whatever_order_the_tables_stand() {
        let mut tables = generate(SEED, 200);
        let people = joined(&tables).unwrap();
        assert_eq!(people.len(), 200);
        assert!(people.iter().all(|p| p.features.iter().all(|f| f.abs() <= 1.0)));
        tables.cowin.rows.pop();
        tables.icmr.rows.push(tables.icmr.rows[0].clone());
        assert_eq!(joined(&tables).unwrap().len(), 199);
        let out = held_out(&people, &[1; 32], 800_000).unwrap();
        assert!((20..=60).contains(&out.len()), "{}", out.len());
    }

    #[test]
    fn auc_counts_pairs() {
        assert_eq!(auc(vec![(0.1, false), (0.9, true)]), 1.0);
        assert_eq!(auc(vec![(0.9, false), (0.1, true)]), 0.0);
        assert_eq!(auc(vec![(0.5, false), (0.5, true)]), 0.5);
        assert_eq!(auc(vec![(0.1, false), (0.3, true), (0.2, true), (0.2, false)]), 0.875);
        assert_eq!(auc(vec![(0.3, true)]), 0.5);
    }

    #[test]
    fn a_model_is_read_and_judged() {
        let weights: Vec<f32> = (0..9).map(|i| if i == 2 { 4.0 } else { 0.0 }).collect();
        let header = br#"{"0.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"0.weight":{"dtype":"F32","shape":[1,9],"data_offsets":[4,40]}}"#;
        let mut model = (header.len() as u64).to_le_bytes().to_vec();
        model.extend_from_slice(header);
        model.extend((-0.5f32).to_le_bytes());
        model.extend(weights.iter().flat_map(|w| w.to_le_bytes()));
        let people = joined(&generate(SEED, 2_000)).unwrap();
        let quality = Linear::read(&model).unwrap().quality(&people.iter().collect::<Vec<_>>());
        assert!(quality.auc > 0.85 && quality.accuracy > 0.9 && quality.test_rows == 2_000, "{quality:?}");
        assert!(Linear::read(&model[..30]).is_err());
        assert!(Linear::read(b"").is_err());
    }
}
