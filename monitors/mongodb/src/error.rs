//! Errors of the server and of the driver as classes, by the server's numbers (mongodb/mongo, `error_codes.yml`).

use mongodb::error::{Error, ErrorKind};
use wise_core::{Absent, ErrorClass, Failure, common};
use wise_database::classes;

use crate::gate::Gate;

pub(crate) static ALL: &[&ErrorClass] = &[
    &classes::STARTING,
    &classes::SHUTTING_DOWN,
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

/// The role that nearly every command of the monitor needs.
pub(crate) const CLUSTER_MONITOR: &str = "grant the role clusterMonitor on admin to the monitor's user";
/// The role that reading the oplog needs.
pub(crate) const READ_LOCAL: &str = "grant the role read on local to the monitor's user";

pub(crate) const UNAUTHORIZED: i32 = 13;
pub(crate) const NO_REPLICATION: i32 = 76;
pub(crate) const INVALID_CONFIG: i32 = 93;
pub(crate) const NOT_INITIALIZED: i32 = 94;
pub(crate) const NOT_FOUND: i32 = 26;
const AUTHENTICATION_FAILED: i32 = 18;

/// The failure of a command. `grant` hints a missing right.
pub(crate) fn classify(error: &Error, command: &str, grant: &str, gate: &Gate) -> Failure {
    match &*error.kind {
        ErrorKind::Command(answer) => from_server(answer.code, &answer.message, command, grant),
        ErrorKind::Authentication { .. } => gate.failure().unwrap_or_else(|| refused_login(gate.code())),
        kind => gate.failure().unwrap_or_else(|| from_driver(kind)),
    }
}

/// A login that the server, or the driver, refused. What the server says about a login is not repeated.
fn refused_login(code: Option<i32>) -> Failure {
    match code {
        Some(code) if class_of(code).name != classes::STATEMENT.name => {
            from_server(code, "login failed", "login", "")
        }
        Some(code) => Failure::new(&common::AUTH, "the server refuses the login").code(code.to_string()),
        None => Failure::new(
            &common::AUTH,
            "the login failed: the server does not prove that it knows the password",
        )
        .code("login"),
    }
}

fn from_server(code: i32, message: &str, command: &str, grant: &str) -> Failure {
    let message = match code {
        // The server's own text repeats the whole command.
        UNAUTHORIZED => format!("the user may not run {command}: {grant}"),
        AUTHENTICATION_FAILED => "the server does not accept user name and password".to_owned(),
        _ => format!("{command}: {}", wise_database::shorten(message, 300)),
    };
    Failure::new(class_of(code), message).code(code.to_string())
}

fn class_of(code: i32) -> &'static ErrorClass {
    match code {
        // AuthenticationFailed, UserNotFound, AuthenticationRestrictionUnmet, MechanismUnavailable,
        // ReauthenticationRequired, AuthenticationAbandoned
        AUTHENTICATION_FAILED | 11 | 214 | 334 | 391 | 247 => &common::AUTH,
        // Unauthorized, and Atlas's own
        UNAUTHORIZED | 8000 => &common::PERMISSION,
        // ShutdownInProgress, InterruptedAtShutdown
        91 | 11600 => &classes::SHUTTING_DOWN,
        // NotPrimaryOrSecondary, NotYetInitialized
        13436 | NOT_INITIALIZED => &classes::STARTING,
        // NotWritablePrimary, NotPrimaryNoSecondaryOk, PrimarySteppedDown, InterruptedDueToReplStateChange, and the
        // old form of the first
        10107 | 13435 | 189 | 11602 | 10058 => &classes::READ_ONLY,
        // OutOfDiskSpace
        14031 => &classes::WRITES_FAIL,
        // MaxTimeMSExpired, ExceededTimeLimit
        50 | 262 => &classes::QUERY_TIMEOUT,
        // LockTimeout, LockBusy
        24 | 46 => &classes::LOCKED,
        // FailedToSatisfyReadPreference, ReadConcernMajorityNotAvailableYet, KeyNotFound, ShardNotFound
        133 | 134 | 211 | 70 => &classes::CLUSTER,
        _ => &classes::STATEMENT,
    }
}

fn from_driver(kind: &ErrorKind) -> Failure {
    match kind {
        ErrorKind::Io(error) => {
            let (class, code) = wise_net::classify_io(error, None);
            Failure::new(class, format!("the connection failed: {error}")).code(code)
        }
        ErrorKind::IncompatibleServer { .. } => {
            Failure::new(&common::PROTOCOL, "the server is too old, or too new, for the driver")
                .code("version")
        }
        ErrorKind::InvalidArgument { .. } => {
            Failure::new(&common::DEFINITION, "the driver does not accept user name or mechanism")
                .code("login")
        }
        _ => Failure::new(&common::PROTOCOL, "the answer is not what MongoDB's protocol asks for")
            .code("mongodb"),
    }
}

/// The server's number of a failure, where it is one.
pub(crate) fn number(failure: &Failure) -> Option<i32> {
    failure.code.as_deref()?.parse().ok()
}

/// Why a reading is not there, if the failure costs no more than that.
pub(crate) fn missing(failure: &Failure, grant: &str) -> Option<Absent> {
    match number(failure)? {
        UNAUTHORIZED | 8000 => Some(Absent::NoPermission(grant.to_owned())),
        // CommandNotFound, CommandNotSupported, NotImplemented, unknown stage of a pipeline, unknown or forbidden option
        59 | 115 | 238 | 40324 | 40323 | 72 | 9 | 40415 | 20 => Some(Absent::Unsupported),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_classes() {
        for (code, class) in [
            (18, "auth"),
            (13, "permission"),
            (91, "shutting_down"),
            (11600, "shutting_down"),
            (13436, "starting"),
            (189, "read_only"),
            (10107, "read_only"),
            (14031, "writes_fail"),
            (50, "query_timeout"),
            (133, "cluster"),
            (8, "statement"),
        ] {
            assert_eq!(from_server(code, "text", "ping", "").class.name, class, "{code}");
        }
        assert_eq!(refused_login(Some(8)).class.name, "auth", "whatever else a login ends with");
        assert_eq!(refused_login(Some(91)).class.name, "shutting_down");
        assert_eq!(refused_login(None).class.name, "auth");
    }

    #[test]
    fn a_missing_right_names_its_hint_and_not_the_command() {
        let failure =
            from_server(13, "not authorized: { serverStatus: 1, lsid: 7 }", "serverStatus", CLUSTER_MONITOR);
        assert!(failure.message.contains("clusterMonitor") && !failure.message.contains("lsid"));
        assert!(matches!(missing(&failure, CLUSTER_MONITOR), Some(Absent::NoPermission(_))));
        assert_eq!(missing(&from_server(59, "no such command", "x", ""), ""), Some(Absent::Unsupported));
        assert_eq!(missing(&from_server(50, "slow", "x", ""), ""), None);
    }
}
