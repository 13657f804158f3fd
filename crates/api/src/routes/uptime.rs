//! Honest uptime: over windows, by day, by incident, and as a report.

use std::fmt::Write as _;

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wise_catalog::Catalog;
use wise_core::{Clock, FieldError, HumanDuration, Reason, Timestamp, days_in_zone};
use wise_overview::{By, Incident, Maintenance, Timeline, incidents, report};
use wise_storage::ports::Store;

use super::blocking;
use super::history::{entry, range};
use crate::access::{Access, permission::MonitorsRead};
use crate::app::Info;
use crate::csv::quoted;
use crate::cursor::Page;
use crate::problem::{Kind, Problem, ProblemDocument};
use crate::view::UptimeView;

/// Windows of a request at most.
const MAX_WINDOWS: usize = 16;
/// Days of a request at most.
const MAX_DAYS: u32 = 1830;

/// The windows asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct UptimeParams {
    /// Durations up to now, separated by commas. Default: `24h,7d,30d,90d`.
    windows: Option<String>,
    /// What maintenance counts as in the ratio: `apart` (left out, the default), `up` or `down`.
    maintenance: Option<String>,
}

/// The days asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct DaysParams {
    /// How many, up to and with today. Default: 90.
    days: Option<u32>,
    /// IANA time zone in which days are cut. Default: the display zone.
    time_zone: Option<String>,
    /// What maintenance counts as in the ratio: `apart` (left out, the default), `up` or `down`.
    maintenance: Option<String>,
}

/// A range of incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentParams {
    /// RFC 3339, or relative to now. Default: `-90d`.
    from: Option<String>,
    /// RFC 3339, or relative to now. Default: now.
    to: Option<String>,
}

/// A report.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlaParams {
    /// RFC 3339, or relative to now. Default: `-30d`.
    from: Option<String>,
    /// RFC 3339, or relative to now. Default: now.
    to: Option<String>,
    /// `monitor` (the default), or `tag:KEY` for one row a value of that tag.
    by: Option<String>,
    /// What maintenance counts as in the ratio: `apart` (left out, the default), `up` or `down`.
    maintenance: Option<String>,
    /// `json` (the default) or `csv`.
    format: Option<String>,
}

/// One day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UptimeDay)]
pub(crate) struct DayView {
    /// The date in the time zone.
    date: String,
    /// The day's uptime; its end is now on the last day.
    #[serde(flatten)]
    uptime: UptimeView,
}

/// Days in a time zone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UptimeDays)]
struct DaysView {
    /// The time zone in which days are cut.
    time_zone: String,
    /// The days, oldest first.
    items: Vec<DayView>,
}

/// A time in which a monitor was down.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Incident)]
pub(crate) struct IncidentView {
    /// Number of the event that says so.
    sequence: u64,
    /// When it went down: the first failure of the run that decided it.
    #[schema(value_type = String)]
    start: Timestamp,
    /// When it was up again, or was switched off; null while it is down.
    #[schema(value_type = Option<String>)]
    end: Option<Timestamp>,
    /// How long, up to now while it goes on.
    duration_seconds: f64,
    /// Why, as known when it went down.
    #[schema(value_type = Object)]
    cause: Option<Reason>,
}

/// A row of a report.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SlaRow)]
pub(crate) struct SlaRow {
    /// Name of the monitor, or value of the tag; empty for monitors without the tag.
    name: String,
    /// Id of the monitor; null in a report by tag.
    id: Option<String>,
    /// Monitors in the row.
    monitors: u32,
    /// Its uptime.
    #[serde(flatten)]
    uptime: UptimeView,
    /// Mean time from going down to being up again, of incidents that are over.
    mean_seconds_to_recover: Option<f64>,
}

fn maintenance(name: Option<&str>) -> Result<Maintenance, Problem> {
    let Some(name) = name else { return Ok(Maintenance::default()) };
    Maintenance::from_name(name).ok_or_else(|| {
        let error = FieldError::new("maintenance", "is not known").value(name).hint("use apart, up or down");
        Problem::field(Kind::Malformed, error)
    })
}

/// Time spent up, down and unknown, weighed by time.
#[utoipa::path(
    tag = "history",
    params(("id" = String, Path, description = "Id of the monitor"), UptimeParams),
    responses((status = 200, description = "The uptime", body = Page<UptimeView>), (status = 404, body = ProblemDocument))
)]
#[get("/api/v1/monitors/{id}/uptime")]
pub(crate) async fn show_uptime(
    access: Access<MonitorsRead>,
    id: web::Path<String>,
    params: web::Query<UptimeParams>,
    catalog: web::Data<Catalog>,
    store: web::Data<dyn Store>,
    clock: web::Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let (id, _) = entry(&catalog, &id, &access.principal)?;
    let now = clock.now();
    let maintenance = maintenance(params.maintenance.as_deref())?;
    let mut windows = Vec::new();
    for text in params.windows.as_deref().unwrap_or("24h,7d,30d,90d").split(',').map(str::trim) {
        let length =
            text.parse::<HumanDuration>().ok().filter(|length| !length.0.is_zero()).ok_or_else(|| {
                let error = FieldError::new("windows", "is no duration").value(text);
                Problem::field(Kind::Malformed, error.hint("use durations such as 24h,7d"))
            })?;
        windows.push((text.to_owned(), now.minus(length.0)));
    }
    if windows.len() > MAX_WINDOWS {
        let error = FieldError::new("windows", format!("more than {MAX_WINDOWS}"));
        return Err(Problem::field(Kind::Malformed, error));
    }
    let earliest = windows.iter().map(|(_, from)| *from).min().unwrap_or(now);
    let mut changes = blocking(move || store.timeline(Some(id), earliest)).await?;
    let timeline: Timeline = changes.remove(&id).unwrap_or_default().into_iter().collect();
    let items = windows
        .into_iter()
        .map(|(window, from)| UptimeView::new(window, from, now, timeline.uptime(from, now), maintenance))
        .collect();
    Ok(HttpResponse::Ok().json(Page::<UptimeView>::whole(items)))
}

/// Uptime by day, cut in a time zone.
#[utoipa::path(
    tag = "history",
    params(("id" = String, Path, description = "Id of the monitor"), DaysParams),
    responses((status = 200, description = "The days", body = DaysView), (status = 404, body = ProblemDocument))
)]
#[get("/api/v1/monitors/{id}/uptime/days")]
pub(crate) async fn show_days(
    access: Access<MonitorsRead>,
    id: web::Path<String>,
    params: web::Query<DaysParams>,
    catalog: web::Data<Catalog>,
    store: web::Data<dyn Store>,
    clock: web::Data<dyn Clock>,
    info: web::Data<Info>,
) -> Result<HttpResponse, Problem> {
    let (id, _) = entry(&catalog, &id, &access.principal)?;
    let now = clock.now();
    let maintenance = maintenance(params.maintenance.as_deref())?;
    let count = params.days.unwrap_or(90);
    if !(1..=MAX_DAYS).contains(&count) {
        let error = FieldError::new("days", "out of range").value(count);
        return Err(Problem::field(
            Kind::Malformed,
            error.hint(format!("use a number from 1 to {MAX_DAYS}")),
        ));
    }
    let zone = params.time_zone.clone().unwrap_or_else(|| info.time_zone.clone());
    let Some(days) = days_in_zone(&zone, now, count) else {
        let error = FieldError::new("time_zone", "is no IANA time zone").value(&zone);
        return Err(Problem::field(Kind::Malformed, error.hint("use a name such as Europe/Berlin")));
    };
    let earliest = days.first().map_or(now, |(_, from, _)| *from);
    let mut changes = blocking(move || store.timeline(Some(id), earliest)).await?;
    let timeline: Timeline = changes.remove(&id).unwrap_or_default().into_iter().collect();
    let items = days
        .into_iter()
        .map(|(date, from, to)| {
            let to = to.min(now);
            let uptime = UptimeView::new("1d".to_owned(), from, to, timeline.uptime(from, to), maintenance);
            DayView { date, uptime }
        })
        .collect();
    Ok(HttpResponse::Ok().json(DaysView { time_zone: zone, items }))
}

/// Times in which a monitor was down, newest first.
#[utoipa::path(
    tag = "history",
    params(("id" = String, Path, description = "Id of the monitor"), IncidentParams),
    responses((status = 200, description = "The incidents", body = Page<IncidentView>), (status = 404, body = ProblemDocument))
)]
#[get("/api/v1/monitors/{id}/incidents")]
pub(crate) async fn list_incidents(
    access: Access<MonitorsRead>,
    id: web::Path<String>,
    params: web::Query<IncidentParams>,
    catalog: web::Data<Catalog>,
    store: web::Data<dyn Store>,
    clock: web::Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let (id, _) = entry(&catalog, &id, &access.principal)?;
    let now = clock.now();
    let back = HumanDuration::from_secs(90 * 86_400);
    let (from, to) = range(params.from.as_deref(), params.to.as_deref(), back, now)?;
    let found = blocking(move || incidents(&**store, id, from, to)).await?;
    let view = |incident: Incident| IncidentView {
        sequence: incident.sequence,
        duration_seconds: incident.end.unwrap_or(now).since(incident.start).as_secs_f64(),
        start: incident.start,
        end: incident.end,
        cause: incident.cause,
    };
    let items = found.into_iter().rev().map(view).collect();
    Ok(HttpResponse::Ok().json(Page::<IncidentView>::whole(items)))
}

/// Uptime of every monitor, or of every value of a tag, over a range.
#[utoipa::path(
    tag = "history",
    params(SlaParams),
    responses((status = 200, description = "The report; with `format=csv` as comma-separated values", body = Page<SlaRow>))
)]
#[get("/api/v1/sla")]
pub(crate) async fn report_sla(
    access: Access<MonitorsRead>,
    params: web::Query<SlaParams>,
    catalog: web::Data<Catalog>,
    store: web::Data<dyn Store>,
    clock: web::Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let now = clock.now();
    let back = HumanDuration::from_secs(30 * 86_400);
    let (from, to) = range(params.from.as_deref(), params.to.as_deref(), back, now)?;
    let to = to.min(now);
    let maintenance = maintenance(params.maintenance.as_deref())?;
    let malformed = |error| Problem::field(Kind::Malformed, error);
    let by = match params.by.as_deref() {
        None | Some("monitor") => By::Monitor,
        Some(other) => match other.strip_prefix("tag:").filter(|key| !key.is_empty()) {
            Some(key) => By::Tag(key.to_owned()),
            None => {
                let error = FieldError::new("by", "is not known").value(other);
                return Err(malformed(error.hint("use monitor, or tag:KEY")));
            }
        },
    };
    let is_csv = match params.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(other) => {
            let error = FieldError::new("format", "is not known").value(other);
            return Err(malformed(error.hint("use json or csv")));
        }
    };
    let entries = catalog.visible(&access.principal);
    let rows =
        blocking(move || report(&**store, entries.iter().map(|entry| &*entry.definition), &by, (from, to)));
    let rows: Vec<SlaRow> = rows
        .await?
        .into_iter()
        .map(|row| SlaRow {
            name: row.name,
            id: row.id.map(|id| id.to_string()),
            monitors: row.monitors,
            uptime: UptimeView::new("range".to_owned(), from, to, row.uptime, maintenance),
            mean_seconds_to_recover: row.mean_seconds_to_recover,
        })
        .collect();
    if is_csv {
        return Ok(HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8")
            .insert_header(("Content-Disposition", "attachment; filename=\"sla.csv\""))
            .body(csv(&rows)));
    }
    Ok(HttpResponse::Ok().json(Page::<SlaRow>::whole(rows)))
}

fn csv(rows: &[SlaRow]) -> String {
    let mut out =
        "name,id,monitors,from,to,uptime_ratio,up_seconds,down_seconds,unknown_seconds,paused_seconds,\
                   maintenance_seconds,incidents,mean_seconds_to_recover\r\n"
            .to_owned();
    for row in rows {
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        // Writing to a text cannot fail.
        write!(
            out,
            "{},{},{},{},{}\r\n",
            quoted(&row.name),
            row.id.as_deref().unwrap_or_default(),
            row.monitors,
            row.uptime.csv(),
            number(row.mean_seconds_to_recover),
        )
        .ok();
    }
    out
}
