//! History as text: for spreadsheets, and for Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;
use wise_catalog::{Catalog, CatalogEntry};
use wise_core::{Clock, FieldError, HumanDuration, MetricKind, Plugin, Timestamp};
use wise_overview::Overview;
use wise_storage::ports::Store;
use wise_storage::{Aggregate, Piece, QueryPlan, SeriesPieces, StoreError};

use super::history::range;
use super::query::{chosen, list};
use crate::access::{Access, permission::MonitorsRead};
use crate::collector::{OWN_LABELS, found_prefix};
use crate::csv::quoted;
use crate::problem::{Kind, Problem};

/// Text is handed on in parts of this size.
const PART: usize = 64 * 1024;
/// Parts that may wait for a slow reader.
const WAITING: usize = 8;

/// What to export.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportParams {
    /// `csv` or `openmetrics`, which `promtool tsdb create-blocks-from openmetrics` takes.
    format: String,
    /// Ids or names of monitors, separated by commas. Default: all.
    monitors: Option<String>,
    /// Only monitors with these tags: `key:value`, separated by commas.
    tags: Option<String>,
    /// Dotted names of metrics, separated by commas. Default: all.
    metrics: Option<String>,
    /// RFC 3339, or relative to now. Default: `-24h`.
    from: Option<String>,
    /// RFC 3339, or relative to now. Default: now.
    to: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    OpenMetrics,
}

/// A metric family of the export: its metrics, and the monitors that can have them.
struct Family {
    name: String,
    help: String,
    kind: MetricKind,
    factor: f64,
    /// Dotted names, each with the value of the label `name` where one family has several.
    metrics: Vec<(String, Option<String>)>,
    monitors: Vec<CatalogEntry>,
}

/// Every sample of a range, rollups where samples are gone: means of gauges, last values of counters.
#[utoipa::path(
    tag = "history",
    params(ExportParams),
    responses((status = 200, description = "Comma-separated values, or OpenMetrics text with times", body = String))
)]
#[get("/api/v1/export/history")]
pub(crate) async fn export_history(
    access: Access<MonitorsRead>,
    params: web::Query<ExportParams>,
    catalog: web::Data<Catalog>,
    overview: web::Data<Overview>,
    store: web::Data<dyn Store>,
    clock: web::Data<dyn Clock>,
) -> Result<HttpResponse, Problem> {
    let (format, content) = match params.format.as_str() {
        "csv" => (Format::Csv, "text/csv; charset=utf-8"),
        "openmetrics" => (Format::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        other => {
            let error = FieldError::new("format", "is not known").value(other).hint("use csv or openmetrics");
            return Err(Problem::field(Kind::Malformed, error));
        }
    };
    let day = HumanDuration::from_secs(86_400);
    let range = range(params.from.as_deref(), params.to.as_deref(), day, clock.now())?;
    let entries = chosen(&catalog, &access.principal, params.monitors.as_deref(), params.tags.as_deref())?;
    let families = families(&catalog, &overview, entries, &list(params.metrics.as_deref()));
    let (sender, receiver) = mpsc::channel(WAITING);
    actix_web::rt::task::spawn_blocking(move || {
        let outcome = write_all(&**store, format, range, &families, &sender);
        if let Err(error) = outcome {
            tracing::error!("an export was cut off: {error}");
            // Without its end the reader sees that the text is not whole.
            sender.blocking_send(Err(std::io::Error::other("the store failed"))).ok();
        }
    });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|part| (part, receiver))
    });
    Ok(HttpResponse::Ok().content_type(content).streaming(Box::pin(stream)))
}

/// What there is to export, by name, so that a family is in one place.
fn families(
    catalog: &Catalog,
    overview: &Overview,
    entries: Vec<CatalogEntry>,
    wanted: &[String],
) -> Vec<Family> {
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    let mut by_kind: BTreeMap<&'static str, (&'static Plugin, Vec<CatalogEntry>)> = BTreeMap::new();
    for entry in entries {
        if let Some(plugin) = catalog.registry().plugin(&entry.definition.spec.kind) {
            by_kind.entry(plugin.kind).or_insert_with(|| (plugin, Vec::new())).1.push(entry);
        }
    }
    let mut all = Vec::new();
    for (plugin, monitors) in by_kind.into_values() {
        for metric in plugin.metrics.iter().filter(|metric| is_wanted(metric.name)) {
            let (name, factor) = metric.prometheus();
            all.push(Family {
                name,
                help: metric.help.to_owned(),
                kind: metric.kind,
                factor,
                metrics: vec![(metric.name.to_owned(), None)],
                monitors: monitors.clone(),
            });
        }
        // What custom queries and the like have found lately.
        let mut found: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
        for item in monitors.iter().filter_map(|entry| overview.item(entry.definition.id)) {
            for reading in item.readings.iter().flat_map(|last| last.readings.iter()) {
                let name = reading.metric.name();
                if plugin.metric(name).is_none()
                    && is_wanted(name)
                    && let Some(prefix) = found_prefix(plugin, name)
                {
                    found.entry(prefix).or_default().insert(name.to_owned());
                }
            }
        }
        for (prefix, names) in found {
            all.push(Family {
                name: format!("wise_{}", prefix.trim_end_matches('.').replace('.', "_")),
                help: format!("Metrics found at run time under {prefix}*"),
                kind: MetricKind::Gauge,
                factor: 1.0,
                metrics: names
                    .into_iter()
                    .map(|name| (name.clone(), Some(name[prefix.len()..].to_owned())))
                    .collect(),
                monitors: monitors.clone(),
            });
        }
    }
    all
}

type Part = std::io::Result<web::Bytes>;

fn write_all(
    store: &dyn Store,
    format: Format,
    (from, to): (Timestamp, Timestamp),
    families: &[Family],
    sender: &mpsc::Sender<Part>,
) -> Result<(), StoreError> {
    let mut text = String::with_capacity(PART * 2);
    if format == Format::Csv {
        text.push_str("time,monitor,monitor_name,metric,labels,value\r\n");
    }
    for family in families {
        let mut has_head = format == Format::Csv;
        for (metric, name_label) in &family.metrics {
            for entry in &family.monitors {
                // More points than there can be samples: nothing is merged.
                let aggregate =
                    if family.kind == MetricKind::Counter { Aggregate::Last } else { Aggregate::Avg };
                let plan = QueryPlan::of(entry.definition.id, metric, (from, to), usize::MAX, aggregate);
                for series in store.read(&entry.definition.id.into(), &plan)? {
                    if !std::mem::replace(&mut has_head, true) {
                        head(&mut text, family);
                    }
                    let range = from.as_micros()..to.as_micros();
                    let name_label = name_label.as_deref();
                    let source = Source { entry, metric, name_label, family, range };
                    write_series(&mut text, format, &source, series);
                    // Anyone who reads may have gone.
                    if text.len() >= PART && !send(sender, &mut text) {
                        return Ok(());
                    }
                }
            }
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    send(sender, &mut text);
    Ok(())
}

fn send(sender: &mpsc::Sender<Part>, text: &mut String) -> bool {
    let part = web::Bytes::from(std::mem::take(text));
    sender.blocking_send(Ok(part)).is_ok()
}

fn head(text: &mut String, family: &Family) {
    let (name, kind) = match family.kind {
        MetricKind::Counter => (family.name.trim_end_matches("_total"), "counter"),
        MetricKind::Gauge => (family.name.as_str(), "gauge"),
    };
    let help = escaped(&family.help);
    // Writing to a text cannot fail.
    write!(text, "# TYPE {name} {kind}\n# HELP {name} {help}\n").ok();
}

struct Source<'a> {
    entry: &'a CatalogEntry,
    metric: &'a str,
    name_label: Option<&'a str>,
    family: &'a Family,
    /// In microseconds.
    range: std::ops::Range<i64>,
}

fn write_series(text: &mut String, format: Format, source: &Source<'_>, series: SeriesPieces) {
    let definition = &source.entry.definition;
    let id = definition.id.to_string();
    let before = match format {
        Format::OpenMetrics => {
            let own = [
                ("monitor", definition.spec.name.as_str()),
                ("monitor_id", id.as_str()),
                ("kind", definition.spec.kind.as_str()),
            ];
            let mut labels: BTreeMap<String, &str> =
                own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            if let Some(name) = source.name_label {
                labels.insert("name".to_owned(), name);
            }
            for (name, value) in &series.labels {
                // A label of the target's must not take the place of ours.
                let is_taken = OWN_LABELS.contains(&name.as_str());
                labels.insert(if is_taken { format!("target_{name}") } else { name.clone() }, value);
            }
            let all: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            format!("{}{{{}}} ", source.family.name, all.join(","))
        }
        Format::Csv => {
            let labels: Vec<String> =
                series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!(
                ",{id},{},{},{},",
                quoted(&definition.spec.name),
                source.metric,
                quoted(&labels.join(";"))
            )
        }
    };
    let mut line = |micros: i64, value: f64| {
        if !value.is_finite() {
            return;
        }
        match format {
            Format::OpenMetrics => {
                let (value, time) = (value * source.family.factor, micros as f64 / 1e6);
                writeln!(text, "{before}{value} {time:.3}").ok();
            }
            Format::Csv => {
                let time = Timestamp::from_micros(micros);
                write!(text, "{time}{before}{value}\r\n").ok();
            }
        }
    };
    for piece in series.pieces {
        match piece {
            Piece::Raw(samples) => samples.into_iter().for_each(|(time, value)| line(time, value)),
            // Of a distribution the mean, as of rollups.
            Piece::Distributions(buckets, _) => {
                buckets.into_iter().for_each(|bucket| line(bucket.start, bucket.mean));
            }
            Piece::Rolled(tier, buckets, _) => {
                for bucket in buckets {
                    // A last value stands at the end, a mean where it begins; what is not in the range is another's.
                    let (at, value) = match source.family.kind {
                        MetricKind::Counter => (bucket.start + tier.width() - 1_000, bucket.last),
                        MetricKind::Gauge => (bucket.start, bucket.mean),
                    };
                    if source.range.contains(&at) {
                        line(at, value);
                    }
                }
            }
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}
