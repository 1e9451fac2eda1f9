//! Platform levels: AMD's minimums as dated data, compiled in or brought signed by the SRO; never constants in code.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use schemas::platform::{PlatformData, PlatformLevel, PlatformRules, Product, Requirement};
use schemas::problem::{Code, R, Refusal};
use schemas::{Digest, Signed, Timestamp, canonical};

/// The rules of this release.
const EMBEDDED: &str = include_str!("../data/amd.json");
/// Rules as JSON are not larger than this.
const MAX_RULES: usize = 64 * 1024;
const MAX_REQUIREMENTS: usize = 128;
const MAX_LEVELS: usize = 16;
const MAX_TEXT: usize = 500;

/// Checked platform rules, from which levels are taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlatformTable {
    rules: PlatformRules,
    sha256: Digest,
}

impl PlatformTable {
    /// The rules compiled in.
    pub fn embedded() -> R<PlatformTable> {
        static READ: OnceLock<R<PlatformTable>> = OnceLock::new();
        READ.get_or_init(|| PlatformTable::read(EMBEDDED.as_bytes())).clone()
    }

    /// Newer rules than those held, signed by two SRO people.
    ///
    /// [`Signed`] says that the caller verified every signature (crate `signing`); that the signers are SRO people is
    /// the caller's check too (`Trust::two_people`). Here: at least two of them, the form, and that neither version nor
    /// date goes back.
    pub fn signed(data: &Signed<PlatformData>, held: &PlatformTable) -> R<PlatformTable> {
        if data.signers().len() < 2 {
            return Err(Refusal::new(Code::TwoPeopleNeeded, "platform data is signed by two SRO people"));
        }
        let table = PlatformTable::checked(data.rules.clone())?;
        table.follows(held)?;
        Ok(table)
    }

    /// Reads rules strictly: no duplicate or unknown members, within the limits, consistent.
    pub(crate) fn read(bytes: &[u8]) -> R<PlatformTable> {
        if bytes.len() > MAX_RULES {
            return Err(bad("the rules are larger than 64 KiB"));
        }
        PlatformTable::checked(canonical::parse(bytes)?)
    }

    fn checked(rules: PlatformRules) -> R<PlatformTable> {
        let bytes = canonical::to_bytes(&rules)?;
        if bytes.len() > MAX_RULES {
            return Err(bad("the rules are larger than 64 KiB"));
        }
        check(&rules)?;
        Ok(PlatformTable { sha256: Digest::of(&bytes), rules })
    }

    /// Refuses to go back: a higher version that is not older, or the very same rules.
    pub(crate) fn follows(&self, held: &PlatformTable) -> R<()> {
        let newer = self.rules.version > held.rules.version && self.rules.issued_at >= held.rules.issued_at;
        if !newer && self.sha256 != held.sha256 {
            let sentence =
                format!("platform data of version {} does not follow version {}", self.version(), held.version());
            return Err(Refusal::new(Code::ConfigInvalid, sentence).at("version"));
        }
        Ok(())
    }

    /// Their version.
    pub fn version(&self) -> u32 {
        self.rules.version
    }

    /// When they were written.
    pub fn issued_at(&self) -> Timestamp {
        self.rules.issued_at
    }

    /// SHA-256 of the rules as canonical JSON.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// The level of this name.
    pub fn level(&self, name: &str) -> R<Level> {
        let Some(rules) = self.rules.levels.iter().find(|l| l.name == name) else {
            let names: Vec<&str> = self.rules.levels.iter().map(|l| l.name.as_str()).collect();
            let sentence = format!("the platform levels are {}", names.join(", "));
            return Err(Refusal::new(Code::ConfigInvalid, sentence));
        };
        let listed = |r: &&Requirement| rules.requirements.contains(&r.id);
        let requirements = self.rules.requirements.iter().filter(listed).cloned().collect();
        Ok(Level { rules: rules.clone(), requirements, data_sha256: self.sha256 })
    }
}

/// A named platform level with its requirements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Level {
    pub(crate) rules: PlatformLevel,
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) data_sha256: Digest,
}

impl Level {
    /// The level of this name in the rules compiled in: `baseline`, `2026` or `strict`.
    pub fn named(name: &str) -> R<Level> {
        PlatformTable::embedded()?.level(name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.rules.name
    }

    /// What it asks of a product, given whether SMT is on.
    pub(crate) fn asks(&self, product: Product, smt: bool) -> impl Iterator<Item = &Requirement> {
        self.requirements.iter().filter(move |r| r.product == product && (smt || !r.only_with_smt))
    }
}

fn bad(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("platform data: {}", sentence.into()))
}

/// The consistency that the verdicts rest on.
fn check(rules: &PlatformRules) -> R<()> {
    if rules.version == 0 {
        return Err(bad("versions start with 1"));
    }
    if rules.requirements.len() > MAX_REQUIREMENTS || rules.levels.len() > MAX_LEVELS || rules.levels.is_empty() {
        return Err(bad("1 to 16 levels and at most 128 requirements"));
    }
    let mut ids = BTreeSet::new();
    for requirement in &rules.requirements {
        check_requirement(requirement)?;
        if !ids.insert(requirement.id.as_str()) {
            return Err(bad(format!("{} stands there twice", requirement.id)));
        }
    }
    let mut names = BTreeSet::new();
    for level in &rules.levels {
        check_level(level, rules)?;
        if !names.insert(level.name.as_str()) {
            return Err(bad(format!("level {} stands there twice", level.name)));
        }
    }
    Ok(())
}

fn check_requirement(requirement: &Requirement) -> R<()> {
    let of = |text: &str| bad(format!("{}: {text}", requirement.id));
    if !is_name(&requirement.id) {
        return Err(bad("a requirement is named by lower-case letters, digits, - and _"));
    }
    if requirement.bulletin.is_empty() || requirement.bulletin.len() > 64 || requirement.note.len() > MAX_TEXT {
        return Err(of("it names its bulletin (64 characters) and says why (500)"));
    }
    if !requirement.published.iter().chain([&requirement.collected]).all(|d| is_date(d)) {
        return Err(of("dates are written YYYY-MM-DD"));
    }
    let asks_tcb = requirement.tcb.is_some_and(|t| t != Default::default());
    if requirement.tcb.is_some_and(|t| t.fmc != 0) && requirement.product != Product::Turin {
        return Err(of("only Turin has a firmware management controller"));
    }
    let asks_more = requirement.firmware.is_some()
        || !requirement.platform_info.is_empty()
        || !requirement.guest_policy.is_empty()
        || requirement.mitigation.is_some_and(|m| m != 0);
    if !asks_tcb && !asks_more {
        return Err(of("it asks for nothing"));
    }
    Ok(())
}

fn check_level(level: &PlatformLevel, rules: &PlatformRules) -> R<()> {
    let of = |text: String| bad(format!("level {}: {text}", level.name));
    if !is_name(&level.name) || level.note.len() > MAX_TEXT {
        return Err(bad("a level is named by lower-case letters, digits, - and _, its note has 500 characters"));
    }
    if level.products.is_empty() || !level.products.is_sorted_by(|a, b| a < b) {
        return Err(of("products are listed in order, each once, at least one".to_owned()));
    }
    let known = |v: &u32| (2..=5).contains(v);
    if level.report_versions.is_empty()
        || !level.report_versions.iter().all(known)
        || !level.report_versions.is_sorted_by(|a, b| a < b)
    {
        return Err(of("report versions are 2 to 5, in order, each once".to_owned()));
    }
    let mut seen = BTreeSet::new();
    for id in &level.requirements {
        let found = rules.requirements.iter().find(|r| r.id == *id);
        let requirement = found.ok_or_else(|| of(format!("{id} is no requirement")))?;
        if !level.products.contains(&requirement.product) || !seen.insert(id) {
            return Err(of(format!("{id} is of another product, or stands there twice")));
        }
    }
    let bounded = |product: &Product| {
        let of_product = |r: &&Requirement| level.requirements.contains(&r.id) && r.product == *product;
        rules.requirements.iter().filter(of_product).any(|r| !r.only_with_smt && r.tcb.is_some())
    };
    match level.products.iter().find(|p| !bounded(p)) {
        Some(product) => Err(of(format!("it asks no least TCB of {}", product.name()))),
        None => Ok(()),
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && Timestamp::parse(&format!("{text}T00:00:00Z")).is_ok()
}
