//! History as text: for spreadsheets, and for Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;
use wise_catalog::{Catalog, CatalogEntry};
use wise_core::{Clock, FieldError, HumanDuration, MetricKind, Plugin, SourceId, SourceName, Timestamp};
use wise_overview::Overview;
use wise_storage::ports::Store;
use wise_storage::{Aggregate, Piece, QueryPlan, SeriesPieces, StoreError};

use super::blocking;
use super::history::range;
use super::query::list;
use crate::access::{Access, permission::MonitorsRead};
use crate::app::SourceKinds;
use crate::collector::{OWN_LABELS, found_prefix};
use crate::csv::quoted;
use crate::problem::{Kind, Problem};
use crate::sources::{self, Chosen, Wanted};

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
    /// Ids or names of monitors, separated by commas. Default, without `tags` and `source`: everything.
    monitors: Option<String>,
    /// Only monitors with these tags: `key:value`, separated by commas.
    tags: Option<String>,
    /// Sources, separated by commas: a kind such as `server`, `kind:name`, or the id of a monitor.
    source: Option<String>,
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

/// A metric family of the export: its metrics, and whose they can be.
struct Family {
    name: String,
    help: String,
    kind: MetricKind,
    factor: f64,
    /// Dotted names, each with the value of the label `name` where one family has several.
    metrics: Vec<(String, Option<String>)>,
    owners: Vec<Owner>,
}

/// Whose series they are.
#[derive(Clone)]
enum Owner {
    Monitor(CatalogEntry),
    Source(SourceName),
}

impl Owner {
    fn source(&self) -> SourceId {
        match self {
            Self::Monitor(entry) => entry.definition.id.into(),
            Self::Source(name) => name.clone().into(),
        }
    }
}

/// Every sample of a range, rollups where samples are gone: means of gauges and of distributions, last values of counters.
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
    kinds: web::Data<SourceKinds>,
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
    let reading = store.clone();
    let known = blocking(move || reading.sources()).await?;
    let wanted = Wanted {
        monitors: params.monitors.as_deref(),
        tags: params.tags.as_deref(),
        source: params.source.as_deref(),
    };
    let chosen = sources::chosen(&catalog, **kinds, known, &access.principal, wanted)?;
    let families = families(&catalog, &overview, chosen, &list(params.metrics.as_deref()));
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
fn families(catalog: &Catalog, overview: &Overview, chosen: Chosen, wanted: &[String]) -> Vec<Family> {
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    let mut by_kind: BTreeMap<&'static str, (&'static Plugin, Vec<CatalogEntry>)> = BTreeMap::new();
    for entry in chosen.monitors {
        if let Some(plugin) = catalog.registry().plugin(&entry.definition.spec.kind) {
            by_kind.entry(plugin.kind).or_insert_with(|| (plugin, Vec::new())).1.push(entry);
        }
    }
    let mut all = Vec::new();
    for kind in chosen.kinds {
        let of_kind = chosen.named.iter().filter(|(name, _)| name.kind() == kind.kind);
        let owners: Vec<Owner> = of_kind.map(|(name, _)| Owner::Source(name.clone())).collect();
        for metric in kind.metrics.iter().filter(|metric| is_wanted(metric.name) && !owners.is_empty()) {
            all.push(Family {
                // As the server tells Prometheus, without a word before it.
                name: metric.name.replace('.', "_"),
                help: metric.help.to_owned(),
                kind: metric.kind,
                factor: 1.0,
                metrics: vec![(metric.name.to_owned(), None)],
                owners: owners.clone(),
            });
        }
    }
    for (plugin, monitors) in by_kind.into_values() {
        let owners: Vec<Owner> = monitors.iter().cloned().map(Owner::Monitor).collect();
        for metric in plugin.metrics.iter().filter(|metric| is_wanted(metric.name)) {
            let (name, factor) = metric.prometheus();
            all.push(Family {
                name,
                help: metric.help.to_owned(),
                kind: metric.kind,
                factor,
                metrics: vec![(metric.name.to_owned(), None)],
                owners: owners.clone(),
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
                owners: owners.clone(),
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
            for owner in &family.owners {
                // More points than there can be samples: nothing is merged.
                let aggregate =
                    if family.kind == MetricKind::Counter { Aggregate::Last } else { Aggregate::Avg };
                let plan = QueryPlan::of(owner.source(), metric, (from, to), usize::MAX, aggregate);
                for series in store.read(&owner.source(), &plan)? {
                    if !std::mem::replace(&mut has_head, true) {
                        head(&mut text, family);
                    }
                    let range = from.as_micros()..to.as_micros();
                    let name_label = name_label.as_deref();
                    let source = Source { owner, metric, name_label, family, range };
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
    owner: &'a Owner,
    metric: &'a str,
    name_label: Option<&'a str>,
    family: &'a Family,
    /// In microseconds.
    range: std::ops::Range<i64>,
}

fn write_series(text: &mut String, format: Format, source: &Source<'_>, series: SeriesPieces) {
    // What comes before the value, and in text of Prometheus before the time.
    let before = match format {
        Format::OpenMetrics => {
            let mut labels: BTreeMap<String, String> = BTreeMap::new();
            match source.owner {
                Owner::Monitor(entry) => {
                    let definition = &entry.definition;
                    labels.insert("monitor".to_owned(), definition.spec.name.clone());
                    labels.insert("monitor_id".to_owned(), definition.id.to_string());
                    labels.insert("kind".to_owned(), definition.spec.kind.clone());
                }
                Owner::Source(name) => drop(labels.insert("source".to_owned(), name.to_string())),
            }
            if let Some(name) = source.name_label {
                labels.insert("name".to_owned(), name.to_owned());
            }
            for (name, value) in &series.labels {
                // A label of the target's must not take the place of ours.
                let is_taken = OWN_LABELS.contains(&name.as_str());
                labels.insert(if is_taken { format!("target_{name}") } else { name.clone() }, value.clone());
            }
            let all: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            format!("{}{{{}}} ", source.family.name, all.join(","))
        }
        Format::Csv => {
            let (id, name, own) = match source.owner {
                Owner::Monitor(entry) => {
                    (entry.definition.id.to_string(), quoted(&entry.definition.spec.name), None)
                }
                Owner::Source(name) => (String::new(), String::new(), Some(format!("source={name}"))),
            };
            let labels = series.labels.iter().map(|(name, value)| format!("{name}={value}"));
            let labels: Vec<String> = own.into_iter().chain(labels).collect();
            format!(",{id},{name},{},{},", source.metric, quoted(&labels.join(";")))
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
