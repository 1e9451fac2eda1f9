//! What a job reads of each table, and as what: keys and texts are compared as text, numbers as numbers, pictures are
//! carried beside the join.

use schemas::pipeline::{ColumnRef, Comparison, FeatureForm, Join, JoinKind, Labels, Training};

/// As what a column is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// A key: text; an empty cell is none and meets nothing.
    Key,
    /// Text, compared exactly.
    Text,
    /// A number, missing where the cell is none.
    Number,
    /// Bytes, which the engine never sees.
    Raw,
}

/// A column of a table, read as something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Use {
    /// Whose column.
    pub column: ColumnRef,
    /// As what.
    pub role: Role,
}

impl Use {
    /// One use.
    pub fn new(column: &ColumnRef, role: Role) -> Use {
        Use { column: column.clone(), role }
    }

    /// The column's name in the engine.
    pub fn name(&self) -> String {
        let role = match self.role {
            Role::Key => "key",
            Role::Text => "text",
            Role::Number => "number",
            Role::Raw => "raw",
        };
        format!("{role}:{}", self.column.column)
    }
}

/// Tables whose rows stand below those of the first one, with their keys.
pub fn united(join: &Join) -> impl Iterator<Item = &schemas::pipeline::JoinStep> {
    join.steps.iter().filter(|step| step.kind == JoinKind::Union)
}

/// What a training takes of each row: its features in order, then its target.
pub fn taken(training: &Training) -> Vec<Use> {
    let feature = |form: &Option<FeatureForm>| match form {
        None => Role::Number,
        Some(FeatureForm::Values { .. }) => Role::Text,
        Some(FeatureForm::Image { .. }) => Role::Raw,
    };
    let target = match training.labels {
        None | Some(Labels::Classes { .. }) => Role::Text,
        Some(Labels::Number { .. }) => Role::Number,
        Some(Labels::Mask { .. }) => Role::Raw,
    };
    let features = training.features.iter().map(|f| Use::new(&f.column, feature(&f.form)));
    features.chain([Use::new(&training.target, target)]).collect()
}

/// Everything that a job reads, each once.
pub fn uses(join: &Join, training: &Training) -> Vec<Use> {
    let mut all = taken(training);
    all.push(Use::new(&training.principal, Role::Key));
    all.extend(join.steps.iter().flat_map(|step| [&step.left, &step.right]).map(|key| Use::new(key, Role::Key)));
    all.extend(join.filters.iter().map(|filter| {
        let text = matches!(filter.op, Comparison::Eq | Comparison::Ne);
        Use::new(&filter.column, if text { Role::Text } else { Role::Number })
    }));
    all.extend(join.aggregates.iter().map(|aggregate| Use::new(&aggregate.column, Role::Number)));
    for step in united(join) {
        let first = all.iter().filter(|used| used.column.handle == join.first && used.role != Role::Key);
        let below: Vec<Use> = first
            .map(|used| Use {
                column: ColumnRef { handle: step.handle.clone(), column: used.column.column.clone() },
                role: used.role,
            })
            .collect();
        all.extend(below);
    }
    all.sort();
    all.dedup();
    all
}

/// The keys of a table by which it is joined, each once.
pub fn keys<'a>(join: &'a Join, handle: &str) -> Vec<&'a ColumnRef> {
    let mut keys: Vec<&ColumnRef> =
        join.steps.iter().flat_map(|step| [&step.left, &step.right]).filter(|key| key.handle == handle).collect();
    keys.sort();
    keys.dedup();
    keys
}
