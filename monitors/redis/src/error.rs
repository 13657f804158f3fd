//! The classes of this kind, and a server's refusals as classes: by the first word of the refusal, which is its code.

use wise_core::{Absent, ErrorClass, Failure, common};
use wise_database::{classes, shorten};

use crate::resp::Reply;

/// A script runs and nothing else does.
pub(crate) static BLOCKED_BY_SCRIPT: ErrorClass = ErrorClass::target(
    "blocked_by_script",
    "Blocked by a script",
    "a script or function runs for long and everybody waits: end it with SCRIPT KILL or FUNCTION KILL, unless it has written already",
);

pub(crate) static ALL: &[&ErrorClass] = &[
    &classes::NO_DATABASE,
    &classes::STARTING,
    &classes::TOO_MANY_CONNECTIONS,
    &classes::READ_ONLY,
    &classes::WRONG_ROLE,
    &classes::WRITES_FAIL,
    &classes::CLUSTER,
    &classes::REPLICATION,
    &classes::STATEMENT,
    &classes::CUSTOM_QUERY,
    &BLOCKED_BY_SCRIPT,
];

/// Most characters of a server's text in a message.
const SHOWN: usize = 200;
/// The whole of an error without a code of its own; servers never translate it.
const CLIENTS_REACHED: &str = "ERR max number of clients";

/// Why a command has no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Broken {
    /// The server refused it with these words.
    Refused(String),
    /// The connection ended.
    Lost,
    /// What came back is not the protocol, or too much of it.
    Violation(String),
}

/// The code of a refusal.
pub(crate) fn word(refusal: &str) -> &str {
    refusal.split_ascii_whitespace().next().unwrap_or("")
}

/// What a command that was not answered means. `command` is its name, as in an ACL rule: `config|get`.
pub(crate) fn failure(broken: &Broken, command: &str) -> Failure {
    match broken {
        Broken::Refused(text) => refusal(text, command),
        Broken::Lost => {
            let text = format!("the server closed the connection while it was asked for {}", shown(command));
            Failure::new(&common::RESET, text).code("closed")
        }
        Broken::Violation(what) => {
            Failure::new(&common::PROTOCOL, format!("the answer is not Redis's: {what}")).code("not_redis")
        }
    }
}

/// The command as people write it.
fn shown(command: &str) -> String {
    command.to_ascii_uppercase().replace('|', " ")
}

/// The failure that a refusal is.
pub(crate) fn refusal(text: &str, command: &str) -> Failure {
    let said = shorten(text, SHOWN);
    let command = shown(command);
    let of = |class, code: &'static str, message: String| Failure::new(class, message).code(code);
    match word(text) {
        "NOAUTH" => of(
            &common::AUTH,
            "noauth",
            "the server wants a login, and the settings have no password".to_owned(),
        ),
        "WRONGPASS" => {
            of(&common::AUTH, "wrongpass", format!("the user name or the password is wrong: {said}"))
        }
        "DENIED" => of(
            &common::AUTH,
            "protected_mode",
            "the server is in protected mode: it takes only local connections until it has a password or protected-mode no".to_owned(),
        ),
        "NOPERM" => {
            let rule = command.to_ascii_lowercase().replace(' ', "|");
            let text = format!("the user may not run {command}: ACL SETUSER <user> +{rule} hints it ({said})");
            of(&common::PERMISSION, "noperm", text)
        }
        "LOADING" => of(&classes::STARTING, "loading", "the server loads its data".to_owned()),
        "MASTERDOWN" => of(
            &classes::REPLICATION,
            "masterdown",
            "the replica has lost its primary and refuses to answer from old data".to_owned(),
        ),
        "MISCONF" => of(
            &classes::WRITES_FAIL,
            "misconf",
            "the server refuses writes because it cannot save to disk".to_owned(),
        ),
        "OOM" => of(
            &classes::WRITES_FAIL,
            "oom",
            "the server refuses writes because its memory limit is reached".to_owned(),
        ),
        "NOREPLICAS" => of(
            &classes::WRITES_FAIL,
            "noreplicas",
            "the server refuses writes because too few replicas follow".to_owned(),
        ),
        "READONLY" => of(&classes::READ_ONLY, "readonly", format!("the server only reads: {said}")),
        "BUSY" | "UNKILLABLE" => {
            of(&BLOCKED_BY_SCRIPT, "busy", format!("a script runs and {command} has to wait: {said}"))
        }
        "CLUSTERDOWN" => of(&classes::CLUSTER, "clusterdown", format!("the cluster does not serve: {said}")),
        "MOVED" => {
            of(&classes::CLUSTER, "moved", "the key belongs to another node of the cluster".to_owned())
        }
        "ASK" | "TRYAGAIN" | "CROSSSLOT" => {
            of(&classes::CLUSTER, "slots", format!("the cluster cannot serve {command} here: {said}"))
        }
        "NOQUORUM" => of(
            &classes::REPLICATION,
            "no_quorum",
            format!("too few Sentinels can be reached for a failover: {said}"),
        ),
        "NOGOODSLAVE" => {
            of(&classes::REPLICATION, "no_good_replica", format!("no replica could take over: {said}"))
        }
        "ERR" if text.starts_with(CLIENTS_REACHED) => of(
            &classes::TOO_MANY_CONNECTIONS,
            "maxclients",
            "the server has as many clients as maxclients allows".to_owned(),
        ),
        "ERR" => of(&classes::STATEMENT, "err", format!("the server refused {command}: {said}")),
        _ => of(&classes::STATEMENT, "other", format!("the server refused {command}: {said}")),
    }
}

/// The answer of a command that a probe can do without: `Err` is the reason for its readings to be absent.
///
/// # Errors
/// The failure of the whole probe, where the server does not answer at all or refuses everything.
pub(crate) fn optional(
    answer: Result<Reply, Broken>,
    command: &'static str,
) -> Result<Result<Reply, Absent>, Failure> {
    match answer {
        Ok(reply) => Ok(Ok(reply)),
        Err(Broken::Refused(text)) => match word(&text) {
            "NOPERM" => Ok(Err(Absent::NoPermission(format!("ACL SETUSER <user> +{command}")))),
            // Commands that are renamed, switched off, or younger than the server.
            "ERR" if !text.starts_with(CLIENTS_REACHED) => Ok(Err(Absent::Unsupported)),
            _ => Err(refusal(&text, command)),
        },
        Err(broken) => Err(failure(&broken, command)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_their_first_word() {
        for (text, class, code) in [
            ("NOAUTH Authentication required.", "auth", "noauth"),
            ("WRONGPASS invalid username-password pair or user is disabled.", "auth", "wrongpass"),
            ("DENIED Redis is running in protected mode because", "auth", "protected_mode"),
            ("NOPERM this user has no permissions to run the 'ping' command", "permission", "noperm"),
            ("LOADING Redis is loading the dataset in memory", "starting", "loading"),
            ("LOADING Valkey is loading the dataset in memory", "starting", "loading"),
            (
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                "replication",
                "masterdown",
            ),
            ("MISCONF Redis is configured to save RDB snapshots, but", "writes_fail", "misconf"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "writes_fail", "oom"),
            ("NOREPLICAS Not enough good replicas to write.", "writes_fail", "noreplicas"),
            ("READONLY You can't write against a read only replica.", "read_only", "readonly"),
            ("BUSY Redis is busy running a script.", "blocked_by_script", "busy"),
            ("CLUSTERDOWN The cluster is down", "cluster", "clusterdown"),
            ("MOVED 3999 127.0.0.1:6381", "cluster", "moved"),
            ("NOQUORUM 1 usable Sentinels.", "replication", "no_quorum"),
            ("ERR max number of clients reached", "too_many_connections", "maxclients"),
            ("ERR max number of clients + cluster connections reached", "too_many_connections", "maxclients"),
            ("ERR unknown command 'X'", "statement", "err"),
            ("", "statement", "other"),
            ("SOMETHING new", "statement", "other"),
        ] {
            let failure = refusal(text, "ping");
            assert_eq!((failure.class.name, failure.code.as_deref()), (class, Some(code)), "{text}");
        }
    }

    #[test]
    fn a_missing_right_names_its_hint() {
        let failure = refusal("NOPERM this user has no permissions", "config|get");
        assert!(failure.message.contains("+config|get") && failure.message.contains("CONFIG GET"));
        let absent = optional(Err(Broken::Refused("NOPERM no".to_owned())), "slowlog|get").unwrap();
        assert_eq!(absent, Err(Absent::NoPermission("ACL SETUSER <user> +slowlog|get".to_owned())));
        let absent = optional(Err(Broken::Refused("ERR unknown command".to_owned())), "slowlog|get").unwrap();
        assert_eq!(absent, Err(Absent::Unsupported));
        let failure = optional(Err(Broken::Refused("LOADING".to_owned())), "slowlog|get").unwrap_err();
        assert_eq!(failure.class.name, "starting");
    }
}
