//! Operations on images: convolution, pools, norms over groups of channels, enlarging.

use schemas::network::shape::Shape;
use schemas::network::{Layer, Upsampling};
use schemas::{Code, R, Refusal};

use super::attributes::Attributes;
use super::constant::{Constant, Data};
use super::import::{Act, Dim, Import, Value};
use super::nodes::shown;
use super::proto::NodeProto;
use crate::weights::Tensor;

fn size(number: usize) -> R<u32> {
    u32::try_from(number).map_err(|_| Refusal::new(Code::LimitExceeded, "a size is too large"))
}

/// A convolution with square kernels, one stride, one padding on all sides.
pub fn conv(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let weight = import.constant(node, 1)?.ok_or_else(|| import.unknown(node))?;
    let &[out, input, kernel, other] = weight.dims.as_slice() else { return Err(import.unknown(node)) };
    if kernel != other || attributes.square("kernel_shape", Some(size(kernel)?))? != size(kernel)? {
        return Err(attributes.refuse("kernels are square"));
    }
    let stride = attributes.square("strides", Some(1))?;
    attributes.only("group", &[1])?;
    if attributes.square("dilations", Some(1))? != 1 {
        return Err(attributes.refuse("dilations are 1"));
    }
    let padding = padding(&mut attributes, kernel, stride)?;
    attributes.end()?;
    let mut parts = vec![("weight", import.weight(node, &weight, &[out, input, kernel, kernel])?)];
    let bias = import.constant(node, 2)?;
    if let Some(bias) = &bias {
        parts.push(("bias", import.weight(node, bias, &[out])?));
    }
    let layer = Layer::Conv2d {
        channels_in: size(input)?,
        channels_out: size(out)?,
        kernel: size(kernel)?,
        stride,
        padding,
        bias: bias.is_some(),
    };
    let act = import.act(node, 0)?;
    import.layer(node, layer, act, parts)
}

/// The same padding on all sides, or `SAME` where that is the same thing.
fn padding(attributes: &mut Attributes<'_>, kernel: usize, stride: u32) -> R<u32> {
    let auto = attributes.word("auto_pad", "NOTSET");
    let pads = attributes.ints("pads").unwrap_or_default();
    match (auto.as_str(), pads.as_slice()) {
        ("SAME_UPPER" | "SAME_LOWER", []) if stride == 1 && kernel % 2 == 1 => size(kernel / 2),
        ("NOTSET" | "VALID", []) => Ok(0),
        ("NOTSET", [first, rest @ ..]) if rest.len() == 3 && rest.iter().all(|pad| pad == first) => {
            u32::try_from(*first).map_err(|_| attributes.refuse("pads are no sizes"))
        }
        _ => Err(attributes.refuse("the padding is the same on all sides")),
    }
}

/// Pools without padding.
pub fn pool(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let kernel = attributes.square("kernel_shape", None)?;
    let stride = attributes.square("strides", Some(1))?;
    if attributes.square("dilations", Some(1))? != 1 || padding(&mut attributes, kernel as usize, 0)? != 0 {
        return Err(attributes.refuse("pools have neither dilation nor padding"));
    }
    attributes.only("ceil_mode", &[0])?;
    attributes.only("storage_order", &[0])?;
    attributes.ignore("count_include_pad");
    attributes.end()?;
    let layer = match node.op_type.as_str() {
        "MaxPool" => Layer::MaxPool { kernel, stride },
        _ => Layer::AvgPool { kernel, stride },
    };
    let act = import.act(node, 0)?;
    import.layer(node, layer, act, Vec::new())
}

fn channels(import: &Import, node: &NodeProto, act: Act) -> R<u32> {
    match act.shape {
        Shape::Image { channels, .. } => Ok(channels),
        _ => Err(import.unknown(node)),
    }
}

fn usual_epsilon(attributes: &mut Attributes<'_>) -> R<()> {
    let epsilon = attributes.float("epsilon", 1e-5);
    if (epsilon - 1e-5).abs() > 1e-9 { Err(attributes.refuse("epsilon is 10^-5 here")) } else { Ok(()) }
}

/// Scale or shift of a norm: one number for every channel, or (operator sets 18 to 20) one for every group.
fn spread(values: &[f32], channels: u32, what: &str) -> R<Vec<f32>> {
    let channels = channels as usize;
    if values.is_empty() || !channels.is_multiple_of(values.len()) {
        return Err(super::form(what, format!("{what}: {} scales for {channels} channels", values.len())));
    }
    let each = channels / values.len();
    Ok(values.iter().flat_map(|value| std::iter::repeat_n(*value, each)).collect())
}

fn normed(import: &mut Import, node: &NodeProto, act: Act, groups: u32, scale: &[f32], shift: &[f32]) -> R<Value> {
    let channels = channels(import, node, act)?;
    let part = |values: &[f32]| {
        spread(values, channels, &shown(node)).map(|values| Tensor { shape: vec![channels as usize], values })
    };
    let parts = vec![("weight", part(scale)?), ("bias", part(shift)?)];
    import.layer(node, Layer::GroupNorm { groups, channels }, act, parts)
}

fn reals(import: &mut Import, node: &NodeProto, at: usize) -> R<Vec<f32>> {
    let constant = import.constant(node, at)?.ok_or_else(|| import.unknown(node))?;
    let [length] = constant.dims.as_slice() else { return Err(import.unknown(node)) };
    Ok(import.weight(node, &constant, &[*length])?.values)
}

/// Normalisation over groups of channels.
pub fn group_norm(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let groups = attributes.int("num_groups", 0);
    usual_epsilon(&mut attributes)?;
    attributes.only("stash_type", &[1])?;
    let groups = u32::try_from(groups).map_err(|_| attributes.refuse("num_groups is no size"))?;
    attributes.end()?;
    let act = import.act(node, 0)?;
    let (scale, shift) = (reals(import, node, 1)?, reals(import, node, 2)?);
    normed(import, node, act, groups, &scale, &shift)
}

/// On an image: groups of one channel each. On an image seen by groups: the middle of a group norm in pieces.
pub fn instance_norm(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    usual_epsilon(&mut attributes)?;
    attributes.end()?;
    match import.value(node, 0)? {
        Value::Act(act) => {
            let (scale, shift) = (reals(import, node, 1)?, reals(import, node, 2)?);
            let channels = channels(import, node, act)?;
            normed(import, node, act, channels, &scale, &shift)
        }
        Value::Grouped(act, groups) => {
            // Exporters put ones and zeros here and share them between norms; they are no weights of their own then.
            let plain = |constant: Option<std::rc::Rc<Constant>>| match constant.as_deref() {
                Some(Constant { data: Data::Real(values), .. }) if values.len() == groups as usize => {
                    Some(values.clone())
                }
                _ => None,
            };
            let (scale, shift) = (plain(import.constant(node, 1)?), plain(import.constant(node, 2)?));
            match (scale, shift) {
                (Some(scale), Some(shift)) => Ok(Value::Normed(act, groups, scale, shift)),
                _ => Err(import.unknown(node)),
            }
        }
        _ => Err(import.unknown(node)),
    }
}

/// The last piece of a group norm: back to the image.
pub fn ungrouped(
    import: &mut Import,
    node: &NodeProto,
    act: Act,
    groups: u32,
    scale: &[f32],
    shift: &[f32],
) -> R<Value> {
    normed(import, node, act, groups, scale, shift)
}

/// Enlarging by a whole factor.
pub fn resize(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let mode = attributes.word("mode", "nearest");
    let old = node.op_type == "Upsample";
    let between = attributes.word("coordinate_transformation_mode", if old { "asymmetric" } else { "half_pixel" });
    let nearest = attributes.word("nearest_mode", if old { "floor" } else { "round_prefer_floor" });
    for name in ["cubic_coeff_a", "exclude_outside", "extrapolation_value"] {
        attributes.ignore(name);
    }
    attributes.only("antialias", &[0])?;
    attributes.end()?;
    let half = ["half_pixel", "pytorch_half_pixel"].contains(&between.as_str());
    // By a whole factor both of these repeat every pixel.
    let repeats = (half && nearest.starts_with("round_prefer")) || (between == "asymmetric" && nearest == "floor");
    let mode = match mode.as_str() {
        "nearest" if repeats => Upsampling::Nearest,
        "linear" if half => Upsampling::Bilinear,
        _ => return Err(import.unknown(node)),
    };
    let act = import.act(node, 0)?;
    let (scales, sizes) = if old { (1, usize::MAX) } else { (2, 3) };
    let factor = match import.maybe(node, scales)? {
        Some(Value::Constant(constant)) if constant.dims != [0] => by_scales(&constant),
        _ => import.maybe(node, sizes)?.and_then(|value| by_sizes(&value, act.shape)),
    };
    let factor = factor.ok_or_else(|| import.unknown(node))?;
    import.layer(node, Layer::Upsample { factor, mode }, act, Vec::new())
}

/// [1, 1, f, f] with a whole f.
fn by_scales(constant: &Constant) -> Option<u32> {
    let Data::Real(scales) = &constant.data else { return None };
    let &[samples, channels, one, other] = scales.as_slice() else { return None };
    let whole =
        samples == 1.0 && channels == 1.0 && one == other && one.fract() == 0.0 && (1.0..=1024.0).contains(&one);
    whole.then_some(one as u32)
}

/// [samples, channels, f · height, f · width] with a whole f.
fn by_sizes(value: &Value, shape: Shape) -> Option<u32> {
    let sizes: Vec<Dim> = match value {
        Value::Dims(dims) => dims.clone(),
        Value::Constant(constant) => constant.whole()?.iter().map(|size| Dim::Size(*size)).collect(),
        _ => return None,
    };
    let (Shape::Image { channels, height, width }, &[_, Dim::Size(c), Dim::Size(h), Dim::Size(w)]) =
        (shape, sizes.as_slice())
    else {
        return None;
    };
    let factor = h.checked_div(i64::from(height))?;
    let same = c == i64::from(channels)
        && h == factor.checked_mul(i64::from(height))?
        && w == factor.checked_mul(i64::from(width))?;
    u32::try_from(factor).ok().filter(|factor| same && *factor > 0)
}

/// Two images side by side.
pub fn beside(node: &NodeProto, one: Shape, other: Shape) -> R<Shape> {
    let (Shape::Image { channels, height, width }, Shape::Image { channels: more, height: h, width: w }) = (one, other)
    else {
        return Err(super::refused(&shown(node), format!("{} joins what are no images", shown(node))));
    };
    let sum = channels.checked_add(more).filter(|_| (height, width) == (h, w));
    let unequal =
        || Refusal::new(Code::ModelShape, format!("{}: {one} and {other} do not lie side by side", shown(node)));
    Ok(Shape::Image { channels: sum.ok_or_else(unequal)?, height, width })
}
