//! Descriptions of tables, in the form that `depa dataset seal` and `depa train local` read.

use std::fmt::Write as _;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// A number between public bounds.
    Number(&'static str, &'static str),
    /// A picture of 8 bits per channel.
    Image,
}

/// A table as its provider describes it.
#[derive(Clone, PartialEq, Debug)]
pub struct Description {
    /// A name for people.
    pub name: String,
    /// The columns that are sealed.
    pub columns: Vec<(&'static str, Kind)>,
    /// The principal's key; it is the only join key.
    pub key: &'static str,
    /// The target, where it is in this table.
    pub target: Option<&'static str>,
    /// The public count of people.
    pub rows: u64,
    /// The most that contracts may reveal.
    pub epsilon: String,
    /// At this δ.
    pub delta: String,
    /// What it is.
    pub about: String,
}

impl Description {
    /// The form, in TOML.
    pub fn toml(&self) -> String {
        let read = |(name, _): &(&'static str, Kind)| *name != self.key && Some(*name) != self.target;
        let allowed: Vec<&str> = self.columns.iter().filter(|c| read(c)).map(|(name, _)| *name).collect();
        let targets: Vec<&str> = self.target.into_iter().collect();
        let mut text = format!(
            "# What is sealed of this table, and on which terms. The address of the key service is to be replaced.\n\
             name = {:?}\nkms = \"http://127.0.0.1:8701\"\nmin_assurance = \"software\"\npublic_rows = {}\n\n",
            self.name, self.rows
        );
        for (name, kind) in &self.columns {
            let bounded = |kind: &str, lower: &str, upper: &str| {
                format!("type = \"{kind}\"\nlower = \"{lower}\"\nupper = \"{upper}\"\n")
            };
            let kind = match kind {
                Kind::Text => "type = \"text\"\n".to_owned(),
                Kind::Number(lower, upper) => bounded("number", lower, upper),
                Kind::Image => bounded("image", "0", "255"),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "[[columns]]\nname = \"{name}\"\n{kind}");
        }
        let _ = writeln!(
            text,
            "[usage]\nallowed_columns = {allowed:?}\njoin_keys = {:?}\ntarget_columns = {targets:?}\n",
            [self.key]
        );
        let _ = writeln!(
            text,
            "[cap]\nepsilon = \"{}\"\ndelta = \"{}\"\nscope = \"per_tdc\"\n\n\
             [card]\ndescription = {:?}\ncollection = \"made by a seeded generator, or the published synthetic tables\"\n\
             limitations = \"shows how a run goes; says nothing about anybody\"\npersonal_data = \"none: no such people\"\n\
             licence = \"CC0-1.0\"",
            self.epsilon, self.delta, self.about
        );
        text
    }
}
