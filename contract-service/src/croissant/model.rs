//! The part of Croissant 1.1 that an offer has something to say to. Unknown members of foreign documents are passed
//! over; the names are those of the standard's JSON-LD context.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One value or a list of them, as JSON-LD allows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// Several.
    Many(Vec<T>),
    /// One.
    One(T),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        OneOrMany::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    /// All values.
    pub fn into_vec(self) -> Vec<T> {
        match self {
            OneOrMany::Many(all) => all,
            OneOrMany::One(one) => vec![one],
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, OneOrMany::Many(all) if all.is_empty())
    }
}

/// A person or organisation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Agent {
    /// With a type.
    Named {
        /// `Organization` or `Person`.
        #[serde(rename = "@type", default)]
        kind: String,
        /// Its name.
        name: String,
    },
    /// A bare name.
    Text(String),
}

impl Agent {
    /// The name.
    pub fn into_name(self) -> String {
        match self {
            Agent::Named { name, .. } | Agent::Text(name) => name,
        }
    }
}

/// `sc:Dataset`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Croissant {
    /// The JSON-LD context.
    #[serde(rename = "@context", default)]
    pub context: Value,
    /// `sc:Dataset`.
    #[serde(rename = "@type", default)]
    pub kind: String,
    /// Its id.
    #[serde(rename = "@id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `http://mlcommons.org/croissant/1.1`, and further profiles.
    #[serde(rename = "conformsTo", alias = "dct:conformsTo", default)]
    pub conforms_to: OneOrMany<Value>,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Description.
    #[serde(default)]
    pub description: String,
    /// Identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Value>,
    /// Version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Value>,
    /// Licence.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub license: OneOrMany<Value>,
    /// Address of the dataset's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub creator: OneOrMany<Agent>,
    /// Where its people live: places named by the ISO 3166 code of a country; others are passed over.
    #[serde(rename = "spatialCoverage", default, skip_serializing_if = "OneOrMany::is_empty")]
    pub spatial: OneOrMany<Value>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub keywords: OneOrMany<String>,
    /// When it was published.
    #[serde(rename = "datePublished", default, skip_serializing_if = "Option::is_none")]
    pub date_published: Option<String>,
    /// How to cite it.
    #[serde(rename = "citeAs", default, skip_serializing_if = "Option::is_none")]
    pub cite_as: Option<String>,
    /// Whether what lies at the addresses may change: a new version may be sealed there.
    #[serde(rename = "isLiveDataset", default, skip_serializing_if = "Option::is_none")]
    pub is_live: Option<bool>,
    /// Files.
    #[serde(default)]
    pub distribution: Vec<FileObject>,
    /// Tables.
    #[serde(rename = "recordSet", default)]
    pub record_set: Vec<RecordSet>,
    /// Terms of use, an `odrl:Offer`.
    #[serde(rename = "usageInfo", default, skip_serializing_if = "Option::is_none")]
    pub usage_info: Option<Value>,
    /// How it was collected.
    #[serde(rename = "rai:dataCollection", default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<OneOrMany<String>>,
    /// What it is not good for.
    #[serde(rename = "rai:dataLimitations", default, skip_serializing_if = "Option::is_none")]
    pub limitations: Option<OneOrMany<String>>,
    /// What it is good for.
    #[serde(rename = "rai:dataUseCases", default, skip_serializing_if = "Option::is_none")]
    pub use_cases: Option<OneOrMany<String>>,
    /// Personal and sensitive data in it.
    #[serde(rename = "rai:personalSensitiveInformation", default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<OneOrMany<String>>,
    /// Terms of this house.
    #[serde(rename = "depa:offer", default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Value>,
}

/// `cr:FileObject` (a `cr:FileSet` is read as one without address).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct FileObject {
    /// Its id.
    #[serde(rename = "@id", default)]
    pub id: String,
    /// `cr:FileObject`.
    #[serde(rename = "@type", default)]
    pub kind: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it lies.
    #[serde(rename = "contentUrl", default, skip_serializing_if = "Option::is_none")]
    pub content_url: Option<String>,
    /// Size, like `4096 B`.
    #[serde(rename = "contentSize", default, skip_serializing_if = "Option::is_none")]
    pub content_size: Option<String>,
    /// Media type.
    #[serde(rename = "encodingFormat", default)]
    pub encoding_format: OneOrMany<String>,
    /// SHA-256 of its bytes, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The Merkle root of a sealed object.
    #[serde(rename = "depa:manifestRoot", default, skip_serializing_if = "Option::is_none")]
    pub manifest_root: Option<String>,
    /// `synthetic` or `consented`: a sample, not the data.
    #[serde(rename = "depa:sample", default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
}

/// `cr:RecordSet`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RecordSet {
    /// Its id.
    #[serde(rename = "@id", default)]
    pub id: String,
    /// `cr:RecordSet`.
    #[serde(rename = "@type", default)]
    pub kind: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Columns.
    #[serde(default)]
    pub field: Vec<Field>,
}

/// `cr:Field`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Field {
    /// Its id.
    #[serde(rename = "@id", default)]
    pub id: String,
    /// `cr:Field`.
    #[serde(rename = "@type", default)]
    pub kind: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Like `sc:Text`.
    #[serde(rename = "dataType", default)]
    pub data_type: OneOrMany<String>,
    /// Where it is read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Value>,
    /// Public lower bound.
    #[serde(rename = "depa:lower", default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<String>,
    /// Public upper bound.
    #[serde(rename = "depa:upper", default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<String>,
}
