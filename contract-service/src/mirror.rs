//! A mirror of the log as `depa audit monitor` keeps it: `checkpoint`, and bodies as `entries/000000000.jsonl`, 1,000 exported
//! entries to a file. Read from a folder, or from a web server that gives the folder out. Nothing in it is believed: the
//! registry checks every signature, record and rule, and the root against the signed checkpoint.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::blocking::Client;
use schemas::log::ExportedEntry;
use schemas::{Code, R, Refusal};

use crate::error::fault;

/// Entries per file of a mirror.
pub const PER_FILE: u64 = 1000;
/// The largest file of a mirror that is read.
const MAX_FILE: u64 = 1024 * 1024 * 1024;
/// How long a server may take for one file.
const PATIENCE: Duration = Duration::from_secs(120);

fn refused(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, why.to_string())
}

/// Where a mirror lies.
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A web server, by the address of the folder, without the last slash.
    Web(Client, String),
}

impl Place {
    /// A folder's path, or an `https://` or `http://` address. The operator names it, so it may lie inside the house.
    pub fn parse(text: &str) -> R<Place> {
        match text.split_once("://") {
            None => Ok(Place::Folder(PathBuf::from(text))),
            Some(("http" | "https", _)) => {
                let client = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
                Ok(Place::Web(client.map_err(fault)?, text.trim_end_matches('/').to_owned()))
            }
            Some((scheme, _)) => Err(refused(format!("{scheme}:// is no mirror; a folder or an http(s) address is"))),
        }
    }

    /// The mirror's checkpoint note. `CONFIG_INVALID` where there is none.
    pub fn checkpoint(&self) -> R<String> {
        let none = || refused(format!("{} is no mirror: it has no checkpoint", self.name("checkpoint")));
        self.file("checkpoint")?.ok_or_else(none)
    }

    fn name(&self, file: &str) -> String {
        match self {
            Place::Folder(dir) => dir.join(file).display().to_string(),
            Place::Web(_, url) => format!("{url}/{file}"),
        }
    }

    /// A file of the mirror; none where it is not there.
    fn file(&self, file: &str) -> R<Option<String>> {
        let name = self.name(file);
        let mut text = String::new();
        let read = match self {
            Place::Folder(dir) => match std::fs::File::open(dir.join(file)) {
                Ok(open) => open.take(MAX_FILE + 1).read_to_string(&mut text),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(e) => Err(e),
            },
            Place::Web(client, url) => {
                let unreachable = |e: reqwest::Error| {
                    Refusal::new(Code::PeerUnreachable, format!("{name} cannot be fetched: {}", e.without_url()))
                };
                let answer = client.get(format!("{url}/{file}")).send().map_err(unreachable)?;
                match answer.status().as_u16() {
                    200 => answer.take(MAX_FILE + 1).read_to_string(&mut text),
                    404 => return Ok(None),
                    status => return Err(Refusal::new(Code::PeerFault, format!("{name} answers with {status}"))),
                }
            }
        };
        read.map_err(|e| refused(format!("{name}: {e}")))?;
        if text.len() as u64 > MAX_FILE {
            return Err(refused(format!("{name} is too large")));
        }
        Ok(Some(text))
    }
}

/// The entries of a mirror, in order.
pub struct Mirror {
    place: Place,
    first: u64,
    lines: std::vec::IntoIter<String>,
}

impl Mirror {
    /// From the first entry on.
    pub fn new(place: Place) -> Mirror {
        Mirror { place, first: 0, lines: Vec::new().into_iter() }
    }

    /// The next file's lines; none at the end.
    fn turn(&mut self) -> R<bool> {
        let Some(text) = self.place.file(&format!("entries/{:09}.jsonl", self.first))? else { return Ok(false) };
        if text.lines().nth(PER_FILE as usize).is_some() {
            let sentence =
                format!("the mirror's file of the entries from {} on has more than {PER_FILE} lines", self.first);
            return Err(Refusal::new(Code::LimitExceeded, sentence));
        }
        self.lines = text.lines().map(str::to_owned).collect::<Vec<_>>().into_iter();
        self.first += PER_FILE;
        Ok(true)
    }
}

impl Iterator for Mirror {
    type Item = R<ExportedEntry>;

    fn next(&mut self) -> Option<R<ExportedEntry>> {
        loop {
            if let Some(line) = self.lines.next() {
                return Some(schemas::canonical::parse(line.as_bytes()));
            }
            match self.turn() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(refusal) => return Some(Err(refusal)),
            }
        }
    }
}
