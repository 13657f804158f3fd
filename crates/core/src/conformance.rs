//! The rules every plugin keeps, checked over the whole registry: at start the cheap ones, in tests all of them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::metric::MetricKind;
use crate::monitor::BuildContext;
use crate::plugin::{Plugin, ProbeSpec};
use crate::report::{MetricRef, Reading, ReadingValue, Report};

/// Units that a metric's name may end in.
pub const UNITS: [&str; 8] = ["seconds", "bytes", "ratio", "count", "total", "state", "days", "celsius"];

/// Labels that the server adds to what a monitor reports.
const OWN_LABELS: [&str; 6] = ["monitor", "monitor_id", "kind", "name", "location", "source"];

/// What is wrong with a descriptor's names: these stop the program at start.
pub fn descriptor_problems(plugin: &Plugin) -> Vec<String> {
    let mut problems = Vec::new();
    if !is_word(plugin.kind) {
        problems.push(format!("the kind `{}` must match [a-z][a-z0-9_]*", plugin.kind));
    }
    for metric in plugin.metrics {
        let name = metric.name;
        if !name.strip_prefix(plugin.kind).is_some_and(|rest| rest.starts_with('.')) {
            problems.push(format!("the metric `{name}` must begin with `{}.`", plugin.kind));
        }
        if !name.split('.').all(is_word) {
            problems.push(format!("the metric `{name}` must be words [a-z][a-z0-9_]* joined by dots"));
        }
        if !UNITS.contains(&metric.unit) {
            problems.push(format!(
                "the metric `{name}` has the unit `{}`, not one of {}",
                metric.unit,
                UNITS.join(", ")
            ));
        }
        if !name.ends_with(&format!("_{}", metric.unit)) && !name.ends_with(&format!(".{}", metric.unit)) {
            problems.push(format!("the metric `{name}` must end in its unit, `{}`", metric.unit));
        }
        if (metric.kind == MetricKind::Counter) != (metric.unit == "total") {
            problems.push(format!("the metric `{name}`: counters, and only they, have the unit `total`"));
        }
    }
    for pattern in plugin.metric_patterns {
        if pattern.matches('*').count() != 1 || !pattern.starts_with(&format!("{}.", plugin.kind)) {
            problems
                .push(format!("the metric pattern `{pattern}` must begin with the kind and hold one `*`"));
        }
    }
    if plugin.probes.first().is_none_or(|probe| probe.name != ProbeSpec::AVAILABILITY) {
        problems.push("the first probe must be `availability`".to_owned());
    }
    let mut names = BTreeSet::new();
    for probe in plugin.probes {
        if !is_word(probe.name) || !names.insert(probe.name) {
            problems
                .push(format!("the probe name `{}` is taken twice, or is no [a-z][a-z0-9_]*", probe.name));
        }
        if probe.timeout > probe.interval || probe.timeout.is_zero() {
            problems.push(format!(
                "the probe `{}` needs a deadline above zero and within its interval",
                probe.name
            ));
        }
    }
    for class in plugin.classes {
        if !is_word(class.name) {
            problems.push(format!("the error class `{}` must match [a-z][a-z0-9_]*", class.name));
        }
    }
    if plugin.metric(plugin.headline).is_none() {
        problems.push(format!("the headline metric `{}` is not in the catalogue", plugin.headline));
    }
    problems
}

/// Everything that is wrong with a plugin: for tests, because it builds the example.
pub fn problems(plugin: &Plugin, cx: &BuildContext) -> Vec<String> {
    let mut problems = descriptor_problems(plugin);
    for (what, text) in [("title", plugin.title), ("summary", plugin.summary), ("category", plugin.category)]
    {
        if text.trim().is_empty() {
            problems.push(format!("{what} is empty"));
        }
    }
    for metric in plugin.metrics {
        if metric.help.len() < 10 || metric.title.is_empty() {
            problems.push(format!("the metric `{}` needs a title and a help sentence", metric.name));
        }
    }
    for class in plugin.classes {
        if class.hint.len() < 10 || class.title.is_empty() {
            problems.push(format!("the error class `{}` needs a title and a hint", class.name));
        }
    }
    let schema = (plugin.schema)();
    undocumented(&schema, &schema, "settings", &mut problems);
    match (plugin.build)((plugin.example)(), cx) {
        Err(errors) => problems.push(format!("the example does not build: {errors}")),
        Ok(monitor) => {
            for probe in plugin.probes {
                if monitor.probe(probe.name).is_none() {
                    problems.push(format!("the monitor makes no probe `{}`", probe.name));
                }
            }
            if !monitor.has_work(ProbeSpec::AVAILABILITY) {
                problems.push("availability must always have work".to_owned());
            }
        }
    }
    let mut strange = (plugin.example)();
    if let Value::Object(map) = &mut strange {
        map.insert("no_such_field".to_owned(), Value::Null);
    }
    match (plugin.build)(strange, cx) {
        Ok(_) => {
            problems.push("an unknown field in the settings is ignored: add deny_unknown_fields".to_owned());
        }
        Err(errors) if !errors.to_string().contains("settings.no_such_field") => {
            problems.push(format!("an unknown field gives an error that does not name it: {errors}"));
        }
        Err(_) => {}
    }
    problems
}

/// What is wrong with a report of a plugin: for tests, which give every report of theirs to it.
pub fn report_problems(plugin: &Plugin, report: &Report) -> Vec<String> {
    let mut problems = Vec::new();
    for reading in &report.readings {
        let name = reading.metric.name();
        let is_known = match &reading.metric {
            MetricRef::Declared(spec) => plugin.metrics.iter().any(|known| std::ptr::eq(*known, *spec)),
            MetricRef::Found(_) => plugin.allows_metric(name),
        };
        if !is_known {
            problems.push(format!("the metric `{name}` is not in the catalogue"));
        }
        if let ReadingValue::Exact(number) | ReadingValue::Estimate(number) = reading.value
            && !number.is_finite()
        {
            problems.push(format!("`{name}` is {number}, which is no number"));
        }
        let is_declared = matches!(reading.metric, MetricRef::Declared(_));
        for (label, _) in reading.labels.pairs() {
            if !(if is_declared { is_word(label) } else { is_label_name(label) }) {
                problems.push(format!("the label `{label}` of `{name}` is no name for a label"));
            }
            if is_declared && OWN_LABELS.contains(&label.as_str()) {
                problems.push(format!("the label `{label}` of `{name}` is one of the server's own"));
            }
        }
    }
    for duplicate in report.duplicate_series() {
        let Reading { metric, labels, .. } = &report.readings[duplicate.index];
        problems.push(format!(
            "two readings of `{}` have the same labels: {:?}",
            metric.name(),
            labels.pairs()
        ));
    }
    if let Some(failure) = &report.failure {
        let mut known = crate::common::ALL.iter().chain(plugin.classes);
        if !known.any(|class| std::ptr::eq(*class, failure.class)) {
            problems.push(format!("the class `{}` is not in the descriptor", failure.class.name));
        }
        if report.evidence.is_none() {
            problems.push(format!("a failed check has evidence: {failure:?}"));
        }
    }
    problems
}

/// Whether a text may be the name of a label: what Prometheus takes.
pub fn is_label_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Fields without a description: the settings struct is the documentation.
fn undocumented(root: &Value, schema: &Value, path: &str, problems: &mut Vec<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, field) in properties {
            let path = format!("{path}.{name}");
            let is_tag = field.get("const").is_some();
            if !is_tag && field.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
                problems.push(format!("the field `{path}` has no description: give it a doc comment"));
            }
            undocumented(root, field, &path, problems);
        }
    }
    if let Some(items) = schema.get("items") {
        undocumented(root, items, &format!("{path}[]"), problems);
    }
    for key in ["oneOf", "anyOf"] {
        if schema.get("x-wise").is_some() {
            continue;
        }
        for branch in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            undocumented(root, branch, path, problems);
        }
    }
    if let Some(target) =
        schema.get("$ref").and_then(Value::as_str).and_then(|r| root.pointer(r.strip_prefix('#')?))
    {
        undocumented(root, target, path, problems);
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Labels;
    use crate::{BuildContext, FieldErrors, MetricSpec, Monitor, MonitorSettings};

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Nothing {}

    impl MonitorSettings for Nothing {
        fn example() -> Value {
            Value::Null
        }

        fn build(self, _: &BuildContext) -> Result<std::sync::Arc<dyn Monitor>, FieldErrors> {
            Err(FieldErrors::default())
        }
    }

    static SIZE: MetricSpec = MetricSpec::gauge("t.size_bytes", "bytes", "Size", "Size of a part");
    static OTHER: MetricSpec = MetricSpec::gauge("t.other_bytes", "bytes", "Other", "Not in the catalogue");
    static PLUGIN: Plugin = Plugin { metrics: &[&SIZE], ..Plugin::new::<Nothing>("t", "wise-monitor-t") };

    #[test]
    fn a_report_tells_what_is_wrong_with_it() {
        let mut report = Report::default();
        report.push_labelled(&SIZE, &Labels::one("part", "a"), 1.0);
        report.push_labelled(&SIZE, &Labels::one("part", "b"), 2.0);
        assert_eq!(report_problems(&PLUGIN, &report), Vec::<String>::new());
        report.push_labelled(&SIZE, &Labels::one("part", "a"), f64::NAN);
        report.push(&OTHER, 1.0);
        report.push_labelled(&SIZE, &Labels::one("a part", "x"), 1.0);
        report.push_labelled(&SIZE, &Labels::one("kind", "x"), 1.0);
        let problems = report_problems(&PLUGIN, &report).join("; ");
        for part in ["which is no number", "t.other_bytes", "`a part`", "`kind`", "[(\"part\", \"a\")]"] {
            assert!(problems.contains(part), "{part} in {problems}");
        }
    }
}
