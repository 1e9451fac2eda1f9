//! ONNX import. Nothing is imported yet; the messages are declared.

pub mod proto;
