//! The error classes of this kind, and the operating system's errors as classes.

use std::io;

use wise_core::{ErrorClass, Failure, common};
use wise_net::classify_io;

/// The files of the machine cannot be read.
pub(crate) static SOURCE_UNREADABLE: ErrorClass = ErrorClass::own(
    "source_unreadable",
    "Machine cannot be read",
    "this program cannot read /proc or /sys of the machine: check the paths in the settings, and what the container or the service unit hides",
);
/// The exporter answers with an error.
pub(crate) static EXPORTER_STATUS: ErrorClass = ErrorClass::target(
    "exporter_status",
    "Exporter answers with an error",
    "the exporter's answer has another status code than 200: check the path, which is usually /metrics, and the exporter's log",
);
/// What answers is no node_exporter.
pub(crate) static NOT_NODE_EXPORTER: ErrorClass = ErrorClass::target(
    "not_node_exporter",
    "No node_exporter",
    "something answers there, and its page has no measurements of a machine: check host, port and path",
);

pub(crate) static ALL: &[&ErrorClass] = &[&SOURCE_UNREADABLE, &EXPORTER_STATUS, &NOT_NODE_EXPORTER];

/// The failure to read a file of the machine.
pub(crate) fn unreadable(path: &str, error: &io::Error) -> Failure {
    let (class, code) = classify_io(error, None);
    if class.name == common::LOCAL_RESOURCES.name {
        return Failure::new(class, format!("cannot read {path}: {error}")).code(code);
    }
    let code = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "missing",
        io::ErrorKind::PermissionDenied => "permission",
        io::ErrorKind::InvalidData => "not_understood",
        _ => "io",
    };
    Failure::new(&SOURCE_UNREADABLE, format!("cannot read {path}: {error}")).code(code)
}
