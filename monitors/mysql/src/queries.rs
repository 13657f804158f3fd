//! Custom queries: each in a read-only transaction, with a limit on time and rows.

use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable;
use serde_json::json;
use wise_core::{Failure, async_trait};
use wise_database::{Cell, CustomQuery, FoundMetrics, Reusable, classes, read_rows};

use crate::config::{QUERIES, SqlQuery, Watched};
use crate::session::{Session, closed, text};
use crate::{Run, Step};

#[derive(Debug, Default)]
pub(crate) struct Queries {
    metrics: FoundMetrics,
}

#[async_trait]
impl Step<Watched> for Queries {
    async fn run(&mut self, run: &mut Run<'_>) -> Result<(), Failure> {
        let watched = run.watched;
        let mut problems = Vec::new();
        for query in &watched.settings.queries {
            let limit = query.limits().timeout.0;
            let mut session = watched.server.login(query.database.as_deref(), limit, &mut run.stages).await?;
            run.report.local = session.is_local;
            run.stages.begin("query");
            let outcome = ask(&mut session, query).await;
            run.stages.end();
            let outcome = match outcome {
                Ok((columns, rows)) => {
                    session.close().await;
                    read_rows(&QUERIES, &query.name, &columns, &rows, &mut self.metrics, &mut run.report)
                        .map_err(|text| Failure::new(&classes::CUSTOM_QUERY, text).code("columns"))
                }
                // What is left of the answer is not read: the session ends here.
                Err(failure) => Err(failure),
            };
            if let Err(mut failure) = outcome {
                failure.message = format!("the query {}: {}", query.name, failure.message);
                problems.push(failure);
            }
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

type Rows = (Vec<String>, Vec<Vec<Cell>>);

async fn ask(session: &mut Session, query: &SqlQuery) -> Result<Rows, Failure> {
    session.query("START TRANSACTION READ ONLY").await?;
    let most = query.limits().max_rows;
    let sql = query.sql.trim().trim_end_matches(';').to_owned();
    let Some(conn) = session.conn() else { return Err(closed()) };
    let asking = async {
        // A prepared statement is one statement: nothing can end the transaction and go on.
        let mut result = conn.exec_iter(sql, ()).await?;
        let columns: Vec<(String, bool)> = result
            .columns_ref()
            .iter()
            .map(|column| (column.name_str().into_owned(), is_number(column.column_type())))
            .collect();
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        while let Some(row) = result.next().await? {
            if rows.len() > most {
                break;
            }
            rows.push(
                row.unwrap()
                    .into_iter()
                    .zip(&columns)
                    .map(|(value, (_, is))| cell(text(value), *is))
                    .collect(),
            );
        }
        Ok::<_, mysql_async::Error>((columns, rows))
    };
    let (columns, rows) = asking.await.map_err(|error| {
        let failure = session.failure(&error);
        if failure.class.name == classes::STATEMENT.name {
            Failure { class: &classes::CUSTOM_QUERY, ..failure }
        } else {
            failure
        }
    })?;
    if rows.len() > most {
        let text = format!("it has more than {most} rows; aggregate, or raise limits.max_rows");
        return Err(Failure::new(&classes::CUSTOM_QUERY, text).code("too_many_rows"));
    }
    session.query("ROLLBACK").await?;
    Ok((columns.into_iter().map(|(name, _)| name).collect(), rows))
}

fn is_number(column: ColumnType) -> bool {
    matches!(
        column,
        ColumnType::MYSQL_TYPE_TINY
            | ColumnType::MYSQL_TYPE_SHORT
            | ColumnType::MYSQL_TYPE_INT24
            | ColumnType::MYSQL_TYPE_LONG
            | ColumnType::MYSQL_TYPE_LONGLONG
            | ColumnType::MYSQL_TYPE_FLOAT
            | ColumnType::MYSQL_TYPE_DOUBLE
            | ColumnType::MYSQL_TYPE_DECIMAL
            | ColumnType::MYSQL_TYPE_NEWDECIMAL
            | ColumnType::MYSQL_TYPE_YEAR
    )
}

fn cell(text: Option<String>, is_number: bool) -> Cell {
    match text {
        None => Cell::Null,
        Some(text) if is_number => {
            text.parse().ok().filter(|number: &f64| number.is_finite()).map_or(Cell::Null, Cell::Number)
        }
        Some(text) => Cell::Text(text),
    }
}
