//! What is selected, and the comparisons of WHERE.

use schemas::R;
use schemas::pipeline::{ColumnRef, Comparison, Filter};
use sqlparser::ast::{
    BinaryOperator, Expr, SelectItem, SelectItemQualifiedWildcardKind, UnaryOperator, Value, WildcardAdditionalOptions,
};

use super::{Scope, Table, single_name, strip, unsupported};

/// The columns of the result, each once, in the order of the SQL.
pub(crate) fn projection(items: &[SelectItem], scope: &Scope, needed: &[ColumnRef]) -> R<Vec<ColumnRef>> {
    let mut columns: Vec<ColumnRef> = Vec::new();
    let mut push = |column: ColumnRef| {
        if !columns.contains(&column) {
            columns.push(column);
        }
    };
    for item in items {
        match item {
            SelectItem::UnnamedExpr(expression) => push(scope.column(expression)?),
            SelectItem::Wildcard(options) => {
                plain_star(options)?;
                for (handle, table) in &scope.open {
                    star(handle, table, needed).into_iter().for_each(&mut push);
                }
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                plain_star(options)?;
                let name = single_name(name)?;
                let found = scope.open.iter().find(|(handle, _)| *handle == name);
                let (handle, table) =
                    found.ok_or_else(|| unsupported(&format!("{name}.*, which names no table of the query,")))?;
                star(handle, table, needed).into_iter().for_each(&mut push);
            }
            SelectItem::QualifiedWildcard(..) => return Err(unsupported("* of an expression")),
            SelectItem::ExprWithAlias { expr, .. } => {
                scope.column(expr)?;
                return Err(unsupported("a column alias"));
            }
            SelectItem::ExprWithAliases { .. } => return Err(unsupported("a column alias")),
        }
    }
    Ok(columns)
}

/// `*` of a table: the columns that the contract allows, without keys that nothing needs.
fn star(handle: &str, table: &Table, needed: &[ColumnRef]) -> Vec<ColumnRef> {
    let column = |name: &String| ColumnRef { handle: handle.to_owned(), column: name.clone() };
    let open = table.allowed.iter().filter(|c| !table.keys.contains(c)).map(column);
    let further = table.keys.iter().chain(&table.targets).map(column).filter(|c| needed.contains(c));
    open.chain(further).collect()
}

fn plain_star(options: &WildcardAdditionalOptions) -> R<()> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    let more = opt_ilike.is_some() || opt_exclude.is_some() || opt_except.is_some();
    if more || opt_replace.is_some() || opt_rename.is_some() || opt_alias.is_some() {
        return Err(unsupported("an option of *"));
    }
    Ok(())
}

/// Comparisons joined by AND, in order.
pub(crate) fn filters(condition: &Expr, scope: &Scope) -> R<Vec<Filter>> {
    match strip(condition) {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut all = filters(left, scope)?;
            all.extend(filters(right, scope)?);
            Ok(all)
        }
        Expr::BinaryOp { op: BinaryOperator::Or, .. } => Err(unsupported("OR")),
        Expr::BinaryOp { left, op, right } => comparison(left, op, right, scope).map(|f| vec![f]),
        other => Err(unsupported(&construct(other))),
    }
}

fn comparison(left: &Expr, op: &BinaryOperator, right: &Expr, scope: &Scope) -> R<Filter> {
    let op = match op {
        BinaryOperator::Eq => Comparison::Eq,
        BinaryOperator::NotEq => Comparison::Ne,
        BinaryOperator::Lt => Comparison::Lt,
        BinaryOperator::LtEq => Comparison::Le,
        BinaryOperator::Gt => Comparison::Gt,
        BinaryOperator::GtEq => Comparison::Ge,
        other => return Err(unsupported(&format!("the operator {other}"))),
    };
    let (column, op, (value, is_number)) = match (constant(left), constant(right)) {
        (None, Some(value)) => (scope.column(left)?, op, value),
        (Some(value), None) => (scope.column(right)?, flipped(op), value),
        (None, None) => {
            scope.column(left)?;
            scope.column(right)?;
            return Err(unsupported("a comparison of two columns in WHERE"));
        }
        (Some(_), Some(_)) => return Err(unsupported("a comparison of two constants")),
    };
    let as_text = matches!(op, Comparison::Eq | Comparison::Ne);
    if !as_text && !is_number {
        return Err(unsupported("an order comparison with a text"));
    }
    Ok(Filter { column, op, value })
}

/// The comparison seen from its other side.
fn flipped(op: Comparison) -> Comparison {
    match op {
        Comparison::Lt => Comparison::Gt,
        Comparison::Le => Comparison::Ge,
        Comparison::Gt => Comparison::Lt,
        Comparison::Ge => Comparison::Le,
        same => same,
    }
}

/// A constant as a cell's text, and whether it is a number.
fn constant(expression: &Expr) -> Option<(String, bool)> {
    match strip(expression) {
        Expr::Value(value) => match &value.value {
            Value::Number(text, false) => Some((text.clone(), true)),
            Value::SingleQuotedString(text) => Some((text.clone(), false)),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match constant(expr)? {
            (text, true) if !text.starts_with('-') => Some((format!("-{text}"), true)),
            _ => None,
        },
        _ => None,
    }
}

/// What to call an expression that is refused.
pub(crate) fn construct(expression: &Expr) -> String {
    match expression {
        Expr::Function(function) => format!("the function {}", function.name),
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => "a subquery".into(),
        Expr::Case { .. } => "CASE".into(),
        Expr::Cast { .. } => "CAST".into(),
        Expr::Between { .. } => "BETWEEN".into(),
        Expr::InList { .. } => "IN".into(),
        Expr::Like { .. } | Expr::ILike { .. } => "LIKE".into(),
        Expr::IsNull(_) | Expr::IsNotNull(_) => "IS NULL".into(),
        Expr::UnaryOp { op, .. } => format!("the operator {op}"),
        Expr::BinaryOp { op, .. } => format!("the expression with {op}"),
        Expr::Value(_) => "a constant in place of a column".into(),
        _ => "this expression".into(),
    }
}
