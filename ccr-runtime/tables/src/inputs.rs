//! A cell as a model's inputs or labels: scaled by public bounds, looked up in public lists, or replaced by a public
//! constant. Each cell by itself.

use schemas::R;
use schemas::pipeline::{Feature, FeatureForm, Labels, Training};

use crate::bounds::Bounds;
use crate::fault::pipeline;
use crate::picture::{self, Shape};

/// A cell of a joined row.
pub enum Cell<'a> {
    /// Text, where there is one.
    Text(Option<&'a str>),
    /// A number.
    Number(Option<f64>),
    /// Bytes.
    Raw(Option<&'a [u8]>),
}

/// How a feature's cell becomes inputs.
pub enum Maker {
    /// One input.
    Number(Bounds),
    /// One input: a token by its place in the vocabulary.
    Token(Bounds),
    /// One input per entry of the list.
    Values(Vec<String>),
    /// One input per sample.
    Image(Shape, Bounds),
}

impl Maker {
    /// The makers of a training's features. What its network reads as tokens is looked up, so it is not scaled.
    pub fn of(training: &Training) -> R<Vec<Maker>> {
        let tokens = training.model.reads_tokens();
        training.features.iter().map(|feature| Maker::new(feature, tokens)).collect()
    }

    fn new(feature: &Feature, tokens: bool) -> R<Maker> {
        let bounds = Bounds::new(feature.lower.value(), feature.upper.value())?;
        Ok(match &feature.form {
            None if tokens => Maker::Token(bounds),
            None => Maker::Number(bounds),
            Some(FeatureForm::Values { values }) => Maker::Values(values.clone()),
            Some(FeatureForm::Image { channels, height, width }) => {
                let shape = Shape::new(*channels, *height, *width);
                Maker::Image(shape.ok_or_else(|| pipeline("a picture has an impossible shape"))?, bounds)
            }
        })
    }

    /// Adds the inputs of a cell, always as many.
    pub fn push(&self, cell: &Cell<'_>, features: &mut Vec<f32>) {
        match (self, cell) {
            (Maker::Number(bounds), Cell::Number(number)) => features.push(bounds.scale(*number)),
            (Maker::Token(bounds), Cell::Number(number)) => features.push(bounds.token(*number)),
            (Maker::Token(bounds), _) => features.push(bounds.token(None)),
            (Maker::Values(values), Cell::Text(text)) => {
                features.extend(values.iter().map(|value| f32::from(*text == Some(value.as_str()))));
            }
            (Maker::Image(shape, bounds), Cell::Raw(bytes)) => {
                match bytes.and_then(|bytes| picture::decode(bytes, shape)) {
                    Some(picture) => features.extend(picture.samples.iter().map(|v| bounds.scale(Some(*v)))),
                    None => features.extend(std::iter::repeat_n(0.0, shape.samples())),
                }
            }
            (Maker::Number(_), _) => features.push(0.0),
            (Maker::Values(values), _) => features.extend(std::iter::repeat_n(0.0, values.len())),
            (Maker::Image(shape, _), _) => features.extend(std::iter::repeat_n(0.0, shape.samples())),
        }
    }
}

/// How the target's cell becomes a label.
pub enum Label {
    /// 1 where the cell is this text.
    Binary(String),
    /// The place in the list.
    Classes(Vec<String>),
    /// A scaled number.
    Number(Bounds),
    /// One label per sample: 1 above the share of the full scale.
    Mask(Shape, f64),
}

impl Label {
    /// The maker of a training's labels.
    pub fn new(training: &Training) -> R<Label> {
        Ok(match &training.labels {
            None => Label::Binary(training.positive.clone()),
            Some(Labels::Classes { classes }) => Label::Classes(classes.clone()),
            Some(Labels::Number { lower, upper }) => Label::Number(Bounds::new(lower.value(), upper.value())?),
            Some(Labels::Mask { height, width, threshold_ppm }) => {
                let shape = Shape::new(1, *height, *width).ok_or_else(|| pipeline("a mask has an impossible shape"))?;
                Label::Mask(shape, f64::from(*threshold_ppm) / 1e6)
            }
        })
    }

    /// Adds the labels of a cell, always as many.
    pub fn push(&self, cell: &Cell<'_>, labels: &mut Vec<f32>) {
        match (self, cell) {
            (Label::Binary(positive), Cell::Text(text)) => labels.push(f32::from(*text == Some(positive.as_str()))),
            (Label::Classes(classes), Cell::Text(text)) => {
                let class = classes.iter().position(|class| *text == Some(class.as_str())).unwrap_or(0);
                labels.push(class as f32);
            }
            (Label::Number(bounds), Cell::Number(number)) => labels.push(bounds.scale(*number)),
            (Label::Mask(shape, threshold), Cell::Raw(bytes)) => {
                match bytes.and_then(|bytes| picture::decode(bytes, shape)) {
                    Some(picture) => {
                        let full = picture.full_scale;
                        labels.extend(picture.samples.iter().map(|v| f32::from(v / full > *threshold)));
                    }
                    None => labels.extend(std::iter::repeat_n(0.0, shape.samples())),
                }
            }
            (Label::Mask(shape, _), _) => labels.extend(std::iter::repeat_n(0.0, shape.samples())),
            (Label::Binary(_) | Label::Classes(_) | Label::Number(_), _) => labels.push(0.0),
        }
    }
}
