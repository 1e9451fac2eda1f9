//! A person withdraws consent: the next version of a dataset without that person, in the same family, so that what was
//! spent of anybody's privacy stays spent.

use std::collections::BTreeSet;
use std::path::Path;

use schemas::contract::ContractRef;
use schemas::dataset::DatasetActKind;
use schemas::id::DatasetId;
use schemas::worker::TableFormat;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::Serialize;
use signing::{Signer, Trust};
use zeroize::Zeroizing;

use super::form::Description;
use super::seal::{Job, SealedDataset, is_parquet};
use super::{acts, kms::Kms};
use crate::edge;
use contract_client::{Acted, Client};

/// What was done, for the provider's own file on the withdrawal. It names nobody.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Forgotten {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// The version that has these people no more.
    pub version: u32,
    /// The version that was withdrawn.
    pub former: u32,
    /// How many rows were left out: secret, for the provider alone.
    pub rows_left_out: usize,
    /// Digest of the new offer.
    pub offer_sha256: Digest,
    /// Index of the entry that registered it.
    pub registered: u64,
    /// Index of the entry that withdrew the former version; its users are told of it.
    pub withdrawn: u64,
    /// Contracts over the former version that stand: no new run begins under them until they are amended.
    pub open_contracts: Vec<ContractRef>,
}

/// The ids of a list: one in a line, empty lines left out.
pub fn people(text: &[u8]) -> R<BTreeSet<String>> {
    let text = std::str::from_utf8(text).map_err(|_| list("is not UTF-8"))?;
    let people: BTreeSet<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if people.is_empty() { Err(list("names nobody")) } else { Ok(people) }
}

fn list(why: &str) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("the list of people {why}")).at("people")
}

/// The table of a version that was sealed as CSV.
///
/// # Errors
/// `TABLE_FORM` where file or record are of another kind: rows are left out of CSV alone.
pub fn table(path: &Path, former: &SealedDataset) -> R<Zeroizing<Vec<u8>>> {
    let sealed_as = TableFormat::of_media_type(&former.media_type);
    if path.is_dir() || is_parquet(path) || !sealed_as.is_csv() {
        return Err(other_kind());
    }
    edge::read(path).map(Zeroizing::new)
}

fn other_kind() -> Refusal {
    let sentence = "rows are left out of CSV files alone; of a Parquet file or a folder of pictures, take these people out \
                    yourself, seal and offer the rest as the next version of the same dataset and family, publish it, and \
                    withdraw the former version (depa dataset withdraw)";
    Refusal::new(Code::TableForm, sentence).at("csv")
}

/// The table without the rows whose `column` names one of these people, and how many those were.
///
/// # Errors
/// `TABLE_FORM` where it is no CSV or has no such column; `CONFIG_INVALID` where somebody of the list is not in it: a misspelt id
/// would leave a person in.
pub fn without(source: &[u8], column: &str, people: &BTreeSet<String>) -> R<(Zeroizing<Vec<u8>>, usize)> {
    // A Parquet file under another name.
    if source.starts_with(b"PAR1") {
        return Err(other_kind());
    }
    let form = |why: String| Refusal::new(Code::TableForm, format!("the table: {why}"));
    let unreadable =
        |e: csv::Error| form(format!("line {} cannot be read as CSV in UTF-8", e.position().map_or(0, |p| p.line())));
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(source);
    let header = reader.headers().map_err(unreadable)?.clone();
    let mut places = header.iter().enumerate().filter(|(_, name)| name.trim_start_matches('\u{feff}') == column);
    let (Some((place, _)), None) = (places.next(), places.next()) else {
        return Err(form(format!("it has no one column {column}")).at("column"));
    };
    let fault = |_| Refusal::new(Code::Internal, "the table cannot be written to memory");
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(source.len() + 4096));
    writer.write_record(&header).map_err(fault)?;
    let (mut left_out, mut found) = (0, BTreeSet::new());
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        match people.get(record.get(place).unwrap_or_default().trim()) {
            Some(person) => {
                left_out += 1;
                found.insert(person);
            }
            None => writer.write_record(&record).map_err(fault)?,
        }
    }
    if found.len() < people.len() {
        let missing = people.len() - found.len();
        return Err(list(&format!("has {missing} of {} ids that the table has not", people.len())));
    }
    let kept =
        writer.into_inner().map_err(|_| Refusal::new(Code::Internal, "the table cannot be written to memory"))?;
    Ok((Zeroizing::new(kept), left_out))
}

/// The description of the next version: same dataset, same family.
pub fn next(description: &Description, former: &SealedDataset) -> Description {
    Description {
        dataset_id: Some(former.dataset_id.clone()),
        family: Some(former.family.clone()),
        version: former.version + 1,
        offer_version: 1,
        ..description.clone()
    }
}

/// Where the parts of the new version go, each a new file.
pub struct Places<'a> {
    /// A folder of the provider's own.
    pub dir: &'a Path,
    /// Where the room will fetch the sealed object; `file://` otherwise.
    pub url: Option<String>,
}

/// Seals, offers and registers the table without these people, then withdraws the former version, in this order: if
/// anything fails on the way, the former version is withdrawn by hand (`depa dataset withdraw`).
pub fn forget(
    (description, former): (&Description, &SealedDataset),
    (table, column, people): (&[u8], &str, &BTreeSet<String>),
    places: Places<'_>,
    (client, key, trust): (&Client, &dyn Signer, &Trust),
    now: Timestamp,
) -> R<Forgotten> {
    let (kept, rows_left_out) = without(table, column, people)?;
    let description = next(description, former);
    let place = |name: &str| places.dir.join(format!("v{}-{name}", description.version));
    let (csv, object) = (place("table.csv"), place("table.depa"));
    edge::write_private(&csv, &kept)?;
    edge::write_json(&place("dataset.json"), &description)?;
    let job = Job { description: &description, csv: &csv, out: &object, url: places.url };
    let sealed = super::seal(&job, &Kms::new(&description.kms)?, key, trust, &mut edge::fresh, now)?;
    super::record::write(&place("sealed.json"), &sealed)?;
    let offer = super::offer(&description, &sealed, key, trust, now)?;
    edge::write_json(&place("offer.json"), &offer)?;
    let registered = super::publish(client, &offer)?;
    let which = (former.dataset_id.clone(), former.version);
    let act = acts::draft(which, DatasetActKind::Withdraw, "consent of a person was withdrawn", trust, now);
    let withdrawn = match client.change_dataset(&signing::sign(&act, key, now)?)? {
        Acted::Entered(answer) => answer.receipt,
        Acted::Waiting(_) => {
            return Err(Refusal::new(Code::PeerFault, "the provider's own act waits for a second person"));
        }
    };
    Ok(Forgotten {
        dataset_id: sealed.dataset_id,
        version: sealed.version,
        former: former.version,
        rows_left_out,
        offer_sha256: offer.digest(),
        registered: registered.index,
        withdrawn: withdrawn.index,
        open_contracts: open(client, &former.dataset_id, former.version)?,
    })
}

/// The contracts over this version that a run could still be ordered under.
pub fn open(client: &Client, id: &DatasetId, version: u32) -> R<Vec<ContractRef>> {
    use schemas::contract::ContractState;
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let page = client.contracts_page(&[("cursor", cursor)])?;
        for row in page.contracts {
            let stands = matches!(
                row.state,
                ContractState::Proposed
                    | ContractState::PartiallySigned
                    | ContractState::AwaitingSro
                    | ContractState::Scheduled
                    | ContractState::Active
                    | ContractState::Suspended
            );
            if !stands {
                continue;
            }
            let contract = client.contract(&row.contract_id)?.contract.read_unverified()?;
            if contract.datasets.iter().any(|d| &d.dataset_id == id && d.version == version) {
                all.push(ContractRef { id: row.contract_id, sha256: row.sha256 });
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
    Err(Refusal::new(Code::LimitExceeded, "more contracts than are read at once"))
}

/// Pages of contracts that are read.
const MOST_PAGES: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> BTreeSet<String> {
        people(text.as_bytes()).unwrap()
    }

    #[test]
    fn rows_of_the_named_people_are_left_out_and_no_others() {
        let table = b"\xef\xbb\xbfphone,x\na,1\n\"b,c\",2\na,3\nd,4\n";
        let (kept, left_out) = without(table, "phone", &ids("a\n\n b,c \n")).unwrap();
        assert_eq!((std::str::from_utf8(&kept).unwrap(), left_out), ("phone,x\nd,4\n", 3));
    }

    #[test]
    fn a_misspelt_person_is_not_left_in_silently() {
        let refusal = without(b"phone,x\na,1\n", "phone", &ids("a\nzz")).unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_deref()), (Code::ConfigInvalid, Some("people")));
        assert!(!refusal.sentence.contains("zz"), "no id of a person in a message: {refusal}");
        assert_eq!(without(b"phone,x\na,1\n", "mobile", &ids("a")).unwrap_err().code, Code::TableForm);
        for nobody in [&b""[..], b"\n \n"] {
            assert_eq!(people(nobody).unwrap_err().code, Code::ConfigInvalid);
        }
    }

    #[test]
    fn what_is_no_csv_is_refused_with_what_to_do_instead() {
        let refused = |outcome: R<Zeroizing<Vec<u8>>>| {
            let refusal = outcome.map(drop).unwrap_err();
            assert_eq!((refusal.code, refusal.field.as_deref()), (Code::TableForm, Some("csv")));
            for word in ["CSV files alone", "Parquet", "pictures", "same dataset and family", "depa dataset withdraw"] {
                assert!(refusal.sentence.contains(word), "{refusal}");
            }
        };
        let (csv, nowhere) = (former(), Path::new("/nowhere/table.csv"));
        refused(table(Path::new("/nowhere/table.parquet"), &csv));
        refused(table(&std::env::temp_dir(), &csv));
        let parquet = SealedDataset { media_type: TableFormat::Parquet.media_type().into(), ..former() };
        refused(table(nowhere, &parquet));
        refused(without(b"PAR1\x15\x04phone,x", "phone", &ids("a")).map(|(kept, _)| kept));
        // A CSV file is looked for.
        assert_eq!(table(nowhere, &csv).map(drop).unwrap_err().code, Code::ConfigInvalid);
    }

    fn former() -> SealedDataset {
        serde_json::from_value(serde_json::json!({
            "dataset_id": "dst_01900000-0000-7000-8000-000000000001", "version": 4,
            "family": "fam_01900000-0000-7000-8000-000000000002", "url": "file:///x", "bytes": 1,
            "manifest_root": "00".repeat(32), "kms": "https://kms.hospital.example",
            "kms_jwk": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            "key_id": "key_01900000-0000-7000-8000-000000000003", "min_assurance": "hardware",
        }))
        .unwrap()
    }

    #[test]
    fn the_next_version_stays_in_its_family() {
        let description: Description = toml::from_str(include_str!("../../samples/dataset.toml")).unwrap();
        let former = former();
        let next = next(&description, &former);
        assert_eq!((next.version, next.offer_version), (5, 1));
        assert_eq!((next.dataset_id, next.family), (Some(former.dataset_id), Some(former.family)));
    }
}
