//! The subset of Rego that a document may use. What is left out could reach outside, or make much of little: a value
//! that doubles at every line ends as more memory than there is, long before a step counter or a clock would notice.

use std::collections::BTreeSet;

use serde_json::Value;

/// The most rules of a document.
pub(crate) const MAX_RULES: usize = 128;
/// The package of every document.
pub(crate) const PACKAGE: &str = "depa.rules";

/// Functions that a document may call besides its own: none reaches outside, none makes much of little.
pub(crate) const FUNCTIONS: [&str; 32] = [
    "abs",
    "all",
    "any",
    "ceil",
    "contains",
    "count",
    "endswith",
    "floor",
    "indexof",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "lower",
    "max",
    "min",
    "object.get",
    "object.keys",
    "round",
    "sort",
    "split",
    "startswith",
    "substring",
    "sum",
    "trim",
    "trim_prefix",
    "trim_space",
    "trim_suffix",
    "upper",
];

/// Which of the three rules of an answer a document has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub deny: bool,
    pub obligations: bool,
}

/// The deepest nesting of brackets. The parser tries each opening bracket in several ways, so its time doubles with each.
pub(crate) const MAX_DEPTH: usize = 8;

/// How deep brackets are nested, outside of texts and comments.
pub(crate) fn depth(text: &str) -> usize {
    let (mut deepest, mut now, mut quote) = (0usize, 0usize, None);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some('"'), '\\') => {
                characters.next();
            }
            // A text in quotes ends with its line at the latest, a comment always does.
            (Some('"' | '#'), '\n') => quote = None,
            (Some(open), _) if open == c && open != '#' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`' | '#') => quote = Some(c),
            (None, '[' | '{' | '(') => {
                now += 1;
                deepest = deepest.max(now);
            }
            (None, ']' | '}' | ')') => now = now.saturating_sub(1),
            (None, _) => {}
        }
    }
    deepest
}

/// Checks a document's syntax tree, as `regorus` tells it. The error is the end of a sentence.
pub(crate) fn check(tree: &str) -> Result<Rules, String> {
    // The reader gives up at 128 levels: a document that is nested so deep is none.
    let tree: Value = serde_json::from_str(tree).map_err(|_| "is nested too deep".to_owned())?;
    let ast = tree.pointer("/0/ast").ok_or("has no syntax tree")?;
    let package = ast.pointer("/package/refr").and_then(path);
    if package.as_deref() != Some(PACKAGE) {
        return Err(format!("is not of package {PACKAGE}"));
    }
    for import in ast["imports"].as_array().into_iter().flatten() {
        if path(&import["refr"]).as_deref() != Some("rego.v1") || import.get("as").is_some_and(|v| !v.is_null()) {
            return Err("imports something else than rego.v1".into());
        }
    }
    let rules = ast["rules"].as_array().ok_or("has no rules")?;
    if rules.len() > MAX_RULES {
        return Err(format!("has more than {MAX_RULES} rules"));
    }
    let names: BTreeSet<String> = rules.iter().filter_map(name).collect();
    if !names.contains("allow") {
        return Err("has no rule allow".into());
    }
    let functions: BTreeSet<String> = rules.iter().filter_map(function).collect();
    if let Some(shadow) = functions.iter().find(|name| FUNCTIONS.contains(&name.as_str())) {
        return Err(format!("defines {shadow}, which has a meaning already"));
    }
    rules.iter().try_for_each(|rule| walk(rule, &functions))?;
    Ok(Rules { deny: names.contains("deny"), obligations: names.contains("obligations") })
}

/// The name of a rule.
fn name(rule: &Value) -> Option<String> {
    let head = rule.pointer("/Default/refr").or_else(|| {
        let head = rule.pointer("/Spec/head")?;
        head.as_object()?.values().next()?.get("refr")
    })?;
    // `deny contains x` and `deny[x]` are both rules of `deny`.
    let whole = path(head).or_else(|| path(head.pointer("/RefBrack/refr")?))?;
    whole.split('.').next().map(str::to_owned)
}

/// The name of a rule that is a function.
fn function(rule: &Value) -> Option<String> {
    path(rule.pointer("/Spec/head/Func/refr")?)
}

/// `a.b.c` of a reference that is nothing but names.
fn path(reference: &Value) -> Option<String> {
    if let Some(name) = reference.pointer("/Var/value") {
        return name.as_str().map(str::to_owned);
    }
    let dot = reference.get("RefDot")?;
    let field = dot.pointer("/field/1")?.as_str()?;
    Some(format!("{}.{field}", path(dot.get("refr")?)?))
}

/// Everything below a node. The depth is bounded by the reader of the tree.
fn walk(node: &Value, functions: &BTreeSet<String>) -> Result<(), String> {
    match node {
        Value::Array(list) => list.iter().try_for_each(|item| walk(item, functions)),
        Value::Object(members) => {
            for (name, value) in members {
                match name.as_str() {
                    "Call" => call(&value["fcn"], functions)?,
                    "ArithExpr" => arithmetic(&value["op"])?,
                    "Number" => number(&value["value"])?,
                    "with_mods" if value.as_array().is_some_and(|mods| !mods.is_empty()) => {
                        return Err("uses with".into());
                    }
                    _ => {}
                }
                walk(value, functions)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn call(function: &Value, functions: &BTreeSet<String>) -> Result<(), String> {
    let name = path(function).ok_or("calls something that is no name")?;
    if FUNCTIONS.contains(&name.as_str()) || functions.contains(&name) {
        return Ok(());
    }
    Err(format!("calls {name}, which is not allowed"))
}

/// Sums grow by one bit per step; products would double their length.
fn arithmetic(op: &Value) -> Result<(), String> {
    match op.as_str() {
        Some("Add" | "Sub") => Ok(()),
        _ => Err("uses another arithmetic than + and -".into()),
    }
}

fn number(value: &Value) -> Result<(), String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value.as_f64() {
        Some(number) if number.abs() < EXACT => Ok(()),
        _ => Err("has a number beyond 2^53".into()),
    }
}
