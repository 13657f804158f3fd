//! Who blocks whom, and who takes long: evidence for an operator who is woken at night.

use serde_json::{Value, json};
use wise_database::shape;

use crate::activity::{CLIENTS, sessions};
use crate::session::Session;
use crate::table::Row;

/// Sessions written down at most.
const MOST: usize = 20;

/// The transactions that wait for a row lock, with those that hold it. Empty where the server does not tell.
pub(crate) async fn waiting(session: &mut Session) -> Vec<Value> {
    let waits = if session.flavour.is_mysql_from((8, 0, 1)) {
        "performance_schema.data_lock_waits w JOIN information_schema.innodb_trx r \
         ON r.trx_id = w.requesting_engine_transaction_id JOIN information_schema.innodb_trx b \
         ON b.trx_id = w.blocking_engine_transaction_id"
    } else {
        "information_schema.innodb_lock_waits w JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id \
         JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id"
    };
    let statement = format!(
        "SELECT r.trx_mysql_thread_id AS id, r.trx_query AS query, TIMESTAMPDIFF(SECOND, r.trx_wait_started, NOW()) AS seconds, \
         b.trx_mysql_thread_id AS by_id, b.trx_query AS by_query, TIMESTAMPDIFF(SECOND, b.trx_started, NOW()) AS by_seconds, \
         p.USER AS by_user, p.HOST AS by_host, p.COMMAND AS by_command FROM {waits} \
         LEFT JOIN {} p ON p.ID = b.trx_mysql_thread_id ORDER BY r.trx_wait_started LIMIT {MOST}",
        sessions(session)
    );
    // Evidence that cannot be had must not cost the readings.
    let Ok(table) = session.query(&statement).await else { return Vec::new() };
    table
        .rows()
        .map(|row| {
            json!({
                "id": row.number(&["id"]),
                "query": shown(row, "query"),
                "waits_seconds": row.number(&["seconds"]),
                "blocked_by": {
                    "id": row.number(&["by_id"]),
                    "user": row.text(&["by_user"]),
                    "host": row.text(&["by_host"]),
                    "command": row.text(&["by_command"]),
                    "query": shown(row, "by_query"),
                    "transaction_seconds": row.number(&["by_seconds"]),
                },
            })
        })
        .collect()
}

/// The sessions whose statements run longest.
pub(crate) async fn longest(session: &mut Session) -> Vec<Value> {
    let statement = format!(
        "SELECT ID, USER, HOST, DB, COMMAND, TIME, STATE, INFO FROM {} WHERE {CLIENTS} ORDER BY TIME DESC LIMIT 5",
        sessions(session)
    );
    let Ok(table) = session.query(&statement).await else { return Vec::new() };
    table
        .rows()
        .map(|row| {
            json!({
                "id": row.number(&["ID"]),
                "user": row.text(&["USER"]),
                "host": row.text(&["HOST"]),
                "database": row.text(&["DB"]),
                "command": row.text(&["COMMAND"]),
                "state": row.text(&["STATE"]),
                "seconds": row.number(&["TIME"]),
                "query": shown(row, "INFO"),
            })
        })
        .collect()
}

fn shown(row: Row<'_>, column: &str) -> Option<String> {
    row.text(&[column]).map(shape)
}
