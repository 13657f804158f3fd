//! The error classes of this kind, and the errors of the HTTP library as classes.

use std::error::Error as _;
use std::io;

use wise_core::{ErrorClass, Failure, common};
use wise_net::classify_io;

/// The status code is not among the accepted ones.
pub(crate) static HTTP_STATUS: ErrorClass = ErrorClass::target(
    "http_status",
    "Status code not accepted",
    "the server answers, with a status code that is not in accept_status: see the body in the evidence and the server's log",
);
/// An assertion does not hold.
pub(crate) static ASSERTION: ErrorClass = ErrorClass::target(
    "assertion",
    "Assertion failed",
    "the answer is not what was expected: the evidence lists every assertion with what was found",
);
/// An assertion could not be decided within the body cap.
pub(crate) static BODY_TOO_LARGE: ErrorClass = ErrorClass::target(
    "body_too_large",
    "Body too large",
    "the body is longer than max_body_bytes and an assertion needs the rest: raise the cap or ask for a smaller page",
);
/// The chain of redirects is too long, or a circle.
pub(crate) static TOO_MANY_REDIRECTS: ErrorClass = ErrorClass::target(
    "too_many_redirects",
    "Too many redirects",
    "the evidence has the chain: look for a circle between http and https, or with and without www",
);

pub(crate) static ALL: &[&ErrorClass] = &[&HTTP_STATUS, &ASSERTION, &BODY_TOO_LARGE, &TOO_MANY_REDIRECTS];

/// Most bytes of a head, so that a hostile server cannot make us keep megabytes.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// Most header lines of a head.
pub(crate) const MAX_HEADERS: usize = 200;

/// The failure of an exchange; `stage` says during what, `received` how many bytes had come.
pub(crate) fn classify_http(error: &hyper::Error, stage: &'static str, received: u64) -> Failure {
    if error.is_parse() && received >= MAX_HEAD as u64 {
        let text = format!("the head of the answer is longer than {MAX_HEAD} bytes");
        return Failure::new(&common::PROTOCOL, text).code("head_too_large");
    }
    if error.is_parse() || error.is_parse_status() {
        let text = format!("the answer is not valid HTTP, or has more than {MAX_HEADERS} headers");
        return Failure::new(&common::PROTOCOL, text).code("invalid_http");
    }
    if let Some(io) = io_source(error) {
        // A reset while the body comes in differs from one before any answer: the code keeps them apart.
        let (class, code) = classify_io(io, None);
        if class.name == common::RESET.name {
            let text = format!("the server cut the connection while the check was in the stage {stage}");
            return Failure::new(&common::RESET, text).code(format!("{code}_{stage}"));
        }
        return Failure::new(class, format!("the connection failed in the stage {stage}: {io}")).code(code);
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        let text = format!("the server closed the connection while the check was in the stage {stage}");
        return Failure::new(&common::RESET, text).code(format!("closed_{stage}"));
    }
    Failure::new(&common::PROTOCOL, format!("HTTP failed in the stage {stage}: {error}")).code("http")
}

fn io_source(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return Some(io);
        }
        source = inner.source();
    }
    None
}
