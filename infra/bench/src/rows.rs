//! What was measured: rows with a goal, a peer's figure from the same run, and whether the goal was met.

use serde::Serialize;
use serde_json::json;

/// Which way a figure is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// Rates.
    More,
    /// Times and sizes.
    Less,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What it is, with its unit.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// What it should be; none for a figure that only stands beside.
    pub goal: Option<f64>,
    /// The peer's figure of the same run.
    pub peer: Option<f64>,
    /// How many times better than the peer; above 1 is better.
    pub ratio: Option<f64>,
    /// Whether the goal was met; none without a goal.
    pub met: Option<bool>,
}

impl Row {
    /// A figure with a goal.
    pub fn new(name: impl Into<String>, value: f64, goal: f64, better: Better) -> Row {
        let met = match better {
            Better::More => value >= goal,
            Better::Less => value <= goal,
        };
        Row { name: name.into(), value: round(value), goal: Some(goal), peer: None, ratio: None, met: Some(met) }
    }

    /// A figure beside the others.
    pub fn beside(name: impl Into<String>, value: f64) -> Row {
        Row { name: name.into(), value: round(value), goal: None, peer: None, ratio: None, met: None }
    }

    /// With the rate of a peer, where it could be measured.
    pub fn against(mut self, peer: Option<f64>) -> Row {
        self.peer = peer.map(round);
        self.ratio = peer.filter(|p| *p > 0.0).map(|p| round(self.value / p));
        self
    }
}

fn round(value: f64) -> f64 {
    if value.abs() >= 100.0 { value.round() } else { (value * 1000.0).round() / 1000.0 }
}

/// The rows as one line of JSON.
pub fn json(rows: &[Row]) -> String {
    json!({ "rows": rows }).to_string()
}

/// The rows for people.
pub fn table(rows: &[Row]) -> String {
    let mut out = format!("{:<64} {:>12} {:>12} {:>12} {:>8}  met\n", "figure", "value", "goal", "peer", "ratio");
    for row in rows {
        let number = |n: Option<f64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
        let met = row.met.map_or("–", |met| if met { "yes" } else { "no" });
        out.push_str(&format!(
            "{:<64} {:>12} {:>12} {:>12} {:>8}  {met}\n",
            row.name,
            row.value,
            number(row.goal),
            number(row.peer),
            number(row.ratio)
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_in_its_own_direction() {
        assert_eq!(Row::new("rate", 10.0, 5.0, Better::More).met, Some(true));
        assert_eq!(Row::new("time", 10.0, 5.0, Better::Less).met, Some(false));
        assert_eq!(Row::beside("x", 1.0).against(Some(0.0)).ratio, None);
        assert_eq!(Row::beside("x", 10.0).against(Some(4.0)).ratio, Some(2.5));
    }
}
