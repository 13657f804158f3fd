//! The oplog: how long a member may be away before it must be copied again.

use bson::{Document, doc};
use wise_core::{Absent, Failure, Labels};

use crate::Run;
use crate::document::{batch, number};
use crate::error::{NOT_FOUND, READ_LOCAL, missing};
use crate::members::Place;
use crate::metrics::replication as metrics;
use crate::session::Session;

/// Under this fill the window says nothing about a full oplog.
const LEAST_FILL: f64 = 0.02;

/// The window in seconds.
pub(crate) async fn read(session: &Session, run: &mut Run<'_>) -> Result<Option<f64>, Failure> {
    let (first, last) = match ends(session).await {
        Ok(ends) => ends,
        Err(failure) => {
            let Some(why) = missing(&failure, READ_LOCAL) else { return Err(failure) };
            run.report.push_absent(&metrics::OPLOG_WINDOW, &Labels::default(), why);
            return Ok(None);
        }
    };
    let sizes = match session.command("local", doc! {"collStats": "oplog.rs", "scale": 1}).await {
        Ok(stats) => Some(stats),
        Err(failure) if is_harmless(&failure) => None,
        Err(failure) => return Err(failure),
    };
    let size = sizes.as_ref().and_then(|stats| number(stats, &["size"]));
    let most = sizes.as_ref().and_then(|stats| number(stats, &["maxSize"])).filter(|most| *most > 0.0);
    run.report.push_some(&metrics::OPLOG_SIZE, size);
    run.report.push_some(&metrics::OPLOG_MAX, most);
    let Some((first, last)) = first.zip(last) else {
        run.report.push_absent(&metrics::OPLOG_WINDOW, &Labels::default(), Absent::NotKnown);
        return Ok(None);
    };
    let seen = (last - first).max(0.0);
    // A young oplog has a short window simply because it is young.
    let fill = size.zip(most).map(|(size, most)| size / most);
    match fill {
        Some(fill) if fill < LEAST_FILL => {
            run.report.push_absent(&metrics::OPLOG_WINDOW, &Labels::default(), Absent::NotKnown);
            Ok(None)
        }
        Some(fill) if fill < 0.9 => {
            run.report.push_estimate(&metrics::OPLOG_WINDOW, &Labels::default(), seen / fill);
            Ok(Some(seen / fill))
        }
        Some(_) => {
            run.report.push(&metrics::OPLOG_WINDOW, seen);
            Ok(Some(seen))
        }
        None => {
            // How full it is, no one knows.
            run.report.push_estimate(&metrics::OPLOG_WINDOW, &Labels::default(), seen);
            Ok(None)
        }
    }
}

async fn ends(session: &Session) -> Result<(Option<f64>, Option<f64>), Failure> {
    let find = |direction: i32| {
        doc! {"find": "oplog.rs", "sort": {"$natural": direction}, "limit": 1, "singleBatch": true, "projection": {"ts": 1}}
    };
    let seconds = |answer: &Document| {
        batch(answer).next().and_then(|entry| Place::read(entry.get("ts")?)).map(Place::time)
    };
    let first = session.command_as("local", find(1), READ_LOCAL).await?;
    let last = session.command_as("local", find(-1), READ_LOCAL).await?;
    Ok((seconds(&first), seconds(&last)))
}

fn is_harmless(failure: &Failure) -> bool {
    missing(failure, READ_LOCAL).is_some() || crate::error::number(failure) == Some(NOT_FOUND)
}
