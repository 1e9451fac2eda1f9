//! Models as data: what turns other people's descriptions into a `schemas::network::Network` and its weights.
//!
//! Read in this order: [`kind`] (what a file is; what holds code is refused), [`graph`] and [`structure`] (from a graph of
//! operations to nested layers), [`reference`] (the DEPA reference's JSON), [`onnx`], [`ready`], [`weights`], [`card`].
//!
//! Nothing here runs a model: no tensor library, no network, no clock. Every file is a stranger's: sizes are judged
//! before anything is made of them, and what is not known is refused by a code, never skipped.

pub mod card;
pub mod graph;
pub mod kind;
pub mod notice;
pub mod onnx;
pub mod ready;
pub mod reference;
pub mod structure;
pub mod weights;

pub use notice::Notice;
