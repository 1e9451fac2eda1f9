//! ONNX files made here of the same messages: what is taken, and one thing spoilt at a time.

#![allow(clippy::unwrap_used, clippy::panic)] // tests

mod onnx_files;

use models::onnx::import;
use models::onnx::proto::{AttributeProto, OperatorSet, Skipped, TensorProto};
use models::{ready, weights};
use onnx_files::{File, float, ints, node, text, whole};
use schemas::Code;
use schemas::network::{Input, Layer, Upsampling};

fn layers(file: &File) -> Vec<Layer> {
    import(&file.bytes(), None).unwrap().network.layers
}

fn code(file: &File) -> Code {
    import(&file.bytes(), None).unwrap_err().code
}

/// Conv, ReLU, pool, flatten by Shape, Gemm: what exporters write of a small CNN.
fn cnn() -> File {
    File::image(1, 8)
        .weight("w1", &[4, 1, 3, 3])
        .weight("b1", &[4])
        .weight("w2", &[3, 64])
        .weight("b2", &[3])
        .whole("zero", &[0])
        .whole("rest", &[-1])
        .with(node("Conv", &["x", "w1", "b1"], "c", vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])]))
        .with(node("Relu", &["c"], "r", vec![]))
        .with(node("MaxPool", &["r"], "p", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]))
        .with(node("Shape", &["p"], "s", vec![]))
        .with(node("Gather", &["s", "zero"], "n", vec![whole("axis", 0)]))
        .with(node("Unsqueeze", &["n", "zero"], "u", vec![]))
        .with(node("Concat", &["u", "rest"], "t", vec![whole("axis", 0)]))
        .with(node("Reshape", &["p", "t"], "f", vec![]))
        .with(node("Gemm", &["f", "w2", "b2"], "y", vec![whole("transB", 1)]))
        .output("y")
}

#[test]
fn a_small_cnn_comes_with_its_weights() {
    let file = cnn();
    let got = import(&file.bytes(), None).unwrap();
    let wanted = [
        Layer::Conv2d { channels_in: 1, channels_out: 4, kernel: 3, stride: 1, padding: 1, bias: true },
        Layer::Relu {},
        Layer::MaxPool { kernel: 2, stride: 2 },
        Layer::Flatten {},
        Layer::Linear { inputs: 64, outputs: 3, bias: true },
    ];
    assert_eq!(got.network.layers, wanted);
    assert_eq!(got.network.input, Input::Image { channels: 1, height: 8, width: 8 });
    for (ours, theirs) in [("0.weight", "w1"), ("0.bias", "b1"), ("4.weight", "w2"), ("4.bias", "b2")] {
        assert_eq!(got.weights[ours].values, file.values(theirs), "{ours}");
    }
    let written = weights::write(&got.weights).unwrap();
    assert_eq!(weights::check(&written, &got.network.shapes().unwrap()), Ok(()));
}

#[test]
fn pieces_are_put_together_again() {
    // Linear as MatMul and Add; GELU by Erf; LayerNormalization; a residual around them.
    let root = std::f32::consts::SQRT_2;
    let file = File::vector(6)
        .weight("w", &[6, 6])
        .weight("b", &[6])
        .weight("g", &[6])
        .weight("h", &[6])
        .weight("k", &[6])
        .weight("h2", &[6])
        .real("root", root)
        .real("one", 1.0)
        .real("half", 0.5)
        .with(node("LayerNormalization", &["x", "g", "h"], "n", vec![float("epsilon", 1e-5), whole("axis", -1)]))
        .with(node("MatMul", &["n", "w"], "m", vec![]))
        .with(node("Add", &["b", "m"], "l", vec![]))
        .with(node("LayerNormalization", &["l", "k", "h2"], "k0", vec![]))
        .with(node("Div", &["k0", "root"], "d", vec![]))
        .with(node("Erf", &["d"], "e", vec![]))
        .with(node("Add", &["e", "one"], "p", vec![]))
        .with(node("Mul", &["k0", "p"], "q", vec![]))
        .with(node("Mul", &["q", "half"], "gelu", vec![]))
        .with(node("Add", &["gelu", "x"], "y", vec![]))
        .output("y");
    let body = vec![
        Layer::LayerNorm { width: 6 },
        Layer::Linear { inputs: 6, outputs: 6, bias: true },
        Layer::LayerNorm { width: 6 },
        Layer::Gelu {},
    ];
    let got = import(&file.bytes(), None).unwrap();
    assert_eq!(got.network.layers, [Layer::Residual { body, shortcut: vec![] }]);
    let (ours, theirs) = (&got.weights["0.body.1.weight"].values, file.values("w"));
    assert_eq!((ours[1], ours[6]), (theirs[6], theirs[1]), "a matrix on the right is turned");
    assert_eq!(got.weights["0.body.1.bias"].values, file.values("b"));

    // First values that an exporter keeps once for two biases; two matrices would be tied.
    let shared = |matrices: [&str; 2], biases: [&str; 2]| {
        File::vector(3)
            .weight("w", &[3, 3])
            .weight("v", &[3, 3])
            .weight("b", &[3])
            .values_of("zeros", &[3], vec![0.0; 3])
            .with(node("Gemm", &["x", matrices[0], biases[0]], "a", vec![]))
            .with(node("Gemm", &["a", matrices[1], biases[1]], "y", vec![]))
            .output("y")
    };
    assert_eq!(layers(&shared(["w", "v"], ["zeros", "zeros"])).len(), 2);
    assert_eq!(code(&shared(["w", "v"], ["b", "b"])), Code::ModelLayer);
    assert_eq!(code(&shared(["w", "w"], ["b", "zeros"])), Code::ModelLayer);

    // SiLU by its sigmoid; a softmax at the end is left off.
    let file = File::vector(4)
        .with(node("Sigmoid", &["x"], "s", vec![]))
        .with(node("Mul", &["x", "s"], "m", vec![]))
        .with(node("Softmax", &["m"], "y", vec![whole("axis", 1)]))
        .output("y");
    let got = import(&file.bytes(), None).unwrap();
    assert_eq!((got.network.layers.as_slice(), got.notices.len()), ([Layer::Silu {}].as_slice(), 1));

    // GroupNorm as exporters without the operator write it, its scale and shift apart.
    let file = File::image(4, 6)
        .whole("by_group", &[0, 2, -1])
        .whole("back", &[0, 4, 6, 6])
        .values_of("ones", &[2], vec![1.0; 2])
        .values_of("zeros", &[2], vec![0.0; 2])
        .weight("scale", &[4, 1, 1])
        .weight("shift", &[4, 1, 1])
        .with(node("Reshape", &["x", "by_group"], "g", vec![]))
        .with(node("InstanceNormalization", &["g", "ones", "zeros"], "i", vec![float("epsilon", 1e-5)]))
        .with(node("Reshape", &["i", "back"], "n", vec![]))
        .with(node("Mul", &["n", "scale"], "m", vec![]))
        .with(node("Add", &["m", "shift"], "y", vec![]))
        .output("y");
    let got = import(&file.bytes(), None).unwrap();
    assert_eq!(got.network.layers, [Layer::GroupNorm { groups: 2, channels: 4 }]);
    assert_eq!(got.weights["0.weight"].values, file.values("scale"));
    assert_eq!(got.weights["0.bias"].values, file.values("shift"));
}

#[test]
fn pictures_are_enlarged_and_joined() {
    let resize = |mode: &str, between: &str| {
        File::image(2, 4)
            .values_of("scales", &[4], vec![1.0, 1.0, 2.0, 2.0])
            .with(node("AveragePool", &["x"], "p", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]))
            .with(node(
                "Resize",
                &["p", "", "scales"],
                "r",
                vec![text("mode", mode), text("coordinate_transformation_mode", between)],
            ))
            .with(node("Concat", &["r", "x"], "j", vec![whole("axis", 1)]))
            .with(node("GlobalAveragePool", &["j"], "g", vec![]))
            .with(node("Flatten", &["g"], "y", vec![whole("axis", 1)]))
            .output("y")
    };
    let up = |mode| Layer::Upsample { factor: 2, mode };
    let wanted = |mode| {
        let body = vec![Layer::AvgPool { kernel: 2, stride: 2 }, up(mode)];
        vec![Layer::Skip { body, input_first: false }, Layer::GlobalAveragePool {}]
    };
    assert_eq!(layers(&resize("linear", "pytorch_half_pixel")), wanted(Upsampling::Bilinear));
    assert_eq!(layers(&resize("nearest", "half_pixel")), wanted(Upsampling::Nearest));
    assert_eq!(code(&resize("linear", "align_corners")), Code::ModelLayer);
    assert_eq!(code(&resize("cubic", "half_pixel")), Code::ModelLayer);
}

/// Tokens through an embedding and an LSTM as torch writes them, samples first only outside.
fn lstm() -> File {
    File::tokens(5)
        .weight("table", &[9, 4])
        .weight("W", &[1, 12, 4])
        .weight("R", &[1, 12, 3])
        .weight("B", &[1, 24])
        .values_of("h", &[1, 1, 3], vec![0.0; 3])
        .whole("one", &[1])
        .whole("end", &[-1])
        .with(node("Gather", &["table", "x"], "e", vec![]))
        .with(node("Transpose", &["e"], "t", vec![ints("perm", &[1, 0, 2])]))
        .with(node("LSTM", &["t", "W", "R", "B", "", "h", "h"], "l", vec![whole("hidden_size", 3)]))
        .with(node("Squeeze", &["l", "one"], "s", vec![]))
        .with(node("Transpose", &["s"], "b", vec![ints("perm", &[1, 0, 2])]))
        .with(node("Gather", &["b", "end"], "y", vec![whole("axis", 1)]))
        .output("y")
}

#[test]
fn an_lstm_comes_with_its_gates_in_our_order() {
    let file = lstm();
    let got = import(&file.bytes(), None).unwrap();
    assert_eq!(got.network.input, Input::Tokens { length: 5, vocabulary: 9 });
    let wanted = [Layer::Embedding { count: 9, width: 4 }, Layer::Lstm { inputs: 4, hidden: 3 }, Layer::LastToken {}];
    assert_eq!(got.network.layers, wanted);
    // Gates i, o, f, c there; i, f, c, o here.
    let (theirs, ours) = (file.values("R"), &got.weights["1.hh.weight"].values);
    let gate = |values: &[f32], at: usize| values[at * 9..(at + 1) * 9].to_vec();
    for (here, there) in [(0, 0), (1, 2), (2, 3), (3, 1)] {
        assert_eq!(gate(ours, here), gate(&theirs, there));
    }
    assert_eq!(got.weights["1.ih.bias"].values[3..6], file.values("B")[6..9]);
    assert_eq!(got.weights["1.hh.bias"].values[0..3], file.values("B")[12..15]);

    let spoilt = |op: &str, change: &dyn Fn(&mut models::onnx::proto::NodeProto)| {
        let mut file = lstm();
        change(file.graph.node.iter_mut().find(|node| node.op_type == op).unwrap());
        code(&file)
    };
    assert_eq!(spoilt("LSTM", &|n| n.input[4] = "one".into()), Code::ModelLayer);
    assert_eq!(spoilt("LSTM", &|n| n.input[5] = "e".into()), Code::ModelLayer);
    assert_eq!(spoilt("LSTM", &|n| n.attribute.push(text("direction", "reverse"))), Code::ModelForm);
    assert_eq!(spoilt("LSTM", &|n| n.attribute.push(float("clip", 1.0))), Code::ModelForm);
    assert_eq!(spoilt("Gather", &|n| n.attribute.push(whole("axis", 1))), Code::ModelLayer);
}

/// Self-attention of four positions and two heads, as exporters write it, behind positions that are learnt.
fn attention(scale: f32, thirds: bool) -> File {
    let linear =
        |file: File, name: &str, from: &str, outputs: i64| {
            let (w, b, m) = (format!("{name}.w"), format!("{name}.b"), format!("{name}.m"));
            file.weight(&w, &[6, outputs])
                .weight(&b, &[outputs])
                .with(node("MatMul", &[from, &w], &m, vec![]))
                .with(node("Add", &[&b, &m], name, vec![]))
        };
    let mut file = File::sequence(4, 6)
        .weight("positions", &[1, 4, 6])
        .whole("by_head", &[0, 0, 2, 3])
        .whole("back", &[0, 0, -1])
        .real("scale", scale)
        .with(node("Add", &["x", "positions"], "p", vec![]));
    if thirds {
        file = linear(file, "qkv", "p", 18);
        let mut split = node("Split", &["qkv"], "q", vec![whole("axis", -1)]);
        split.output = ["q", "k", "v"].map(String::from).into();
        file = file.with(split);
    } else {
        for name in ["q", "k", "v"] {
            file = linear(file, name, "p", 6);
        }
    }
    for (name, order) in [("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])] {
        let (shaped, turned) = (format!("{name}.r"), format!("{name}.t"));
        file = file.with(node("Reshape", &[name, "by_head"], &shaped, vec![])).with(node(
            "Transpose",
            &[&shaped],
            &turned,
            vec![ints("perm", &order)],
        ));
    }
    file = file
        .with(node("MatMul", &["q.t", "k.t"], "scores", vec![]))
        .with(node("Div", &["scores", "scale"], "scaled", vec![]))
        .with(node("Softmax", &["scaled"], "shares", vec![whole("axis", -1)]))
        .with(node("MatMul", &["shares", "v.t"], "context", vec![]))
        .with(node("Transpose", &["context"], "turned", vec![ints("perm", &[0, 2, 1, 3])]))
        .with(node("Reshape", &["turned", "back"], "joined", vec![]));
    linear(file, "proj", "joined", 6).with(node("Add", &["p", "proj"], "y", vec![])).output("y")
}

#[test]
fn attention_is_put_together_with_the_weights_of_its_four_matrices() {
    let root = 3f32.sqrt();
    let body = vec![Layer::Attention { width: 6, heads: 2, causal: false }];
    let wanted = [Layer::Positions { length: 4, width: 6 }, Layer::Residual { body, shortcut: vec![] }];
    let file = attention(root, false);
    let apart = import(&file.bytes(), None).unwrap();
    assert_eq!(apart.network.layers, wanted);
    let turned = |name: &str, outputs: usize| {
        let values = file.values(name);
        (0..outputs).flat_map(|o| (0..6).map(|i| values[i * outputs + o]).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let rows = ["q.w", "k.w", "v.w"].map(|name| turned(name, 6)).concat();
    assert_eq!(apart.weights["1.body.0.qkv.weight"].values, rows);
    assert_eq!(apart.weights["1.body.0.qkv.bias"].values, ["q.b", "k.b", "v.b"].map(|n| file.values(n)).concat());
    assert_eq!(apart.weights["1.body.0.proj.weight"].values, turned("proj.w", 6));
    assert_eq!(apart.weights["1.body.0.proj.bias"].values, file.values("proj.b"));
    let thirds = attention(root, true);
    let got = import(&thirds.bytes(), None).unwrap();
    assert_eq!(got.network.layers, wanted);
    assert_eq!(got.weights["1.body.0.qkv.bias"].values, thirds.values("qkv.b"));

    assert_eq!(code(&attention(2.0, false)), Code::ModelLayer, "another scale");
    let spoilt = |change: &dyn Fn(&mut File)| {
        let mut file = attention(root, false);
        change(&mut file);
        code(&file)
    };
    let rename = |output: &'static str, input: &'static str| {
        move |file: &mut File| {
            file.graph.node.iter_mut().find(|n| n.output[0] == output).unwrap().input[0] = input.into();
        }
    };
    assert_eq!(spoilt(&rename("k.r", "q")), Code::ModelLayer, "queries and keys of the same weights");
    assert_eq!(spoilt(&rename("scores", "v.t")), Code::ModelLayer, "values twice");
    assert_eq!(spoilt(&rename("k.m", "x")), Code::ModelLayer, "keys of another sequence");
    assert_eq!(spoilt(&|f| f.graph.node.last_mut().unwrap().input[0] = "v".into()), Code::ModelLayer, "values outside");
    assert_eq!(spoilt(&|f| f.set_whole("by_head", &[0, 0, 4, 3])), Code::PipelineRowCoupling);
    assert_eq!(spoilt(&|f| f.set_whole("back", &[-1, 6])), Code::PipelineRowCoupling, "positions become samples");
}

#[test]
fn one_spoilt_operation_is_refused_by_its_code() {
    let op = |name: &'static str| {
        move |file: &mut File| file.graph.node.iter_mut().find(|n| n.op_type == "Relu").unwrap().op_type = name.into()
    };
    let attribute = |on: &'static str, attribute: AttributeProto| {
        move |file: &mut File| {
            let node = file.graph.node.iter_mut().find(|n| n.op_type == on).unwrap();
            node.attribute.retain(|a| a.name != attribute.name);
            node.attribute.push(attribute.clone());
        }
    };
    let graph_inside = AttributeProto { name: "body".into(), g: Some(Skipped {}), ..Default::default() };
    type Case = (Box<dyn Fn(&mut File)>, Code, &'static str);
    let cases: Vec<Case> = vec![
        (Box::new(op("BatchNormalization")), Code::PipelineRowCoupling, "group_norm"),
        (Box::new(op("Dropout")), Code::ModelLayer, "leave it out"),
        (Box::new(op("ConvTranspose")), Code::ModelLayer, "upsample"),
        (Box::new(op("Loop")), Code::ModelLayer, "control flow"),
        (Box::new(op("TopK")), Code::ModelLayer, "not among"),
        (Box::new(attribute("Relu", graph_inside)), Code::ModelLayer, "control flow"),
        (Box::new(|f| f.graph.node[0].domain = "com.example".into()), Code::ModelLayer, "domain"),
        (Box::new(attribute("Conv", whole("group", 2))), Code::ModelForm, "group"),
        (Box::new(attribute("Conv", ints("dilations", &[2, 2]))), Code::ModelForm, "dilations"),
        (Box::new(attribute("Conv", ints("pads", &[1, 0, 1, 0]))), Code::ModelForm, "padding"),
        (Box::new(attribute("Conv", ints("strides", &[1, 2]))), Code::ModelForm, "directions"),
        (Box::new(attribute("Conv", text("surprise", "?"))), Code::ModelForm, "surprise"),
        (Box::new(attribute("MaxPool", whole("ceil_mode", 1))), Code::ModelForm, "ceil_mode"),
        (Box::new(attribute("Gemm", whole("transA", 1))), Code::ModelForm, "transA"),
        (Box::new(attribute("Gemm", float("alpha", 2.0))), Code::ModelLayer, "use"),
        (Box::new(|f| f.set_whole("rest", &[5])), Code::PipelineRowCoupling, "samples"),
        (Box::new(|f| f.set_whole("zero", &[1])), Code::PipelineRowCoupling, "samples"),
        (Box::new(|f| f.model.ir_version = 99), Code::ModelForm, "IR"),
        (Box::new(|f| f.model.opset_import[0].version = 7), Code::ModelForm, "operator set"),
        (Box::new(|f| f.model.opset_import.clear()), Code::ModelForm, "operator set"),
        (Box::new(|f| f.model.functions.push(Skipped {})), Code::ModelLayer, "functions"),
        (Box::new(|f| f.graph.sparse_initializer.push(Skipped {})), Code::ModelLayer, "sparse"),
        (Box::new(|f| f.tensor("w1").external_data.push(Skipped {})), Code::ModelLayer, "outside"),
        (Box::new(|f| f.tensor("w1").data_type = 10), Code::ModelLayer, "type"),
        (Box::new(|f| f.tensor("w1").dims[0] = 5), Code::ModelForm, "room"),
        (Box::new(|f| f.tensor("w1").dims = vec![1 << 62, 1 << 62]), Code::LimitExceeded, "large"),
        (Box::new(|f| f.graph.node[0].input[0] = "nobody".into()), Code::ModelForm, "nothing"),
        (Box::new(|f| f.graph.node[1].output[0] = "c".into()), Code::ModelForm, "twice"),
        (Box::new(|f| f.graph.output[0].name = "s".into()), Code::ModelLayer, "output"),
        (Box::new(|f| f.graph.input.clear()), Code::ModelForm, "one input"),
        (Box::new(|f| f.graph.node = vec![f.graph.node[1].clone(); 2_001]), Code::LimitExceeded, "at most"),
    ];
    for (at, (change, wanted, word)) in cases.into_iter().enumerate() {
        let mut file = cnn();
        change(&mut file);
        let refusal = import(&file.bytes(), None).unwrap_err();
        assert_eq!(refusal.code, wanted, "case {at}: {refusal}");
        assert!(refusal.sentence.contains(word), "case {at}: {refusal}");
    }
    // Weights that are used twice have no gradient of one sample here.
    let tied = File::vector(3)
        .weight("w", &[3, 3])
        .with(node("MatMul", &["x", "w"], "a", vec![]))
        .with(node("MatMul", &["a", "w"], "y", vec![]))
        .output("y");
    assert_eq!(code(&tied), Code::ModelLayer);
    // Attention in pieces: a product of two activations.
    let attention = File::vector(3)
        .weight("w", &[3, 3])
        .with(node("MatMul", &["x", "w"], "a", vec![]))
        .with(node("MatMul", &["a", "x"], "y", vec![]))
        .output("y");
    assert_eq!(code(&attention), Code::ModelLayer);
}

#[test]
fn open_sizes_are_asked_for() {
    let mut file = cnn();
    file.open_input();
    assert_eq!(code(&file), Code::ModelForm);
    let input = Input::Image { channels: 1, height: 8, width: 8 };
    assert!(import(&file.bytes(), Some(input)).is_ok());
}

#[test]
fn damaged_and_foreign_bytes_are_refused_and_never_panic() {
    let whole = cnn().bytes();
    let code = |bytes: &[u8]| import(bytes, None).err().map(|refusal| refusal.code);
    assert_eq!(code(b"PK\x03\x04 torch"), Some(Code::ModelFormat));
    assert_eq!(code(b"{}"), Some(Code::ModelFormat));
    assert_eq!(code(&whole[..whole.len() / 2]), Some(Code::ModelForm));
    // Every byte spoilt in turn, and every length: a refusal or a network, never a panic.
    let mut taken = 0;
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            taken += usize::from(import(&bytes, None).is_ok());
        }
        let _ = import(&whole[..at], None);
    }
    assert!(taken > 0, "bytes of weights may change");
    // A nest of messages ends the reading, not the stack.
    let mut nested = vec![];
    for _ in 0..200 {
        let mut outer = vec![0x3a];
        prost::encoding::encode_varint(nested.len() as u64, &mut outer);
        outer.extend(&nested);
        nested = outer;
    }
    nested.splice(0..0, [0x08, 0x08]);
    assert!(code(&nested).is_some());
}

#[test]
fn the_ready_made_cnn_goes_through_onnx_and_back() {
    let network = ready::cnn();
    let file = onnx_files::of(&network);
    let got = import(&file.bytes(), None).unwrap();
    assert_eq!(got.network, network);
    assert_eq!(got.weights.len(), 8);
}

#[test]
fn files_that_the_onnx_package_made_are_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.build/interop/onnx/fixtures");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("NOT RUN: no files of the onnx package; sh infra/interop.sh makes them");
        return;
    };
    let mut read = 0;
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "onnx")) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let result = import(&std::fs::read(&file).unwrap(), None);
        // The names say what is to come: good-… is taken, CODE-… refused so.
        match name.split_once('-') {
            Some(("good", _)) => assert!(result.is_ok(), "{name}: {result:?}"),
            Some((wanted, _)) => assert_eq!(result.unwrap_err().code.as_str(), wanted, "{name}"),
            None => panic!("{name}"),
        }
        read += 1;
    }
    assert!(read >= 5, "only {read} files");
}

#[test]
fn other_operator_sets_beside_the_standard_one_do_not_matter() {
    let mut file = cnn();
    file.model.opset_import.push(OperatorSet { domain: "pkg.example".into(), version: 1 });
    assert!(import(&file.bytes(), None).is_ok());
    // A zero may be left out of its attribute: axis 0 folds samples, whatever the default is.
    let axis = AttributeProto { name: "axis".into(), ..Default::default() };
    let flat = File::image(1, 2).with(node("Flatten", &["x"], "y", vec![axis])).output("y");
    assert_eq!(code(&flat), Code::PipelineRowCoupling);
    // Values may stand in typed fields too.
    let values = file.values("w1");
    let tensor: &mut TensorProto = file.tensor("w1");
    (tensor.raw_data, tensor.float_data) = (None, values.clone());
    assert_eq!(import(&file.bytes(), None).unwrap().weights["0.weight"].values, values);
}
