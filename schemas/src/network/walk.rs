//! The walk through the layers behind `Network::shapes`: one function per kind of layer, counted and bounded.

use super::shape::{Parameter, Row, Shape, Shapes};
use super::{Layer, MAX_ACTIVATIONS, MAX_DEPTH, MAX_LAYERS, MAX_LENGTH, MAX_PARAMETERS, MAX_VOCABULARY, MAX_WIDTH};
use crate::problem::{Code, R, Refusal};

/// A refusal that names the layer.
pub(super) fn refuse(code: Code, path: &str, sentence: impl std::fmt::Display) -> Refusal {
    Refusal::new(code, format!("{path}: {sentence}")).at(path)
}

/// What was counted so far.
pub(super) struct Walk {
    parameters: Vec<Parameter>,
    parameter_count: u64,
    activations: u64,
    layers: Vec<Row>,
    seen: u32,
}

/// A layer where it stands.
struct Place<'a> {
    path: &'a str,
    input: Shape,
}

/// The tensors of a layer: the part's name and its shape.
type Tensors = Vec<(&'static str, Vec<u32>)>;

impl Walk {
    pub(super) fn new(input: Shape) -> R<Walk> {
        let (parameters, layers) = (Vec::new(), Vec::new());
        let mut walk = Walk { parameters, parameter_count: 0, activations: 0, layers, seen: 0 };
        walk.leave(input.numbers(), "input")?;
        Ok(walk)
    }

    pub(super) fn end(self, input: Shape, output: Shape) -> Shapes {
        let Walk { parameters, parameter_count, activations, layers, .. } = self;
        Shapes { input, output, parameters, parameter_count, activations, layers }
    }

    /// The shape after these layers. `above` is the path that theirs begin with, empty or ending in a full stop.
    pub(super) fn layers(&mut self, layers: &[Layer], input: Shape, above: &str, depth: u32) -> R<Shape> {
        let mut shape = input;
        for (at, layer) in layers.iter().enumerate() {
            shape = self.layer(layer, shape, &format!("{above}{at}"), depth)?;
        }
        Ok(shape)
    }

    fn layer(&mut self, layer: &Layer, input: Shape, path: &str, depth: u32) -> R<Shape> {
        self.seen += 1;
        if self.seen > MAX_LAYERS || depth > MAX_DEPTH {
            let sentence = format!("a network has at most {MAX_LAYERS} layers, nested at most {MAX_DEPTH} deep");
            return Err(refuse(Code::LimitExceeded, path, sentence));
        }
        let place = Place { path, input };
        let (output, tensors, more) = match layer {
            Layer::Residual { body, shortcut } => (self.residual(body, shortcut, &place, depth)?, Vec::new(), 0),
            Layer::Skip { body, .. } => (self.skip(body, &place, depth)?, Vec::new(), 0),
            _ => place.leaf(layer)?,
        };
        self.leave(output.numbers().saturating_add(more), path)?;
        let parameters = self.learn(tensors, path)?;
        self.layers.push(Row { path: path.to_owned(), op: layer.op(), output, parameters });
        Ok(output)
    }

    fn residual(&mut self, body: &[Layer], shortcut: &[Layer], place: &Place<'_>, depth: u32) -> R<Shape> {
        let Place { path, input } = *place;
        if body.is_empty() {
            return Err(refuse(Code::ModelShape, path, "a residual has a body"));
        }
        let one = self.layers(body, input, &format!("{path}.body."), depth + 1)?;
        let other = self.layers(shortcut, input, &format!("{path}.shortcut."), depth + 1)?;
        if one != other || matches!(one, Shape::Tokens { .. }) {
            let sentence = format!("the body gives {one}, the shortcut {other}; they are added and must be equal");
            return Err(refuse(Code::ModelShape, path, sentence));
        }
        Ok(one)
    }

    fn skip(&mut self, body: &[Layer], place: &Place<'_>, depth: u32) -> R<Shape> {
        let Place { path, input } = *place;
        let inner = self.layers(body, input, &format!("{path}.body."), depth + 1)?;
        let sentence = format!("{input} and the body's {inner} do not lie side by side: images of equal sides do");
        let unequal = || refuse(Code::ModelShape, path, sentence);
        let (Shape::Image { channels, height, width }, Shape::Image { channels: more, height: h, width: w }) =
            (input, inner)
        else {
            return Err(unequal());
        };
        if (height, width) != (h, w) {
            return Err(unequal());
        }
        let channels = place.bounded(u64::from(channels) + u64::from(more), MAX_WIDTH, "channels")?;
        Ok(Shape::Image { channels, height, width })
    }

    /// Counts what one sample leaves behind.
    fn leave(&mut self, numbers: u128, path: &str) -> R<()> {
        let sum = u64::try_from(numbers).ok().and_then(|n| self.activations.checked_add(n));
        match sum.filter(|sum| *sum <= MAX_ACTIVATIONS) {
            Some(sum) => {
                self.activations = sum;
                Ok(())
            }
            None => {
                let sentence = format!(
                    "one sample leaves more than {MAX_ACTIVATIONS} numbers behind; take fewer channels or smaller images"
                );
                Err(refuse(Code::LimitExceeded, path, sentence))
            }
        }
    }

    /// Counts and names the tensors of a layer.
    fn learn(&mut self, tensors: Tensors, path: &str) -> R<u64> {
        let before = self.parameter_count;
        for (part, sizes) in tensors {
            let numbers = sizes.iter().try_fold(1u64, |product, n| product.checked_mul(u64::from(*n)));
            let sum = numbers.and_then(|n| self.parameter_count.checked_add(n)).filter(|sum| *sum <= MAX_PARAMETERS);
            let sentence = format!("a network has at most {MAX_PARAMETERS} numbers to learn");
            self.parameter_count = sum.ok_or_else(|| refuse(Code::LimitExceeded, path, sentence))?;
            let shape = sizes.iter().map(|n| *n as usize).collect();
            self.parameters.push(Parameter { name: format!("{path}.{part}"), shape });
        }
        Ok(self.parameter_count - before)
    }
}

/// The output, the tensors, and the numbers left behind beside the output.
type Leaf = (Shape, Tensors, u128);

impl Place<'_> {
    fn leaf(&self, layer: &Layer) -> R<Leaf> {
        let plain = |shape: Shape| Ok((shape, Vec::new(), 0));
        match *layer {
            Layer::Linear { inputs, outputs, bias } => self.linear(inputs, outputs, bias),
            Layer::Conv2d { .. } => self.conv(layer),
            Layer::GroupNorm { groups, channels } => self.group_norm(groups, channels),
            Layer::LayerNorm { width } => {
                self.last(width)?;
                Ok((self.input, vec![("weight", vec![width]), ("bias", vec![width])], 0))
            }
            Layer::Embedding { count, width } => self.embedding(count, width),
            Layer::Positions { length, width } => self.positions(length, width),
            Layer::Attention { width, heads, .. } => self.attention(width, heads),
            Layer::Lstm { inputs, hidden } => self.lstm(inputs, hidden),
            Layer::LeakyRelu { ref slope } => {
                if slope.value() > 1.0 {
                    return Err(self.unfit("a slope lies from 0 to 1"));
                }
                plain(self.numbers()?)
            }
            Layer::Relu {} | Layer::Tanh {} | Layer::Gelu {} | Layer::Sigmoid {} | Layer::Silu {} => {
                plain(self.numbers()?)
            }
            Layer::Flatten {} => {
                let numbers = u64::try_from(self.numbers()?.numbers()).unwrap_or(u64::MAX);
                plain(Shape::Vector { features: self.bounded(numbers, u32::MAX, "numbers")? })
            }
            Layer::GlobalAveragePool {} => plain(Shape::Vector { features: self.image()?.0 }),
            Layer::MeanTokens {} | Layer::LastToken {} => plain(Shape::Vector { features: self.sequence()?.1 }),
            Layer::MaxPool { kernel, stride } | Layer::AvgPool { kernel, stride } => {
                let (channels, height, width) = self.image()?;
                let side = |side| self.windows(side, kernel, stride, 0);
                plain(Shape::Image { channels, height: side(height)?, width: side(width)? })
            }
            Layer::Upsample { factor, .. } => {
                let (channels, height, width) = self.image()?;
                self.sizes(&[factor])?;
                let side = |side| self.bounded(u64::from(side) * u64::from(factor), MAX_WIDTH, "pixels a side");
                plain(Shape::Image { channels, height: side(height)?, width: side(width)? })
            }
            // The walk has taken these two.
            Layer::Residual { .. } | Layer::Skip { .. } => Err(self.unfit("a layer with a body is no leaf")),
        }
    }

    fn linear(&self, inputs: u32, outputs: u32, bias: bool) -> R<Leaf> {
        self.sizes(&[inputs, outputs])?;
        self.last(inputs)?;
        let output = match self.input {
            Shape::Sequence { length, .. } => Shape::Sequence { length, width: outputs },
            _ => Shape::Vector { features: outputs },
        };
        Ok((output, with_bias(vec![outputs, inputs], bias), 0))
    }

    fn conv(&self, layer: &Layer) -> R<Leaf> {
        let Layer::Conv2d { channels_in, channels_out, kernel, stride, padding, bias } = *layer else {
            return Err(self.unfit("a convolution is expected"));
        };
        self.sizes(&[channels_in, channels_out])?;
        let (channels, height, width) = self.image()?;
        self.equal(channels_in, channels, "channels")?;
        let side = |side| self.windows(side, kernel, stride, padding);
        let output = Shape::Image { channels: channels_out, height: side(height)?, width: side(width)? };
        Ok((output, with_bias(vec![channels_out, channels_in, kernel, kernel], bias), 0))
    }

    fn group_norm(&self, groups: u32, channels: u32) -> R<Leaf> {
        self.sizes(&[groups, channels])?;
        self.equal(channels, self.image()?.0, "channels")?;
        self.divides(groups, channels, "groups")?;
        Ok((self.input, vec![("weight", vec![channels]), ("bias", vec![channels])], 0))
    }

    fn embedding(&self, count: u32, width: u32) -> R<Leaf> {
        self.sizes(&[width])?;
        let Shape::Tokens { length, vocabulary } = self.input else {
            return Err(self.unfit(format!("an embedding reads tokens, not {}; it stands first", self.input)));
        };
        if count < vocabulary || count > MAX_VOCABULARY {
            let sentence =
                format!("{count} vectors for {vocabulary} tokens; at least so many, at most {MAX_VOCABULARY}");
            return Err(self.unfit(sentence));
        }
        Ok((Shape::Sequence { length, width }, vec![("weight", vec![count, width])], 0))
    }

    fn positions(&self, length: u32, width: u32) -> R<Leaf> {
        let (l, w) = self.sequence()?;
        self.equal(length, l, "positions")?;
        self.equal(width, w, "width")?;
        Ok((self.input, vec![("weight", vec![length, width])], 0))
    }

    /// Beside the output lie queries, keys and values, the weights of every head, and what they give.
    fn attention(&self, width: u32, heads: u32) -> R<Leaf> {
        self.sizes(&[width, heads])?;
        let (length, w) = self.sequence()?;
        self.equal(width, w, "width")?;
        self.divides(heads, width, "heads")?;
        let triple = self.bounded(u64::from(width) * 3, u32::MAX, "width")?;
        let tensors = vec![
            ("qkv.weight", vec![triple, width]),
            ("qkv.bias", vec![triple]),
            ("proj.weight", vec![width, width]),
            ("proj.bias", vec![width]),
        ];
        let (length, width, heads) = (u128::from(length), u128::from(width), u128::from(heads));
        Ok((self.input, tensors, 4 * length * width + heads * length * length))
    }

    /// Beside the output lie the four gates and the cell of every position.
    fn lstm(&self, inputs: u32, hidden: u32) -> R<Leaf> {
        self.sizes(&[inputs, hidden])?;
        let (length, width) = self.sequence()?;
        self.equal(inputs, width, "width")?;
        let gates = self.bounded(u64::from(hidden) * 4, u32::MAX, "width")?;
        let tensors = vec![
            ("ih.weight", vec![gates, inputs]),
            ("ih.bias", vec![gates]),
            ("hh.weight", vec![gates, hidden]),
            ("hh.bias", vec![gates]),
        ];
        let output = Shape::Sequence { length, width: hidden };
        Ok((output, tensors, 5 * output.numbers()))
    }

    /// How many windows lie along a side.
    fn windows(&self, side: u32, kernel: u32, stride: u32, padding: u32) -> R<u32> {
        self.sizes(&[kernel, stride])?;
        if padding > MAX_WIDTH {
            return Err(self.beyond());
        }
        let padded = u64::from(side) + 2 * u64::from(padding);
        let Some(room) = padded.checked_sub(u64::from(kernel)) else {
            return Err(self.unfit(format!("a window of {kernel} does not fit into {padded} pixels")));
        };
        self.bounded(room / u64::from(stride) + 1, MAX_WIDTH, "pixels a side")
    }

    /// The input where it holds numbers.
    fn numbers(&self) -> R<Shape> {
        match self.input {
            Shape::Tokens { .. } => Err(self.unfit("tokens need an embedding first")),
            shape => Ok(shape),
        }
    }

    fn image(&self) -> R<(u32, u32, u32)> {
        match self.input {
            Shape::Image { channels, height, width } => Ok((channels, height, width)),
            other => Err(self.unfit(format!("an image is expected, not {other}"))),
        }
    }

    fn sequence(&self) -> R<(u32, u32)> {
        match self.input {
            Shape::Sequence { length, width } if length <= MAX_LENGTH => Ok((length, width)),
            other => Err(self.unfit(format!("a sequence is expected, not {other}"))),
        }
    }

    /// Judges the width of a vector, or of every position.
    fn last(&self, wanted: u32) -> R<()> {
        self.sizes(&[wanted])?;
        match self.input {
            Shape::Vector { features } => self.equal(wanted, features, "numbers"),
            Shape::Sequence { width, .. } => self.equal(wanted, width, "width"),
            image @ Shape::Image { .. } => Err(self.unfit(format!("{image} comes; put flatten before it"))),
            Shape::Tokens { .. } => self.numbers().map(|_| ()),
        }
    }

    fn equal(&self, wanted: u32, given: u32, what: &str) -> R<()> {
        let sentence = || format!("{wanted} {what} are written, {given} come ({})", self.input);
        if wanted == given { Ok(()) } else { Err(self.unfit(sentence())) }
    }

    fn divides(&self, part: u32, whole: u32, what: &str) -> R<()> {
        let sentence = || format!("{part} {what} do not divide {whole}");
        if whole.is_multiple_of(part) { Ok(()) } else { Err(self.unfit(sentence())) }
    }

    fn sizes(&self, sizes: &[u32]) -> R<()> {
        if sizes.iter().all(|size| (1..=MAX_WIDTH).contains(size)) { Ok(()) } else { Err(self.beyond()) }
    }

    fn beyond(&self) -> Refusal {
        refuse(Code::LimitExceeded, self.path, format!("sizes lie from 1 to {MAX_WIDTH}"))
    }

    fn bounded(&self, size: u64, most: u32, what: &str) -> R<u32> {
        let fits = u32::try_from(size).ok().filter(|size| *size <= most);
        fits.ok_or_else(|| refuse(Code::LimitExceeded, self.path, format!("{size} {what}; at most {most}")))
    }

    fn unfit(&self, sentence: impl std::fmt::Display) -> Refusal {
        refuse(Code::ModelShape, self.path, sentence)
    }
}

fn with_bias(weight: Vec<u32>, bias: bool) -> Tensors {
    let outputs = weight.first().copied().unwrap_or(0);
    let mut tensors = vec![("weight", weight)];
    if bias {
        tensors.push(("bias", vec![outputs]));
    }
    tensors
}
