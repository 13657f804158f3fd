//! What a server says about itself before anybody logs in.

use bson::{Bson, Document, doc};
use serde_json::json;

use crate::document::{is, number, text};

/// The protocol of MongoDB 4.2, the oldest that the driver speaks.
const OLDEST_WIRE_VERSION: i32 = 8;

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    Secondary,
    Arbiter,
    Mongos,
    Standalone,
    /// Belongs to a replica set and serves no one: it starts, recovers, rolls back, or is in maintenance.
    Unready,
    /// Was told to be part of a replica set, and has no configuration of one.
    Unconfigured,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Arbiter => "arbiter",
            Self::Mongos => "mongos",
            Self::Standalone => "standalone",
            Self::Unready => "unready",
            Self::Unconfigured => "unconfigured",
        }
    }

    /// The value of the role's metric.
    pub(crate) fn state(self) -> f64 {
        f64::from(self as u8)
    }
}

/// An answer to `hello`.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) role: Role,
    pub(crate) set: Option<String>,
    /// Takes writes.
    pub(crate) is_writable: bool,
    is_hidden: bool,
    primary: Option<String>,
    /// The newest protocol that the server speaks.
    wire_version: Option<f64>,
    answer: Document,
}

impl Hello {
    /// The question. `isMaster` is the only form that every version knows, from 4.4 to 8; the answer is that of `hello`.
    /// `user` is asked for with its database, so that the answer tells how it can log in.
    pub(crate) fn question(user: Option<(&str, &str)>) -> Document {
        let mut question = doc! {
            "isMaster": 1,
            "helloOk": true,
            "client": {
                "application": {"name": crate::session::APPLICATION},
                "driver": {"name": "wise-monitoring", "version": env!("CARGO_PKG_VERSION")},
                "os": {"type": std::env::consts::OS},
            },
            "$db": "admin",
        };
        if let Some((source, name)) = user {
            question.insert("saslSupportedMechs", format!("{source}.{name}"));
        }
        question
    }

    /// Reads the answer.
    pub(crate) fn read(answer: Document) -> Self {
        let is_writable = is(&answer, &["isWritablePrimary"]) || is(&answer, &["ismaster"]);
        let set = text(&answer, &["setName"]).map(str::to_owned);
        let role = if text(&answer, &["msg"]) == Some("isdbgrid") {
            Role::Mongos
        } else if set.is_none() {
            if is(&answer, &["isreplicaset"]) { Role::Unconfigured } else { Role::Standalone }
        } else if is_writable {
            Role::Primary
        } else if is(&answer, &["secondary"]) {
            Role::Secondary
        } else if is(&answer, &["arbiterOnly"]) {
            Role::Arbiter
        } else {
            Role::Unready
        };
        Self {
            role,
            set,
            is_writable: is_writable && !is(&answer, &["readOnly"]),
            is_hidden: is(&answer, &["hidden"]),
            primary: text(&answer, &["primary"]).map(str::to_owned),
            wire_version: number(&answer, &["maxWireVersion"]),
            answer,
        }
    }

    /// Whether the driver does not speak the server's protocol any more.
    pub(crate) fn is_too_old(&self) -> bool {
        self.wire_version.is_some_and(|version| version < f64::from(OLDEST_WIRE_VERSION))
    }

    /// What is written down.
    pub(crate) fn evidence(&self) -> serde_json::Value {
        json!({"role": self.role.name(), "replica_set": self.set, "hidden": self.is_hidden, "primary": self.primary})
    }

    /// The answer as the driver is to see it: what it needs and no more, in the types that it wants. Without a timeout
    /// for sessions it makes none, which would only be litter on the server; nor does it stream, gossip or compress.
    pub(crate) fn for_driver(&self) -> Document {
        let mut shown = doc! {"ok": 1.0, "helloOk": true, "maxWriteBatchSize": 100_000};
        for name in ["ismaster", "isWritablePrimary", "secondary", "arbiterOnly", "hidden", "isreplicaset"] {
            if self.answer.contains_key(name) {
                shown.insert(name, is(&self.answer, &[name]));
            }
        }
        for name in ["setName", "msg"] {
            if let Some(text) = text(&self.answer, &[name]) {
                shown.insert(name, text);
            }
        }
        for (name, usual) in [
            ("minWireVersion", 0),
            ("maxWireVersion", OLDEST_WIRE_VERSION),
            ("maxBsonObjectSize", 16 * 1024 * 1024),
            ("maxMessageSizeBytes", 48_000_000),
        ] {
            let given =
                number(&self.answer, &[name]).filter(|given| (0.0..=f64::from(i32::MAX)).contains(given));
            shown.insert(name, given.map_or(usual, |given| given as i32));
        }
        if let Ok(mechanisms) = self.answer.get_array("saslSupportedMechs") {
            let names: Vec<Bson> =
                mechanisms.iter().filter(|name| name.as_str().is_some()).cloned().collect();
            shown.insert("saslSupportedMechs", names);
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_apart_in_old_and_new_answers() {
        for (answer, role) in [
            (doc! {"ismaster": true}, Role::Standalone),
            (doc! {"isWritablePrimary": true, "msg": "isdbgrid"}, Role::Mongos),
            (doc! {"isWritablePrimary": true, "setName": "rs0"}, Role::Primary),
            (doc! {"ismaster": false, "secondary": true, "setName": "rs0"}, Role::Secondary),
            (
                doc! {"ismaster": false, "secondary": false, "arbiterOnly": true, "setName": "rs0"},
                Role::Arbiter,
            ),
            (doc! {"ismaster": false, "secondary": false, "setName": "rs0"}, Role::Unready),
            (doc! {"ismaster": false, "isreplicaset": true}, Role::Unconfigured),
        ] {
            assert_eq!(Hello::read(answer.clone()).role, role, "{answer}");
        }
    }

    #[test]
    fn the_driver_is_shown_what_it_needs_and_nothing_strange() {
        let hello = Hello::read(doc! {
            "ismaster": 1, "logicalSessionTimeoutMinutes": 30, "maxMessageSizeBytes": 5e20, "maxWireVersion": 21i64,
            "setName": "rs0", "setVersion": "strange", "hosts": 7, "saslSupportedMechs": ["SCRAM-SHA-256", 1],
        });
        let wanted = doc! {
            "ok": 1.0, "helloOk": true, "maxWriteBatchSize": 100_000, "ismaster": true, "setName": "rs0",
            "minWireVersion": 0, "maxWireVersion": 21, "maxBsonObjectSize": 16_777_216,
            "maxMessageSizeBytes": 48_000_000, "saslSupportedMechs": ["SCRAM-SHA-256"],
        };
        assert_eq!(hello.for_driver(), wanted);
        assert!(!hello.is_too_old() && Hello::read(doc! {"maxWireVersion": 6}).is_too_old());
    }
}
