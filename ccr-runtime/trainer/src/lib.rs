//! The library half of `ccr-trainer`: the worker of the sealed room that holds the tensors, and the only crate that
//! knows libtorch.
//!
//! `ccr` starts it, gives it data, plan and one seed over a pipe, and is its only mouth and ears. It has no key, no
//! file and no network; what it says depends on the data only through the model and the noised metrics.
//!
//! Read in this order: [`session`] (the protocol), [`table`] (from CSV to rows in two parts), [`dpsgd`] (the private
//! training, between whose steps lies a [`checkpoint`]; [`plain`] is the one that contracts allow to be without privacy), [`per_sample`] (gradients of each row, clipped), [`noise`], [`stream`], [`gaussian`] and [`ziggurat`] (what protects them),
//! [`model`] (networks; their passes are those of `engine`; [`device`] says where tensors lie), [`loss`], [`optimizer`], [`metrics`], [`artifact`], [`confine`], [`settle`].
//!
//! Two binaries stand on it: `ccr-trainer` (the worker) and `trainer-bench` (measures steps; never part of a room).

pub mod artifact;
#[cfg(test)]
mod audit;
pub mod checkpoint;
pub mod confine;
pub mod device;
pub mod dpsgd;
mod engine;
pub mod evaluate;
pub mod fault;
mod fixed;
#[cfg(test)]
mod fixtures;
pub mod gaussian;
mod lanes;
pub mod limits;
pub mod loss;
pub mod measure;
pub mod metrics;
pub mod model;
pub mod noise;
pub mod optimizer;
pub mod per_sample;
pub mod plain;
#[cfg(test)]
mod quality;
pub mod session;
pub mod settle;
mod shares;
pub mod stream;
pub mod table;
pub mod together;
pub mod trees;
pub mod ziggurat;
