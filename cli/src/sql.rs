//! SQL to a typed join, once, on the TDC's own machine. What is not understood is refused by name: nothing downstream
//! ever sees SQL, and the signed job carries the [`Join`] alone.
//!
//! Understood: `SELECT columns | * FROM t [AS] a [INNER | LEFT [OUTER]] JOIN u [AS] b ON a.k = b.k … [WHERE a.c = 'x' AND …]`.
//! Names are compared exactly. `=` and `<>` compare cells as text, the other comparisons as numbers.

mod select;

use schemas::pipeline::{ColumnRef, Filter, Join, JoinKind, JoinStep};
use schemas::{Code, R, Refusal};
use sqlparser::ast::{
    BinaryOperator, Expr, JoinConstraint, JoinOperator, ObjectName, Query, Select, SetExpr, SetOperator, Statement,
    TableFactor, TableWithJoins,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// A table that the SQL may name, with its columns as contracted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// The name in `FROM`.
    pub name: String,
    /// Columns that a pipeline may read; `*` stands for these.
    pub allowed: Vec<String>,
    /// Columns that a pipeline may join on.
    pub keys: Vec<String>,
    /// Columns that may be the target.
    pub targets: Vec<String>,
}

/// A join, and the tables behind its handles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parsed {
    /// The typed join.
    pub join: Join,
    /// Handle and table name, in the order of the SQL.
    pub tables: Vec<(String, String)>,
}

/// The longest SQL that is looked at.
const MAX_SQL: usize = 16 * 1024;

/// Parses one `SELECT` into a typed join called `name`. `needed` are keys and targets that a later stage reads: `*`
/// expands to the allowed columns without the keys, but with these.
pub fn parse(sql: &str, name: &str, tables: &[Table], needed: &[ColumnRef]) -> R<Parsed> {
    if sql.len() > MAX_SQL {
        return Err(Refusal::new(Code::LimitExceeded, "a query has at most 16 KiB"));
    }
    let statements = Parser::parse_sql(&GenericDialect {}, sql)
        .map_err(|e| Refusal::new(Code::SqlUnsupported, format!("the SQL cannot be read: {e}")))?;
    let [Statement::Query(query)] = statements.as_slice() else {
        return Err(unsupported("anything but one SELECT statement"));
    };
    let select = plain_select(query)?;
    let mut scope = Scope { known: tables, open: Vec::new() };
    let (first, steps) = scope.from(&select.from)?;
    let projection = select::projection(&select.projection, &scope, needed)?;
    let filters = match &select.selection {
        Some(condition) => select::filters(condition, &scope)?,
        None => Vec::new(),
    };
    let join = Join { name: name.to_owned(), first, steps, projection, filters, aggregates: Vec::new() };
    check_names(&join)?;
    let tables = scope.open.iter().map(|(handle, table)| (handle.clone(), table.name.clone())).collect();
    Ok(Parsed { join, tables })
}

/// Refuses by the name of the construct.
pub(crate) fn unsupported(construct: &str) -> Refusal {
    let sentence = format!(
        "{construct} is not supported; a pipeline's SQL is SELECT columns FROM tables joined by [LEFT] JOIN … ON a.k = b.k, with comparisons in WHERE"
    );
    Refusal::new(Code::SqlUnsupported, sentence)
}

fn refuse_if(present: bool, construct: &str) -> R<()> {
    if present { Err(unsupported(construct)) } else { Ok(()) }
}

/// The one SELECT of a query that has nothing around it.
fn plain_select(query: &Query) -> R<&Select> {
    // All members are named, so that a construct added by a later parser does not slip through.
    let Query { with, body, order_by, limit_clause, fetch, locks, for_clause, settings, format_clause, pipe_operators } =
        query;
    refuse_if(with.is_some(), "WITH")?;
    refuse_if(order_by.is_some(), "ORDER BY")?;
    refuse_if(limit_clause.is_some() || fetch.is_some(), "LIMIT or FETCH")?;
    refuse_if(!locks.is_empty() || for_clause.is_some(), "FOR")?;
    refuse_if(settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty(), "a clause after the query")?;
    let select = match body.as_ref() {
        SetExpr::Select(select) => select.as_ref(),
        SetExpr::SetOperation { op: SetOperator::Union, .. } => return Err(unsupported("UNION")),
        SetExpr::SetOperation { op, .. } => return Err(unsupported(&op.to_string())),
        SetExpr::Query(_) => return Err(unsupported("a query in parentheses")),
        _ => return Err(unsupported("anything but SELECT")),
    };
    check_select(select)?;
    Ok(select)
}

fn check_select(select: &Select) -> R<()> {
    let Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection: _,
        exclude,
        into,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let grouped = match group_by {
        sqlparser::ast::GroupByExpr::Expressions(by, with) => !by.is_empty() || !with.is_empty(),
        sqlparser::ast::GroupByExpr::All(_) => true,
    };
    refuse_if(grouped, "GROUP BY")?;
    refuse_if(having.is_some(), "HAVING")?;
    refuse_if(distinct.is_some(), "DISTINCT")?;
    refuse_if(top.is_some(), "TOP")?;
    refuse_if(into.is_some(), "INTO")?;
    refuse_if(exclude.is_some(), "EXCLUDE")?;
    refuse_if(!lateral_views.is_empty(), "LATERAL VIEW")?;
    refuse_if(prewhere.is_some(), "PREWHERE")?;
    refuse_if(!connect_by.is_empty(), "CONNECT BY")?;
    refuse_if(
        !cluster_by.is_empty() || !distribute_by.is_empty() || !sort_by.is_empty(),
        "CLUSTER, DISTRIBUTE or SORT BY",
    )?;
    refuse_if(!named_window.is_empty() || qualify.is_some(), "a window function")?;
    refuse_if(
        !optimizer_hints.is_empty() || select_modifiers.is_some() || value_table_mode.is_some(),
        "a modifier of SELECT",
    )?;
    refuse_if(*flavor != sqlparser::ast::SelectFlavor::Standard, "FROM before SELECT")
}

/// The tables of the query so far, by handle.
pub(crate) struct Scope<'a> {
    known: &'a [Table],
    pub(crate) open: Vec<(String, &'a Table)>,
}

impl Scope<'_> {
    fn from(&mut self, from: &[TableWithJoins]) -> R<(String, Vec<JoinStep>)> {
        let [TableWithJoins { relation, joins }] = from else {
            return Err(unsupported(if from.is_empty() { "a query without FROM" } else { "a comma between tables" }));
        };
        let first = self.enter(relation)?;
        let mut steps = Vec::new();
        for join in joins {
            refuse_if(join.global, "GLOBAL JOIN")?;
            let (kind, constraint) = match &join.join_operator {
                JoinOperator::Join(c) | JoinOperator::Inner(c) => (JoinKind::Inner, c),
                JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinKind::Left, c),
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => return Err(unsupported("RIGHT JOIN")),
                JoinOperator::FullOuter(_) => return Err(unsupported("FULL JOIN")),
                JoinOperator::CrossJoin(_) => return Err(unsupported("CROSS JOIN")),
                _ => return Err(unsupported("a join that is neither INNER nor LEFT")),
            };
            let before = self.open.len();
            let handle = self.enter(&join.relation)?;
            let (left, right) = self.keys(constraint, before)?;
            steps.push(JoinStep { handle, kind, left, right });
        }
        Ok((first, steps))
    }

    /// Opens a table under its alias or, without one, its name.
    fn enter(&mut self, factor: &TableFactor) -> R<String> {
        let TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } = factor
        else {
            let subquery = matches!(factor, TableFactor::Derived { .. });
            return Err(unsupported(if subquery { "a subquery in FROM" } else { "a table expression in FROM" }));
        };
        refuse_if(args.is_some(), "a table function")?;
        let extras = !with_hints.is_empty() || !partitions.is_empty() || !index_hints.is_empty() || *with_ordinality;
        refuse_if(extras || version.is_some() || json_path.is_some() || sample.is_some(), "an option of a table")?;
        let table_name = single_name(name)?;
        let known = self.known;
        let table = known.iter().find(|t| t.name == table_name).ok_or_else(|| self.no_table(&table_name))?;
        let handle = match alias {
            Some(alias) if !alias.columns.is_empty() || alias.at.is_some() => {
                return Err(unsupported("column aliases of a table"));
            }
            Some(alias) => alias.name.value.clone(),
            None => table_name,
        };
        if self.open.iter().any(|(open, opened)| *open == handle || opened.name == table.name) {
            return Err(unsupported(&format!("a table or alias that stands twice ({handle})")));
        }
        self.open.push((handle.clone(), table));
        Ok(handle)
    }

    fn no_table(&self, name: &str) -> Refusal {
        let names: Vec<&str> = self.known.iter().map(|t| t.name.as_str()).collect();
        Refusal::new(Code::SqlUnsupported, format!("there is no table {name}; the form names {}", names.join(", ")))
    }

    /// The key on a table to the left and the key on the table just opened, whichever way round they are written.
    fn keys(&self, constraint: &JoinConstraint, before: usize) -> R<(ColumnRef, ColumnRef)> {
        let condition = match constraint {
            JoinConstraint::On(condition) => condition,
            JoinConstraint::Using(_) => return Err(unsupported("USING")),
            JoinConstraint::Natural => return Err(unsupported("NATURAL JOIN")),
            JoinConstraint::None => return Err(unsupported("a join without ON")),
        };
        let Expr::BinaryOp { left, op, right } = strip(condition) else {
            return Err(unsupported("a join condition other than a.k = b.k"));
        };
        match op {
            BinaryOperator::Eq => {}
            BinaryOperator::And | BinaryOperator::Or => return Err(unsupported("more than one comparison in ON")),
            other => return Err(unsupported(&format!("{other} in ON"))),
        }
        let (a, b) = (self.column(left)?, self.column(right)?);
        let is_new = |c: &ColumnRef| self.open.iter().position(|(h, _)| *h == c.handle) == Some(before);
        match (is_new(&a), is_new(&b)) {
            (false, true) => Ok((a, b)),
            (true, false) => Ok((b, a)),
            _ => Err(unsupported("a join condition that does not link the new table to one before it")),
        }
    }

    /// A column by its handle or, where only one open table has it, by its name alone.
    pub(crate) fn column(&self, expression: &Expr) -> R<ColumnRef> {
        let (handle, column) = match strip(expression) {
            Expr::Identifier(column) => (None, &column.value),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [handle, column] => (Some(&handle.value), &column.value),
                _ => return Err(unsupported("a name of more than two parts")),
            },
            other => return Err(unsupported(&select::construct(other))),
        };
        let has = |t: &Table| [&t.allowed, &t.keys, &t.targets].iter().any(|list| list.contains(column));
        let found: Vec<&String> = self
            .open
            .iter()
            .filter(|(open, table)| handle.is_none_or(|h| h == open) && has(table))
            .map(|(open, _)| open)
            .collect();
        match (found.as_slice(), handle) {
            ([one], _) => Ok(ColumnRef { handle: (*one).clone(), column: column.clone() }),
            ([], Some(h)) if self.open.iter().all(|(open, _)| open != h) => {
                Err(Refusal::new(Code::SqlUnsupported, format!("no table is called {h} in this query")))
            }
            // A column outside the contract: the rule about columns says no, by its own code.
            ([], Some(h)) => {
                Err(Refusal::new(Code::PipelineColumn, format!("the contract allows no column {h}.{column}")))
            }
            ([], None) => Err(Refusal::new(Code::PipelineColumn, format!("the contracts allow no column {column}"))),
            _ => Err(unsupported(&format!("the ambiguous column {column}; write handle.{column}"))),
        }
    }
}

/// The expression without parentheses around it.
pub(crate) fn strip(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) => strip(inner),
        other => other,
    }
}

pub(crate) fn single_name(name: &ObjectName) -> R<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(|i| i.value.clone()).ok_or_else(|| unsupported("a function as table name")),
        _ => Err(unsupported("a table name of more than one part")),
    }
}

/// Handles become names in the signed job: they must have its form.
fn check_names(join: &Join) -> R<()> {
    let form = |name: &str| {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        first && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let handles = std::iter::once(&join.first).chain(join.steps.iter().map(|s| &s.handle));
    for handle in handles {
        refuse_if(!form(handle), &format!("the handle {handle}, which is no plain name,"))?;
    }
    let filter_columns = join.filters.iter().map(|f: &Filter| &f.column);
    for column in join.projection.iter().chain(filter_columns) {
        refuse_if(!form(&column.column), &format!("the column {}, which is no plain name,", column.column))?;
    }
    Ok(())
}
