//! Pages of lists.

use serde::Serialize;
use utoipa::ToSchema;
use wise_core::FieldError;

use crate::problem::{Kind, Problem};

/// Items of a page when nothing is asked for.
const DEFAULT_LIMIT: usize = 100;
/// Items of a page at most.
const MAX_LIMIT: usize = 1000;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list that is never cut.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}

/// The page size asked for.
pub(crate) fn limit(given: Option<usize>) -> Result<usize, Problem> {
    match given {
        None => Ok(DEFAULT_LIMIT),
        Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        Some(limit) => {
            let error = FieldError::new("limit", "out of range")
                .value(limit)
                .hint(format!("use a number from 1 to {MAX_LIMIT}"));
            Err(Problem::field(Kind::Malformed, error))
        }
    }
}

/// Reads a cursor.
pub(crate) fn read<T: std::str::FromStr>(given: Option<&str>) -> Result<Option<T>, Problem> {
    given
        .map(|text| {
            text.parse().map_err(|_| {
                let error = FieldError::new("cursor", "is no cursor of this list").value(text);
                Problem::field(Kind::Malformed, error.hint("use the next_cursor of the page before"))
            })
        })
        .transpose()
}
