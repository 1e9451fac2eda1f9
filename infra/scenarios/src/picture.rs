//! Small pictures: a canvas, drawing by distance, PNG.

use schemas::{Code, R, Refusal};

/// A picture of 8 bits per channel, channels interleaved, rows from the top.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A point; pictures span 0 to 1 in both directions, y downwards.
pub type Point = (f64, f64);

impl Picture {
    /// A picture whose every channel is given by a function of the pixel's centre, from 0 (black) to 1.
    pub fn draw(width: usize, height: usize, channels: usize, mut light: impl FnMut(Point, usize) -> f64) -> Picture {
        let mut bytes = Vec::with_capacity(width * height * channels);
        for y in 0..height {
            for x in 0..width {
                let centre = ((x as f64 + 0.5) / width as f64, (y as f64 + 0.5) / height as f64);
                bytes.extend(
                    (0..channels).map(|channel| (light(centre, channel).clamp(0.0, 1.0) * 255.0).round() as u8),
                );
            }
        }
        Picture { width, height, channels, bytes }
    }

    /// The PNG file of it.
    pub fn png(&self) -> R<Vec<u8>> {
        let fault = || Refusal::new(Code::Internal, "the picture cannot be written");
        let side = |n: usize| u32::try_from(n).map_err(|_| fault());
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side(self.width)?, side(self.height)?);
        encoder.set_color(if self.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(|_| fault())?;
        writer.write_image_data(&self.bytes).map_err(|_| fault())?;
        writer.finish().map_err(|_| fault())?;
        Ok(file)
    }
}

/// How far a point lies from a line between two others.
pub fn distance(point: Point, from: Point, to: Point) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx * dx + dy * dy;
    let along = if length == 0.0 { 0.0 } else { ((point.0 - from.0) * dx + (point.1 - from.1) * dy) / length };
    let along = along.clamp(0.0, 1.0);
    (point.0 - from.0 - along * dx).hypot(point.1 - from.1 - along * dy)
}

/// 1 inside an edge, 0 outside, a straight ramp of this width between: `inside` is how far the point lies within.
pub fn soft(inside: f64, ramp: f64) -> f64 {
    (inside / ramp + 0.5).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_reads_back_from_its_png() {
        for channels in [1, 3] {
            let picture = Picture::draw(5, 3, channels, |(x, y), channel| x * y + channel as f64 / 4.0);
            let file = picture.png().unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
            let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut bytes).unwrap();
            assert_eq!((info.width, info.height), (5, 3));
            assert_eq!(bytes, picture.bytes);
        }
    }

    #[test]
    fn distances_end_at_the_ends() {
        assert_eq!(distance((0.0, 1.0), (0.0, 0.0), (1.0, 0.0)), 1.0);
        assert_eq!(distance((2.0, 0.0), (0.0, 0.0), (1.0, 0.0)), 1.0);
        assert_eq!(distance((0.0, 3.0), (0.0, 0.0), (0.0, 0.0)), 3.0);
        assert_eq!((soft(1.0, 0.1), soft(-1.0, 0.1), soft(0.0, 0.1)), (1.0, 0.0, 0.5));
    }
}
