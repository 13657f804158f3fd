//! Custom queries: what they may be called, and how their rows become readings.
//!
//! A number in the column `pending` of the query `orders` becomes the metric `KIND.query.orders.pending`; columns with
//! text become labels, which must tell the rows apart. A column that ends in a unit (`wait_seconds`) carries it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use wise_core::conformance::{UNITS, is_label_name};
use wise_core::{
    FieldError, FieldErrors, FoundMetric, HumanDuration, Labels, MetricRef, Reading, ReadingValue, Report,
    label,
};

/// Custom queries of a monitor at most.
const MAX_QUERIES: usize = 50;
/// Most characters of a label's value; a digest follows where something was cut off.
const LABEL_LENGTH: usize = 120;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// A text. An empty one is no label, as for Prometheus.
    Text(String),
    /// Nothing: neither a reading nor a label.
    Null,
}

/// A query of the user's. `T` is what the kind asks for beside: the statement.
pub trait CustomQuery {
    /// Its name.
    fn name(&self) -> &str;
    /// Its limits.
    fn limits(&self) -> &Limits;
}

/// How much a custom query may take.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Break the query off after this time.
    #[schemars(title = "Time limit")]
    pub timeout: HumanDuration,
    /// Rows read at most; more is an error, because a part would look like the whole.
    #[schemars(title = "Row limit", range(min = 1, max = 1000))]
    pub max_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: HumanDuration(std::time::Duration::from_secs(5)), max_rows: 100 }
    }
}

/// What holds for custom queries of a kind.
#[derive(Clone, Copy, Debug)]
pub struct QueryRules {
    /// The kind: metric names begin with it.
    pub kind: &'static str,
    /// Longest time limit, the deadline of the probe.
    pub longest: std::time::Duration,
}

/// Checks names and limits.
pub fn check_queries<Q: CustomQuery>(rules: &QueryRules, queries: &[Q], errors: &mut FieldErrors) {
    if queries.len() > MAX_QUERIES {
        errors.push(
            FieldError::new("queries", format!("there are {} of them", queries.len()))
                .hint(format!("use at most {MAX_QUERIES}, and another monitor for more")),
        );
    }
    let mut names = BTreeMap::new();
    for (index, query) in queries.iter().enumerate() {
        let field = |name: &str| format!("queries[{index}].{name}");
        if !is_word(query.name()) {
            errors.push(
                FieldError::new(field("name"), "is no word of lower-case letters, digits and _")
                    .value(query.name())
                    .hint("use a name such as open_orders"),
            );
        }
        if let Some(first) = names.insert(query.name().to_owned(), index) {
            errors.push(
                FieldError::new(field("name"), format!("is the name of queries[{first}] too"))
                    .value(query.name()),
            );
        }
        let limits = query.limits();
        if limits.timeout.0.is_zero() || limits.timeout.0 > rules.longest {
            errors.push(
                FieldError::new(field("limits.timeout"), "is zero or longer than the probe's deadline")
                    .value(limits.timeout)
                    .hint(format!("use at most {}", HumanDuration(rules.longest))),
            );
        }
        if !(1..=1000).contains(&limits.max_rows) {
            errors.push(
                FieldError::new(field("limits.max_rows"), "is not between 1 and 1000").value(limits.max_rows),
            );
        }
    }
}

/// The metrics of custom queries, made once each.
#[derive(Debug, Default)]
pub struct FoundMetrics(HashMap<String, Arc<FoundMetric>>);

impl FoundMetrics {
    fn get(&mut self, name: String) -> Arc<FoundMetric> {
        if let Some(known) = self.0.get(&name) {
            return known.clone();
        }
        let unit = UNITS
            .iter()
            .find(|unit| name.ends_with(&format!("_{unit}")) || name.ends_with(&format!(".{unit}")))
            .map_or("", |unit| unit);
        let metric = Arc::new(FoundMetric { name: name.clone(), unit: unit.to_owned() });
        self.0.insert(name, metric.clone());
        metric
    }
}

/// Turns rows into readings.
///
/// # Errors
/// A column's name is no name of a metric or a label, or is that of another column, no column is a number, or rows are
/// not told apart by their text columns; the text names it.
pub fn read_rows(
    rules: &QueryRules,
    query: &str,
    columns: &[String],
    rows: &[Vec<Cell>],
    metrics: &mut FoundMetrics,
    report: &mut Report,
) -> Result<(), String> {
    let mut readings = Vec::new();
    let mut seen = std::collections::HashSet::new();
    // Of two columns with one name, one would take the other's place.
    if let Some(name) =
        columns.iter().enumerate().find_map(|(at, name)| columns[..at].iter().find(|known| *known == name))
    {
        return Err(format!("two columns are named `{}`: rename one of them", crate::shorten(name, 40)));
    }
    for row in rows {
        let mut labels = Vec::new();
        for (column, cell) in columns.iter().zip(row) {
            let Cell::Text(text) = cell else { continue };
            if !is_label_name(column) {
                return Err(format!(
                    "the column `{}` is no word of letters, digits and _: name it with AS",
                    crate::shorten(column, 40)
                ));
            }
            if !text.is_empty() {
                labels.push((column.clone(), label::fit(text, LABEL_LENGTH).into_owned()));
            }
        }
        let labels = Labels::new(labels);
        if !seen.insert(labels.clone()) {
            return Err(format!(
                "two rows have the same text columns ({}), where NULL and an empty text are none: add a column that tells \
                 them apart, or group",
                labels
                    .pairs()
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
        for (column, cell) in columns.iter().zip(row) {
            let Cell::Number(value) = cell else { continue };
            if !is_word(column) {
                return Err(format!(
                    "the column `{}` is no word of lower-case letters, digits and _: name it with AS",
                    crate::shorten(column, 40)
                ));
            }
            let metric = metrics.get(format!("{}.query.{query}.{column}", rules.kind));
            let value = ReadingValue::Exact(*value);
            readings.push(Reading { metric: MetricRef::Found(metric), labels: labels.clone(), value });
        }
    }
    if readings.is_empty() && !rows.is_empty() && !rows.iter().flatten().any(|cell| *cell == Cell::Null) {
        return Err("no column is a number".to_owned());
    }
    report.readings.append(&mut readings);
    Ok(())
}

fn is_word(text: &str) -> bool {
    text.len() <= 60
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: QueryRules = QueryRules { kind: "db", longest: std::time::Duration::from_secs(30) };

    struct One(&'static str, Limits);

    impl CustomQuery for One {
        fn name(&self) -> &str {
            self.0
        }

        fn limits(&self) -> &Limits {
            &self.1
        }
    }

    fn read(columns: &[&str], rows: &[Vec<Cell>]) -> Result<Vec<Reading>, String> {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let mut report = Report::default();
        read_rows(&RULES, "orders", &columns, rows, &mut FoundMetrics::default(), &mut report)?;
        Ok(report.readings)
    }

    #[test]
    fn numbers_become_readings_and_texts_labels() {
        let rows = vec![
            vec![Cell::Text("eu".to_owned()), Cell::Number(3.0), Cell::Number(1.5)],
            vec![Cell::Text("us".to_owned()), Cell::Null, Cell::Number(2.5)],
        ];
        let readings = read(&["region", "pending", "wait_seconds"], &rows).unwrap();
        let shown: Vec<_> = readings
            .iter()
            .map(|r| (r.metric.name().to_owned(), r.labels.pairs()[0].1.clone(), r.value.number().unwrap()))
            .collect();
        let name = |metric: &str| format!("db.query.orders.{metric}");
        assert_eq!(
            shown,
            [
                (name("pending"), "eu".to_owned(), 3.0),
                (name("wait_seconds"), "eu".to_owned(), 1.5),
                (name("wait_seconds"), "us".to_owned(), 2.5)
            ]
        );
        let MetricRef::Found(found) = &readings[1].metric else { panic!("found") };
        assert_eq!(found.unit, "seconds");
    }

    #[test]
    fn rows_that_cannot_be_told_apart_and_strange_columns_are_errors() {
        let same = vec![vec![Cell::Number(1.0)], vec![Cell::Number(2.0)]];
        assert!(read(&["n"], &same).unwrap_err().contains("same text columns"));
        let strange = vec![vec![Cell::Number(1.0)]];
        assert!(read(&["?column?"], &strange).unwrap_err().contains("`?column?`"));
        let text = vec![vec![Cell::Text("a".to_owned())]];
        assert_eq!(read(&["a"], &text).unwrap_err(), "no column is a number");
        assert_eq!(read(&["a"], &[]).unwrap(), []);
        assert_eq!(read(&["a"], &[vec![Cell::Null]]).unwrap(), [], "null is absent, not wrong");
    }

    #[test]
    fn texts_that_begin_alike_stay_apart() {
        let long = |end: &str| Cell::Text(format!("{}{end}", "x".repeat(200)));
        let rows = vec![vec![long("a"), Cell::Number(1.0)], vec![long("b"), Cell::Number(2.0)]];
        let readings = read(&["region", "n"], &rows).unwrap();
        assert_ne!(readings[0].labels, readings[1].labels);
        assert!(readings[0].labels.pairs()[0].1.starts_with(&"x".repeat(LABEL_LENGTH)));
    }

    #[test]
    fn two_columns_of_one_name_are_an_error() {
        let numbers = vec![vec![Cell::Number(1.0), Cell::Number(2.0)]];
        assert!(read(&["n", "n"], &numbers).unwrap_err().contains("two columns are named `n`"));
        let rows = vec![vec![Cell::Text("eu".to_owned()), Cell::Number(1.0), Cell::Text("a".to_owned())]];
        assert!(read(&["region", "n", "region"], &rows).unwrap_err().contains("`region`"));
    }

    #[test]
    fn null_and_an_empty_text_are_no_labels() {
        let row = |cell: Cell| vec![cell, Cell::Number(1.0)];
        let empty = || Cell::Text(String::new());
        let readings = read(&["region", "n"], &[row(empty()), row(Cell::Text("eu".to_owned()))]).unwrap();
        assert!(readings[0].labels.is_empty() && !readings[1].labels.is_empty());
        let same = read(&["region", "n"], &[row(empty()), row(Cell::Null)]);
        assert!(same.unwrap_err().contains("same text columns"));
    }

    #[test]
    fn a_label_has_a_name_that_prometheus_takes() {
        let rows = vec![vec![Cell::Text("eu".to_owned()), Cell::Number(1.0)]];
        assert_eq!(read(&["TABLE_SCHEMA", "n"], &rows).unwrap().len(), 1);
        for name in ["?column?", "a-b", "région", "1st", ""] {
            assert!(read(&[name, "n"], &rows).unwrap_err().contains("name it with AS"), "{name}");
        }
    }

    #[test]
    fn names_and_limits_are_checked() {
        let mut errors = FieldErrors::default();
        let long = Limits { timeout: HumanDuration(std::time::Duration::from_secs(60)), max_rows: 0 };
        let queries = [One("ok", Limits::default()), One("ok", Limits::default()), One("No!", long)];
        check_queries(&RULES, &queries, &mut errors);
        let fields: Vec<_> = errors.0.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(
            fields,
            ["queries[1].name", "queries[2].name", "queries[2].limits.timeout", "queries[2].limits.max_rows"]
        );
    }
}
