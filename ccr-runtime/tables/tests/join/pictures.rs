//! Pictures and masks: from a folder through a packed table to rows.

use std::fs;

use schemas::pipeline::{FeatureForm, JoinKind, Labels};
use schemas::worker::{TableFormat, TableHead};
use tables::{Limits, Table, pack};

use crate::house::{join, step, training};

fn grey(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(data).unwrap();
    bytes
}

/// Samples by name: a picture and its mask, packed and read back as the room does.
fn sealed(handle: &str, samples: &[(&str, Vec<u8>, Vec<u8>)]) -> Table {
    let at = std::env::temp_dir().join(format!("tables-pictures-{handle}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&at);
    for (name, flair, seg) in samples {
        fs::create_dir_all(at.join(name)).unwrap();
        fs::write(at.join(name).join(format!("{name}_flair.png")), flair).unwrap();
        fs::write(at.join(name).join(format!("{name}_seg.png")), seg).unwrap();
    }
    let names = ["id", "flair", "seg"].map(str::to_owned).to_vec();
    let same: Vec<_> = names.iter().map(|name| (name.clone(), name.clone())).collect();
    let bytes = pack::write(&pack::folder(&at, &Limits::ROOM).unwrap(), &same).unwrap();
    fs::remove_dir_all(at).unwrap();
    let head = TableHead {
        handle: handle.into(),
        bytes: bytes.len() as u64,
        columns: names.clone(),
        format: TableFormat::Parquet,
        public_rows: 1,
    };
    tables::read(&head, &names, bytes, &Limits::ROOM).unwrap()
}

#[test]
fn pictures_and_masks_of_two_hospitals_become_rows() {
    let good = |n: u8| (grey(2, 2, &[0, 51 * n, 102, 255]), grey(2, 2, &[0, 200, 76, 77]));
    let (a, mask) = good(1);
    let one = sealed("a", &[("s1", a, mask.clone()), ("s2", b"no picture".to_vec(), mask.clone())]);
    let (b, _) = good(2);
    let two = sealed("b", &[("s3", b, grey(3, 1, &[255, 255, 255]))]);
    let join = join("a", vec![step(JoinKind::Union, "a.id", "b.id")], &["a.id", "a.flair", "a.seg"]);
    let mut training = training(&[("a.flair", "0", "255")], "a.seg", "a.id");
    training.train_ppm = 1_000_000;
    training.features[0].form = Some(FeatureForm::Image { channels: 1, height: 2, width: 2 });
    training.labels = Some(Labels::Mask { height: 2, width: 2, threshold_ppm: 300_000 });
    assert_eq!((training.inputs(), training.label_width()), (4, 4));
    let parts = tables::prepare(&join, &training, &[("a".into(), one), ("b".into(), two)], &[7; 32]).unwrap();
    assert_eq!(parts.train.len(), 3 * 4);
    let v = |sample: f64| (2.0 * (sample / 255.0) - 1.0) as f32;
    let expected = [-1.0, v(51.0), v(102.0), 1.0, 0.0, 0.0, 0.0, 0.0, -1.0, v(102.0), v(102.0), 1.0];
    assert_eq!(parts.train.features, expected);
    // 76 of 255 lies below 0.3, 77 above; a mask of another shape counts as empty.
    assert_eq!(parts.train.labels, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}
