//! What `replSetGetStatus` and `replSetGetConfig` say about the members, without asking anybody.

use bson::{Bson, Document};
use serde_json::{Value, json};
use wise_core::Labels;
use wise_core::label::{UniqueLabels, fit};
use wise_database::shorten;

use crate::document::{date, documents, is, number, part, text};

/// Members of a replica set: MongoDB takes 50.
const MOST_MEMBERS: usize = 100;
/// Most characters of a member's name: those of a name in the DNS, and its port.
const MOST_CHARACTERS: usize = 260;

/// States as MongoDB numbers them.
pub(crate) mod state {
    pub(crate) const STARTUP: i64 = 0;
    pub(crate) const PRIMARY: i64 = 1;
    pub(crate) const SECONDARY: i64 = 2;
    pub(crate) const RECOVERING: i64 = 3;
    pub(crate) const INITIAL_SYNC: i64 = 5;
    pub(crate) const UNKNOWN: i64 = 6;
    pub(crate) const ARBITER: i64 = 7;
    pub(crate) const ROLLBACK: i64 = 9;
    pub(crate) const REMOVED: i64 = 10;
}

/// A place in the oplog.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    /// `None` in old protocols.
    pub(crate) term: Option<i64>,
    /// Seconds since 1970.
    seconds: u32,
    increment: u32,
}

impl Place {
    /// Reads `{ts, t}`, or a timestamp alone. Zero stands for "nothing yet", and for a member that is not heard of.
    pub(crate) fn read(value: &Bson) -> Option<Self> {
        let (timestamp, term) = match value {
            Bson::Timestamp(timestamp) => (*timestamp, None),
            Bson::Document(document) => {
                let term = number(document, &["t"]).map(|term| term as i64).filter(|term| *term >= 0);
                (document.get_timestamp("ts").ok()?, term)
            }
            _ => return None,
        };
        (timestamp.time > 0).then_some(Self { term, seconds: timestamp.time, increment: timestamp.increment })
    }

    /// Seconds since 1970.
    pub(crate) fn time(self) -> f64 {
        f64::from(self.seconds)
    }

    fn order(self) -> (u32, u32) {
        (self.seconds, self.increment)
    }
}

/// A member, as the member that was asked sees it.
#[derive(Debug)]
pub(crate) struct Member {
    /// Host and port, as the configuration of the set has them.
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) state: i64,
    state_text: String,
    pub(crate) is_healthy: bool,
    pub(crate) is_own: bool,
    pub(crate) place: Option<Place>,
    /// When it applied its last operation, by the primary's clock; finer than the place.
    applied: Option<f64>,
    pub(crate) heartbeat_age: Option<f64>,
    pub(crate) ping: Option<f64>,
    pub(crate) votes: f64,
    /// Seconds that it is meant to be behind.
    delay: f64,
    pub(crate) is_rejected: bool,
    message: String,
    source: String,
}

impl Member {
    /// Whether it does what it is there for.
    pub(crate) fn works(&self) -> bool {
        self.is_healthy && matches!(self.state, state::PRIMARY | state::SECONDARY | state::ARBITER)
    }

    /// 0 works, 1 on its way, 2 does not.
    pub(crate) fn problem(&self) -> f64 {
        match self.state {
            _ if !self.is_healthy => 2.0,
            state::PRIMARY | state::SECONDARY | state::ARBITER => 0.0,
            state::STARTUP | state::RECOVERING | state::INITIAL_SYNC => 1.0,
            _ => 2.0,
        }
    }

    pub(crate) fn has_data(&self) -> bool {
        self.state != state::ARBITER
    }

    pub(crate) fn evidence(&self, lag: Option<f64>) -> Value {
        json!({
            "name": self.name,
            "state": self.state_text,
            "answers": self.is_healthy,
            "lag_seconds": lag,
            "heartbeat_age_seconds": self.heartbeat_age,
            "follows": self.source,
            "message": self.message,
            "delay_seconds": self.delay,
        })
    }
}

/// How far a member is behind the primary; `None` when no one can know.
pub(crate) fn lag(member: &Member, primary: &Member) -> Option<f64> {
    if !member.is_healthy || !primary.is_healthy || member.state == state::ROLLBACK {
        return None;
    }
    let (own, first) = (member.place?, primary.place?);
    // The term comes first: with an older one and a newer time, what the member has will be rolled back; with a newer
    // one the primary is none any more.
    match own.term.zip(first.term) {
        Some((own_term, term)) if own_term > term => return None,
        Some((own_term, term)) if own_term < term && own.order() > first.order() => return None,
        _ => {}
    }
    let behind = if own.order() == first.order() {
        0.0
    } else {
        // Both by the clock of the primary. Places have whole seconds only.
        match member.applied.zip(primary.applied) {
            Some((own, first)) => first - own,
            None => f64::from(first.seconds) - f64::from(own.seconds),
        }
    };
    // A heartbeat older than the answer makes a member look ahead.
    Some((behind - member.delay).max(0.0))
}

/// The replica set, as the member that was asked sees it.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) members: Vec<Member>,
    pub(crate) own_state: Option<i64>,
    pub(crate) term: Option<f64>,
    pub(crate) majority: Option<f64>,
    pub(crate) is_too_stale: bool,
    pub(crate) is_in_maintenance: bool,
    pub(crate) majority_lag: Option<f64>,
}

impl Set {
    /// Reads the status, and the configuration where there is one.
    pub(crate) fn read(status: &Document, config: Option<&Document>) -> Self {
        let now = date(status, &["date"]);
        let configured: Vec<&Document> =
            config.map(|config| documents(config, &["config", "members"]).collect()).unwrap_or_default();
        // No configuration has one member twice; what answers need not be honest.
        let mut unique = UniqueLabels::default();
        let members: Vec<Member> = documents(status, &["members"])
            .take(MOST_MEMBERS)
            .map(|member| {
                let id = number(member, &["_id"]);
                let config = configured.iter().find(|config| number(config, &["_id"]) == id).copied();
                read_member(member, config, now, &mut unique)
            })
            .collect();
        let own = members.iter().find(|member| member.is_own);
        let own_state = number(status, &["myState"]).map(|state| state as i64).or(own.map(|own| own.state));
        let own_document = documents(status, &["members"]).find(|member| is(member, &["self"]));
        Self {
            own_state,
            term: number(status, &["term"]).filter(|term| *term >= 0.0),
            majority: number(status, &["majorityVoteCount"]),
            is_too_stale: is(status, &["tooStale"]),
            is_in_maintenance: is(status, &["maintenanceMode"])
                || own_document.is_some_and(|own| is(own, &["maintenanceMode"])),
            majority_lag: (own_state == Some(state::PRIMARY)).then(|| majority_lag(status)).flatten(),
            members,
        }
    }

    /// The primary that this member knows. After a partition there may be two for a moment: the one with the newer term.
    pub(crate) fn primary(&self) -> Option<&Member> {
        let primaries =
            self.members.iter().filter(|member| member.is_healthy && member.state == state::PRIMARY);
        primaries.max_by_key(|member| member.place.and_then(|place| place.term))
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.own_state == Some(state::PRIMARY)
    }
}

fn read_member(
    member: &Document,
    config: Option<&Document>,
    now: Option<f64>,
    unique: &mut UniqueLabels,
) -> Member {
    let name = fit(text(member, &["name"]).unwrap_or("?"), MOST_CHARACTERS);
    let place = member.get("optime").and_then(Place::read);
    let since = |name: &str| now.zip(date(member, &[name])).map(|(now, then)| (now - then).max(0.0));
    // The second name is that of 4.4.
    let delays = ["secondaryDelaySecs", "slaveDelay"].into_iter().filter_map(|name| number(config?, &[name]));
    let delay = delays.fold(0.0, f64::max);
    let state = number(member, &["state"]).map_or(state::UNKNOWN, |state| state as i64);
    let string = |name: &str| shorten(text(member, &[name]).unwrap_or_default(), 200);
    let messages = [string("lastHeartbeatMessage"), string("infoMessage")];
    Member {
        labels: unique.of(Labels::one("member", name.clone())),
        name: name.into_owned(),
        state,
        state_text: string("stateStr"),
        is_healthy: number(member, &["health"]).is_none_or(|health| health > 0.0),
        is_own: is(member, &["self"]),
        // A member that is down keeps the time and loses the place.
        applied: date(member, &["lastAppliedWallTime"]).filter(|_| place.is_some()),
        place,
        heartbeat_age: since("lastHeartbeatRecv"),
        ping: number(member, &["pingMs"]).map(|millis| millis / 1e3),
        votes: config.and_then(|config| number(config, &["votes"])).unwrap_or(1.0),
        delay,
        is_rejected: matches!(member.get_bool("authenticated"), Ok(false)),
        message: messages.into_iter().find(|message| !message.is_empty()).unwrap_or_default(),
        source: ["syncSourceHost", "syncingTo"]
            .into_iter()
            .map(string)
            .find(|name| !name.is_empty())
            .unwrap_or_default(),
    }
}

/// How far the majority is behind the primary. The same place is no lag, however old it is: no one writes.
fn majority_lag(status: &Document) -> Option<f64> {
    let optimes = part(status, &["optimes"])?;
    let place = |name: &str| optimes.get(name).and_then(Place::read);
    let (applied, committed) = (place("appliedOpTime")?, place("lastCommittedOpTime")?);
    if applied.order() == committed.order() {
        return Some(0.0);
    }
    let wall = |name: &str| date(optimes, &[name]);
    let behind = match wall("lastAppliedWallTime").zip(wall("lastCommittedWallTime")) {
        Some((applied, committed)) => applied - committed,
        None => f64::from(applied.seconds) - f64::from(committed.seconds),
    };
    Some(behind.max(0.0))
}
