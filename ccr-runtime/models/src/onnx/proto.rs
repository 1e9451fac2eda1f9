//! The messages of ONNX that an import reads, declared by hand after `onnx.proto` (IR versions 3 to 13).
//!
//! Field numbers are the format. What is not declared is skipped, except what must be seen in order to be refused:
//! functions, training information, sparse and external tensors, graphs inside attributes.

use prost::Message;

/// A model: its version, its operator sets and its graph.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// The format's version.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// Which operators are meant.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    /// The graph.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// Training graphs: refused.
    #[prost(message, repeated, tag = "20")]
    pub training_info: Vec<Skipped>,
    /// Functions of the model's own: refused.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<Skipped>,
}

/// A set of operators at a version.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    /// Empty or `ai.onnx` for the standard's own.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Its version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A message of which only the presence counts.
#[derive(Clone, PartialEq, Message)]
pub struct Skipped {}

/// A graph: nodes in order of execution, and its tensors.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// The nodes.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// Constants: weights and shapes.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// Sparse constants: refused.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<Skipped>,
    /// Inputs; old versions list initialisers here too.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    /// Outputs.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of its inputs; an empty one is an absent optional input.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of its outputs.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Its own name, for people.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Its attributes.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// Whose operator it is: only the standard's own are read.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// A named constant of a node.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// As a real.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// As an integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// As text.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    /// As a tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// As a graph: control flow, refused.
    #[prost(message, optional, tag = "6")]
    pub g: Option<Skipped>,
    /// Several reals.
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    /// Several integers.
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    /// Several texts.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    /// Several graphs: refused.
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<Skipped>,
    /// The enclosing function's attribute it stands for: refused.
    #[prost(string, tag = "21")]
    pub ref_attr_name: String,
}

/// A constant tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Its shape.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// Its type; see the constants below.
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Values as reals.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Values as integers of 32 bits.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Values as integers of 64 bits.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Its name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Values as little-endian bytes.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// Values as reals of double precision.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Where the values lie outside the file: refused.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<Skipped>,
    /// 1 if they lie outside: refused.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// `TensorProto.DataType.FLOAT`.
pub const FLOAT: i32 = 1;
/// `TensorProto.DataType.INT32`.
pub const INT32: i32 = 6;
/// `TensorProto.DataType.INT64`.
pub const INT64: i32 = 7;
/// `TensorProto.DataType.DOUBLE`.
pub const DOUBLE: i32 = 11;

/// A named value with its type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

/// A type; only tensors are read.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// A tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// A tensor's element type and shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// As in `TensorProto::data_type`.
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// Its shape, if known.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShape>,
}

/// A shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShape {
    /// Its dimensions in order; the first is the batch.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// One dimension: a number, or a name where it is open.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// The number.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    /// The name.
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}
