//! The tables of a server: their files, which PROCESS alone shows, and what the dictionary knows of them, which shows
//! only what the user may read.

use std::collections::HashMap;

use wise_core::{Absent, Failure};

use crate::activity::missing;
use crate::session::Session;

/// Tables read at most: more are a case for a monitor of fewer databases.
const MOST: usize = 20_000;
const OWN: &str = "('mysql', 'information_schema', 'performance_schema', 'sys')";

/// One table. A partitioned one is the sum of its partitions.
#[derive(Debug, Default)]
pub(crate) struct TableSize {
    pub(crate) database: String,
    pub(crate) name: String,
    pub(crate) file: Option<f64>,
    pub(crate) data: Option<f64>,
    pub(crate) index: Option<f64>,
    pub(crate) free: Option<f64>,
    pub(crate) rows: Option<f64>,
}

impl TableSize {
    /// What it takes on the disk, as far as that is known.
    pub(crate) fn size(&self) -> f64 {
        self.file.unwrap_or_else(|| self.data.unwrap_or(0.0) + self.index.unwrap_or(0.0))
    }
}

/// All tables that can be seen.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    known: HashMap<(String, String), TableSize>,
    /// There are more than are read: sums would be of a part.
    is_cut: bool,
}

impl Tables {
    pub(crate) fn all(&self) -> impl Iterator<Item = &TableSize> {
        self.known.values()
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The largest, the largest first.
    pub(crate) fn largest(&self, count: usize) -> Vec<&TableSize> {
        let mut all: Vec<_> = self.all().collect();
        all.sort_by(|a, b| {
            b.size().total_cmp(&a.size()).then_with(|| (&a.database, &a.name).cmp(&(&b.database, &b.name)))
        });
        all.truncate(count);
        all
    }

    fn entry(&mut self, database: &str, name: &str) -> &mut TableSize {
        self.known.entry((database.to_owned(), name.to_owned())).or_insert_with(|| TableSize {
            database: database.to_owned(),
            name: name.to_owned(),
            ..TableSize::default()
        })
    }
}

/// Reads the files of InnoDB tables. Answers why there are none, if so.
pub(crate) async fn read_files(
    session: &mut Session,
    tables: &mut Tables,
) -> Result<Option<Absent>, Failure> {
    let source = if session.flavour.is_mysql_from((8, 0, 0)) {
        "innodb_tablespaces"
    } else {
        "innodb_sys_tablespaces"
    };
    let statement =
        format!("SELECT NAME, FILE_SIZE FROM information_schema.{source} WHERE NAME LIKE '%/%' LIMIT {MOST}");
    let found = match session.query(&statement).await {
        Ok(table) => table,
        Err(failure) => return missing(failure, "GRANT PROCESS ON *.* TO the monitor's user").map(Some),
    };
    tables.is_cut |= found.rows.len() >= MOST;
    for row in found.rows() {
        let (Some(name), Some(size)) = (row.text(&["NAME"]), row.number(&["FILE_SIZE"])) else { continue };
        let Some((database, table)) = split(name) else { continue };
        if matches!(database.as_str(), "mysql" | "sys") {
            continue;
        }
        let entry = tables.entry(&database, &table);
        entry.file = Some(entry.file.unwrap_or(0.0) + size);
    }
    Ok(None)
}

/// `shop/orders#P#p0`: database, table without its partition, each with its escapes undone.
fn split(name: &str) -> Option<(String, String)> {
    let (database, table) = name.split_once('/')?;
    let table = table.split("#P#").next()?.split("#p#").next()?;
    // Left-overs and full-text auxiliaries are no tables of users.
    if table.starts_with("#sql") || table.starts_with("FTS_") {
        return None;
    }
    Some((unescape(database), unescape(table)))
}

/// File names write what is no letter or digit as `@` and four hexadecimal digits.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        out.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 5)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32);
        match code {
            Some(c) => {
                out.push(c);
                rest = &rest[at + 5..];
            }
            None => {
                out.push('@');
                rest = &rest[at + 1..];
            }
        }
    }
    out + rest
}

/// Adds what the dictionary knows. It lists nothing that the user may not read, and says nothing about that.
pub(crate) async fn read_tables(session: &mut Session, tables: &mut Tables) -> Result<(), Failure> {
    let statement = format!(
        "SELECT TABLE_SCHEMA AS db, TABLE_NAME AS tab, DATA_LENGTH AS data, INDEX_LENGTH AS idx, DATA_FREE AS free, \
         TABLE_ROWS AS num FROM information_schema.tables WHERE TABLE_TYPE IN ('BASE TABLE', 'SEQUENCE') \
         AND TABLE_SCHEMA NOT IN {OWN} LIMIT {MOST}"
    );
    let found = session.query(&statement).await?;
    tables.is_cut |= found.rows.len() >= MOST;
    for row in found.rows() {
        let entry = tables.entry(&row.string(&["db"]), &row.string(&["tab"]));
        entry.data = row.number(&["data"]);
        entry.index = row.number(&["idx"]);
        entry.free = row.number(&["free"]);
        entry.rows = row.number(&["num"]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_become_names_of_tables() {
        for (name, expected) in [
            ("shop/orders", Some(("shop", "orders"))),
            ("my@002dshop/order@0020lines#P#p0", Some(("my-shop", "order lines"))),
            ("shop/orders#p#p1#sp#s1", Some(("shop", "orders"))),
            ("shop/#sql-ib12", None),
            ("innodb_undo", None),
            ("a@zz/b@", Some(("a@zz", "b@"))),
        ] {
            let found = split(name);
            assert_eq!(found.as_ref().map(|(a, b)| (a.as_str(), b.as_str())), expected, "{name}");
        }
    }
}
