//! The collections: their fields, indexes, and how long documents stay.

use std::collections::BTreeMap;
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};

use super::remote::Remote;
use crate::error::StoreError;
use crate::retention::Retention;
use crate::rollup::Tier;

/// Version of the documents. Raised when an older program could not read them. Format 2 has samples that are
/// distributions in chunks.
pub(super) const FORMAT: i64 = 2;

/// Definitions.
pub(super) const MONITORS: &str = "monitors";
/// The main record.
pub(super) const EVENTS: &str = "events";
/// How far consumers of events have come.
pub(super) const CURSORS: &str = "cursors";
/// Small settings of the store's own.
pub(super) const META: &str = "meta";
/// Who has sent checks.
pub(super) const SPOOLS: &str = "spools";
/// What is measured and no monitor.
pub(super) const SOURCES: &str = "sources";
/// Who may write.
pub(super) const WRITER: &str = "writer";
/// Sealed checks.
pub(super) const CHUNKS: &str = "chunks";
/// Checks of an hour, summed up, and each failure.
pub(super) const RESULTS: &str = "results";

/// The collection of a tier.
pub(super) fn rollups(tier: Tier) -> &'static str {
    match tier {
        Tier::FiveMinutes => "rollups_5m",
        Tier::Hour => "rollups_1h",
        Tier::Day => "rollups_1d",
    }
}

/// Tombstones stay this long: a writer that was held up before it wrote does not bring the monitor back.
const TOMBSTONE: Duration = Duration::from_secs(7 * 86_400);
/// A day is a document's time of birth for its retention, and has to be over first.
const DAY: Duration = Duration::from_secs(86_400);

/// A field: name, BSON type, whether it has to be there, what it holds.
type Field = (&'static str, &'static str, bool, &'static str);

/// An index: its fields, whether it is unique, and after how long documents go by it.
#[derive(Debug)]
pub(super) struct Index {
    keys: &'static [&'static str],
    is_unique: bool,
    expiry: Option<Duration>,
}

/// A collection.
#[derive(Debug)]
pub(super) struct Shape {
    pub name: &'static str,
    about: &'static str,
    fields: &'static [Field],
    indexes: Vec<Index>,
}

const fn index(keys: &'static [&'static str]) -> Index {
    Index { keys, is_unique: false, expiry: None }
}

const ROLLUP: &[Field] = &[
    ("_id", "string", true, "source, metric, day, probe, location and part"),
    ("monitor", "string", true, "its source: the id of a monitor, or an id of `sources`"),
    ("metric", "string", true, "dotted name of the metric"),
    ("probe", "string", true, "probe that measured it"),
    ("location", "string", true, "place it was measured from"),
    ("day", "date", true, "midnight UTC of the day"),
    (
        "series",
        "array",
        true,
        "`labels`, and `buckets`: `time`, `count`, `sum`, `sum_of_squares`, `mean`, `deviation`, `min`, `max`, `first`, `last`, `increase`; \
         with `p50`, `p95`, `p99` and the `sketch` they are from, where the metric keeps one",
    ),
];

/// The collections, for a retention.
pub(super) fn shapes(retention: &Retention) -> Vec<Shape> {
    let expiring = |keys, after: Duration| Index { keys, is_unique: false, expiry: Some(after) };
    let mut shapes = vec![
        Shape {
            name: MONITORS,
            about: "definitions, one a monitor",
            fields: &[
                ("_id", "string", true, "id of the monitor"),
                ("change", "long", true, "number of the change that made it so"),
                ("name", "string", false, "its name; missing once it is removed"),
                ("kind", "string", false, "its kind, such as website"),
                ("enabled", "bool", false, "whether it is checked"),
                ("tags", "array", false, "its tags, `name` and `value` each"),
                ("managed_by", "string", false, "api, or the file it is kept in"),
                ("version", "long", false, "counted up by each change"),
                ("created_at", "date", false, "when it was made"),
                ("updated_at", "date", false, "when it was changed last"),
                ("updated_by", "string", false, "by whom"),
                ("definition", "string", false, "all of it as JSON, secrets sealed"),
                ("removed", "date", false, "when it was removed; it can be brought back for a day"),
                ("purged", "date", false, "when it was forgotten; what is left then goes after a week"),
            ],
            indexes: vec![
                Index { keys: &["name"], is_unique: true, expiry: None },
                index(&["kind"]),
                expiring(&["purged"], TOMBSTONE),
            ],
        },
        Shape {
            name: EVENTS,
            about: "the main record: what changed, in one sequence; events stay as long as their monitor",
            fields: &[
                ("_id", "long", true, "its number in the main record"),
                ("monitor", "string", true, "id of the monitor"),
                ("time", "date", true, "when it was decided"),
                ("time_us", "long", true, "the same in microseconds since 1970"),
                (
                    "type",
                    "string",
                    true,
                    "`raised`, `changed`, `cleared` (a condition), `status`, `gap`, `removed`, `restored`",
                ),
                ("identity", "string", true, "the same wherever and under whatever number it is stored"),
                (
                    "condition",
                    "object",
                    false,
                    "`key`, `kind`, `probe`, `severity`, `metric`, `labels` (`name` and `value` each)",
                ),
                ("from", "string", false, "status before"),
                ("to", "string", false, "status after"),
                ("down", "bool", false, "whether the monitor is down"),
                (
                    "since",
                    "date",
                    false,
                    "when the condition, the status or the gap began; may precede `time`",
                ),
                ("until", "date", false, "when the gap ended"),
                ("class", "string", false, "why: the error class, or `threshold`"),
                ("message", "string", false, "why, in a sentence"),
                ("event", "string", true, "all of it as JSON, with the evidence of the deciding check"),
            ],
            indexes: vec![index(&["monitor", "_id"]), index(&["time"]), index(&["type", "time"])],
        },
        Shape {
            name: CURSORS,
            about: "how far consumers of events have come",
            fields: &[
                ("_id", "string", true, "the consumer"),
                ("sequence", "long", true, "number of the last event it has taken in"),
            ],
            indexes: vec![],
        },
        Shape {
            name: META,
            about: "small settings of the store's own",
            fields: &[("_id", "string", true, "name"), ("value", "string", true, "value")],
            indexes: vec![],
        },
        Shape {
            name: SOURCES,
            about: "what is measured over time and is no monitor",
            fields: &[
                ("_id", "string", true, "`kind:name`, as in the field `monitor` of its documents"),
                ("kind", "string", true, "what it is, such as `server` for this program's own server"),
                ("name", "string", true, "which one of its kind"),
            ],
            indexes: vec![],
        },
        Shape {
            name: SPOOLS,
            about: "spools that have sent checks",
            fields: &[
                ("_id", "string", true, "id of the spool"),
                ("name", "string", true, "name of its process"),
                ("last_day", "long", true, "the last day it has sent checks of, counted from 1970"),
            ],
            indexes: vec![],
        },
        Shape {
            name: WRITER,
            about: "one document: who may write, and what it is about to write",
            fields: &[
                ("_id", "string", true, "`writer`"),
                ("format", "long", true, "version of all documents"),
                ("store", "string", true, "id of this store, to be known again"),
                (
                    "holder",
                    "string",
                    false,
                    "spool of the process that may write; missing when it was given back",
                ),
                ("name", "string", false, "its name"),
                ("last", "string", false, "spool of the process that gave it back"),
                ("fence", "long", true, "counted up by each new holder"),
                ("beat", "long", true, "counted up by each sign of life"),
                ("renewed", "date", true, "when the last one was"),
                ("changes", "long", true, "changes of definitions so far"),
                ("sequence", "long", true, "number of the last event"),
                ("pending", "array", true, "the last commit: anyone who comes next completes it"),
            ],
            indexes: vec![],
        },
        Shape {
            name: CHUNKS,
            about: "every check of one probe, or every sample of a source that is no monitor, over an hour or, once it is over, a day",
            fields: &[
                ("_id", "string", true, "source, probe, location, worker, spool and hour or day"),
                ("monitor", "string", true, "its source: the id of a monitor, or an id of `sources`"),
                ("probe", "string", true, "its probe; `samples` for what is no monitor"),
                ("location", "string", true, "place it was checked from"),
                ("worker", "string", true, "process that checked it"),
                ("spool", "string", true, "spool that it came from"),
                ("day", "date", true, "midnight UTC of the day"),
                ("span", "string", true, "`hour` or `day`; `damaged` when it cannot be read"),
                (
                    "sealed",
                    "date",
                    false,
                    "the day again, once it is over and rolled up: before, nothing is removed",
                ),
                ("first", "date", true, "its first check"),
                ("last", "date", true, "its last check"),
                ("checks", "long", true, "how many checks"),
                ("series", "array", true, "what its columns are: `metric`, `labels`, `resolution`, `sketch`"),
                ("evidence", "array", true, "what its failures refer to: `class`, `code`, `message`, `body`"),
                (
                    "data",
                    "binData",
                    true,
                    "columns of times, durations, statuses, failures and values, compressed",
                ),
            ],
            indexes: vec![
                index(&["monitor", "day"]),
                index(&["span", "day", "monitor"]),
                index(&["day"]),
                expiring(&["sealed"], retention.raw + DAY),
            ],
        },
        Shape {
            name: RESULTS,
            about: "the checks of one probe over an hour, summed up, with its failures",
            fields: &[
                ("_id", "string", true, "as in `chunks`"),
                ("monitor", "string", true, "id of the monitor"),
                ("probe", "string", true, "its probe"),
                ("location", "string", true, "place it was checked from"),
                ("worker", "string", true, "process that checked it"),
                ("hour", "date", true, "beginning of the hour"),
                ("checks", "long", true, "how many checks"),
                ("failed", "long", true, "how many of them failed"),
                ("down", "long", true, "after how many of them the monitor was down"),
                ("duration_ms", "object", true, "`mean` and `max`"),
                (
                    "failures",
                    "array",
                    true,
                    "the first 500 failures: `time`, `status`, `down`, `duration_ms`, `class`, `code`, `message`, and `evidence` as JSON where it is news",
                ),
            ],
            indexes: vec![
                index(&["monitor", "hour"]),
                index(&["failures.class", "hour"]),
                expiring(&["hour"], retention.raw + DAY),
            ],
        },
    ];
    for (tier, about) in [
        (Tier::FiveMinutes, "buckets of five minutes, a document a day and metric"),
        (Tier::Hour, "buckets of an hour, a document a day and metric"),
        (Tier::Day, "buckets of a day"),
    ] {
        shapes.push(Shape {
            name: rollups(tier),
            about,
            fields: ROLLUP,
            indexes: vec![
                index(&["monitor", "metric", "day"]),
                index(&["metric", "day"]),
                expiring(&["day"], retention.of(tier) + DAY),
            ],
        });
    }
    shapes
}

impl Shape {
    fn validator(&self) -> Document {
        let required: Vec<&str> =
            self.fields.iter().filter(|(_, _, needed, _)| *needed).map(|(name, ..)| *name).collect();
        let fields: Document = self
            .fields
            .iter()
            .map(|(name, kind, _, about)| {
                ((*name).to_owned(), Bson::from(doc! { "bsonType": *kind, "description": *about }))
            })
            .collect();
        doc! { "$jsonSchema": { "bsonType": "object", "description": self.about, "required": required, "properties": fields } }
    }
}

impl Index {
    fn name(&self) -> String {
        self.keys.iter().map(|key| format!("{key}_1")).collect::<Vec<_>>().join("_")
    }

    fn keys(&self) -> Document {
        self.keys.iter().map(|key| ((*key).to_owned(), Bson::Int32(1))).collect()
    }

    fn seconds(&self) -> Option<i64> {
        self.expiry.map(|expiry| {
            i64::try_from(expiry.as_secs()).unwrap_or(i64::from(i32::MAX)).min(i64::from(i32::MAX))
        })
    }

    fn spec(&self) -> Document {
        let mut spec = doc! { "key": self.keys(), "name": self.name() };
        if self.is_unique {
            // What has no name is no monitor any more.
            spec.extend(doc! { "unique": true, "sparse": true });
        }
        if let Some(seconds) = self.seconds() {
            spec.insert("expireAfterSeconds", seconds);
        }
        spec
    }
}

/// Makes what is missing of collections, validators and indexes, and brings what is there in line.
///
/// # Errors
/// The server is away, refuses, or has an index of the same name that is another.
pub(super) fn prepare(remote: &Remote, retention: &Retention) -> Result<(), StoreError> {
    let known = list(remote, doc! { "listCollections": 1 })?;
    let known: BTreeMap<&str, &Document> =
        known.iter().filter_map(|one| Some((one.get_str("name").ok()?, one))).collect();
    for shape in shapes(retention) {
        let validator = shape.validator();
        match known.get(shape.name) {
            None => {
                remote.command(doc! { "create": shape.name, "validator": validator })?;
            }
            Some(one) => {
                let found = one.get_document("options").and_then(|options| options.get_document("validator"));
                if found.ok() != Some(&validator) {
                    tracing::info!("the validator of the collection {} is brought in line", shape.name);
                    permitted(remote.command(
                        doc! { "collMod": shape.name, "validator": validator, "validationLevel": "strict" },
                    ))?;
                }
            }
        }
        let indexes = list(remote, doc! { "listIndexes": shape.name })?;
        let mut missing = Vec::new();
        for wanted in &shape.indexes {
            let name = wanted.name();
            let Some(found) =
                indexes.iter().find(|index| index.get_str("name").is_ok_and(|found| found == name))
            else {
                missing.push(wanted.spec());
                continue;
            };
            let keys = found.get_document("key").map(|keys| keys.keys().cloned().collect::<Vec<_>>());
            if keys.unwrap_or_default() != wanted.keys
                || found.get_bool("unique").unwrap_or(false) != wanted.is_unique
            {
                return Err(StoreError::Server {
                    reason: format!(
                        "the index {name} of {} is not the one that is needed: drop it, it is made again at the next start",
                        shape.name
                    ),
                });
            }
            let seconds = found.get("expireAfterSeconds").and_then(number);
            if let Some(after) = wanted.seconds()
                && seconds != Some(after)
            {
                tracing::info!("documents of {} now go {after} s after their day begins", shape.name);
                permitted(remote.command(doc! { "collMod": shape.name, "index": { "keyPattern": wanted.keys(), "expireAfterSeconds": after } }))?;
            }
        }
        if !missing.is_empty() {
            remote.command(doc! { "createIndexes": shape.name, "indexes": missing })?;
        }
    }
    Ok(())
}

/// Without the lease to change a collection it stays as it is: that is no reason not to start.
fn permitted(outcome: Result<Document, StoreError>) -> Result<(), StoreError> {
    match outcome {
        Err(StoreError::Forbidden { reason }) => {
            tracing::warn!(
                "a collection could not be brought in line, and stays as it is: {reason}; the role dbAdmin may"
            );
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Makes the collection of the writer, if there is none.
pub(super) fn create_writer(remote: &Remote) -> Result<(), StoreError> {
    let known = list(remote, doc! { "listCollections": 1, "filter": { "name": WRITER } })?;
    if known.is_empty() {
        let shapes = shapes(&Retention::default());
        let shape = shapes.iter().find(|shape| shape.name == WRITER);
        let validator = shape.map(Shape::validator).unwrap_or_default();
        // Another may be quicker.
        remote.command(doc! { "create": WRITER, "validator": validator }).ok();
    }
    Ok(())
}

/// A whole number, however wide it is.
pub(super) fn number(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(value) => Some(i64::from(*value)),
        Bson::Int64(value) => Some(*value),
        Bson::Double(value) => Some(*value as i64),
        _ => None,
    }
}

fn list(remote: &Remote, command: Document) -> Result<Vec<Document>, StoreError> {
    let answer = remote.command(command)?;
    // There are fewer collections and indexes than fit into the first batch.
    let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    Ok(batch.map(Vec::as_slice).unwrap_or_default().iter().filter_map(Bson::as_document).cloned().collect())
}

/// What the server has, as the table of docs/storage.md.
///
/// # Errors
/// The server is away.
pub(super) fn describe(remote: &Remote) -> Result<String, StoreError> {
    use std::fmt::Write;
    let mut text = String::new();
    let mut collections = list(remote, doc! { "listCollections": 1 })?;
    collections.sort_by_key(|one| one.get_str("name").unwrap_or_default().to_owned());
    for one in &collections {
        let name = one.get_str("name").unwrap_or_default();
        let schema = one
            .get_document("options")
            .and_then(|options| options.get_document("validator"))
            .and_then(|validator| validator.get_document("$jsonSchema"));
        let Ok(schema) = schema else { continue };
        write!(
            text,
            "### `{name}`\n\n{}\n\n| field | type | |\n|---|---|---|\n",
            schema.get_str("description").unwrap_or_default()
        )
        .ok();
        let fields = schema.get_document("properties").cloned().unwrap_or_default();
        for (field, about) in &fields {
            let about = about.as_document().cloned().unwrap_or_default();
            let kind = about.get_str("bsonType").unwrap_or_default();
            writeln!(text, "| `{field}` | {kind} | {} |", about.get_str("description").unwrap_or_default())
                .ok();
        }
        let mut indexes = list(remote, doc! { "listIndexes": name })?;
        indexes.sort_by_key(|index| index.get_str("name").unwrap_or_default().to_owned());
        let named = indexes
            .iter()
            .filter(|index| index.get_str("name").is_ok_and(|name| name != "_id_"))
            .map(|index| {
                let keys = index.get_document("key").map(|keys| keys.keys().cloned().collect::<Vec<_>>());
                let mut text = format!("`{}`", keys.unwrap_or_default().join(", "));
                if index.get_bool("unique").unwrap_or(false) {
                    text.push_str(" (unique)");
                }
                if let Some(seconds) = index.get("expireAfterSeconds").and_then(number) {
                    let days = seconds / 86_400;
                    write!(text, " (TTL: {days} days)").ok();
                }
                text
            });
        let named: Vec<String> = named.collect();
        if !named.is_empty() {
            write!(text, "\nIndexes: {}.\n", named.join("; ")).ok();
        }
        text.push('\n');
    }
    Ok(text)
}
