//! Published tiles (C2SP tlog-tiles) against the tree of the entries: the first hash that differs names its entry.

use contract_client::Client;
use policies::lifecycle::Completed;
use schemas::{Code, Digest, R, Refusal};

use super::tampered;

/// Hashes in a full tile.
pub const WIDTH: usize = 256;

/// A place where tiles lie.
pub trait Tiles {
    /// A tile by its path below `tile/`; `None` where it is not there.
    fn tile(&self, path: &str) -> R<Option<Vec<u8>>>;
    /// Told of every tile that was found to be that of the entries.
    fn found_good(&self, _path: &str, _bytes: &[u8]) -> R<()> {
        Ok(())
    }
}

impl Tiles for Client {
    fn tile(&self, path: &str) -> R<Option<Vec<u8>>> {
        match Client::tile(self, path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(refusal) if refusal.code == Code::NotFound => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }
}

/// The path of a tile: level, index in groups of three digits, `.p/W` for one of fewer than 256 hashes.
pub fn path(level: &str, index: u64, width: usize) -> String {
    let mut groups = vec![format!("{:03}", index % 1000)];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    let partial = if width < WIDTH { format!(".p/{width}") } else { String::new() };
    format!("{level}/{}{partial}", groups.join("/"))
}

/// The tree as it grows, and what is done with each tile of it.
#[derive(Default)]
pub struct Builder {
    /// Per tile level the number of full tiles, and the hashes of the one that is not full.
    rows: Vec<(u64, Vec<Digest>)>,
}

impl Builder {
    /// Takes the subtrees that an entry completes; tells every tile that becomes full.
    pub fn push(&mut self, completed: &Completed, full: &mut dyn FnMut(&str, &[Digest]) -> R<()>) -> R<()> {
        for (level, _, hash) in completed.iter().filter(|(level, ..)| level % 8 == 0) {
            let row = usize::from(level / 8);
            if self.rows.len() <= row {
                self.rows.resize_with(row + 1, Default::default);
            }
            let (tiles, hashes) = &mut self.rows[row];
            hashes.push(*hash);
            if hashes.len() == WIDTH {
                full(&path(&row.to_string(), *tiles, WIDTH), hashes)?;
                *tiles += 1;
                hashes.clear();
            }
        }
        Ok(())
    }

    /// The tiles that are not full.
    pub fn partial(&self) -> impl Iterator<Item = (String, &[Digest])> {
        let rows = self.rows.iter().enumerate().filter(|(_, (_, hashes))| !hashes.is_empty());
        rows.map(|(row, (tiles, hashes))| (path(&row.to_string(), *tiles, hashes.len()), hashes.as_slice()))
    }
}

/// Compares published tiles with the tree.
pub struct Check {
    tiles: Box<dyn Tiles>,
    builder: Builder,
    compared: u64,
}

impl Check {
    /// Compares with these tiles.
    pub fn new(tiles: Box<dyn Tiles>) -> Check {
        Check { tiles, builder: Builder::default(), compared: 0 }
    }

    /// Takes the subtrees that an entry completes.
    pub fn push(&mut self, completed: &Completed) -> R<()> {
        let (tiles, compared) = (&self.tiles, &mut self.compared);
        self.builder.push(completed, &mut |path, hashes| {
            *compared += 1;
            compare(tiles.as_ref(), path, hashes)
        })
    }

    /// Compares the tiles that are not full; returns how many tiles were compared.
    pub fn edge(&self) -> R<u64> {
        let mut compared = self.compared;
        for (path, hashes) in self.builder.partial() {
            compare(self.tiles.as_ref(), &path, hashes)?;
            compared += 1;
        }
        Ok(compared)
    }
}

pub(super) fn compare(tiles: &dyn Tiles, path: &str, hashes: &[Digest]) -> R<()> {
    let published =
        tiles.tile(path)?.ok_or_else(|| Refusal::new(Code::LogTampered, format!("tile {path} is not there")))?;
    let expected = hashes.iter().flat_map(|h| h.0);
    if published.iter().copied().eq(expected) {
        return tiles.found_good(path, &published);
    }
    let differs = hashes.iter().zip(published.chunks(32)).position(|(hash, other)| hash.0 != *other);
    let at = differs.unwrap_or(hashes.len().min(published.len() / 32));
    match entry_of(path, at as u64) {
        Some(entry) => Err(tampered(format!("entry {entry}: tile {path} has another leaf for it"))),
        None => Err(tampered(format!("tile {path}: its hash {at} is not that of the entries"))),
    }
}

/// The entry whose leaf is this hash of a tile of the lowest level.
fn entry_of(path: &str, at: u64) -> Option<u64> {
    let index = path.strip_prefix("0/")?.split(".p/").next()?;
    let digits: String = index.chars().filter(char::is_ascii_digit).collect();
    Some(digits.parse::<u64>().ok()? * WIDTH as u64 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        for (index, width, expected) in
            [(0, 256, "0/000"), (7, 3, "0/007.p/3"), (1_234_067, 256, "0/x001/x234/067"), (1_000, 1, "0/x001/000.p/1")]
        {
            let path = path("0", index, width);
            assert_eq!(path, expected);
            assert_eq!(entry_of(&path, 2), Some(index * 256 + 2));
        }
        assert_eq!(entry_of("1/000", 0), None);
    }

    #[test]
    fn tiles_of_a_tree() {
        let mut frontier = policies::lifecycle::Frontier::default();
        let mut builder = Builder::default();
        let mut full = Vec::new();
        for n in 0..600u64 {
            let mut completed = Vec::new();
            frontier.push(Digest::of(&n.to_be_bytes()), |level, index, hash| completed.push((level, index, hash)));
            builder
                .push(&completed, &mut |path, hashes| {
                    full.push((path.to_owned(), hashes.len()));
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(full, [("0/000".to_owned(), 256), ("0/001".to_owned(), 256)]);
        let partial: Vec<_> = builder.partial().map(|(path, hashes)| (path, hashes.len())).collect();
        assert_eq!(partial, [("0/002.p/88".to_owned(), 88), ("1/000.p/2".to_owned(), 2)]);
    }
}
