//! Errors of the server and of the driver as classes, by SQLSTATE (PostgreSQL documentation, appendix A).

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;
use wise_core::{ErrorClass, Failure, common};
use wise_database::classes;
use wise_net::classify_io;

pub(crate) static ALL: &[&ErrorClass] = &[
    &classes::NO_DATABASE,
    &classes::STARTING,
    &classes::SHUTTING_DOWN,
    &classes::TOO_MANY_CONNECTIONS,
    &classes::READ_ONLY,
    &classes::WRONG_ROLE,
    &classes::WRITES_FAIL,
    &classes::QUERY_TIMEOUT,
    &classes::LOCKED,
    &classes::REPLICATION,
    &classes::STATEMENT,
    &classes::CUSTOM_QUERY,
];

/// The failure of a login or a statement.
pub(crate) fn classify(error: &Error) -> Failure {
    if let Some(db) = error.as_db_error() {
        return from_server(db);
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            let (class, code) = classify_io(io, None);
            return Failure::new(class, format!("the connection failed: {io}")).code(code);
        }
        source = inner.source();
    }
    if error.is_closed() {
        return Failure::new(&common::RESET, "the server closed the connection").code("closed");
    }
    Failure::new(&common::PROTOCOL, format!("the answer is not PostgreSQL's protocol: {error}"))
        .code("postgresql")
}

fn from_server(db: &DbError) -> Failure {
    let code = db.code().code();
    let class = match code {
        "28P01" | "28000" | "0P000" => &common::AUTH,
        "3D000" => &classes::NO_DATABASE,
        "42501" => &common::PERMISSION,
        // One code for three states; only the text tells them apart, and it may be translated.
        "57P03" if db.message().contains("shutting down") => &classes::SHUTTING_DOWN,
        "57P03" => &classes::STARTING,
        "57P01" | "57P02" => &classes::SHUTTING_DOWN,
        "53300" => &classes::TOO_MANY_CONNECTIONS,
        "25006" => &classes::READ_ONLY,
        "53100" | "53200" | "58030" => &classes::WRITES_FAIL,
        "57014" => &classes::QUERY_TIMEOUT,
        "55P03" => &classes::LOCKED,
        _ if code.starts_with("08") => &common::PROTOCOL,
        _ => &classes::STATEMENT,
    };
    // A message may repeat a value of a statement; those of the monitor hold none, and custom queries are the user's.
    Failure::new(class, wise_database::shorten(db.message(), 300)).code(code.to_owned())
}
