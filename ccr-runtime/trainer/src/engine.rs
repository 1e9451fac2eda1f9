//! Networks on tensors: the forward pass, the tape it leaves, and every row's own gradient from one backward pass.
//!
//! **Book-keeping** (Li et al. 2022, Bu et al. 2023). A layer with weights writes its input a and its pre-activation s
//! on the tape. One backward pass from the per-row losses gives g = ∂ℓ/∂s, no weight's gradient: since no layer mixes
//! rows, row i of g is that of row i's own loss. From (a, g) come each row's squared norm ([`norm`]) and, once the norms
//! are known, the weighted sum of the rows' gradients ([`sum`]), without ever building a row's gradient where that
//! costs more. Convolutions build them in pieces that fit the cache, and keep them as far as a budget goes. Rows meet in
//! small blocks of single precision, and these in double precision ([`adding`]).
//!
//! The tensor library lets no function of ours into its backward pass. An LSTM, which is slow as single operations, has
//! its own ([`lstm`]); it cuts the tape into segments that are run one after the other.

mod adding;
#[cfg(test)]
mod adverse;
mod conv;
mod layers;
mod lstm;
mod norm;
#[cfg(test)]
mod oracle;
mod part;
#[cfg(test)]
mod products;
mod sum;
mod tape;

pub use adding::{Adding, MOVED};
pub use layers::{Conv, Linear, Lstm, Op, run};
pub use part::Part;
pub use sum::{Sink, Weighing};
pub use tape::{Mode, Tape};

use tch::{TchError, Tensor};

/// What the tensor library gives; its words end in [`crate::fault::Hush`].
pub type T<X> = Result<X, TchError>;

/// The library's own error for what cannot happen in a network that was judged.
fn broken(sentence: &str) -> TchError {
    TchError::Torch(sentence.to_owned())
}

/// So many rows from the first on: where these are all, the tensor itself, since a view costs as much as a small sum.
fn stretch(t: &Tensor, first: i64, n: i64) -> T<Tensor> {
    if first == 0 && t.size().first() == Some(&n) { Ok(t.shallow_clone()) } else { t.f_narrow(0, first, n) }
}

/// Whether a tensor [rows, steps, …] lies steps first in memory, as an LSTM's do.
fn steps_first(t: &Tensor) -> bool {
    t.dim() == 3 && t.stride().first() < t.stride().get(1)
}

/// Weights by their place in the network, and which of them are learnt.
pub struct Weights<'a> {
    /// The tensors.
    pub tensors: Vec<&'a Tensor>,
    /// Whether each is learnt.
    pub learnt: Vec<bool>,
}

impl Weights<'_> {
    fn get(&self, place: usize) -> T<&Tensor> {
        self.tensors.get(place).copied().ok_or_else(|| broken("a weight is missing"))
    }

    fn learnt(&self, place: Option<usize>) -> Option<usize> {
        place.filter(|place| self.learnt.get(*place).copied().unwrap_or(false))
    }
}
