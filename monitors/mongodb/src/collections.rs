//! The largest collections with their indexes.

use std::collections::HashSet;

use bson::{Document, doc};
use wise_core::{Failure, GrowthTracker, Labels, Past};

use crate::Run;
use crate::document::{as_number, batch, number, part, text};
use crate::error::{CLUSTER_MONITOR, NOT_FOUND, missing};
use crate::metrics::storage as metrics;
use crate::session::Session;

/// Collections looked at in one round: each costs a question.
const MOST_LOOKED_AT: usize = 2000;
/// Indexes of a collection that are listed.
const MOST_INDEXES: usize = 10;
/// CommandNotSupportedOnView
const IS_A_VIEW: i32 = 166;

#[derive(Debug)]
pub(crate) struct Collections {
    growth: GrowthTracker,
}

struct Found {
    database: String,
    name: String,
    stats: Document,
    size: f64,
}

impl Collections {
    pub(crate) fn new(past: Option<Past>) -> Self {
        Self {
            growth: GrowthTracker::new(&metrics::COLLECTION_SIZE, &metrics::COLLECTION_GROWTH, None, past),
        }
    }

    pub(crate) async fn read(
        &mut self,
        databases: Vec<String>,
        session: &Session,
        run: &mut Run<'_>,
        problems: &mut Vec<(String, Failure)>,
    ) {
        let mut names = Vec::new();
        for database in databases {
            match list(&database, session).await {
                Ok(found) => names.extend(found.into_iter().map(|name| (database.clone(), name))),
                Err(failure) => match missing(&failure, CLUSTER_MONITOR) {
                    Some(why) => {
                        let labels = Labels::one("database", database);
                        run.report.push_absent(&metrics::COLLECTION_SIZE, &labels, why);
                    }
                    None => problems.push((database, failure)),
                },
            }
        }
        let known = names.len();
        let mut found = Vec::new();
        for (database, name) in names.into_iter().take(MOST_LOOKED_AT) {
            match stats(&database, &name, session).await {
                Ok(Some(stats)) => {
                    let field = |name| number(&stats, &[name]);
                    let size = field("storageSize").unwrap_or(0.0) + field("totalIndexSize").unwrap_or(0.0);
                    found.push(Found { database, name, stats, size });
                }
                // Dropped in the meantime.
                Ok(None) => {}
                Err(failure) => match missing(&failure, CLUSTER_MONITOR) {
                    Some(why) => {
                        let labels = labels(&database, &name);
                        run.report.push_absent(&metrics::COLLECTION_SIZE, &labels, why);
                    }
                    None => {
                        problems.push((format!("{database}.{name}"), failure));
                        // A session that failed for its connection fails for all others too.
                        break;
                    }
                },
            }
        }
        found.sort_by(|a, b| b.size.total_cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
        found.truncate(run.watched.settings.top_collections as usize);
        let mut seen = HashSet::new();
        for collection in &found {
            let labels = labels(&collection.database, &collection.name);
            self.collection(collection, &labels, run).await;
            seen.insert(labels);
        }
        self.growth.retain(|labels| seen.contains(labels));
        run.report.push(&metrics::COLLECTIONS_OMITTED, known.saturating_sub(found.len()) as f64);
    }

    async fn collection(&mut self, collection: &Found, labels: &Labels, run: &mut Run<'_>) {
        let (stats, report) = (&collection.stats, &mut run.report);
        for (name, metric) in [
            ("size", &metrics::COLLECTION_DATA),
            ("storageSize", &metrics::COLLECTION_STORAGE),
            ("totalIndexSize", &metrics::COLLECTION_INDEX),
            ("freeStorageSize", &metrics::COLLECTION_FREE),
        ] {
            report.push_labelled_some(metric, labels, number(stats, &[name]));
        }
        report.push_labelled(&metrics::COLLECTION_SIZE, labels, collection.size);
        if let Some(documents) = number(stats, &["count"]) {
            report.push_estimate(&metrics::COLLECTION_DOCUMENTS, labels, documents);
        }
        let sizes = part(stats, &["indexSizes"]).into_iter().flatten();
        let mut indexes: Vec<(&str, f64)> =
            sizes.filter_map(|(name, size)| Some((name.as_str(), as_number(size)?))).collect();
        indexes.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (name, size) in indexes.into_iter().take(MOST_INDEXES) {
            report.push_labelled(&metrics::INDEX_SIZE, &labels.with("index", name), size);
        }
        self.growth.observe(run.cx.now, labels, collection.size, None, report).await;
    }
}

fn labels(database: &str, name: &str) -> Labels {
    Labels::new([("database".to_owned(), database.to_owned()), ("collection".to_owned(), name.to_owned())])
}

/// Views have no size. Without the right to list all, the server lists those that the user may see.
async fn list(database: &str, session: &Session) -> Result<Vec<String>, Failure> {
    let most = i32::try_from(MOST_LOOKED_AT).unwrap_or(i32::MAX);
    let command = doc! {
        "listCollections": 1,
        "filter": {"type": "collection"},
        "nameOnly": true,
        "authorizedCollections": true,
        "cursor": {"batchSize": most},
    };
    let answer = session.command(database, command).await?;
    let mut seen = HashSet::new();
    let names = batch(&answer).filter_map(|collection| text(collection, &["name"]));
    let names: Vec<String> = names.filter(|name| seen.insert(*name)).map(str::to_owned).collect();
    end_cursor(&answer, session).await;
    Ok(names)
}

/// What is left of a list that did not fit is not read, and not left open either.
pub(crate) async fn end_cursor(answer: &Document, session: &Session) {
    let id = answer.get_document("cursor").and_then(|cursor| cursor.get_i64("id"));
    let name = text(answer, &["cursor", "ns"]).and_then(|namespace| namespace.split_once('.'));
    if let (Ok(id), Some((database, collection))) = (id, name)
        && id != 0
    {
        // It would expire by itself.
        session.command(database, doc! {"killCursors": collection, "cursors": [id]}).await.ok();
    }
}

async fn stats(database: &str, name: &str, session: &Session) -> Result<Option<Document>, Failure> {
    let fields = ["size", "count", "storageSize", "totalIndexSize", "freeStorageSize", "indexSizes"];
    let mut shown = Document::new();
    for field in fields {
        shown.insert(format!("storageStats.{field}"), 1);
    }
    let command = doc! {
        "aggregate": name,
        "pipeline": [{"$collStats": {"storageStats": {}}}, {"$project": shown}],
        "cursor": {},
    };
    let found = match session.command(database, command).await {
        Ok(answer) => batch(&answer).next().and_then(|row| part(row, &["storageStats"])).cloned(),
        Err(failure) => match crate::error::number(&failure) {
            Some(NOT_FOUND | IS_A_VIEW) => return Ok(None),
            _ if matches!(missing(&failure, ""), Some(wise_core::Absent::Unsupported)) => None,
            _ => return Err(failure),
        },
    };
    // Some compatible servers have documents without a size there, and the older command is right.
    let is_whole = found.as_ref().is_some_and(|stats| {
        number(stats, &["size"]).is_some_and(|size| size > 0.0) || number(stats, &["count"]) == Some(0.0)
    });
    if is_whole {
        return Ok(found);
    }
    match session.command(database, doc! {"collStats": name, "scale": 1}).await {
        Ok(stats) => Ok(Some(stats)),
        Err(failure) if crate::error::number(&failure) == Some(NOT_FOUND) => Ok(None),
        Err(failure) => Err(failure),
    }
}
