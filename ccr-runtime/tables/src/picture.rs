//! Pictures in a cell: PNG with 8 or 16 bits, or an array in NumPy's form. The declared shape is public; a cell that is
//! anything else is no picture. Nothing is unpacked beyond that shape.

use std::io::Cursor;

/// Samples that a picture may have.
const MAX_SAMPLES: usize = 1 << 24;

/// The declared shape of a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    channels: usize,
    height: usize,
    width: usize,
}

impl Shape {
    /// A shape with 1 or 3 channels and at most 2^24 samples.
    pub fn new(channels: u32, height: u32, width: u32) -> Option<Shape> {
        let shape = Shape { channels: channels as usize, height: height as usize, width: width as usize };
        let samples = shape.channels.checked_mul(shape.height)?.checked_mul(shape.width)?;
        (matches!(channels, 1 | 3) && (1..=MAX_SAMPLES).contains(&samples)).then_some(shape)
    }

    /// Samples of a picture.
    pub fn samples(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// A picture, channel by channel, row by row.
#[derive(Clone, PartialEq, Debug)]
pub struct Picture {
    /// The samples as they stand in the cell.
    pub samples: Vec<f64>,
    /// The largest sample that its form can hold: 255, 65535, or 1 for fractions.
    pub full_scale: f64,
}

/// Decodes a cell; none if it is no picture of exactly this shape.
pub fn decode(cell: &[u8], shape: &Shape) -> Option<Picture> {
    if cell.starts_with(b"\x93NUMPY") { array(cell, shape) } else { png(cell, shape) }
}

fn png(cell: &[u8], shape: &Shape) -> Option<Picture> {
    // Room for two rows and the tables of the decoder; never for what a text or colour profile unpacks to.
    let limits = png::Limits { bytes: (shape.width * 64).max(1 << 20) };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(cell), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().ok()?;
    let info = reader.info();
    if (info.height as usize, info.width as usize) != (shape.height, shape.width) {
        return None;
    }
    let (colour, depth) = reader.output_color_type();
    let (shown, stored) = match colour {
        png::ColorType::Grayscale => (1, 1),
        png::ColorType::GrayscaleAlpha => (1, 2),
        png::ColorType::Rgb => (3, 3),
        png::ColorType::Rgba => (3, 4),
        png::ColorType::Indexed => return None,
    };
    let (bytes, full_scale) = match depth {
        png::BitDepth::Eight => (1, 255.0),
        png::BitDepth::Sixteen => (2, 65_535.0),
        _ => return None,
    };
    let pixels = shape.height * shape.width;
    let mut samples = vec![0; pixels * stored * bytes];
    if shown != shape.channels || reader.output_buffer_size()? != samples.len() {
        return None;
    }
    reader.next_frame(&mut samples).ok()?;
    let sample = |pixel: usize, channel: usize| {
        let at = (pixel * stored + channel) * bytes;
        let high = samples.get(at).copied().unwrap_or(0);
        if bytes == 1 {
            f64::from(high)
        } else {
            f64::from(u16::from_be_bytes([high, samples.get(at + 1).copied().unwrap_or(0)]))
        }
    };
    let samples = (0..shape.channels).flat_map(|channel| (0..pixels).map(move |pixel| (pixel, channel)));
    Some(Picture { samples: samples.map(|(pixel, channel)| sample(pixel, channel)).collect(), full_scale })
}

/// NumPy's form, versions 1 and 2: little-endian numbers, row-major, shape (height, width) or (channels, height, width).
fn array(cell: &[u8], shape: &Shape) -> Option<Picture> {
    let (head, data) = match cell.get(6)? {
        1 => {
            let length = u16::from_le_bytes(cell.get(8..10)?.try_into().ok()?) as usize;
            (cell.get(10..10 + length)?, cell.get(10 + length..)?)
        }
        2 => {
            let length = u32::from_le_bytes(cell.get(8..12)?.try_into().ok()?) as usize;
            let end = length.checked_add(12)?;
            (cell.get(12..end)?, cell.get(end..)?)
        }
        _ => return None,
    };
    let head = std::str::from_utf8(head).ok()?;
    let (_, after) = head.split_once("'shape': (")?;
    let sides = after.split_once(')')?.0.split(',').map(str::trim).filter(|side| !side.is_empty());
    let sides: Vec<usize> = sides.map(|side| side.parse().ok()).collect::<Option<_>>()?;
    let plain = (shape.channels == 1 && sides == [shape.height, shape.width])
        || sides == [shape.channels, shape.height, shape.width];
    if !plain || !head.contains("'fortran_order': False") {
        return None;
    }
    let kind = head.split_once("'descr': '")?.1.split_once('\'')?.0;
    let (samples, full_scale): (Vec<f64>, f64) = match kind {
        "|u1" => (data.iter().map(|byte| f64::from(*byte)).collect(), 255.0),
        "<u2" => (numbers(data, |bytes| f64::from(u16::from_le_bytes(bytes))), 65_535.0),
        "<f4" => (numbers(data, |bytes| f64::from(f32::from_le_bytes(bytes))), 1.0),
        "<f8" => (numbers(data, f64::from_le_bytes), 1.0),
        _ => return None,
    };
    (samples.len() == shape.samples()).then_some(Picture { samples, full_scale })
}

fn numbers<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(width: u32, height: u32, colour: png::ColorType, depth: png::BitDepth, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    #[test]
    fn grey_and_coloured_pictures_of_the_declared_shape_are_read() {
        let grey = written(3, 2, png::ColorType::Grayscale, png::BitDepth::Eight, &[0, 1, 2, 3, 4, 255]);
        let picture = decode(&grey, &Shape::new(1, 2, 3).unwrap()).unwrap();
        assert_eq!((picture.samples, picture.full_scale), (vec![0.0, 1.0, 2.0, 3.0, 4.0, 255.0], 255.0));
        let deep = written(2, 1, png::ColorType::Grayscale, png::BitDepth::Sixteen, &[1, 0, 255, 255]);
        assert_eq!(decode(&deep, &Shape::new(1, 1, 2).unwrap()).unwrap().samples, [256.0, 65_535.0]);
        let rgb = written(2, 1, png::ColorType::Rgb, png::BitDepth::Eight, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(decode(&rgb, &Shape::new(3, 1, 2).unwrap()).unwrap().samples, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let bits = written(8, 1, png::ColorType::Grayscale, png::BitDepth::One, &[0b1010_0000]);
        assert_eq!(decode(&bits, &Shape::new(1, 1, 8).unwrap()).unwrap().samples[..4], [255.0, 0.0, 255.0, 0.0]);
    }

    #[test]
    fn arrays_of_numpy_are_read() {
        let array = |kind: &str, shape: &str, data: &[u8]| {
            let mut head = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
            while (head.len() + 11) % 64 != 0 {
                head.push(' ');
            }
            head.push('\n');
            [b"\x93NUMPY\x01\x00", &(head.len() as u16).to_le_bytes()[..], head.as_bytes(), data].concat()
        };
        let floats: Vec<u8> = [0.5f32, -1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let shape = Shape::new(1, 1, 2).unwrap();
        assert_eq!(decode(&array("<f4", "(1, 2)", &floats), &shape).unwrap().samples, [0.5, -1.0]);
        assert_eq!(decode(&array("<f4", "(1, 1, 2)", &floats), &shape).unwrap().full_scale, 1.0);
        assert_eq!(decode(&array("|u1", "(1, 2)", &[7, 255]), &shape).unwrap().samples, [7.0, 255.0]);
        for bad in
            [array("<f4", "(2, 1)", &floats), array("|O", "(1, 2)", &floats), array("<f4", "(1, 2)", &floats[1..])]
        {
            assert_eq!(decode(&bad, &shape), None);
        }
    }

    #[test]
    fn what_is_no_picture_of_that_shape_is_none() {
        let shape = Shape::new(1, 2, 3).unwrap();
        let good = written(3, 2, png::ColorType::Grayscale, png::BitDepth::Eight, &[0, 1, 2, 3, 4, 5]);
        for length in 0..good.len() {
            assert!(decode(&good[..length], &shape).is_none() || length + 20 > good.len(), "{length}");
        }
        assert_eq!(decode(&good, &Shape::new(1, 3, 2).unwrap()), None);
        assert_eq!(decode(&good, &Shape::new(3, 2, 3).unwrap()), None);
        assert_eq!(Shape::new(2, 2, 2), None);
        assert_eq!(Shape::new(3, u32::MAX, u32::MAX), None);
        // A header that says 2^31 by 2^31, whatever it holds.
        let mut lying = good.clone();
        lying[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(decode(&lying, &shape), None);
    }
}
