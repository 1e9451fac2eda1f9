//! The files.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use schemas::worker::{TableFormat, TableHead};
use tables::{Limits, pack};

pub fn head(format: TableFormat, columns: &[&str], bytes: usize) -> TableHead {
    let columns = columns.iter().map(|name| (*name).to_owned()).collect();
    TableHead { handle: "t".into(), bytes: bytes as u64, columns, format, public_rows: 1 }
}

/// CSV as Parquet, every column as text.
pub fn parquet(text: &str) -> Vec<u8> {
    let names: Vec<String> = text.lines().next().unwrap().split(',').map(str::to_owned).collect();
    let head = TableHead { columns: names.clone(), ..head(TableFormat::Csv, &[], text.len()) };
    let wide = Limits { free: 8 << 30, ..Limits::ROOM };
    let table = tables::read(&head, &names, text.as_bytes().to_vec(), &wide).unwrap();
    let same: Vec<_> = names.iter().map(|name| (name.clone(), name.clone())).collect();
    pack::write(&table, &same).unwrap()
}

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A file that is nothing but a footer.
pub fn footer(description: &[u8]) -> Vec<u8> {
    [b"PAR1", description, &(description.len() as u32).to_le_bytes(), b"PAR1"].concat()
}

/// A footer whose schema has so many elements, each with so many children.
pub fn schema(elements: u64, children: u8) -> Vec<u8> {
    let mut description = vec![0x15, 0x02, 0x19, 0xfc];
    description.extend(varint(elements));
    for _ in 0..elements {
        // Field 4, a name of one letter; field 5, the number of children; end.
        description.extend([0x48, 0x01, b'a', 0x15, children * 2, 0x00]);
    }
    // Field 3, no rows; field 4, no groups of rows; end.
    description.extend([0x16, 0x00, 0x19, 0x0c, 0x00]);
    footer(&description)
}

/// The same file, whose footer says that it has other rows: 5 become `rows`.
pub fn with_rows(file: &[u8], rows: u64) -> Vec<u8> {
    let tail = file.len() - 8;
    let start = tail - u32::from_le_bytes(file[tail..tail + 4].try_into().unwrap()) as usize;
    let footer_bytes = &file[start..tail];
    let at = footer_bytes.windows(3).position(|bytes| bytes == [0x16, 0x0a, 0x19]).unwrap();
    let described = [&footer_bytes[..=at], &varint(rows * 2), &footer_bytes[at + 2..]].concat();
    [&file[..start], &described, &(described.len() as u32).to_le_bytes(), b"PAR1"].concat()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes()[..], kind, data, &crc.sum().to_be_bytes()].concat()
}

/// Bytes that unpack to so many zeros.
fn packed(zeros: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let piece = vec![0; 1 << 20];
    for _ in 0..zeros >> 20 {
        encoder.write_all(&piece).unwrap();
    }
    encoder.finish().unwrap()
}

/// A grey PNG that says its size and brings further chunks.
pub fn png(width: u32, height: u32, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let size = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    bytes.extend(chunk(b"IHDR", &size));
    for (kind, data) in chunks {
        bytes.extend(chunk(kind, data));
    }
    bytes.extend(chunk(b"IEND", b""));
    bytes
}

/// Pictures of 28 by 28, or not, that unpack to 256 MiB.
pub fn bombs() -> Vec<Vec<u8>> {
    let bomb = packed(256 << 20);
    let text = [b"a\0\0", bomb.as_slice()].concat();
    let profile = [b"a\0\0", bomb.as_slice()].concat();
    let long = [b"a\0\x01\0\0\0", bomb.as_slice()].concat();
    vec![
        png(28, 28, &[(b"IDAT", &bomb)]),
        png(28, 28, &[(b"zTXt", &text), (b"IDAT", &bomb)]),
        png(28, 28, &[(b"iCCP", &profile), (b"IDAT", &bomb)]),
        png(28, 28, &[(b"iTXt", &long), (b"IDAT", &bomb)]),
        png(0x7fff_ffff, 0x7fff_ffff, &[(b"IDAT", &bomb)]),
        png(32_768, 32_768, &[(b"IDAT", &bomb)]),
    ]
}
