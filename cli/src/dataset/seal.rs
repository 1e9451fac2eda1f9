//! Sealing: a table goes in (CSV, Parquet, or a folder of pictures), the described columns come out encrypted, and the data key goes to the provider's own key
//! service and nowhere else. It is never written to disk, and nothing is printed of the rows.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use schemas::contract::Assurance;
use schemas::id::{DataKeyId, DatasetId, FamilyId};
use schemas::jwk::Jwk;
use schemas::worker::{TableFormat, TableHead};
use schemas::{Code, Digest, R, Refusal, Timestamp};
use sealing::{DEFAULT_CHUNK, DatasetKey, Plan, Subject, manifest_path};
use serde::{Deserialize, Serialize};
use signing::{Signer, Trust};
use tables::{Limits, pack};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::form::Description;
use super::kms::{Kms, import};
use crate::edge;

/// What sealing leaves behind, for the offer: public facts only.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedDataset {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// Its family.
    pub family: FamilyId,
    /// Where the sealed object lies.
    pub url: String,
    /// Its size.
    pub bytes: u64,
    /// Merkle root over it.
    pub manifest_root: Digest,
    /// The key service that holds its key.
    pub kms: String,
    /// The key that signs that service's answers.
    pub kms_jwk: Jwk,
    /// The data key.
    pub key_id: DataKeyId,
    /// The least assurance that opens it; fixed at the key service.
    pub min_assurance: Assurance,
    /// What is sealed, for the offer.
    #[serde(default = "csv_form")]
    pub media_type: String,
}

fn csv_form() -> String {
    TableFormat::Csv.media_type().to_owned()
}

/// What is sealed, and whereto.
pub struct Job<'a> {
    /// The description.
    pub description: &'a Description,
    /// The source: a CSV file, a file whose name ends in `.parquet`, or a folder of pictures.
    pub csv: &'a Path,
    /// The sealed object; its manifest lies beside it. Neither may exist.
    pub out: &'a Path,
    /// Where the object will be fetched from; `file://` of `out` if none is given.
    pub url: Option<String>,
}

/// Seals a table. `draw` gives fresh ids. Object and manifest appear under their names only after the key service has
/// taken the key.
pub fn seal(
    job: &Job,
    kms: &Kms,
    key: &dyn Signer,
    trust: &Trust,
    draw: &mut dyn FnMut() -> Uuid,
    now: Timestamp,
) -> R<SealedDataset> {
    let description = job.description;
    let (format, plain) = plain(job.csv, description)?;
    keeps_its_promise(description, format, &plain)?;
    let dataset_id = description.dataset_id.clone().unwrap_or_else(|| DatasetId::new(draw()));
    let family = description.family.clone().unwrap_or_else(|| FamilyId::new(draw()));
    let key_id = DataKeyId::new(draw());
    let info = kms.info(&key.did()?)?;

    let data_key = DatasetKey::random()?;
    let subject = Subject::Dataset { id: dataset_id.clone(), version: description.version };
    let part = Partial::beside(job.out)?;
    let mut file = part.create()?;
    let plan = Plan { subject, total_len: plain.len() as u64, chunk_len: DEFAULT_CHUNK };
    let written = sealing::seal(plain.as_slice(), &mut file, &data_key, &plan)?;
    file.flush().and_then(|()| file.sync_all()).map_err(|e| edge::file_fault(&part.0, e))?;

    let sealed = SealedDataset {
        url: job.url.clone().map_or_else(|| file_url(job.out), Ok)?,
        bytes: written.bytes,
        manifest_root: written.manifest.root(),
        kms: info.kms.clone(),
        kms_jwk: info.sign_jwk.clone(),
        min_assurance: description.min_assurance,
        media_type: format.media_type().to_owned(),
        version: description.version,
        dataset_id,
        family,
        key_id,
    };
    edge::write_new(&manifest_path(job.out), &written.manifest.to_json())?;
    if let Err(refusal) = import(kms, &info, &sealed, &data_key, key, trust, now) {
        let _ = fs::remove_file(manifest_path(job.out));
        return Err(refusal);
    }
    part.rename(job.out)?;
    Ok(sealed)
}

/// Refuses (`PUBLIC_COUNT_EXCEEDED`) a table with more people than its own description says, told apart by any column that jobs
/// may join by: every room would refuse it.
fn keeps_its_promise(description: &Description, format: TableFormat, plain: &Zeroizing<Vec<u8>>) -> R<()> {
    let columns: Vec<String> = description.columns.iter().map(|c| c.name.clone()).collect();
    let keys: Vec<String> = columns.iter().filter(|c| description.usage.join_keys.contains(c)).cloned().collect();
    let (bytes, public_rows) = (plain.len() as u64, description.public_rows);
    let head = TableHead { handle: "source".into(), bytes, columns, format, public_rows };
    let table = tables::read(&head, &keys, plain.clone(), &Limits::ROOM)?;
    tables::within_promise(&keys.iter().map(String::as_str).collect::<Vec<_>>(), public_rows, &table)
}

/// Whether a file is read as Parquet: by its name.
pub(crate) fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "parquet")
}

/// The described columns of a source, as they are sealed: CSV stays CSV, everything else becomes Parquet.
pub(crate) fn plain(path: &Path, description: &Description) -> R<(TableFormat, Zeroizing<Vec<u8>>)> {
    if !path.is_dir() && !is_parquet(path) {
        return Ok((TableFormat::Csv, table(&edge::read(path).map(Zeroizing::new)?, description)?));
    }
    let columns: Vec<_> = description.columns.iter().map(|c| (c.source().to_owned(), c.name.clone())).collect();
    let table = if path.is_dir() {
        pack::folder(path, &Limits::ROOM)?
    } else {
        let wanted: Vec<_> = columns.iter().map(|(source, _)| source.clone()).collect();
        tables::parquet::read(edge::read(path)?.into(), &wanted, &wanted, &Limits::ROOM)?
    };
    Ok((TableFormat::Parquet, Zeroizing::new(pack::write(&table, &columns)?)))
}

/// The described columns of the source as CSV, under their names in the sealed table, in the order described.
fn table(source: &[u8], description: &Description) -> R<Zeroizing<Vec<u8>>> {
    let form = |why: String| Refusal::new(Code::TableForm, format!("the source table: {why}"));
    // The reader names line and field, never a cell.
    let unreadable =
        |e: csv::Error| form(format!("line {} cannot be read as CSV in UTF-8", e.position().map_or(0, |p| p.line())));
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(source);
    let header = reader.headers().map_err(unreadable)?.clone();
    let mut indices = Vec::new();
    for column in &description.columns {
        let mut found =
            header.iter().enumerate().filter(|(_, name)| name.trim_start_matches('\u{feff}') == column.source());
        match (found.next(), found.next()) {
            (Some((index, _)), None) => indices.push(index),
            (None, _) => return Err(form(format!("it has no column {}", column.source())).at("columns")),
            (Some(_), Some(_)) => return Err(form(format!("its header names {} twice", column.source())).at("columns")),
        }
    }
    // Room for everything from the start: the buffer of plaintext never moves.
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(source.len() * 2 + 4096));
    let fault = |_| Refusal::new(Code::Internal, "the table cannot be written to memory");
    writer.write_record(description.columns.iter().map(|c| c.name.as_str())).map_err(fault)?;
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let cells = indices.iter().map(|i| record.get(*i).unwrap_or_default());
        writer.write_record(cells).map_err(fault)?;
    }
    let plain =
        writer.into_inner().map_err(|_| Refusal::new(Code::Internal, "the table cannot be written to memory"))?;
    Ok(Zeroizing::new(plain))
}

/// A file that goes away unless it was linked to its final name.
pub(crate) struct Partial(PathBuf);

impl Partial {
    /// Beside the sealed object to be, which may not exist yet, nor its manifest.
    pub(crate) fn beside(out: &Path) -> R<Partial> {
        for path in [out.to_owned(), manifest_path(out)] {
            if path.exists() {
                return Err(edge::file_fault(&path, "exists already; a sealed object is never overwritten"));
            }
        }
        let mut name = out.as_os_str().to_owned();
        name.push(".partial");
        Ok(Partial(name.into()))
    }

    /// Makes the file.
    pub(crate) fn create(&self) -> R<fs::File> {
        let made = fs::OpenOptions::new().write(true).create_new(true).open(&self.0);
        made.map_err(|e| edge::file_fault(&self.0, e))
    }

    /// Gives it its final name, which must be free.
    pub(crate) fn rename(&self, out: &Path) -> R<()> {
        fs::hard_link(&self.0, out).map_err(|e| edge::file_fault(out, e))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The `file:` address of a path. The object need not be there yet, its folder must.
pub(crate) fn file_url(path: &Path) -> R<String> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::canonicalize(folder).map_err(|e| edge::file_fault(folder, e))?;
    let name = path.file_name().ok_or_else(|| edge::file_fault(path, "names no file"))?;
    reqwest::Url::from_file_path(folder.join(name))
        .map(String::from)
        .map_err(|()| edge::file_fault(path, "has no file: address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(columns: &str) -> Description {
        let text = format!(
            r#"
            name = "t"
            kms = "http://localhost:1"
            min_assurance = "software"
            public_rows = 10
            {columns}
            [usage]
            allowed_columns = []
            join_keys = ["id"]
            [cap]
            epsilon = "1"
            delta = "0.001"
            scope = "per_tdc"
            [card]
            description = "a"
            collection = "a"
            limitations = "a"
            personal_data = "a"
            licence = "a"
            "#
        );
        toml::from_str(&text).unwrap()
    }

    const TWO: &str = r#"
            columns = [{ name = "id", source = "phone", type = "text" }, { name = "age", type = "number", lower = "0", upper = "120" }]
    "#;

    #[test]
    fn only_described_columns_survive() {
        let source = b"\xef\xbb\xbfname,age,phone\n\"Smith, J\",30,\"a,b\"\nX,,c\n";
        let plain = table(source, &description(TWO)).unwrap();
        assert_eq!(String::from_utf8(plain.to_vec()).unwrap(), "id,age\n\"a,b\",30\nc,\n");
    }

    #[test]
    fn faults_of_structure_are_refused_and_name_no_cell() {
        for source in ["name,age\nx,1\n", "phone,phone,age\na,b,1\n", "phone,age\nsecretcell,1,2\n"] {
            let refusal = table(source.as_bytes(), &description(TWO)).unwrap_err();
            assert_eq!(refusal.code, Code::TableForm, "{source}");
            assert!(!refusal.sentence.contains("secretcell"), "{refusal}");
        }
        assert_eq!(table(b"phone,age\n\xff,1\n", &description(TWO)).unwrap_err().code, Code::TableForm);
    }

    #[test]
    fn more_people_than_the_description_says_are_refused_in_either_form() {
        let many = description(TWO);
        let few = Description { public_rows: 2, ..many.clone() };
        let csv = table(b"phone,age\n1,30\n2,40\n2,41\n3,50\n,60\n", &many).unwrap();
        let names = ["id".to_owned(), "age".to_owned()];
        let read = tables::csv::read(&csv, &names, &names, &Limits::ROOM).unwrap();
        let same: Vec<_> = names.map(|name| (name.clone(), name)).into();
        let parquet = Zeroizing::new(pack::write(&read, &same).unwrap());
        for (format, plain) in [(TableFormat::Csv, csv), (TableFormat::Parquet, parquet)] {
            assert_eq!(keeps_its_promise(&many, format, &plain), Ok(()));
            let three = Description { public_rows: 3, ..many.clone() };
            assert_eq!(keeps_its_promise(&three, format, &plain), Ok(()), "people and not rows");
            let refused = keeps_its_promise(&few, format, &plain).unwrap_err();
            assert_eq!((refused.code, refused.field.as_deref()), (Code::PublicCountExceeded, Some("public_rows")));
            // By whatever else jobs may tell people apart.
            let mut by_age = three.clone();
            by_age.usage.join_keys.push("age".into());
            assert_eq!(keeps_its_promise(&by_age, format, &plain).unwrap_err().code, Code::PublicCountExceeded);
            // A key that is not described is for the offer's rule to refuse.
            by_age.usage.join_keys = vec!["nowhere".into()];
            assert_eq!(keeps_its_promise(&by_age, format, &plain), Ok(()));
        }
    }

    #[test]
    fn pictures_and_parquet_are_sealed_as_one_table_of_the_described_columns() {
        let place = std::env::temp_dir().join(format!("depa-seal-{}", std::process::id()));
        fs::create_dir_all(place.join("cat")).unwrap();
        fs::write(place.join("cat/1.png"), b"one").unwrap();
        let described = description(
            r#"
            columns = [{ name = "person", source = "id", type = "text" }, { name = "scan", source = "image", type = "image", lower = "0", upper = "255" }]
            "#,
        );
        let (format, packed) = plain(&place, &described).unwrap();
        let again = place.join("again.parquet");
        fs::write(&again, packed.as_slice()).unwrap();
        let names = ["person".to_owned(), "scan".to_owned()];
        let table = tables::parquet::read(packed.to_vec().into(), &names, &names, &Limits::ROOM).unwrap();
        assert_eq!((format, table.rows(), table.column("label").is_none()), (TableFormat::Parquet, 1, true));
        assert_eq!(table.bytes("scan").unwrap(), [Some(&b"one"[..])]);
        let mut renamed = described.clone();
        renamed.columns.iter_mut().for_each(|column| column.source = None);
        renamed.columns.pop();
        let (_, narrow) = plain(&again, &renamed).unwrap();
        assert!(narrow.len() < packed.len());
        renamed.columns[0].name = "nowhere".into();
        assert_eq!(plain(&again, &renamed).err().map(|refusal| refusal.code), Some(Code::TableForm));
        fs::remove_dir_all(place).unwrap();
    }
}
