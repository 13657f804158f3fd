//! Custom queries: aggregations that were found to read only when the settings were, each with its own limits.

use std::collections::HashSet;
use std::time::Duration;

use bson::{Bson, Document, doc};
use serde_json::json;
use wise_core::{Failure, async_trait};
use wise_database::{Cell, CustomQuery, FoundMetrics, Reusable, classes, read_rows};

use crate::collections::end_cursor;
use crate::config::{MongoQuery, QUERIES, Watched};
use crate::document::{as_number, batch, number};
use crate::session::Session;
use crate::{Run, Step};

/// Longer than the server's own limit, which says more when it is hit.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Queries {
    metrics: FoundMetrics,
}

#[async_trait]
impl Step<Watched> for Queries {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let watched = run.watched;
        let mut session: Option<Session> = None;
        let mut problems = Vec::new();
        for (query, stages) in &watched.settings.queries {
            let open = match session.take() {
                Some(open) => open,
                None => match watched.server.login(query.limits.timeout.0, &mut run.stages).await? {
                    Some(open) => open,
                    None => {
                        let text = "arbiters have no data to query";
                        return Err(Failure::new(&classes::CUSTOM_QUERY, text).code("arbiter"));
                    }
                },
            };
            run.report.local = open.is_local;
            run.stages.begin("query");
            let limit = query.limits.timeout.0;
            let asked = tokio::time::timeout(limit + GRACE, ask(&open, query, stages)).await;
            let outcome = asked.unwrap_or_else(|_| Err(slow(limit))).and_then(|(columns, rows)| {
                read_rows(&QUERIES, &query.name, &columns, &rows, &mut self.metrics, &mut run.report)
                    .map_err(|text| Failure::new(&classes::CUSTOM_QUERY, text).code("fields"))
            });
            run.stages.end();
            match outcome {
                Ok(()) => session = Some(open),
                Err(mut failure) => {
                    failure.message = format!("the query {}: {}", query.name, failure.message);
                    problems.push(failure);
                    // After a limit of ours the answer is still to come.
                    open.close().await;
                }
            }
        }
        if let Some(open) = session {
            open.close().await;
        }
        if !problems.is_empty() {
            let all: Vec<_> = problems
                .iter()
                .map(|problem| json!({"message": problem.message, "code": problem.code}))
                .collect();
            run.note("failed_queries", all);
        }
        problems.into_iter().next().map_or(Ok(()), Err)
    }
}

fn slow(limit: Duration) -> Failure {
    let text = format!("no answer within {} ms", limit.as_millis());
    Failure::new(&classes::QUERY_TIMEOUT, text).code("limit")
}

type Table = (Vec<String>, Vec<Vec<Cell>>);

async fn ask(session: &Session, query: &MongoQuery, stages: &[Document]) -> Result<Table, Failure> {
    let limits = query.limits();
    let most = i64::try_from(limits.max_rows).unwrap_or(i64::MAX).saturating_add(1);
    let mut pipeline = stages.to_vec();
    pipeline.push(doc! {"$limit": most});
    let collection = query.collection.clone().map_or(Bson::Int32(1), Bson::String);
    let command = doc! {
        "aggregate": collection,
        "pipeline": pipeline,
        "cursor": {"batchSize": most},
        "readConcern": {"level": "local"},
    };
    let grant = format!("grant the role read on {} to the monitor's user", query.database);
    let answer = session.command_within(&query.database, command, &grant, limits.timeout.0).await.map_err(
        |failure| {
            if failure.class.name == classes::STATEMENT.name {
                Failure { class: &classes::CUSTOM_QUERY, ..failure }
            } else {
                failure
            }
        },
    )?;
    let rows: Vec<&Document> = batch(&answer).collect();
    let is_more = number(&answer, &["cursor", "id"]).is_some_and(|id| id != 0.0);
    if is_more {
        end_cursor(&answer, session).await;
    }
    if rows.len() > limits.max_rows || is_more {
        let text = format!("it has more than {} rows; aggregate, or raise limits.max_rows", limits.max_rows);
        return Err(Failure::new(&classes::CUSTOM_QUERY, text).code("too_many_rows"));
    }
    table(&rows)
}

/// Documents as rows: every field that one of them has is a column.
fn table(documents: &[&Document]) -> Result<Table, Failure> {
    let mut columns: Vec<String> = Vec::new();
    let mut flat = Vec::new();
    for document in documents {
        let mut fields: Vec<(String, Cell)> = Vec::new();
        for (name, value) in document.iter() {
            match value {
                // What a group is by tells its rows apart, also when it is a number.
                Bson::Document(parts) if name == "_id" => {
                    for (name, value) in parts {
                        fields.push((name.clone(), label(name, value)?));
                    }
                }
                _ if name == "_id" => fields.push(("id".to_owned(), label(name, value)?)),
                _ => fields.push((name.clone(), cell(name, value)?)),
            }
        }
        // Of two fields with one name, one would take the other's place.
        if let Some(name) = twice(&fields) {
            let name = wise_database::shorten(name, 40);
            let text = format!("two fields are named `{name}`, one of them in _id: rename one with $project");
            return Err(Failure::new(&classes::CUSTOM_QUERY, text).code("fields"));
        }
        for (name, _) in &fields {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        flat.push(fields);
    }
    let rows = flat
        .into_iter()
        .map(|fields| {
            let find = |column: &String| {
                fields.iter().find(|(name, _)| name == column).map(|(_, cell)| cell.clone())
            };
            columns.iter().map(|column| find(column).unwrap_or(Cell::Null)).collect()
        })
        .collect();
    Ok((columns, rows))
}

fn twice(fields: &[(String, Cell)]) -> Option<&str> {
    let mut seen = HashSet::new();
    fields.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
}

/// What a group is by, as text. Numbers are written as they are: as floating point two large ones could become one.
fn label(name: &str, value: &Bson) -> Result<Cell, Failure> {
    Ok(Cell::Text(match value {
        Bson::Double(number) => number.to_string(),
        Bson::Int32(number) => number.to_string(),
        Bson::Int64(number) => number.to_string(),
        Bson::Decimal128(number) => number.to_string(),
        Bson::Boolean(truth) => truth.to_string(),
        other => return cell(name, other),
    }))
}

fn cell(name: &str, value: &Bson) -> Result<Cell, Failure> {
    Ok(match value {
        Bson::Double(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_) => {
            as_number(value).map_or(Cell::Null, Cell::Number)
        }
        Bson::Boolean(truth) => Cell::Number(f64::from(u8::from(*truth))),
        Bson::String(text) => Cell::Text(text.clone()),
        Bson::ObjectId(id) => Cell::Text(id.to_hex()),
        Bson::DateTime(date) => Cell::Text(date.try_to_rfc3339_string().unwrap_or_else(|_| date.to_string())),
        Bson::Null | Bson::Undefined => Cell::Null,
        _ => {
            let name = wise_database::shorten(name, 40);
            let text = format!("the field `{name}` is neither number nor text: take it apart with $project");
            return Err(Failure::new(&classes::CUSTOM_QUERY, text).code("fields"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_become_labels_and_missing_fields_nothing() {
        let rows = [
            doc! {"_id": {"region": "eu", "year": 2026}, "n": 3, "wait_seconds": 1.5},
            doc! {"_id": {"region": "us", "year": 2026}, "n": 4i64, "late": true},
        ];
        let (columns, rows) = table(&rows.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(columns, ["region", "year", "n", "wait_seconds", "late"]);
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(rows[0], [text("eu"), text("2026"), Cell::Number(3.0), Cell::Number(1.5), Cell::Null]);
        assert_eq!(rows[1], [text("us"), text("2026"), Cell::Number(4.0), Cell::Null, Cell::Number(1.0)]);
    }

    #[test]
    fn groups_by_large_numbers_or_truths_stay_apart() {
        let rows = [
            doc! {"_id": 9_007_199_254_740_993_i64, "n": 1},
            doc! {"_id": 9_007_199_254_740_992_i64, "n": 2},
            doc! {"_id": true, "n": 3},
            doc! {"_id": 1, "n": 4},
            doc! {"_id": 1.5, "n": 5},
        ];
        let (columns, rows) = table(&rows.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(columns, ["id", "n"]);
        let ids: Vec<_> = rows.into_iter().map(|row| row[0].clone()).collect();
        let texts = ["9007199254740993", "9007199254740992", "true", "1", "1.5"];
        assert_eq!(ids, texts.map(|text| Cell::Text(text.to_owned())));
    }

    #[test]
    fn a_field_of_the_group_cannot_take_the_place_of_another() {
        for row in [doc! {"_id": {"n": "eu"}, "n": 3}, doc! {"_id": "eu", "id": 3}] {
            let error = table(&[&row]).unwrap_err().message;
            assert!(error.contains("two fields are named"), "{error}");
        }
    }

    #[test]
    fn nested_values_are_an_error_that_names_the_field() {
        let row = doc! {"tags": ["a"]};
        assert!(table(&[&row]).unwrap_err().message.contains("`tags`"));
    }
}
