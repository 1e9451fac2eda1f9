//! Constants of a graph: weights in single precision, and whole numbers that shapes are made of.

use schemas::{Code, R, Refusal};

use super::proto::{DOUBLE, FLOAT, INT32, INT64, TensorProto};
use super::{form, refused};
use crate::weights::Tensor;

/// Dimensions of a constant.
const MAX_RANK: usize = 6;
/// Numbers of a constant: all that a network may learn.
const MAX_NUMBERS: usize = schemas::network::MAX_PARAMETERS as usize;

/// A constant.
#[derive(Clone, PartialEq, Debug)]
pub struct Constant {
    /// Its name in the file: who uses one as weights twice ties them.
    pub name: String,
    /// Its shape.
    pub dims: Vec<usize>,
    /// Its values.
    pub data: Data,
}

/// Values of a constant.
#[derive(Clone, PartialEq, Debug)]
pub enum Data {
    /// Reals; of double precision rounded.
    Real(Vec<f32>),
    /// Whole numbers.
    Whole(Vec<i64>),
}

impl Constant {
    /// Reads a tensor.
    ///
    /// # Errors
    /// `MODEL_LAYER` for one that lies elsewhere or has another type, `MODEL_FORM` for one whose values do not fill it.
    pub fn read(tensor: &TensorProto, name: &str) -> R<Constant> {
        let shown: String = name.chars().filter(|c| c.is_ascii_graphic()).take(80).collect();
        if tensor.data_location != 0 || !tensor.external_data.is_empty() {
            return Err(refused(&shown, format!("{shown} lies outside the file: export with all data inside")));
        }
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
        let numbers = dims.iter().flatten().try_fold(1usize, |product, dim| product.checked_mul(*dim));
        let (Some(dims), Some(numbers)) = (dims, numbers.filter(|n| *n <= MAX_NUMBERS)) else {
            return Err(Refusal::new(Code::LimitExceeded, format!("{shown} is too large")).at(shown));
        };
        if dims.len() > MAX_RANK {
            return Err(Refusal::new(Code::LimitExceeded, format!("{shown} has too many dimensions")).at(shown));
        }
        let data = values(tensor).ok_or_else(|| {
            refused(&shown, format!("{shown} is of a type that is not read: single precision and whole numbers are"))
        })?;
        let given = match &data {
            Data::Real(values) => values.len(),
            Data::Whole(values) => values.len(),
        };
        if given != numbers {
            return Err(form(&shown, format!("{shown} has room for {numbers} numbers and holds {given}")));
        }
        Ok(Constant { name: name.to_owned(), dims, data })
    }

    /// The reals as a tensor of this shape; `None` if they are whole numbers or do not fill it.
    pub fn tensor(&self, shape: &[usize]) -> Option<Tensor> {
        let Data::Real(values) = &self.data else { return None };
        let fills = shape.iter().product::<usize>() == values.len();
        fills.then(|| Tensor { shape: shape.to_vec(), values: values.clone() })
    }

    /// The only number, if it is one.
    pub fn scalar(&self) -> Option<f64> {
        match &self.data {
            Data::Real(values) if values.len() == 1 => values.first().map(|v| f64::from(*v)),
            Data::Whole(values) if values.len() == 1 => values.first().map(|v| *v as f64),
            _ => None,
        }
    }

    /// The whole numbers.
    pub fn whole(&self) -> Option<&[i64]> {
        match &self.data {
            Data::Whole(values) => Some(values),
            Data::Real(_) => None,
        }
    }

    /// The shape without dimensions of size 1 in front.
    pub fn tail(&self) -> &[usize] {
        let ones = self.dims.iter().take_while(|dim| **dim == 1).count();
        self.dims.get(ones..).unwrap_or_default()
    }

    /// Whether all values are zero.
    pub fn is_zero(&self) -> bool {
        match &self.data {
            Data::Real(values) => values.iter().all(|v| *v == 0.0),
            Data::Whole(values) => values.iter().all(|v| *v == 0),
        }
    }

    /// A matrix with its sides exchanged.
    pub fn transposed(&self) -> Option<Constant> {
        let (&[rows, columns], Data::Real(values)) = (self.dims.as_slice(), &self.data) else { return None };
        let turned = (0..columns).flat_map(|c| (0..rows).filter_map(move |r| values.get(r * columns + c).copied()));
        Some(Constant { name: self.name.clone(), dims: vec![columns, rows], data: Data::Real(turned.collect()) })
    }
}

fn values(tensor: &TensorProto) -> Option<Data> {
    let raw = tensor.raw_data.as_deref().filter(|raw| !raw.is_empty());
    match (tensor.data_type, raw) {
        (FLOAT, None) => Some(Data::Real(tensor.float_data.clone())),
        (FLOAT, Some(raw)) => four(raw).map(|v| Data::Real(v.iter().map(|b| f32::from_le_bytes(*b)).collect())),
        (DOUBLE, None) => Some(Data::Real(tensor.double_data.iter().map(|v| *v as f32).collect())),
        (DOUBLE, Some(raw)) => {
            eight(raw).map(|v| Data::Real(v.iter().map(|b| f64::from_le_bytes(*b) as f32).collect()))
        }
        (INT64, None) => Some(Data::Whole(tensor.int64_data.clone())),
        (INT64, Some(raw)) => eight(raw).map(|v| Data::Whole(v.iter().map(|b| i64::from_le_bytes(*b)).collect())),
        (INT32, None) => Some(Data::Whole(tensor.int32_data.iter().map(|v| i64::from(*v)).collect())),
        (INT32, Some(raw)) => {
            four(raw).map(|v| Data::Whole(v.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect()))
        }
        _ => None,
    }
}

fn four(raw: &[u8]) -> Option<&[[u8; 4]]> {
    let (whole, rest) = raw.as_chunks::<4>();
    rest.is_empty().then_some(whole)
}

fn eight(raw: &[u8]) -> Option<&[[u8; 8]]> {
    let (whole, rest) = raw.as_chunks::<8>();
    rest.is_empty().then_some(whole)
}
