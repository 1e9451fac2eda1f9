//! A small writer of ONNX files for the tests: the messages of the importer, encoded.

use models::onnx::proto::{
    AttributeProto, Dimension, FLOAT, GraphProto, INT64, ModelProto, NodeProto, OperatorSet, TensorProto, TensorShape,
    TensorType, TypeProto, ValueInfo,
};
use prost::Message as _;
use schemas::network::{Input, Layer, Network};

/// A file in the making.
#[derive(Clone)]
pub struct File {
    pub model: ModelProto,
    pub graph: GraphProto,
}

fn value(name: &str, element: i32, sizes: &[i64]) -> ValueInfo {
    let batch = Dimension { dim_value: None, dim_param: Some("N".into()) };
    let dim =
        [batch].into_iter().chain(sizes.iter().map(|n| Dimension { dim_value: Some(*n), dim_param: None })).collect();
    let tensor_type = TensorType { elem_type: element, shape: Some(TensorShape { dim }) };
    ValueInfo { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

pub fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    let input = inputs.iter().map(|name| (*name).to_owned()).collect();
    NodeProto { op_type: op.into(), input, output: vec![output.into()], attribute, ..Default::default() }
}

pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: values.to_vec(), ..Default::default() }
}

pub fn whole(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), ..Default::default() }
}

pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f: Some(value), ..Default::default() }
}

pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: Some(value.as_bytes().to_vec()), ..Default::default() }
}

impl File {
    fn new(element: i32, sizes: &[i64]) -> File {
        let set = OperatorSet { domain: String::new(), version: 17 };
        let model = ModelProto { ir_version: 8, opset_import: vec![set], ..Default::default() };
        File { model, graph: GraphProto { input: vec![value("x", element, sizes)], ..Default::default() } }
    }

    pub fn vector(features: i64) -> File {
        File::new(FLOAT, &[features])
    }

    pub fn image(channels: i64, side: i64) -> File {
        File::new(FLOAT, &[channels, side, side])
    }

    pub fn sequence(length: i64, width: i64) -> File {
        File::new(FLOAT, &[length, width])
    }

    pub fn tokens(length: i64) -> File {
        File::new(INT64, &[length])
    }

    pub fn with(mut self, node: NodeProto) -> File {
        self.graph.node.push(node);
        self
    }

    pub fn output(mut self, name: &str) -> File {
        self.graph.output = vec![value(name, FLOAT, &[])];
        self
    }

    /// Weights with values that all differ.
    pub fn weight(self, name: &str, dims: &[i64]) -> File {
        let numbers = dims.iter().product::<i64>();
        let seed = name.bytes().map(i64::from).sum::<i64>();
        self.values_of(name, dims, (0..numbers).map(|n| (n + seed) as f32 / 128.0).collect())
    }

    pub fn values_of(mut self, name: &str, dims: &[i64], values: Vec<f32>) -> File {
        let raw_data = Some(values.iter().flat_map(|v| v.to_le_bytes()).collect());
        let tensor =
            TensorProto { name: name.into(), dims: dims.to_vec(), data_type: FLOAT, raw_data, ..Default::default() };
        self.graph.initializer.push(tensor);
        self
    }

    pub fn real(self, name: &str, value: f32) -> File {
        self.values_of(name, &[], vec![value])
    }

    pub fn whole(mut self, name: &str, values: &[i64]) -> File {
        let dims = vec![values.len() as i64];
        let tensor = TensorProto {
            name: name.into(),
            dims,
            data_type: INT64,
            int64_data: values.to_vec(),
            ..Default::default()
        };
        self.graph.initializer.push(tensor);
        self
    }

    pub fn set_whole(&mut self, name: &str, values: &[i64]) {
        let tensor = self.tensor(name);
        (tensor.dims, tensor.int64_data) = (vec![values.len() as i64], values.to_vec());
    }

    pub fn tensor(&mut self, name: &str) -> &mut TensorProto {
        self.graph.initializer.iter_mut().find(|tensor| tensor.name == name).unwrap()
    }

    pub fn values(&self, name: &str) -> Vec<f32> {
        let tensor = self.graph.initializer.iter().find(|tensor| tensor.name == name).unwrap();
        let raw = tensor.raw_data.as_ref().unwrap();
        raw.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// Leaves every size of the input open.
    pub fn open_input(&mut self) {
        let shape = self.graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().shape.as_mut().unwrap();
        shape.dim.iter_mut().for_each(|dim| dim.dim_value = None);
    }

    pub fn bytes(&self) -> Vec<u8> {
        ModelProto { graph: Some(self.graph.clone()), ..self.model.clone() }.encode_to_vec()
    }
}

/// A chain of convolutions, pools, activations and linear layers as a file.
pub fn of(network: &Network) -> File {
    let Input::Image { channels, height, .. } = network.input else { panic!("an image") };
    let mut file = File::image(channels.into(), height.into());
    let mut last = "x".to_owned();
    for (at, layer) in network.layers.iter().enumerate() {
        let (w, b, out) = (format!("{at}.w"), format!("{at}.b"), format!("v{at}"));
        let square = |name: &str, n: u32| ints(name, &[n.into(), n.into()]);
        file = match layer {
            Layer::Conv2d { channels_in, channels_out, kernel, stride, padding, .. } => {
                let (i, o, k) = (i64::from(*channels_in), i64::from(*channels_out), i64::from(*kernel));
                let attributes = vec![
                    square("kernel_shape", *kernel),
                    square("strides", *stride),
                    ints("pads", &[i64::from(*padding); 4]),
                ];
                file.weight(&w, &[o, i, k, k]).weight(&b, &[o]).with(node("Conv", &[&last, &w, &b], &out, attributes))
            }
            Layer::Linear { inputs, outputs, .. } => file
                .weight(&w, &[i64::from(*inputs), i64::from(*outputs)])
                .weight(&b, &[i64::from(*outputs)])
                .with(node("Gemm", &[&last, &w, &b], &out, vec![])),
            Layer::MaxPool { kernel, stride } => {
                let attributes = vec![square("kernel_shape", *kernel), square("strides", *stride)];
                file.with(node("MaxPool", &[&last], &out, attributes))
            }
            Layer::Relu {} => file.with(node("Relu", &[&last], &out, vec![])),
            Layer::Flatten {} => file.with(node("Flatten", &[&last], &out, vec![])),
            other => panic!("{other:?} is not written"),
        };
        last = out;
    }
    file.output(&last)
}
