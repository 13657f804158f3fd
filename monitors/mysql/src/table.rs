//! Answers as tables of text, read by column name: names differ between versions, positions even more.

use std::sync::Arc;

/// The rows of a statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Arc<[String]>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    columns: &'a [String],
    cells: &'a [Option<String>],
}

impl Table {
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { columns: &self.columns, cells })
    }

    pub(crate) fn first(&self) -> Option<Row<'_>> {
        self.rows().next()
    }
}

impl<'a> Row<'a> {
    /// The text of the first of these columns that is there; `None` for NULL.
    pub(crate) fn text(&self, names: &[&str]) -> Option<&'a str> {
        let at = names
            .iter()
            .find_map(|name| self.columns.iter().position(|column| column.eq_ignore_ascii_case(name)))?;
        self.cells.get(at)?.as_deref()
    }

    /// Whether one of these columns is there, NULL or not.
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.columns.iter().any(|column| column.eq_ignore_ascii_case(name)))
    }

    /// A number; `None` for NULL.
    pub(crate) fn number(&self, names: &[&str]) -> Option<f64> {
        self.text(names)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The text, empty for NULL.
    pub(crate) fn string(&self, names: &[&str]) -> String {
        self.text(names).unwrap_or_default().to_owned()
    }

    /// The cells.
    pub(crate) fn cells(&self) -> &'a [Option<String>] {
        self.cells
    }
}

#[cfg(test)]
pub(crate) fn table(columns: &[&str], rows: &[&[Option<&str>]]) -> Table {
    Table {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        rows: rows.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect(),
    }
}
