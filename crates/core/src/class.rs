//! Error classes: a small, closed vocabulary for what went wrong, and whose fault it is.

/// Whose trouble a failed check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The watched target failed: counts towards *unhealthy*.
    Target,
    /// We could not make the check: gives *unknown* and never counts against uptime.
    Own,
}

/// A class of failure, by code and never by message.
///
/// The common ones are in [`common`]; a plugin's descriptor adds its own.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorClass {
    /// Stable name, `[a-z][a-z0-9_]*`.
    pub name: &'static str,
    /// Short title for people.
    pub title: &'static str,
    /// Whose fault it is.
    pub fault: Fault,
    /// What an operator should look at first.
    pub hint: &'static str,
    /// The first failure is final: retrying would do harm, as with a wrong password that locks the account.
    pub is_final: bool,
    /// A dead uplink of ours looks just like this, so the egress self-check is asked before the target is blamed.
    pub may_be_egress: bool,
}

impl ErrorClass {
    /// A class that is the target's fault.
    pub const fn target(name: &'static str, title: &'static str, hint: &'static str) -> Self {
        Self { name, title, fault: Fault::Target, hint, is_final: false, may_be_egress: false }
    }

    /// A class that is our own fault.
    pub const fn own(name: &'static str, title: &'static str, hint: &'static str) -> Self {
        Self { name, title, fault: Fault::Own, hint, is_final: false, may_be_egress: false }
    }

    /// Marks the class as final at the first failure.
    pub const fn final_at_once(mut self) -> Self {
        self.is_final = true;
        self
    }

    /// Marks the class as one that a dead uplink can cause.
    pub const fn maybe_egress(mut self) -> Self {
        self.may_be_egress = true;
        self
    }
}

/// The classes that every monitor may use without declaring them.
pub mod common {
    use super::ErrorClass;

    /// The name does not resolve, by the word of a name server that answered.
    pub static DNS: ErrorClass = ErrorClass::target(
        "dns",
        "Name not resolved",
        "the name servers answered that there is no address: check the spelling, the zone and its delegation",
    )
    .maybe_egress();
    /// The port is closed.
    pub static REFUSED: ErrorClass = ErrorClass::target(
        "refused",
        "Connection refused",
        "the host is up and nothing listens on the port: check that the service runs and which address it binds",
    )
    .maybe_egress();
    /// No route, by the word of a router or of the last hop.
    pub static UNREACHABLE: ErrorClass = ErrorClass::target(
        "unreachable",
        "Host unreachable",
        "a router or the local network says that the host cannot be reached: check host, network and firewall",
    )
    .maybe_egress();
    /// No answer within the deadline.
    pub static TIMEOUT: ErrorClass = ErrorClass::target(
        "timeout",
        "No answer in time",
        "the evidence names the stage that took too long: connect points at a firewall or a dead host, later stages at the service",
    )
    .maybe_egress();
    /// The peer reset or closed the connection in the middle.
    pub static RESET: ErrorClass = ErrorClass::target(
        "reset",
        "Connection cut",
        "the peer closed or reset the connection before the answer was complete: look for crashes, limits and proxies",
    )
    .maybe_egress();
    /// TLS could not be agreed, or the certificate is not acceptable.
    pub static TLS: ErrorClass = ErrorClass::target(
        "tls",
        "TLS failed",
        "the code says why and the evidence has the certificates: renew them, send the whole chain, or name the CA",
    );
    /// The credentials are wrong. Final, because repeated tries may lock the account.
    pub static AUTH: ErrorClass = ErrorClass::target(
        "auth",
        "Login refused",
        "the user name, the password or the token is not accepted; checks slow down so that the account is not locked",
    )
    .final_at_once();
    /// Logged in, and not allowed.
    pub static PERMISSION: ErrorClass = ErrorClass::target(
        "permission",
        "Permission missing",
        "the login works and lacks a right: the message names it",
    );
    /// The peer speaks, and not the protocol expected.
    pub static PROTOCOL: ErrorClass = ErrorClass::target(
        "protocol",
        "Protocol violated",
        "what came back is not the protocol of this monitor: check the port, and what answers on it",
    );

    /// Ports, files, memory or sockets have run out here.
    pub static LOCAL_RESOURCES: ErrorClass = ErrorClass::own(
        "local_resources",
        "Out of local resources",
        "this machine ran out of ports, file descriptors or memory: raise the limits or spread the checks",
    );
    /// No name server answered.
    pub static RESOLVER: ErrorClass = ErrorClass::own(
        "resolver",
        "No name server answers",
        "none of the configured name servers answered: check /etc/resolv.conf and the way to them",
    );
    /// There is no way out of this machine.
    pub static NO_EGRESS: ErrorClass = ErrorClass::own(
        "no_egress",
        "No way out",
        "this machine has no route to the target, or the egress self-check failed: check its own network",
    );
    /// The egress policy forbids the address.
    pub static EGRESS_DENIED: ErrorClass = ErrorClass::own(
        "egress_denied",
        "Address not allowed",
        "the egress policy of this server forbids the address that the name resolved to",
    );
    /// The scheduler or the machine could not keep up.
    pub static OVERLOAD: ErrorClass = ErrorClass::own(
        "overload",
        "Monitoring overloaded",
        "checks could not run in time here: raise the limits, lengthen intervals, or add a machine",
    );
    /// A tick that was never run.
    pub static DROPPED_TICK: ErrorClass = ErrorClass::own(
        "dropped_tick",
        "Check skipped",
        "the check was due and did not run before the next one was: see the scheduler's metrics",
    );
    /// No one watched: the server was stopped, the process or the machine stood still, or the clock was set forward.
    pub static UNWATCHED: ErrorClass = ErrorClass::own(
        "unwatched",
        "No one watched",
        "no check was made meanwhile; the code says why: restart, frozen, suspended or clock_set",
    );
    /// The definition cannot be built (any more).
    pub static DEFINITION: ErrorClass = ErrorClass::own(
        "definition",
        "Definition cannot be built",
        "the definition is kept and not checked until it is corrected: the message names the field",
    );
    /// A probe broke one of our own rules: a panic, or a missed deadline.
    pub static INTERNAL: ErrorClass = ErrorClass::own(
        "internal",
        "Monitor failed internally",
        "the monitor's own code failed: the log has the details; please report it",
    );

    /// All common classes.
    pub static ALL: &[&ErrorClass] = &[
        &DNS,
        &REFUSED,
        &UNREACHABLE,
        &TIMEOUT,
        &RESET,
        &TLS,
        &AUTH,
        &PERMISSION,
        &PROTOCOL,
        &LOCAL_RESOURCES,
        &RESOLVER,
        &NO_EGRESS,
        &EGRESS_DENIED,
        &OVERLOAD,
        &DROPPED_TICK,
        &UNWATCHED,
        &DEFINITION,
        &INTERNAL,
    ];
}
