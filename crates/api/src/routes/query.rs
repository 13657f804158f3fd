//! A metric of many monitors and other sources over time, merged and grouped.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wise_catalog::{Catalog, CatalogEntry};
use wise_core::{Clock, FieldError, HumanDuration, MonitorId, Principal};
use wise_storage::ports::Store;
use wise_storage::{Aggregate, Grouping, Matcher, QueryPlan};

use super::blocking;
use super::history::{MAX_POINTS, aggregate, range, series_view, unit_of};
use crate::access::{Access, permission::MonitorsRead};
use crate::app::SourceKinds;
use crate::problem::{Kind, Problem, ProblemDocument};
use crate::sources::{self, Chosen, Wanted};

/// Monitors of a query at most.
const MAX_MONITORS: usize = 10_000;
/// Points of an answer at most: more would be a hundred megabytes of text.
const MOST: usize = 2_000_000;
/// Series of an answer at most.
const MAX_SERIES: usize = 5_000;

/// A query.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryParams {
    /// Dotted name of a metric.
    metric: String,
    /// Ids or names of monitors, separated by commas. Default, without `tags` and `source`: everything that has the metric.
    monitors: Option<String>,
    /// Only monitors with these tags: `key:value`, separated by commas.
    tags: Option<String>,
    /// Sources, separated by commas: a kind such as `server`, `kind:name`, or the id of a monitor. The server's own requests
    /// are `server`.
    source: Option<String>,
    /// Conditions on labels, separated by commas: `label=value`, `label!=value`, `label=~regex`, `label!~regex`.
    #[serde(rename = "match")]
    conditions: Option<String>,
    /// Labels to group by, separated by commas; `monitor` is the monitor, `source` the source, whatever it is. Empty: everything is one series. Without it,
    /// every series stays by itself.
    by: Option<String>,
    /// RFC 3339, or relative to now, such as `-6h`. Default: `-1h`.
    from: Option<String>,
    /// RFC 3339, or relative to now. Default: now.
    to: Option<String>,
    /// Points a series at most, 1 to 10000. Default: 300.
    points: Option<usize>,
    /// avg, min, max, sum, last, count, stddev, median, rate, increase, or p50 to p99. Default: avg. In a group, sum, last,
    /// rate and increase add up what its series have; the others are of all samples together.
    aggregate: Option<String>,
}

/// The answer to a query.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueryAnswer)]
struct QueryView {
    /// The metric.
    metric: String,
    /// Its unit.
    unit: String,
    /// Width of a point.
    step_seconds: f64,
    /// Names of the monitors that have a series, by id.
    monitors: BTreeMap<String, String>,
    /// A series for each set of labels.
    #[schema(value_type = Vec<Object>)]
    series: Vec<serde_json::Value>,
}

/// The parts of a list that is separated by commas.
pub(crate) fn list(text: Option<&str>) -> Vec<String> {
    let parts = text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// The monitors that are named, or all, that have the tags.
pub(crate) fn chosen(
    catalog: &Catalog,
    by: &Principal,
    monitors: Option<&str>,
    tags: Option<&str>,
) -> Result<Vec<CatalogEntry>, Problem> {
    let malformed = |error| Problem::field(Kind::Malformed, error);
    let mut entries = catalog.visible(by);
    let wanted: BTreeSet<String> = list(monitors).into_iter().collect();
    if !wanted.is_empty() {
        let mut found = BTreeSet::new();
        entries.retain(|entry| {
            let names = [entry.definition.spec.name.clone(), entry.definition.id.to_string()];
            let meant: Vec<String> = names.into_iter().filter(|name| wanted.contains(name)).collect();
            let is_meant = !meant.is_empty();
            found.extend(meant);
            is_meant
        });
        if let Some(name) = wanted.iter().find(|name| !found.contains(*name)) {
            let error = FieldError::new("monitors", "there is no such monitor").value(name);
            return Err(malformed(error.hint("use ids or names as in /api/v1/monitors")));
        }
    }
    for tag in list(tags) {
        let Some((key, value)) = tag.split_once(':') else {
            let error = FieldError::new("tags", "is no tag").value(&tag).hint("write key:value");
            return Err(malformed(error));
        };
        entries.retain(|entry| entry.definition.spec.tags.get(key).is_some_and(|found| found == value));
    }
    if entries.len() > MAX_MONITORS {
        let error = FieldError::new("monitors", format!("more than {MAX_MONITORS} monitors are meant"));
        return Err(malformed(error.hint("name fewer, or use tags")));
    }
    Ok(entries)
}

/// Keeps those that can have a metric, and answers its unit.
fn with_metric(catalog: &Catalog, chosen: &mut Chosen, metric: &str) -> Result<String, Problem> {
    let plugin = |entry: &CatalogEntry| catalog.registry().plugin(&entry.definition.spec.kind);
    chosen.monitors.retain(|entry| plugin(entry).is_some_and(|plugin| plugin.allows_metric(metric)));
    // Of a kind that is not known here, anything may have been stored.
    chosen.named.retain(|(_, kind)| kind.is_none_or(|kind| kind.metric(metric).is_some()));
    let declared = chosen.kinds.iter().find_map(|kind| kind.metric(metric));
    if chosen.monitors.is_empty() && chosen.named.is_empty() && declared.is_none() {
        let error = FieldError::new("metric", "nothing that is meant has such a metric").value(metric);
        let own = chosen.kinds.iter().flat_map(|kind| kind.metrics).map(|metric| metric.name);
        let own = own.collect::<Vec<_>>().join(", ");
        let also = if own.is_empty() { own } else { format!("; other sources have {own}") };
        let error = error.hint(format!("see /api/v1/plugins for the metrics of each kind of monitor{also}"));
        return Err(Problem::field(Kind::Malformed, error));
    }
    Ok(match (chosen.monitors.first(), declared) {
        (None, Some(declared)) => declared.unit.to_owned(),
        (first, _) => unit_of(first.and_then(plugin), metric),
    })
}

/// A metric of many monitors and other sources over time, merged and grouped.
#[utoipa::path(
    tag = "history",
    params(QueryParams),
    responses((status = 200, description = "The answer", body = QueryView), (status = 422, body = ProblemDocument))
)]
#[get("/api/v1/query")]
pub(crate) async fn run_query(
    access: Access<MonitorsRead>,
    params: web::Query<QueryParams>,
    catalog: web::Data<Catalog>,
    kinds: web::Data<SourceKinds>,
    store: web::Data<dyn Store>,
    clock: web::Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let hour = HumanDuration::from_secs(3600);
    let (from, to) = range(params.from.as_deref(), params.to.as_deref(), hour, clock.now())?;
    let malformed = |error| Problem::field(Kind::Malformed, error);
    let aggregate: Aggregate = aggregate(params.aggregate.as_deref())?;
    let points = params.points.unwrap_or(300);
    if !(1..=MAX_POINTS).contains(&points) {
        let error = FieldError::new("points", "out of range").value(points);
        return Err(malformed(error.hint(format!("use a number from 1 to {MAX_POINTS}"))));
    }
    let matchers = list(params.conditions.as_deref())
        .iter()
        .map(|text| Matcher::parse(text).map_err(|why| malformed(FieldError::new("match", why).value(text))))
        .collect::<Result<Vec<_>, _>>()?;
    let reading = store.clone();
    let known = blocking(move || reading.sources()).await?;
    let wanted = Wanted {
        monitors: params.monitors.as_deref(),
        tags: params.tags.as_deref(),
        source: params.source.as_deref(),
    };
    let mut chosen = sources::chosen(&catalog, **kinds, known, &access.principal, wanted)?;
    let unit = with_metric(&catalog, &mut chosen, &params.metric)?;
    let Chosen { monitors: entries, named, .. } = chosen;
    let grouping = match &params.by {
        None => Grouping::Each,
        Some(_) => Grouping::By(list(params.by.as_deref())),
    };
    let metric = params.metric.clone();
    let plan = QueryPlan {
        sources: entries
            .iter()
            .map(|entry| entry.definition.id.into())
            .chain(named.into_iter().map(|(name, _)| name.into()))
            .collect(),
        metric: metric.clone(),
        matchers,
        from,
        to,
        points,
        aggregate,
        grouping,
        most: MOST,
    };
    let answer = blocking(move || store.answer(&plan)).await?;
    if answer.is_cut || answer.series.len() > MAX_SERIES {
        let error =
            FieldError::new("by", format!("the answer has more than {MAX_SERIES} series, or {MOST} points"));
        return Err(malformed(error.hint("group series, or ask for fewer monitors or points")));
    }
    let names: BTreeMap<MonitorId, &str> =
        entries.iter().map(|entry| (entry.definition.id, entry.definition.spec.name.as_str())).collect();
    let labelled = answer.series.iter().flat_map(|series| &series.labels);
    let monitors = labelled
        .filter(|(label, _)| label == "monitor")
        .filter_map(|(_, id)| Some((id.clone(), (*names.get(&id.parse().ok()?)?).to_owned())))
        .collect();
    Ok(HttpResponse::Ok().json(QueryView {
        metric,
        unit,
        step_seconds: answer.step.as_secs_f64(),
        monitors,
        series: answer.series.into_iter().map(series_view).collect(),
    }))
}
