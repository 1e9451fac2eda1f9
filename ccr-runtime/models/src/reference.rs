//! The DEPA reference's descriptions of models: `model_config`, `loss_config`, `train_config` (`Train_DL`).
//!
//! They are read unmodified and strictly: a member, class, operation or argument that is not known here is refused, not
//! skipped. Formats: the reference's `scenarios/*/config`, JSON throughout.

mod classes;
mod expression;
mod forward;
mod functions;
mod loss;
mod module;
mod optimizer;
mod params;
mod training;

pub use forward::{Options, Read, model};
pub use loss::{ReadLoss, loss};
pub use training::{Public, ReadTraining, training};
