//! Custom queries: read commands whose numbers become metrics.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use wise_core::{CheckContext, Failure, Probe, Report};
use wise_database::{Cell, FoundMetrics, classes, read_rows};

use crate::commands::{Query, Shape};
use crate::driver::Session;
use crate::error::{Broken, failure, refusal};
use crate::evidence::{self, Course};
use crate::resp::Reply;
use crate::server::{QUERIES, Server};

/// A number has fewer characters than this.
const LONGEST_NUMBER: f64 = 64.0;

/// The probe.
#[derive(Debug)]
pub(crate) struct QueriesProbe {
    server: Arc<Server>,
    metrics: FoundMetrics,
}

/// The columns and rows of an answer.
type Table = (Vec<String>, Vec<Vec<Cell>>);

impl QueriesProbe {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, metrics: FoundMetrics::default() }
    }

    async fn run(&mut self, course: &mut Course, report: &mut Report) -> Result<(), Failure> {
        let server = self.server.clone();
        if server.queries.is_empty() {
            return Ok(());
        }
        let mut session = server.open(&mut course.stages).await?;
        let mut first = None;
        let mut outcomes = Vec::with_capacity(server.queries.len());
        for query in &server.queries {
            course.stages.begin("query");
            let asked = tokio::time::timeout(query.timeout, ask(&session, query)).await;
            let outcome = match asked {
                Ok(Ok((columns, rows))) => {
                    read_rows(&QUERIES, &query.name, &columns, &rows, &mut self.metrics, report)
                        .map_err(|reason| wrong(query, "rows", &reason))
                }
                Ok(Err(failure)) => Err(failure),
                Err(_) => {
                    // The answer may still come, and would be taken for that of the next command.
                    session.close().await;
                    session = server.open(&mut course.stages).await?;
                    Err(wrong(query, "timeout", "there was no answer within its time limit"))
                }
            };
            course.stages.end();
            outcomes.push(json!({
                "query": query.name,
                "error": outcome.as_ref().err().map(|failure: &Failure| failure.message.clone()),
            }));
            if let Err(failure) = outcome {
                first = first.or(Some(failure));
                if session.is_over() {
                    break;
                }
            }
        }
        course.note("queries", Value::Array(outcomes));
        session.close().await;
        first.map_or(Ok(()), Err)
    }
}

fn wrong(query: &Query, code: &'static str, reason: &str) -> Failure {
    Failure::new(&classes::CUSTOM_QUERY, format!("the query {}: {reason}", query.name)).code(code)
}

/// A refusal of a custom query is the query's, unless the server refuses everybody.
fn refused(query: &Query, broken: Broken) -> Failure {
    let Broken::Refused(text) = &broken else { return failure(&broken, &query.rule()) };
    let found = refusal(text, &query.rule());
    match (found.class.name, found.code.as_deref()) {
        ("statement", _) => wrong(query, "refused", &wise_database::shorten(text, 200)),
        (_, Some("moved")) => wrong(query, "moved", "the key belongs to another node of the cluster"),
        _ => found,
    }
}

async fn ask(session: &Session, query: &Query) -> Result<Table, Failure> {
    let words: Vec<&str> = query.words.iter().map(String::as_str).collect();
    if let Shape::Text(length) = query.shape {
        let mut asking = vec![length];
        asking.extend(&words[1..]);
        let length = session.ask(&asking).await.map_err(|broken| refused(query, broken))?;
        if length.number().is_some_and(|length| length >= LONGEST_NUMBER) {
            return Err(wrong(query, "not_a_number", "the value is too long for a number"));
        }
    }
    let reply = session.ask(&words).await.map_err(|broken| refused(query, broken))?;
    table(query, &reply)
}

fn table(query: &Query, reply: &Reply) -> Result<Table, Failure> {
    if query.shape == Shape::Pending {
        return pending(query, reply);
    }
    let cell = match (reply, query.shape) {
        (Reply::Nothing, _) => Cell::Null,
        (reply, shape) => {
            let number = reply.number();
            let number = number.ok_or_else(|| wrong(query, "not_a_number", "the answer is no number"))?;
            if shape == Shape::Duration && number < 0.0 { Cell::Null } else { Cell::Number(number) }
        }
    };
    Ok((vec![query.column.clone()], vec![vec![cell]]))
}

/// `XPENDING key group`: the total, smallest and greatest id, and pairs of consumer and count.
fn pending(query: &Query, reply: &Reply) -> Result<Table, Failure> {
    let [total, _, _, consumers, ..] = reply.list() else {
        return Err(wrong(query, "not_a_number", "the answer is no summary of pending entries"));
    };
    if consumers.list().len() > query.max_rows {
        let reason = format!("it has more than {} consumers", query.max_rows);
        return Err(wrong(query, "rows", &reason));
    }
    let number = |reply: &Reply| reply.number().map_or(Cell::Null, Cell::Number);
    let mut rows = vec![vec![Cell::Null, number(total)]];
    for consumer in consumers.list() {
        let [name, count, ..] = consumer.list() else { continue };
        rows.push(vec![Cell::Text(name.text().unwrap_or_default().into_owned()), number(count)]);
    }
    Ok((vec!["consumer".to_owned(), query.column.clone()], rows))
}

#[async_trait]
impl Probe for QueriesProbe {
    async fn check(&mut self, cx: &CheckContext) -> Report {
        let server = self.server.clone();
        let mut course = Course::default();
        let mut report = Report::default();
        let outcome = evidence::bounded(cx, self.run(&mut course, &mut report)).await;
        evidence::finish(&server, cx, &course, outcome, &mut report);
        report
    }
}
