//! What members of replica sets answer, in the shapes of `prepareStatusResponse` of mongodb/mongo.

use bson::{Bson, DateTime, Document, Timestamp, doc};

use crate::responder::{Answer, Responder, cursor};

/// 2026-11-20T10:00:10.500Z, when the member was asked, in milliseconds.
const NOW: i64 = 1_795_168_810_500;
/// The time of the last operation, in seconds.
const LAST: u32 = 1_795_168_807;

fn date(millis: i64) -> Bson {
    DateTime::from_millis(millis).into()
}

fn place(seconds: u32, term: i64) -> Document {
    doc! {"ts": Timestamp { time: seconds, increment: 1 }, "t": term}
}

/// A member that has everything up to `behind` seconds before the last operation.
pub(crate) fn member(id: i32, state: i32, behind: u32) -> Document {
    let name = match state {
        1 => "PRIMARY",
        2 => "SECONDARY",
        3 => "RECOVERING",
        5 => "STARTUP2",
        9 => "ROLLBACK",
        _ => "UNKNOWN",
    };
    let seconds = LAST - behind;
    let wall = date(i64::from(seconds) * 1000 + 100);
    doc! {
        "_id": id, "name": format!("m{id}:27017"), "health": 1.0, "state": state, "stateStr": name, "uptime": 93_600,
        "optime": place(seconds, 7), "optimeDurable": place(seconds, 7),
        "optimeDate": date(i64::from(seconds) * 1000), "lastAppliedWallTime": wall.clone(), "lastDurableWallTime": wall,
        "lastHeartbeat": date(NOW - 600), "lastHeartbeatRecv": date(NOW - 700), "pingMs": 2i64,
        "lastHeartbeatMessage": "", "syncSourceHost": if state == 2 { "m0:27017" } else { "" }, "syncSourceId": 0,
        "infoMessage": "", "configVersion": 3, "configTerm": 7i64,
    }
}

/// The same as the member itself says it: without heartbeats.
pub(crate) fn own(mut member: Document) -> Document {
    for name in ["lastHeartbeat", "lastHeartbeatRecv", "pingMs", "optimeDurable"] {
        member.remove(name);
    }
    member.insert("self", true);
    member
}

/// A member that does not answer. It keeps its times and loses its place.
pub(crate) fn down(id: i32) -> Document {
    let nowhere = doc! {"ts": Timestamp { time: 0, increment: 0 }, "t": -1i64};
    doc! {
        "_id": id, "name": format!("m{id}:27017"), "health": 0.0, "state": 8, "stateStr": "(not reachable/healthy)",
        "uptime": 0, "optime": nowhere.clone(), "optimeDurable": nowhere, "optimeDate": date(0),
        "lastAppliedWallTime": date(NOW - 129_500), "lastHeartbeat": date(NOW - 1_400),
        "lastHeartbeatRecv": date(NOW - 128_200), "pingMs": 0i64,
        "lastHeartbeatMessage": format!("Error connecting to m{id}:27017 :: caused by :: Connection refused"),
        "syncSourceHost": "", "syncSourceId": -1, "infoMessage": "", "configVersion": -1, "configTerm": -1,
    }
}

/// An arbiter has no place at all.
pub(crate) fn arbiter(id: i32) -> Document {
    doc! {
        "_id": id, "name": format!("arb{id}:27017"), "health": 1.0, "state": 7, "stateStr": "ARBITER", "uptime": 93_600,
        "lastHeartbeat": date(NOW - 600), "lastHeartbeatRecv": date(NOW - 700), "pingMs": 0i64,
        "lastHeartbeatMessage": "", "syncSourceHost": "", "syncSourceId": -1, "infoMessage": "",
        "configVersion": 3, "configTerm": 7i64,
    }
}

/// The status of a set as the member says it that has `self`.
pub(crate) fn status(members: Vec<Document>) -> Document {
    let own = members.iter().find(|member| member.contains_key("self")).expect("as it was made above");
    let state = own.get_i32("state").expect("as it was made above");
    let mut status = doc! {
        "set": "rs0", "date": date(NOW), "myState": state, "term": 7i64, "syncSourceHost": "", "syncSourceId": -1,
        "heartbeatIntervalMillis": 2000i64, "majorityVoteCount": 2, "writeMajorityCount": 2, "votingMembersCount": 3,
        "writableVotingMembersCount": 3,
        "optimes": {
            "lastCommittedOpTime": place(LAST, 7), "lastCommittedWallTime": date(i64::from(LAST) * 1000 + 100),
            "appliedOpTime": place(LAST, 7), "lastAppliedWallTime": date(i64::from(LAST) * 1000 + 100),
        },
    };
    status.insert("members", members);
    status
}

/// A set whose majority lags behind its primary.
pub(crate) fn with_committed(mut status: Document, behind: u32) -> Document {
    let optimes = status.get_document_mut("optimes").expect("as it was made above");
    optimes.insert("lastCommittedOpTime", place(LAST - behind, 7));
    optimes.insert("lastCommittedWallTime", date(i64::from(LAST - behind) * 1000 + 100));
    status
}

/// A member's place with another term.
pub(crate) fn with_term(mut member: Document, ahead: u32, term: i64) -> Document {
    member.insert("optime", place(LAST + ahead, term));
    member
}

/// The configuration of three members, with changes to one of them.
pub(crate) fn config(id: i32, changes: Document) -> Document {
    let members: Vec<Bson> = (0..3)
        .map(|number| {
            let mut member = doc! {
                "_id": number, "host": format!("m{number}:27017"), "arbiterOnly": false, "buildIndexes": true,
                "hidden": false, "priority": 1.0, "tags": {}, "secondaryDelaySecs": 0i64, "votes": 1,
            };
            if number == id {
                member.extend(changes.clone());
            }
            member.into()
        })
        .collect();
    doc! {"config": {"_id": "rs0", "version": 3, "members": members}}
}

/// What a member says it is, before anybody logs in.
pub(crate) fn hello(more: Document) -> Document {
    let mut hello = doc! {
        "ismaster": false, "helloOk": true, "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000, "logicalSessionTimeoutMinutes": 30, "connectionId": 7, "minWireVersion": 0,
        "maxWireVersion": 21, "readOnly": false,
    };
    hello.extend(more);
    hello
}

pub(crate) fn primary() -> Document {
    hello(
        doc! {"ismaster": true, "setName": "rs0", "secondary": false, "primary": "m0:27017", "me": "m0:27017"},
    )
}

pub(crate) fn secondary() -> Document {
    hello(doc! {"setName": "rs0", "secondary": true, "primary": "m0:27017", "me": "m1:27017"})
}

/// An entry of the oplog so many seconds before the last.
pub(crate) fn entry(before: u32) -> Answer {
    cursor([doc! {"ts": Timestamp { time: LAST - before, increment: 1 }}])
}

/// A member that answers everything.
pub(crate) fn replica_set(hello: Document, status: Document) -> Responder {
    Responder::new([
        ("isMaster", Answer::Is(hello)),
        ("serverStatus", Answer::Is(server_status())),
        ("aggregate $currentOp", cursor([])),
        ("replSetGetStatus", Answer::Is(status)),
        ("replSetGetConfig", Answer::Is(config(-1, doc! {}))),
        ("find 1", entry(200_000)),
        ("find -1", entry(0)),
        ("collStats", Answer::Is(doc! {"size": 990i64, "maxSize": 1000i64})),
    ])
}

pub(crate) fn server_status() -> Document {
    doc! {
        "version": "7.0.14", "uptime": 86_400.0,
        "connections": {"current": 40, "available": 160, "totalCreated": 1000i64, "active": 3, "rejected": 0},
        "opcounters": {"insert": 1i64, "query": 2i64, "update": 3i64, "delete": 4i64, "getmore": 5i64, "command": 6i64},
        "opLatencies": {
            "reads": {"latency": 1_000_000i64, "ops": 1000i64}, "writes": {"latency": 0i64, "ops": 0i64},
            "commands": {"latency": 500i64, "ops": 5i64},
        },
        "globalLock": {"currentQueue": {"readers": 1, "writers": 2}, "activeClients": {"readers": 3, "writers": 4}},
        "wiredTiger": {
            "concurrentTransactions": {
                "read": {"out": 1, "available": 127, "totalTickets": 128},
                "write": {"out": 2, "available": 126, "totalTickets": 128},
            },
            "cache": {
                "bytes currently in the cache": 800i64, "maximum bytes configured": 1000i64,
                "tracked dirty bytes in the cache": 50i64, "pages evicted by application threads": 7i64,
                "pages read into cache": 1000i64, "pages requested from the cache": 100_000i64,
            },
        },
        "locks": {"Collection": {"deadlockCount": {"w": 1i64, "r": 2i64}}, "Global": {"acquireCount": {"r": 9i64}}},
        "asserts": {"regular": 0, "warning": 0, "msg": 0, "user": 12},
        "metrics": {
            "cursor": {"open": {"total": 11i64}, "timedOut": 3i64},
            "operation": {"writeConflicts": 5i64, "scanAndOrder": 6i64},
            "queryExecutor": {"scanned": 70i64, "scannedObjects": 80i64, "collectionScans": {"total": 9i64}},
            "document": {"returned": 1i64, "inserted": 2i64, "updated": 3i64, "deleted": 4i64},
        },
        "extra_info": {"page_faults": 21i64},
        "flowControl": {"enabled": true, "isLagged": false},
        "network": {"bytesIn": 100i64, "bytesOut": 200i64, "numRequests": 300i64},
        "mem": {"resident": 512, "supported": true},
    }
}
