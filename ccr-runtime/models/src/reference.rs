//! The DEPA reference's descriptions of models: `model_config`, `loss_config`, `train_config` (`Train_DL`, `Train_XGB`).
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
mod trees;

pub use forward::{Options, Read, model};
pub use loss::{ReadLoss, loss};
pub use training::{Public, ReadTraining, training};
pub use trees::{ReadTrees, is_trees, trees};
