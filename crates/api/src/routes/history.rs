//! A monitor's past: metrics over time, checks, events.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use wise_catalog::{Catalog, CatalogEntry};
use wise_core::{Clock, FieldError, HumanDuration, MonitorId, Plugin, Principal, Timestamp};
use wise_storage::ports::Store;
use wise_storage::{Aggregate, AnswerSeries, QueryPlan, ResultQuery, StoreError};

use super::{blocking, monitor_id};
use crate::access::{Access, permission::MonitorsRead};
use crate::cursor::{self, Page};
use crate::event_view::EventView;
use crate::problem::{Kind, Problem, ProblemDocument};
use crate::view::ResultView;

/// Points of a series at most.
pub(super) const MAX_POINTS: usize = 10_000;
/// Metrics of a request at most.
const MAX_METRICS: usize = 32;

/// A range and how to merge it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryParams {
    /// Dotted name; several are separated by commas. Default: the kind's main latency.
    metric: Option<String>,
    /// RFC 3339, or relative to now, such as `-6h`. Default: `-1h`.
    from: Option<String>,
    /// RFC 3339, or relative to now. Default: now.
    to: Option<String>,
    /// Points a series at most, 1 to 10000. Default: 300.
    points: Option<usize>,
    /// How points are merged: avg, min, max, sum, last, count, stddev, median, rate, increase, or p50 to p99. Default:
    /// avg.
    aggregate: Option<String>,
}

/// A range of checks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResultParams {
    /// RFC 3339, or relative to now. Default: `-7d`.
    from: Option<String>,
    /// RFC 3339, or relative to now. Default: now.
    to: Option<String>,
    /// Only checks that failed.
    failed: Option<bool>,
    /// Only checks of this probe.
    probe: Option<String>,
    /// Only checks that failed with this error class.
    class: Option<String>,
    /// Items at most, 1 to 1000.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventParams {
    /// Items at most, 1 to 1000.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A metric over time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = History)]
struct HistoryView {
    /// The metric.
    metric: String,
    /// Its unit.
    unit: String,
    /// Width of a bucket.
    step_seconds: f64,
    /// A series for each set of labels.
    #[schema(value_type = Vec<Object>)]
    series: Vec<serde_json::Value>,
}

pub(super) fn entry(
    catalog: &Catalog,
    id: &str,
    by: &Principal,
) -> Result<(MonitorId, CatalogEntry), Problem> {
    let id = monitor_id(id)?;
    Ok((id, catalog.seen(id, by).ok_or_else(|| Problem::not_found("monitor"))?))
}

/// Reads `-6h`, `now` or RFC 3339.
fn time(field: &str, text: Option<&str>, default: Timestamp, now: Timestamp) -> Result<Timestamp, Problem> {
    let Some(text) = text else { return Ok(default) };
    let relative = match text {
        "now" => Some(now),
        _ => text
            .strip_prefix('-')
            .and_then(|text| text.parse::<HumanDuration>().ok())
            .map(|back| now.minus(back.0)),
    };
    // A plus sign in a query is a space.
    relative.or_else(|| Timestamp::parse(&text.replace(' ', "+")).ok()).ok_or_else(|| {
        let error = FieldError::new(field, "is no time").value(text);
        Problem::field(Kind::Malformed, error.hint("use RFC 3339, such as 2026-01-31T12:00:00Z, or -6h"))
    })
}

pub(super) fn range(
    from: Option<&str>,
    to: Option<&str>,
    back: HumanDuration,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Problem> {
    let to = time("to", to, now.plus(std::time::Duration::from_micros(1)), now)?;
    let from = time("from", from, now.minus(back.0), now)?;
    if from < to {
        return Ok((from, to));
    }
    let error = FieldError::new("from", "is not before `to`").value(from).hint("swap the two");
    Err(Problem::field(Kind::Malformed, error))
}

/// Reads the name of an aggregate.
pub(super) fn aggregate(name: Option<&str>) -> Result<Aggregate, Problem> {
    let Some(name) = name else { return Ok(Aggregate::default()) };
    Aggregate::from_name(name).ok_or_else(|| {
        let error = FieldError::new("aggregate", "there is no such aggregate").value(name);
        Problem::field(Kind::Malformed, error.hint(format!("use {}", Aggregate::NAMES)))
    })
}

/// The unit of a metric: as declared, or the last word of its name.
pub(super) fn unit_of(plugin: Option<&Plugin>, name: &str) -> String {
    let declared = plugin.and_then(|plugin| plugin.metric(name)).map(|metric| metric.unit.to_owned());
    declared.unwrap_or_else(|| name.rsplit(['_', '.']).next().unwrap_or_default().to_owned())
}

/// A series as answers show it.
pub(super) fn series_view(series: AnswerSeries) -> serde_json::Value {
    let labels: serde_json::Map<_, _> = series.labels.into_iter().map(|(k, v)| (k, json!(v))).collect();
    json!({"labels": labels, "points": series.points})
}

/// A metric, or several, over time.
#[utoipa::path(
    tag = "history",
    params(("id" = String, Path, description = "Id of the monitor"), HistoryParams),
    responses((status = 200, description = "The history", body = HistoryView), (status = 404, body = ProblemDocument))
)]
#[get("/api/v1/monitors/{id}/history")]
pub(crate) async fn show_history(
    access: Access<MonitorsRead>,
    id: web::Path<String>,
    params: web::Query<HistoryParams>,
    catalog: web::Data<Catalog>,
    store: web::Data<dyn Store>,
    clock: web::Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let (id, entry) = entry(&catalog, &id, &access.principal)?;
    let (from, to) =
        range(params.from.as_deref(), params.to.as_deref(), HumanDuration::from_secs(3600), clock.now())?;
    let malformed = |error| Problem::field(Kind::Malformed, error);
    let aggregate = aggregate(params.aggregate.as_deref())?;
    let points = params.points.unwrap_or(300);
    if !(1..=MAX_POINTS).contains(&points) {
        let error = FieldError::new("points", "out of range").value(points);
        return Err(malformed(error.hint(format!("use a number from 1 to {MAX_POINTS}"))));
    }
    let plugin = catalog.registry().plugin(&entry.definition.spec.kind);
    let given =
        params.metric.clone().or_else(|| plugin.map(|plugin| plugin.headline.to_owned())).unwrap_or_default();
    let names: Vec<String> =
        given.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if names.is_empty() || names.len() > MAX_METRICS {
        let error = FieldError::new("metric", format!("name 1 to {MAX_METRICS} metrics")).value(&given);
        return Err(malformed(error.hint("see /api/v1/plugins for the metrics of a kind")));
    }
    if let (Some(name), Some(plugin)) =
        (names.iter().find(|name| plugin.is_some_and(|p| !p.allows_metric(name))), plugin)
    {
        let known: Vec<_> = plugin.metrics.iter().map(|metric| metric.name).collect();
        let error = FieldError::new("metric", "the monitor has no such metric").value(name);
        return Err(malformed(error.hint(format!("known here: {}", known.join(", ")))));
    }
    let plans: Vec<QueryPlan> =
        names.iter().map(|metric| QueryPlan::of(id, metric, (from, to), points, aggregate)).collect();
    let found =
        blocking(move || plans.iter().map(|plan| store.answer(plan)).collect::<Result<Vec<_>, StoreError>>())
            .await?;
    let mut views: Vec<HistoryView> = names
        .iter()
        .zip(found)
        .map(|(name, answer)| HistoryView {
            metric: name.clone(),
            unit: unit_of(plugin, name),
            step_seconds: answer.step.as_secs_f64(),
            series: answer.series.into_iter().map(series_view).collect(),
        })
        .collect();
    Ok(match (given.contains(','), views.pop()) {
        (false, Some(view)) => HttpResponse::Ok().json(view),
        (_, last) => {
            views.extend(last);
            HttpResponse::Ok().json(Page::whole(views))
        }
    })
}

/// Checks, newest first.
#[utoipa::path(
    tag = "history",
    params(("id" = String, Path, description = "Id of the monitor"), ResultParams),
    responses((status = 200, description = "The checks", body = Page<ResultView>), (status = 404, body = ProblemDocument))
)]
#[get("/api/v1/monitors/{id}/results")]
pub(crate) async fn list_results(
    access: Access<MonitorsRead>,
    id: web::Path<String>,
    params: web::Query<ResultParams>,
    catalog: web::Data<Catalog>,
    store: web::Data<dyn Store>,
    clock: web::Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let (id, _) = entry(&catalog, &id, &access.principal)?;
    let (from, to) = range(
        params.from.as_deref(),
        params.to.as_deref(),
        HumanDuration::from_secs(7 * 86_400),
        clock.now(),
    )?;
    let limit = cursor::limit(params.limit)?;
    let to = match cursor::read::<i64>(params.cursor.as_deref())? {
        Some(before) => Timestamp::from_micros(before).min(to),
        None => to,
    };
    let query = ResultQuery::of(id, (from, to), limit + 1)
        .failed(params.failed.unwrap_or(false))
        .probe(params.probe.clone())
        .class(params.class.clone());
    let mut results = blocking(move || store.results(&query)).await?;
    let has_more = results.len() > limit;
    results.truncate(limit);
    let next_cursor = results.last().filter(|_| has_more).map(|result| result.time.as_micros().to_string());
    Ok(HttpResponse::Ok()
        .json(Page { items: results.into_iter().map(ResultView::stored).collect(), next_cursor }))
}

/// What changed, newest first: conditions, the status, gaps.
#[utoipa::path(
    tag = "history",
    params(("id" = String, Path, description = "Id of the monitor"), EventParams),
    responses((status = 200, description = "The events", body = Page<EventView>), (status = 404, body = ProblemDocument))
)]
#[get("/api/v1/monitors/{id}/events")]
pub(crate) async fn list_events(
    access: Access<MonitorsRead>,
    id: web::Path<String>,
    params: web::Query<EventParams>,
    catalog: web::Data<Catalog>,
    store: web::Data<dyn Store>,
) -> Result<HttpResponse, Problem> {
    let (id, _) = entry(&catalog, &id, &access.principal)?;
    let limit = cursor::limit(params.limit)?;
    let before = cursor::read::<u64>(params.cursor.as_deref())?;
    let mut found = blocking(move || store.events_of(id, before, limit + 1)).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| has_more).map(|(sequence, _)| sequence.to_string());
    let items = found.iter().map(|(sequence, event)| EventView::new(*sequence, event, None)).collect();
    Ok(HttpResponse::Ok().json(Page::<EventView> { items, next_cursor }))
}
