//! Custom queries: each in a read-only transaction, through a cursor, so that only a SELECT can run and no more rows
//! come than may.

use serde_json::json;
use wise_core::{Failure, async_trait};
use wise_database::{Cell, CustomQuery, FoundMetrics, Reusable, classes, read_rows};

use crate::config::{QUERIES, SqlQuery, Watched};
use crate::session::Session;
use crate::{Run, Step};

#[derive(Debug, Default)]
pub(crate) struct Queries {
    metrics: FoundMetrics,
}

#[async_trait]
impl Step<Watched> for Queries {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let watched = run.watched;
        let mut session: Option<(Option<&str>, Session)> = None;
        let mut problems = Vec::new();
        for query in &watched.settings.queries {
            let database = query.database.as_deref();
            if session.as_ref().is_none_or(|(open, _)| *open != database) {
                let new = watched.server.login(database, query.limits().timeout.0, &mut run.stages).await?;
                run.report.local = new.is_local;
                if let Some((_, old)) = session.replace((database, new)) {
                    old.close().await;
                }
            }
            let Some((_, open)) = &session else { continue };
            run.stages.begin("query");
            let outcome = ask(open, query).await.and_then(|(columns, rows)| {
                read_rows(&QUERIES, &query.name, &columns, &rows, &mut self.metrics, &mut run.report)
                    .map_err(|text| Failure::new(&classes::CUSTOM_QUERY, text).code("columns"))
            });
            run.stages.end();
            if let Err(mut failure) = outcome {
                failure.message = format!("the query {}: {}", query.name, failure.message);
                problems.push(failure);
                // The transaction may be in any state.
                session = None;
            }
        }
        if let Some((_, open)) = session {
            open.close().await;
        }
        if !problems.is_empty() {
            let all: Vec<_> = problems
                .iter()
                .map(|problem| json!({"message": problem.message, "code": problem.code}))
                .collect();
            run.evidence.insert("failed_queries".to_owned(), all.into());
        }
        problems.into_iter().next().map_or(Ok(()), Err)
    }
}

type Table = (Vec<String>, Vec<Vec<Cell>>);

async fn ask(session: &Session, query: &SqlQuery) -> Result<Table, Failure> {
    let limits = query.limits();
    // Custom queries name their own schemas.
    session
        .run(&format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL search_path = \"$user\", public, pg_catalog",
            limits.timeout.0.as_millis()
        ))
        .await?;
    let custom = |error: tokio_postgres::Error| {
        let failure = crate::error::classify(&error);
        if failure.class.name == classes::STATEMENT.name {
            Failure { class: &classes::CUSTOM_QUERY, ..failure }
        } else {
            failure
        }
    };
    // The extended protocol takes one statement: nothing can end the transaction and go on.
    let sql = query.sql.trim().trim_end_matches(';');
    session
        .client()?
        .execute(&format!("DECLARE custom NO SCROLL CURSOR FOR {sql}"), &[])
        .await
        .map_err(custom)?;
    let fetch = format!("FETCH {} FROM custom", limits.max_rows + 1);
    let described = session.client()?.prepare(&fetch).await.map_err(custom)?;
    let columns: Vec<String> = described.columns().iter().map(|column| column.name().to_owned()).collect();
    let is_number: Vec<bool> = described
        .columns()
        .iter()
        .map(|column| {
            matches!(
                column.type_().name(),
                "int2" | "int4" | "int8" | "float4" | "float8" | "numeric" | "oid"
            )
        })
        .collect();
    let rows = session.rows(&fetch).await?;
    session.run("ROLLBACK").await?;
    if rows.len() > limits.max_rows {
        let text = format!("it has more than {} rows; aggregate, or raise limits.max_rows", limits.max_rows);
        return Err(Failure::new(&classes::CUSTOM_QUERY, text).code("too_many_rows"));
    }
    let cells = rows
        .iter()
        .map(|row| {
            row.cells()
                .zip(&is_number)
                .map(|(text, is_number)| match text {
                    None => Cell::Null,
                    Some(text) if *is_number => {
                        text.parse().ok().filter(|n: &f64| n.is_finite()).map_or(Cell::Null, Cell::Number)
                    }
                    Some(text) => Cell::Text(text.to_owned()),
                })
                .collect()
        })
        .collect();
    Ok((columns, cells))
}
