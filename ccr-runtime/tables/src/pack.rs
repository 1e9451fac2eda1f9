//! Packing on the provider's own machine: a folder of pictures becomes one Parquet table, and a table of any form that is
//! read here becomes one with the described columns alone. The room then reads nothing but CSV and Parquet.
//!
//! A folder is one of three: with `index.csv`, whose columns called `file` or `…_file` name pictures below the folder
//! (columns `image` and `…`) and whose other columns stay; with a folder per sample, whose files all begin with its name
//! (`BraTS20_1/BraTS20_1_flair.png`: columns `id` and `flair`); or with a folder per class (columns `id`, `label`,
//! `image`).

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryViewArray, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use schemas::{Code, R, Refusal};

use crate::csv;
use crate::limits::Limits;
use crate::table::{Cells, Table};

/// Rows of one piece of a packed table.
const PIECE: usize = 256;

fn fault(path: &Path, why: &str) -> Refusal {
    Refusal::new(Code::TableForm, format!("{}: {why}", path.display()))
}

/// Writes columns of a table, each under a new name, in order. The same table gives the same bytes.
pub fn write(table: &Table, columns: &[(String, String)]) -> R<Vec<u8>> {
    let missing = |name: &str| Refusal::new(Code::TableForm, format!("the source table: it has no column {name}"));
    let internal = |_| Refusal::new(Code::Internal, "the table cannot be written to memory");
    let chosen = columns.iter().map(|(source, _)| table.column(source).ok_or_else(|| missing(source)));
    let chosen = chosen.collect::<R<Vec<_>>>()?;
    let mut fields = Vec::new();
    let mut settings = WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by("depa".into());
    for ((_, name), column) in columns.iter().zip(&chosen) {
        let kind = match column.first() {
            None | Some(Cells::Text(_)) => DataType::Utf8View,
            Some(Cells::Number(_)) => DataType::Float64,
            Some(Cells::Integer(_)) => DataType::Int64,
            Some(Cells::Bytes(_)) => {
                // Pictures differ, and are packed already.
                let path = ColumnPath::from(name.clone());
                settings = settings.set_column_dictionary_enabled(path.clone(), false);
                settings = settings.set_column_compression(path, Compression::UNCOMPRESSED);
                DataType::BinaryView
            }
        };
        fields.push(Field::new(name, kind, true));
    }
    let schema = Arc::new(Schema::new(fields));
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(&schema), Some(settings.build())).map_err(internal)?;
    for piece in 0..chosen.iter().map(|column| column.len()).max().unwrap_or(0) {
        let cells: Vec<ArrayRef> = chosen.iter().filter_map(|column| column.get(piece).map(array)).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), cells);
        let batch = batch.map_err(|_| Refusal::new(Code::Internal, "the table's columns are cut differently"))?;
        writer.write(&batch).map_err(internal)?;
    }
    writer.close().map_err(internal)?;
    Ok(bytes)
}

fn array(cells: &Cells) -> ArrayRef {
    match cells {
        Cells::Text(cells) => Arc::new(cells.clone()),
        Cells::Number(cells) => Arc::new(cells.clone()),
        Cells::Integer(cells) => Arc::new(cells.clone()),
        Cells::Bytes(cells) => Arc::new(cells.clone()),
    }
}

/// A column while it is collected.
enum Collected {
    Text(Vec<String>),
    Bytes(Vec<Vec<u8>>),
}

impl Collected {
    /// Pieces of the same lengths for every column.
    fn pieces(&self) -> Vec<Cells> {
        match self {
            Collected::Text(cells) => {
                cells.chunks(PIECE).map(|piece| Cells::Text(StringViewArray::from_iter_values(piece))).collect()
            }
            Collected::Bytes(cells) => {
                cells.chunks(PIECE).map(|piece| Cells::Bytes(BinaryViewArray::from_iter_values(piece))).collect()
            }
        }
    }
}

/// Reads a folder of pictures as a table.
pub fn folder(path: &Path, limits: &Limits) -> R<Table> {
    let mut reader = Files { limits, left: limits.bytes };
    let index = path.join("index.csv");
    let columns = if index.exists() { indexed(path, &index, &mut reader)? } else { by_folders(path, &mut reader)? };
    let rows = match columns.first() {
        Some((_, Collected::Text(cells))) => cells.len(),
        Some((_, Collected::Bytes(cells))) => cells.len(),
        None => 0,
    };
    let (names, cells) = columns.iter().map(|(name, column)| (name.clone(), column.pieces())).unzip();
    Table::new(names, cells, rows).ok_or_else(|| fault(path, "its columns differ in length"))
}

/// Files of a folder, read under limits.
struct Files<'a> {
    limits: &'a Limits,
    left: u64,
}

impl Files<'_> {
    fn read(&mut self, path: &Path) -> R<Vec<u8>> {
        let kind = fs::symlink_metadata(path).map_err(|e| fault(path, &e.to_string()))?;
        if !kind.is_file() {
            return Err(fault(path, "is no regular file"));
        }
        if kind.len() > self.limits.cell as u64 {
            return Err(Refusal::new(Code::LimitExceeded, format!("{}: the file is too large", path.display())));
        }
        let too_much = || Refusal::new(Code::LimitExceeded, "the folder holds more than a table may");
        self.left = self.left.checked_sub(kind.len()).ok_or_else(too_much)?;
        fs::read(path).map_err(|e| fault(path, &e.to_string()))
    }
}

/// Names below a folder, sorted; those that begin with a dot are passed over.
fn names(path: &Path) -> R<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| fault(path, &e.to_string()))? {
        let name = entry.map_err(|e| fault(path, &e.to_string()))?.file_name();
        let name = name.into_string().map_err(|_| fault(path, "a name in it is not UTF-8"))?;
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn indexed(path: &Path, index: &Path, files: &mut Files<'_>) -> R<Vec<(String, Collected)>> {
    let bytes = files.read(index)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| fault(index, "it is not UTF-8"))?;
    let header = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
    let header: Vec<String> = header.split(',').map(|name| name.trim_matches('"').to_owned()).collect();
    let table = csv::read(&bytes, &header, &header, files.limits)?;
    let mut columns = Vec::new();
    for name in &header {
        let cells: Vec<String> = table.text(name).into_iter().flatten().map(|cell| cell.into_owned()).collect();
        let picture = if name == "file" { Some("image") } else { name.strip_suffix("_file") };
        columns.push(match picture {
            None => (name.clone(), Collected::Text(cells)),
            Some(picture) => {
                let read = cells.iter().map(|cell| files.read(&below(path, index, cell)?)).collect::<R<_>>()?;
                (picture.to_owned(), Collected::Bytes(read))
            }
        });
    }
    Ok(columns)
}

/// A file that an index names, which lies below the folder.
fn below(path: &Path, index: &Path, name: &str) -> R<PathBuf> {
    let plain = !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if plain { Ok(path.join(name)) } else { Err(fault(index, "it names a file outside the folder")) }
}

fn by_folders(path: &Path, files: &mut Files<'_>) -> R<Vec<(String, Collected)>> {
    let folders: Vec<String> = names(path)?.into_iter().filter(|name| path.join(name).is_dir()).collect();
    let mut found = Vec::new();
    for folder in &folders {
        found.push((folder, names(&path.join(folder))?));
    }
    if found.iter().all(|(_, files)| files.is_empty()) {
        return Err(fault(path, "it holds neither index.csv nor folders with pictures"));
    }
    let own = |folder: &str, file: &str| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('_'));
    if found.iter().all(|(folder, files)| !files.is_empty() && files.iter().all(|file| own(folder, file))) {
        return samples(path, &found, files);
    }
    let (mut ids, mut labels, mut images) = (Vec::new(), Vec::new(), Vec::new());
    for (folder, names) in found {
        for name in names {
            images.push(files.read(&path.join(folder).join(&name))?);
            ids.push(format!("{folder}/{name}"));
            labels.push(folder.clone());
        }
    }
    Ok(vec![
        ("id".into(), Collected::Text(ids)),
        ("label".into(), Collected::Text(labels)),
        ("image".into(), Collected::Bytes(images)),
    ])
}

/// A folder per sample: `<folder>/<folder>_<column>.<ending>`, the same columns in each.
fn samples(path: &Path, found: &[(&String, Vec<String>)], files: &mut Files<'_>) -> R<Vec<(String, Collected)>> {
    let column = |folder: &str, file: &str| {
        let rest = file.strip_prefix(folder).and_then(|rest| rest.strip_prefix('_')).unwrap_or_default();
        rest.split('.').next().unwrap_or_default().to_owned()
    };
    let of = |folder: &str, files: &[String]| files.iter().map(|file| column(folder, file)).collect::<Vec<_>>();
    let columns = found.first().map(|(folder, files)| of(folder, files)).unwrap_or_default();
    let mut pictures: Vec<Vec<Vec<u8>>> = columns.iter().map(|_| Vec::new()).collect();
    for (folder, names) in found {
        if of(folder, names) != columns {
            return Err(fault(&path.join(folder), "it holds other pictures than the first folder"));
        }
        for (name, pictures) in names.iter().zip(&mut pictures) {
            pictures.push(files.read(&path.join(folder).join(name))?);
        }
    }
    let ids = found.iter().map(|(folder, _)| (*folder).clone()).collect();
    let mut all = vec![("id".to_owned(), Collected::Text(ids))];
    all.extend(columns.into_iter().zip(pictures.into_iter().map(Collected::Bytes)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet;

    fn place(name: &str) -> PathBuf {
        let place = std::env::temp_dir().join(format!("tables-pack-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        place
    }

    fn put(place: &Path, name: &str, bytes: &[u8]) {
        fs::create_dir_all(place.join(name).parent().unwrap()).unwrap();
        fs::write(place.join(name), bytes).unwrap();
    }

    fn same(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect()
    }

    fn back(bytes: Vec<u8>, names: &[&str]) -> Table {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        parquet::read(bytes.into(), &names, &names, &Limits::ROOM).unwrap()
    }

    #[test]
    fn folders_per_class_are_packed_and_read_back() {
        let place = place("classes");
        for (name, bytes) in [("b/2.png", "B2"), ("a/1.png", "A1"), ("a/0.png", "A0"), ("a/.hidden", "x")] {
            put(&place, name, bytes.as_bytes());
        }
        let columns = ["id", "label", "image"];
        let packed = write(&folder(&place, &Limits::ROOM).unwrap(), &same(&columns)).unwrap();
        assert_eq!(packed, write(&folder(&place, &Limits::ROOM).unwrap(), &same(&columns)).unwrap());
        let table = back(packed, &columns);
        assert_eq!(table.text("label").unwrap().collect::<Vec<_>>(), ["a", "a", "b"]);
        assert_eq!(table.text("id").unwrap().collect::<Vec<_>>(), ["a/0.png", "a/1.png", "b/2.png"]);
        assert_eq!(table.bytes("image").unwrap(), [Some(&b"A0"[..]), Some(b"A1"), Some(b"B2")]);
        fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn folders_per_sample_and_an_index_are_packed() {
        let at = place("samples");
        for (name, bytes) in
            [("S1/S1_flair.png", "f1"), ("S1/S1_seg.png", "s1"), ("S2/S2_flair.png", "f2"), ("S2/S2_seg.png", "s2")]
        {
            put(&at, name, bytes.as_bytes());
        }
        let table = folder(&at, &Limits::ROOM).unwrap();
        assert_eq!(table.text("id").unwrap().collect::<Vec<_>>(), ["S1", "S2"]);
        assert_eq!(table.bytes("seg").unwrap(), [Some(&b"s1"[..]), Some(b"s2")]);
        put(&at, "S3/S3_flair.png", b"f3");
        assert_eq!(folder(&at, &Limits::ROOM).err().map(|r| r.code), Some(Code::TableForm));
        fs::remove_dir_all(at).unwrap();

        let at = place("index");
        put(&at, "x/1.png", b"one");
        put(&at, "index.csv", b"person,file,age\np1,x/1.png,30\n");
        let table = folder(&at, &Limits::ROOM).unwrap();
        assert_eq!(table.bytes("image").unwrap(), [Some(&b"one"[..])]);
        assert_eq!(table.text("age").unwrap().collect::<Vec<_>>(), ["30"]);
        put(&at, "index.csv", b"person,file\np1,../secret\n");
        assert_eq!(folder(&at, &Limits::ROOM).err().map(|r| r.code), Some(Code::TableForm));
        fs::remove_dir_all(at).unwrap();
    }

    #[test]
    fn links_and_large_files_are_refused() {
        let at = place("links");
        put(&at, "a/1.png", &[0; 100]);
        let tight = Limits { cell: 99, ..Limits::ROOM };
        assert_eq!(folder(&at, &tight).err().map(|r| r.code), Some(Code::LimitExceeded));
        let tight = Limits { bytes: 99, ..Limits::ROOM };
        assert_eq!(folder(&at, &tight).err().map(|r| r.code), Some(Code::LimitExceeded));
        std::os::unix::fs::symlink("/etc/passwd", at.join("a/2.png")).unwrap();
        assert_eq!(folder(&at, &Limits::ROOM).err().map(|r| r.code), Some(Code::TableForm));
        fs::remove_dir_all(at).unwrap();
    }
}
