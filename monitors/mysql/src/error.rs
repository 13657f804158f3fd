//! Errors of the server and of the driver as classes, by error number (MySQL and MariaDB error references).

use std::io;

use mysql_async::{DriverError, Error, IoError, ServerError};
use wise_core::{ErrorClass, Failure, common};
use wise_database::classes;

/// The server blocks our host, after too many broken logins.
pub(crate) static HOST_BLOCKED: ErrorClass = ErrorClass::target(
    "host_blocked",
    "Our host is blocked",
    "the server refuses this machine after too many broken logins: FLUSH HOSTS, and raise max_connect_errors",
)
.final_at_once();

pub(crate) static ALL: &[&ErrorClass] = &[
    &HOST_BLOCKED,
    &classes::NO_DATABASE,
    &classes::SHUTTING_DOWN,
    &classes::TOO_MANY_CONNECTIONS,
    &classes::READ_ONLY,
    &classes::WRONG_ROLE,
    &classes::WRITES_FAIL,
    &classes::QUERY_TIMEOUT,
    &classes::LOCKED,
    &classes::CLUSTER,
    &classes::REPLICATION,
    &classes::STATEMENT,
    &classes::CUSTOM_QUERY,
];

/// The failure of a login or a statement.
pub(crate) fn classify(error: &Error) -> Failure {
    match error {
        Error::Server(server) => from_server(server),
        Error::Io(IoError::Io(io)) => match io.kind() {
            // The driver's connection is one to this process.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                Failure::new(&common::LOCAL_RESOURCES, format!("no way for the driver: {io}")).code("socket")
            }
            _ => crate::gate::broken(io),
        },
        Error::Driver(DriverError::ConnectionClosed) => {
            Failure::new(&common::RESET, "the server closed the connection").code("closed")
        }
        Error::Driver(
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled,
        ) => Failure::new(
            &common::AUTH,
            format!("the server asks for a way to log in that is not supported: {error}"),
        )
        .code("auth_plugin"),
        Error::Driver(DriverError::PacketTooLarge) => {
            Failure::new(&common::PROTOCOL, "the server sent more than a check may read").code("too_much")
        }
        _ => crate::gate::not_mysql(),
    }
}

pub(crate) fn from_server(server: &ServerError) -> Failure {
    let class = match server.code {
        // ER_ACCESS_DENIED_ERROR; password expired; account locked (MySQL, MariaDB); host not allowed.
        1045 | 1698 | 1820 | 1862 | 3118 | 4151 | 1130 => &common::AUTH,
        1129 => &HOST_BLOCKED,
        // ER_DBACCESS_DENIED_ERROR also stands for a database that is not there, to anyone who may not know.
        1044 | 1049 => &classes::NO_DATABASE,
        1142 | 1143 | 1227 | 1370 | 3159 => &common::PERMISSION,
        1040 | 1203 | 1226 => &classes::TOO_MANY_CONNECTIONS,
        1053 | 1927 => &classes::SHUTTING_DOWN,
        1290 | 1792 | 1836 => &classes::READ_ONLY,
        3 | 1021 | 1026 | 1030 | 1114 | 3675 => &classes::WRITES_FAIL,
        1969 | 3024 | 1317 => &classes::QUERY_TIMEOUT,
        1205 | 1213 => &classes::LOCKED,
        1047 => &classes::CLUSTER,
        _ => &classes::STATEMENT,
    };
    Failure::new(class, wise_database::shorten(&server.message, 300)).code(server.code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_decide_and_texts_do_not() {
        for (code, class) in [
            (1045, "auth"),
            (4151, "auth"),
            (1129, "host_blocked"),
            (1044, "no_database"),
            (1227, "permission"),
            (1040, "too_many_connections"),
            (1053, "shutting_down"),
            (1290, "read_only"),
            (1114, "writes_fail"),
            (3024, "query_timeout"),
            (1205, "locked"),
            (1047, "cluster"),
            (1064, "statement"),
        ] {
            let server = ServerError {
                code,
                message: "ein Fehler ist aufgetreten".to_owned(),
                state: "HY000".to_owned(),
            };
            let failure = from_server(&server);
            assert_eq!(
                (failure.class.name, failure.code.as_deref()),
                (class, Some(code.to_string().as_str()))
            );
        }
    }
}
