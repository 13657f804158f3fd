//! Error classes that mean the same for every kind of database.

use wise_core::ErrorClass;

/// The database named in the settings is not there.
pub static NO_DATABASE: ErrorClass = ErrorClass::target(
    "no_database",
    "Database not there",
    "the server answers, and has no database of that name that this user may see: check the name, and what was dropped",
);
/// Not ready yet: starting, or recovering after a crash.
pub static STARTING: ErrorClass = ErrorClass::target(
    "starting",
    "Server is starting",
    "the server is up and not ready: it loads data or recovers after a crash; its log says how far it is",
);
/// About to be gone.
pub static SHUTTING_DOWN: ErrorClass = ErrorClass::target(
    "shutting_down",
    "Server is shutting down",
    "someone, or the machine, stops the server: look for a restart, an upgrade or the OOM killer",
);
/// Every connection is taken.
pub static TOO_MANY_CONNECTIONS: ErrorClass = ErrorClass::target(
    "too_many_connections",
    "No connection left",
    "every connection of the server or of this user is taken: look for idle sessions and pools that are too large",
);
/// Writes are refused because the server, or this node, only reads.
pub static READ_ONLY: ErrorClass = ErrorClass::target(
    "read_only",
    "Server only reads",
    "the server refuses writes though it should take them: a failover, or a read_only setting left behind",
);
/// A replica is expected and a primary answers, or the other way round.
pub static WRONG_ROLE: ErrorClass = ErrorClass::target(
    "wrong_role",
    "Unexpected role",
    "the server has another role than expected_role says: a failover has happened, or the address leads elsewhere",
);
/// Writes fail for want of room or because persisting fails.
pub static WRITES_FAIL: ErrorClass = ErrorClass::target(
    "writes_fail",
    "Writes fail",
    "the server answers reads and cannot write: disk full, quota, or memory limit; free room before it stops altogether",
);
/// The server broke off a statement of ours after its own time limit.
pub static QUERY_TIMEOUT: ErrorClass = ErrorClass::target(
    "query_timeout",
    "Statement too slow",
    "the server answers and a statement of the monitor took too long: it is overloaded, or has very many objects",
);
/// A statement of ours waited for a lock until its limit.
pub static LOCKED: ErrorClass = ErrorClass::target(
    "locked",
    "Waiting for a lock",
    "someone holds a lock that the statement needs: the evidence names the session; look for migrations and idle transactions",
);
/// The cluster the node is part of is not whole.
pub static CLUSTER: ErrorClass = ErrorClass::target(
    "cluster",
    "Cluster not whole",
    "the node answers, and its cluster does not serve: look at quorum, partitions and the other members",
);
/// Replication does not work.
pub static REPLICATION: ErrorClass = ErrorClass::target(
    "replication",
    "Replication broken",
    "a replica does not follow: the code says which part has stopped, the evidence has the error and the member",
);
/// A statement failed for another reason than those above.
pub static STATEMENT: ErrorClass = ErrorClass::target(
    "statement",
    "Statement failed",
    "the server refused a statement of the monitor: the code is the server's own; a compatible server may not know it",
);
/// A custom query is wrong or failed.
pub static CUSTOM_QUERY: ErrorClass = ErrorClass::target(
    "custom_query",
    "Custom query failed",
    "the message names the query and the server's code: run it by hand as the monitor's user",
);
