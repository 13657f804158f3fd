//! The metrics registry, and its two text formats.

use std::fmt::Write as _;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// A text format for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header asks for; Prometheus text when it asks for nothing we have.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let mut best = (0.0f32, Self::Prometheus);
        for range in accept.unwrap_or("").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or("") {
                "application/openmetrics-text" => Self::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => Self::Prometheus,
                _ => continue,
            };
            let mut quality = 1.0f32;
            let mut is_known_version = true;
            for part in parts {
                match part.split_once('=').map(|(key, value)| (key.trim(), value.trim().trim_matches('"'))) {
                    Some(("q", value)) => quality = value.parse().unwrap_or(0.0),
                    Some(("version", value)) => {
                        is_known_version = match format {
                            Self::OpenMetrics => value.starts_with("1."),
                            Self::Prometheus => value == "0.0.4",
                        };
                    }
                    _ => {}
                }
            }
            if is_known_version && quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }

    /// Whether an `Accept` header asks for JSON, and for no text more than for that. What names neither does not.
    pub fn prefers_json(accept: Option<&str>) -> bool {
        let quality_of = |is_meant: fn(&str) -> bool| {
            let ranges = accept.unwrap_or("").split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                is_meant(parts.next().unwrap_or("")).then(|| {
                    let quality = parts.find_map(|part| part.strip_prefix("q="));
                    quality.map_or(1.0, |quality| quality.trim().parse::<f32>().unwrap_or(0.0))
                })
            });
            ranges.fold(0.0, f32::max)
        };
        let json = quality_of(|range| range == "application/json");
        let text =
            quality_of(|range| matches!(range, "text/plain" | "text/*" | "application/openmetrics-text"));
        json > 0.0 && json >= text
    }

    /// The `Content-Type` of the format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A registry of metrics that can be rendered.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    /// A registry that `register` has filled.
    pub fn new(register: impl FnOnce(&mut Registry)) -> Self {
        let mut registry = Registry::default();
        register(&mut registry);
        Self { registry: Arc::new(registry) }
    }

    /// Everything in the registry.
    ///
    /// # Errors
    /// A collector failed to write.
    pub fn render(&self, format: Format) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        match format {
            Format::OpenMetrics => Ok(text),
            Format::Prometheus => Ok(to_prometheus(&text)),
        }
    }
}

/// Turns OpenMetrics text into Prometheus text 0.0.4: the family of a counter carries `_total`, units are comments that
/// 0.0.4 does not know, and there is no end mark.
fn to_prometheus(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // HELP comes before TYPE, and only TYPE says whether the family is a counter.
    let mut help: Option<(&str, &str)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "unknown" => ("", "untyped"),
                // Families that 0.0.4 does not have are gauges there.
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                other => ("", other),
            };
            if let Some((_, text)) = help.take().filter(|(family, _)| *family == name) {
                // A quote is escaped in OpenMetrics and not in 0.0.4.
                writeln!(out, "# HELP {name}{suffix} {}", text.replace("\\\"", "\"")).ok();
            }
            writeln!(out, "# TYPE {name}{suffix} {kind}").ok();
        } else if line.starts_with('#') {
            // UNIT and EOF.
        } else {
            // An exemplar stands behind ` # `; label values may hold the same, so only what follows the last brace counts.
            let from = line.rfind("} # {").map_or(0, |_| line.find("} ").unwrap_or(0));
            let end = line[from..].find(" # {").map_or(line.len(), |at| from + at);
            out.push_str(&line[..end]);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
    use prometheus_client::metrics::counter::ConstCounter;
    use prometheus_client::metrics::gauge::ConstGauge;

    #[derive(Debug)]
    struct Two;
    impl Collector for Two {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
            let counter = ConstCounter::new(3u64);
            counter.encode(encoder.encode_descriptor(
                "checks",
                "Checks made",
                None,
                counter.metric_type(),
            )?)?;
            let gauge = ConstGauge::new(1.5f64);
            gauge.encode(encoder.encode_descriptor("load", "Load", None, gauge.metric_type())?)
        }
    }

    #[test]
    fn both_formats() {
        let metrics = Metrics::new(|registry| registry.register_collector(Box::new(Two)));
        let open = metrics.render(Format::OpenMetrics).unwrap();
        assert!(open.contains("# TYPE checks counter\n") && open.ends_with("# EOF\n"), "{open}");
        let text = metrics.render(Format::Prometheus).unwrap();
        assert_eq!(
            text,
            "# HELP checks_total Checks made\n# TYPE checks_total counter\nchecks_total 3\n\
             # HELP load Load\n# TYPE load gauge\nload 1.5\n"
        );
    }

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        for (accept, expected) in [
            ("application/json", true),
            ("application/json, text/plain, */*", true),
            ("application/json; charset=utf-8; q=0.9, */*;q=0.8", true),
            ("text/plain;q=0.5, application/json", true),
            ("*/*", false),
            ("application/*", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("application/json;q=0.5, text/plain", false),
            ("application/json;q=0, */*", false),
            ("application/openmetrics-text;version=1.0.0,application/json;q=0.5", false),
        ] {
            assert_eq!(Format::prefers_json(Some(accept)), expected, "{accept}");
        }
        assert!(!Format::prefers_json(None));
    }

    #[test]
    fn the_accept_header_decides() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::negotiate(Some(prometheus_2)), Format::OpenMetrics);
        assert_eq!(Format::negotiate(None), Format::Prometheus);
        assert_eq!(Format::negotiate(Some("text/html,*/*;q=0.8")), Format::Prometheus);
        assert_eq!(Format::negotiate(Some("application/openmetrics-text;version=0.0.1")), Format::Prometheus);
        assert_eq!(
            Format::negotiate(Some("text/plain;q=0.9, application/openmetrics-text;q=0.1")),
            Format::Prometheus
        );
    }
}
