//! Croissant metadata as the beginning of an offer: what it says is taken over, what it lacks is named.

use schemas::dataset::{Column, ColumnType, SampleKind, SealedObject};
use schemas::desk::{CroissantCard, CroissantDraft, CroissantGap, CroissantSample};
use schemas::text::Real;
use schemas::{Code, Digest, R, Refusal};

use super::model::{Agent, Croissant, Field, FileObject, OneOrMany, RecordSet};

/// The most columns that are taken over, as in an offer.
const MAX_COLUMNS: usize = 512;
const MAX_FILES: usize = 64;

/// Reads a Croissant document of version 1.0 or 1.1. `CROISSANT_INVALID` where it is none.
pub fn import(text: &[u8]) -> R<CroissantDraft> {
    let bad = |why: String| Refusal::new(Code::CroissantInvalid, why);
    let document: Croissant =
        serde_json::from_slice(text).map_err(|e| bad(format!("this is no Croissant document: {e}")))?;
    let version = |value: &serde_json::Value| {
        let uri = value.as_str().or_else(|| value.get("@id").and_then(|id| id.as_str())).unwrap_or_default();
        ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/1.1"].contains(&uri)
    };
    if !document.conforms_to.clone().into_vec().iter().any(version) {
        return Err(bad("conformsTo names neither Croissant 1.0 nor 1.1".into()).at("conformsTo"));
    }
    if document.name.trim().is_empty() {
        return Err(bad("a dataset has a name".into()).at("name"));
    }
    if document.distribution.len() > MAX_FILES {
        return Err(bad(format!("at most {MAX_FILES} files are read")).at("distribution"));
    }
    Reader::default().read(document)
}

#[derive(Default)]
struct Reader {
    gaps: Vec<CroissantGap>,
}

impl Reader {
    fn gap(&mut self, member: &str, sentence: impl Into<String>) {
        self.gaps.push(CroissantGap { member: member.into(), sentence: sentence.into() });
    }

    fn read(mut self, document: Croissant) -> R<CroissantDraft> {
        let columns = self.columns(document.record_set)?;
        let (sealed, sample) = self.files(document.distribution);
        let mut creators: Vec<String> = document.creator.into_vec().into_iter().map(Agent::into_name).collect();
        if creators.is_empty() {
            self.gap("reference.creators", "the document names no creator");
        }
        creators.truncate(16);
        let licence = words(document.license.into_vec());
        let card = CroissantCard {
            description: Some(document.description).filter(|text| !text.is_empty()),
            collection: joined(document.collection),
            limitations: joined(document.limitations),
            personal_data: joined(document.personal),
            licence: Some(licence).filter(|text| !text.is_empty()),
        };
        self.card_gaps(&card);
        let mut keywords = document.keywords.into_vec();
        keywords.retain(|word| (1..=40).contains(&word.chars().count()));
        keywords.truncate(16);
        let regions = regions(document.spatial.into_vec());
        for (member, sentence) in NEVER_THERE {
            self.gap(member, sentence);
        }
        let (name, gaps) = (document.name, self.gaps);
        Ok(CroissantDraft { name, creators, keywords, regions, columns, sealed, sample, card, gaps })
    }

    fn card_gaps(&mut self, card: &CroissantCard) {
        let parts = [
            (&card.description, "description"),
            (&card.collection, "collection"),
            (&card.limitations, "limitations"),
            (&card.personal_data, "personal_data"),
            (&card.licence, "licence"),
        ];
        for (_, name) in parts.iter().filter(|(text, _)| text.is_none()) {
            self.gap(&format!("data_card.{name}"), "the document says nothing about it");
        }
    }

    fn columns(&mut self, tables: Vec<RecordSet>) -> R<Vec<Column>> {
        if tables.len() > 1 {
            self.gap(
                "columns",
                "the document describes several tables; the first is taken, offer the others separately",
            );
        }
        let Some(table) = tables.into_iter().next() else {
            self.gap("columns", "the document describes no table");
            return Ok(Vec::new());
        };
        if table.field.len() > MAX_COLUMNS {
            let sentence = format!("a table has at most {MAX_COLUMNS} columns");
            return Err(Refusal::new(Code::CroissantInvalid, sentence).at("recordSet"));
        }
        Ok(table.field.into_iter().map(|field| self.column(field)).collect())
    }

    fn column(&mut self, field: Field) -> Column {
        let name =
            if field.name.is_empty() { field.id.rsplit('/').next().unwrap_or_default().into() } else { field.name };
        let kinds = field.data_type.into_vec();
        let is = |names: &[&str]| {
            kinds
                .iter()
                .any(|kind| names.iter().any(|n| kind.ends_with(&format!(":{n}")) || kind.ends_with(&format!("/{n}"))))
        };
        let number = is(&[
            "Integer", "Float", "Number", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64",
            "Float16", "Float32", "Float64",
        ]);
        if !number && !is(&["Text"]) {
            self.gap("columns", format!("column {name} is of the type {}; it is taken as text", kinds.join(", ")));
        }
        let good = name.len() <= 64
            && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good {
            self.gap("columns", format!("column {name:?} needs a name of letters, digits and _"));
        }
        let bound = |text: Option<String>| text.and_then(|text| Real::parse(&text).ok());
        let (lower, upper) = (bound(field.lower), bound(field.upper));
        let bounded = number && lower.is_some() && upper.is_some();
        if number && !bounded {
            self.gap("columns", format!("column {name} has no public bounds; without them it is not trained on"));
        }
        Column {
            name,
            column_type: if number { ColumnType::Number } else { ColumnType::Text },
            lower: lower.filter(|_| bounded),
            upper: upper.filter(|_| bounded),
        }
    }

    /// A file is taken as the plaintext to seal, or as the sealed object, or as the sample if it says so.
    fn files(&mut self, files: Vec<FileObject>) -> (Vec<SealedObject>, Option<CroissantSample>) {
        let (samples, data): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.sample.is_some());
        if data.len() != 1 {
            self.gap(
                "objects",
                format!("an offer has one sealed object, the document has {} files of data", data.len()),
            );
        }
        let sealed: Vec<SealedObject> = data.into_iter().filter_map(object).collect();
        let sample = samples.into_iter().next().and_then(sample);
        if sample.is_none() {
            self.gap(
                "reference.sample",
                "no file is marked as a sample (depa:sample) with its SHA-256; one may be left out",
            );
        }
        (sealed, sample)
    }
}

/// What no Croissant document has.
const NEVER_THERE: [(&str, &str); 6] = [
    ("manifest_root", "comes from sealing the table"),
    ("key", "the key service, its key and the data key come from the provider's own key service"),
    ("public_rows", "the public count of principals is the provider's word"),
    ("usage", "which columns may be read, joined on and predicted is the provider's decision"),
    ("privacy_cap", "how much privacy a contract may spend is the provider's decision"),
    ("payment", "the price is the provider's decision"),
];

fn object(file: FileObject) -> Option<SealedObject> {
    let media_type = file.encoding_format.into_vec().into_iter().next().unwrap_or_default();
    let bytes = file.content_size.as_deref().and_then(size).unwrap_or_default();
    Some(SealedObject { url: file.content_url?, bytes, media_type })
}

fn sample(file: FileObject) -> Option<CroissantSample> {
    let kind = match file.sample.as_deref() {
        Some("synthetic") => SampleKind::Synthetic,
        Some("consented") => SampleKind::Consented,
        _ => return None,
    };
    let sha256 = Digest::parse(file.sha256.as_deref()?).ok()?;
    let SealedObject { url, bytes, media_type } = object(file)?;
    Some(CroissantSample { url, sha256, bytes, media_type, kind })
}

/// `4096`, `4096 B`, `3 KB`: decimal units.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ').unwrap_or((text.trim(), "B"));
    let factor: u64 = match unit.trim() {
        "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Codes of countries among places.
fn regions(places: Vec<serde_json::Value>) -> Vec<String> {
    let name = |place: &serde_json::Value| place.get("name").unwrap_or(place).as_str().map(str::to_owned);
    let country = |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    places.iter().filter_map(name).filter(country).take(32).collect()
}

fn joined(words: Option<OneOrMany<String>>) -> Option<String> {
    words.map(|words| words.into_vec().join("\n")).filter(|text| !text.is_empty())
}

fn words(values: Vec<serde_json::Value>) -> String {
    let word = |value: &serde_json::Value| {
        let inner = ["name", "url", "@id"].iter().find_map(|member| value.get(member).and_then(|v| v.as_str()));
        value.as_str().or(inner).map(str::to_owned)
    };
    values.iter().filter_map(word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITANIC: &str = r#"{"@context": {"@vocab": "https://schema.org/"}, "@type": "sc:Dataset", "name": "Titanic",
        "conformsTo": "http://mlcommons.org/croissant/1.0", "description": "Passengers", "license": "afl-3.0",
        "creator": {"@type": "Person", "name": "A. Person"}, "keywords": "ships",
        "spatialCoverage": [{"@type": "Place", "geo": {"latitude": 1.5}}, "Europe", {"@type": "Place", "name": "IE"}, "GB"],
        "rai:dataCollection": ["Lists", "Inquiries"], "strange": 1.5,
        "distribution": [{"@type": "cr:FileObject", "@id": "p.csv", "name": "p.csv", "contentUrl": "data/p.csv",
            "contentSize": "117743 B", "encodingFormat": "text/csv", "sha256": "00"}],
        "recordSet": [{"@type": "cr:RecordSet", "name": "passengers", "field": [
            {"@type": "cr:Field", "name": "name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "passengers/age", "dataType": ["sc:Float"]},
            {"@type": "cr:Field", "name": "home dest", "dataType": "sc:URL"}]}]}"#;

    fn code(text: &str) -> Code {
        import(text.as_bytes()).unwrap_err().code
    }

    #[test]
    fn a_foreign_document_is_the_beginning_of_an_offer() {
        let draft = import(TITANIC.as_bytes()).unwrap();
        assert_eq!(
            (draft.name.as_str(), draft.creators, draft.keywords),
            ("Titanic", vec!["A. Person".to_owned()], vec!["ships".to_owned()])
        );
        assert_eq!(draft.regions, ["IE", "GB"]);
        let kinds: Vec<_> = draft.columns.iter().map(|c| (c.name.as_str(), c.column_type)).collect();
        assert_eq!(kinds, [("name", ColumnType::Text), ("age", ColumnType::Number), ("home dest", ColumnType::Text)]);
        assert_eq!((draft.sealed.len(), draft.sealed[0].bytes), (1, 117_743));
        assert_eq!(draft.card.collection.as_deref(), Some("Lists\nInquiries"));
        let gaps: Vec<&str> = draft.gaps.iter().map(|gap| gap.member.as_str()).collect();
        for member in
            ["columns", "data_card.limitations", "reference.sample", "payment", "privacy_cap", "manifest_root"]
        {
            assert!(gaps.contains(&member), "{member}: {gaps:?}");
        }
        assert!(!gaps.contains(&"reference.creators") && !gaps.contains(&"data_card.collection"));
    }

    #[test]
    fn what_is_no_croissant_is_refused() {
        assert_eq!(code("{"), Code::CroissantInvalid);
        assert_eq!(code("[]"), Code::CroissantInvalid);
        assert_eq!(code(r#"{"name": "x"}"#), Code::CroissantInvalid);
        assert_eq!(code(&TITANIC.replace("croissant/1.0", "croissant/0.8")), Code::CroissantInvalid);
        assert_eq!(code(&TITANIC.replace("\"Titanic\"", "\" \"")), Code::CroissantInvalid);
        let field = r#"{"@type": "cr:Field", "name": "name", "dataType": "sc:Text"},"#;
        assert_eq!(code(&TITANIC.replace(field, &field.repeat(513))), Code::CroissantInvalid);
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(
            (size("12"), size("12 B"), size("3 KB"), size("x B"), size("1 XB")),
            (Some(12), Some(12), Some(3000), None, None)
        );
    }
}
