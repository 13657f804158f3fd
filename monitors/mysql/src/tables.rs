//! The tables of a server: their files, which PROCESS alone shows, and what the dictionary knows of them, which shows
//! only what the user may read.

use std::collections::HashMap;

use wise_core::{Absent, Failure};
use wise_database::classes;

use crate::activity::missing;
use crate::session::Session;

/// Tables read at most: more are a case for a monitor of fewer databases.
const MOST: usize = 20_000;
/// Databases of the server's own. Texts of the dictionary are compared without regard to case and accents: names are
/// compared as bytes, because tables may differ in these alone.
pub(crate) const NOT_OWN: &str =
    "CAST(t.TABLE_SCHEMA AS BINARY) NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')";

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
    // The server's own way from a file's name to a table's: letters with accents have codes that need its tables.
    let decoded =
        |part: &str| format!("CONVERT(CONVERT(CAST({part} AS BINARY) USING filename) USING utf8mb4)");
    let database = decoded("SUBSTRING_INDEX(NAME, '/', 1)");
    let table =
        decoded("SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(NAME, '/', -1), '#P#', 1), '#p#', 1)");
    let statement = |names: &str| {
        format!(
            "SELECT {names}, FILE_SIZE FROM information_schema.{source} WHERE NAME LIKE '%/%' LIMIT {MOST}"
        )
    };
    let asked = session.query(&statement(&format!("NAME, {database} AS db, {table} AS tab"))).await;
    let asked = match asked {
        // A compatible server may not have that character set.
        Err(failure) if failure.class.name == classes::STATEMENT.name => {
            session.query(&statement("NAME, NULL AS db, NULL AS tab")).await
        }
        other => other,
    };
    let found = match asked {
        Ok(table) => table,
        Err(failure) => return missing(failure, "GRANT PROCESS ON *.* TO the monitor's user").map(Some),
    };
    tables.is_cut |= found.rows.len() >= MOST;
    for row in found.rows() {
        let (Some(name), Some(size)) = (row.text(&["NAME"]), row.number(&["FILE_SIZE"])) else { continue };
        if !is_of_users(name) {
            continue;
        }
        let decoded = row.text(&["db"]).zip(row.text(&["tab"]));
        let decoded = decoded.map(|(database, table)| (database.to_owned(), table.to_owned()));
        let Some((database, table)) = decoded.or_else(|| split(name)) else { continue };
        let entry = tables.entry(&database, &table);
        entry.file = Some(entry.file.unwrap_or(0.0) + size);
    }
    Ok(None)
}

/// Whether a file is one of a table that users made, and neither a left-over nor a full-text auxiliary.
fn is_of_users(name: &str) -> bool {
    let Some((database, table)) = name.split_once('/') else { return false };
    !matches!(database, "mysql" | "sys") && !table.starts_with("#sql") && !table.starts_with("FTS_")
}

/// `shop/orders#P#p0`: database, table without its partition, each with its escapes undone. `None` where one is not
/// known: with a guess two tables could become one.
fn split(name: &str) -> Option<(String, String)> {
    let (database, table) = name.split_once('/')?;
    let table = table.split("#P#").next()?.split("#p#").next()?;
    Some((unescape(database)?, unescape(table)?))
}

/// File names write what is no letter or digit as `@` and four hexadecimal digits.
fn unescape(text: &str) -> Option<String> {
    let mut pieces = text.split('@');
    let mut out = pieces.next()?.to_owned();
    for piece in pieces {
        let code = piece.get(..4).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        out.push_str(&piece[4..]);
    }
    Some(out)
}

/// Adds what the dictionary knows. It lists nothing that the user may not read, and says nothing about that.
pub(crate) async fn read_tables(session: &mut Session, tables: &mut Tables) -> Result<(), Failure> {
    let statement = format!(
        "SELECT TABLE_SCHEMA AS db, TABLE_NAME AS tab, DATA_LENGTH AS data, INDEX_LENGTH AS idx, DATA_FREE AS free, \
         TABLE_ROWS AS num FROM information_schema.tables t WHERE TABLE_TYPE IN ('BASE TABLE', 'SEQUENCE') \
         AND {NOT_OWN} LIMIT {MOST}"
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
            ("shop/a@00400020b", Some(("shop", "a@0020b"))),
            ("innodb_undo", None),
            ("a@zz/b", None),
            ("shop/caf@0p", None),
            ("shop/b@", None),
            ("shop/@+041", None),
        ] {
            let found = split(name);
            assert_eq!(found.as_ref().map(|(a, b)| (a.as_str(), b.as_str())), expected, "{name}");
        }
    }

    #[test]
    fn left_overs_and_the_server_s_own_are_no_tables_of_users() {
        for name in ["shop/#sql-ib12", "shop/FTS_00000001_BEING_DELETED", "mysql/user", "innodb_undo"] {
            assert!(!is_of_users(name), "{name}");
        }
        assert!(is_of_users("shop/orders#P#p0") && is_of_users("MySQL/user"));
    }
}
