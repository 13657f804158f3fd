//! Rows of the simple protocol, read by column name. Everything comes as text, in one round trip for many statements.

use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

/// The rows of one statement.
pub(crate) type Rows = Vec<Row>;

/// One row.
#[derive(Debug)]
pub(crate) struct Row(SimpleQueryRow);

impl Row {
    /// The text of a column; `None` for NULL, and for a column that is not there.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        self.0.try_get(column).ok().flatten()
    }

    /// The text, empty for NULL.
    pub(crate) fn string(&self, column: &str) -> String {
        self.text(column).unwrap_or_default().to_owned()
    }

    /// A number; `None` for NULL.
    pub(crate) fn number(&self, column: &str) -> Option<f64> {
        self.text(column)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A truth value; false for NULL.
    pub(crate) fn is(&self, column: &str) -> bool {
        self.text(column) == Some("t")
    }

    /// The columns with their texts, in order.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.0.len()).map(|index| self.0.try_get(index).ok().flatten())
    }
}

/// Sorts messages by statement.
pub(crate) fn split(messages: Vec<SimpleQueryMessage>) -> Vec<Rows> {
    let mut sets = vec![Vec::new()];
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                if let Some(last) = sets.last_mut() {
                    last.push(Row(row));
                }
            }
            SimpleQueryMessage::CommandComplete(_) => sets.push(Vec::new()),
            _ => {}
        }
    }
    sets.pop();
    sets
}
