//! What INFO counts by command and by kind of error, bounded to what matters.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};
use wise_core::{Labels, Report, label};

use crate::info::{Info, Pairs};
use crate::metrics::activity as metric;

/// Kinds of errors listed.
const MAX_ERRORS: usize = 20;
/// Latency events listed; there are about twenty kinds.
const MAX_EVENTS: usize = 30;
/// Most characters of a kind of error or event.
const WORD_LENGTH: usize = 40;
const MICROSECONDS: f64 = 1e6;

/// Calls and microseconds of each command at the last check.
#[derive(Debug, Default)]
pub(crate) struct CommandTimes {
    last: HashMap<String, (f64, f64)>,
}

struct Row<'a> {
    name: &'a str,
    calls: f64,
    failed: Option<f64>,
    /// Calls and microseconds since the last check.
    added: Option<(f64, f64)>,
}

impl CommandTimes {
    /// Reports the commands that took most time since the last check; at the first, since the start. Answers them as
    /// evidence.
    pub(crate) fn read(&mut self, info: &Info, top: usize, report: &mut Report) -> Value {
        // INFO writes `_` for letters that it could not show: two commands may have one name there.
        let mut totals: BTreeMap<&str, (f64, f64, Option<f64>)> = BTreeMap::new();
        for (name, value) in info.with_prefix("cmdstat_") {
            let pairs = Pairs::read(value);
            let (Some(calls), Some(micros)) = (pairs.number("calls"), pairs.number("usec")) else { continue };
            let sum = totals.entry(name).or_default();
            sum.0 += calls;
            sum.1 += micros;
            if let Some(failed) = pairs.number("failed_calls") {
                sum.2 = Some(sum.2.unwrap_or(0.0) + failed);
            }
        }
        let mut rows = Vec::new();
        let mut now = HashMap::new();
        for (name, (calls, micros, failed)) in totals {
            let before = self.last.get(name).copied().unwrap_or_default();
            let added = (calls - before.0, micros - before.1);
            // CONFIG RESETSTAT and restarts begin again.
            let added = (added.0 > 0.0 && added.1 >= 0.0).then_some(added);
            now.insert(name.to_owned(), (calls, micros));
            rows.push(Row { name, calls, failed, added });
        }
        let is_first = self.last.is_empty();
        self.last = now;
        rows.retain(|row| row.added.is_some());
        let micros = |row: &Row<'_>| row.added.map_or(0.0, |(_, micros)| micros);
        rows.sort_by(|a, b| micros(b).total_cmp(&micros(a)).then(a.name.cmp(b.name)));
        rows.truncate(top);
        let mut shown = Vec::new();
        for row in &rows {
            let labels = Labels::one("command", row.name);
            report.push_labelled(&metric::COMMAND_CALLS, &labels, row.calls);
            if let Some(failed) = row.failed {
                report.push_labelled(&metric::COMMAND_FAILED, &labels, failed);
            }
            let mean = row.added.map(|(calls, micros)| micros / calls / MICROSECONDS);
            // What was before the first check is no interval.
            if let Some(mean) = mean.filter(|_| !is_first) {
                report.push_labelled(&metric::COMMAND_SECONDS, &labels, mean);
            }
            percentiles(info, row.name, &labels, report);
            shown.push(json!({
                "command": row.name,
                "calls": row.added.map(|(calls, _)| calls),
                "milliseconds": row.added.map(|(_, micros)| micros / 1e3),
            }));
        }
        Value::Array(shown)
    }
}

fn percentiles(info: &Info, command: &str, labels: &Labels, report: &mut Report) {
    let Some(value) = info.get(&format!("latency_percentiles_usec_{command}")) else { return };
    let pairs = Pairs::read(value);
    for (name, metric) in
        [("p50", &metric::COMMAND_P50), ("p99", &metric::COMMAND_P99), ("p99.9", &metric::COMMAND_P999)]
    {
        if let Some(micros) = pairs.number(name) {
            report.push_labelled(metric, labels, micros / MICROSECONDS);
        }
    }
}

/// Errors by their first word.
pub(crate) fn errors(info: &Info, report: &mut Report) {
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for (word, value) in info.with_prefix("errorstat_") {
        if let Some(count) = Pairs::read(value).number("count") {
            *sums.entry(word).or_default() += count;
        }
    }
    let mut counts: Vec<(&str, f64)> = sums.into_iter().collect();
    counts.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    for (word, count) in counts.into_iter().take(MAX_ERRORS) {
        // Scripts can make up words of any length.
        let labels = Labels::one("error", label::fit(word, WORD_LENGTH));
        report.push_labelled(&metric::ERRORS, &labels, count);
    }
}

/// `LATENCY LATEST`: rows of event, time, latest and worst in milliseconds.
pub(crate) fn events(reply: &crate::resp::Reply, report: &mut Report) {
    let mut seen = HashSet::new();
    for row in reply.list().iter().take(MAX_EVENTS) {
        let [event, _, latest, worst, ..] = row.list() else { continue };
        let Some(event) = event.text().filter(|event| seen.insert(event.clone())) else { continue };
        let labels = Labels::one("event", label::fit(&event, WORD_LENGTH));
        for (value, metric) in [(latest, &metric::LATENCY_LATEST), (worst, &metric::LATENCY_MAX)] {
            if let Some(millis) = value.number() {
                report.push_labelled(metric, &labels, millis / 1e3);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(report: &Report, name: &str, label: &str) -> Option<f64> {
        let found = report.readings.iter().find(|reading| {
            reading.metric.name() == name && reading.labels.pairs().iter().any(|(_, value)| value == label)
        });
        found?.value.number()
    }

    fn info(get: (u32, u32), set: (u32, u32)) -> Info {
        let text = format!(
            "redis_version:7.0.15\r\ncmdstat_get:calls={},usec={},usec_per_call=1.00,rejected_calls=0,failed_calls=2\r\n\
             cmdstat_config|get:calls=1,usec=3,usec_per_call=3.00\r\n\
             cmdstat_set:calls={},usec={},usec_per_call=1.00\r\n\
             latency_percentiles_usec_get:p50=1.003,p99=25.087,p99.9=33.023\r\n\
             errorstat_ERR:count=3\r\nerrorstat_NOPERM:count=7\r\n",
            get.0, get.1, set.0, set.1
        );
        Info::read(&text).unwrap()
    }

    #[test]
    fn the_commands_of_the_interval_are_ranked() {
        let mut times = CommandTimes::default();
        let mut report = Report::default();
        times.read(&info((100, 1000), (10, 9000)), 10, &mut report);
        assert_eq!(value(&report, "redis.command.calls_total", "get"), Some(100.0));
        assert_eq!(value(&report, "redis.command.mean_seconds", "get"), None, "the first has no interval");
        let mut report = Report::default();
        times.read(&info((110, 21_000), (20, 9010)), 1, &mut report);
        assert_eq!(value(&report, "redis.command.mean_seconds", "get"), Some(2e-3));
        assert_eq!(value(&report, "redis.command.failed_total", "get"), Some(2.0));
        assert_eq!(value(&report, "redis.command.p99_seconds", "get"), Some(25.087 / 1e6));
        assert_eq!(value(&report, "redis.command.calls_total", "set"), None, "only the first is listed");
        let mut report = Report::default();
        times.read(&info((5, 10), (21, 9020)), 5, &mut report);
        assert_eq!(value(&report, "redis.command.mean_seconds", "get"), None, "a reset");
        assert_eq!(value(&report, "redis.command.mean_seconds", "set"), Some(1e-5));
    }

    #[test]
    fn names_that_info_cannot_tell_apart_are_counted_together_and_long_ones_stay_apart() {
        let long = "X".repeat(60);
        let info = Info::read(&format!(
            "redis_version:7.0.15\r\nerrorstat_A_B:count=3\r\nerrorstat_A_B:count=4\r\nerrorstat_{long}A:count=1\r\n\
             errorstat_{long}B:count=2\r\ncmdstat_m_get:calls=1,usec=10,failed_calls=1\r\n\
             cmdstat_m_get:calls=2,usec=20,failed_calls=2\r\n"
        ));
        let info = info.unwrap();
        let mut report = Report::default();
        errors(&info, &mut report);
        CommandTimes::default().read(&info, 10, &mut report);
        assert_eq!(report.duplicate_series(), []);
        assert_eq!(value(&report, "redis.errors_total", "A_B"), Some(7.0));
        assert_eq!(report.readings.iter().filter(|r| r.metric.name() == "redis.errors_total").count(), 3);
        assert_eq!(value(&report, "redis.command.calls_total", "m_get"), Some(3.0));
        assert_eq!(value(&report, "redis.command.failed_total", "m_get"), Some(3.0));
    }

    #[test]
    fn errors_are_counted_by_kind() {
        let mut report = Report::default();
        errors(&info((1, 1), (1, 1)), &mut report);
        assert_eq!(value(&report, "redis.errors_total", "NOPERM"), Some(7.0));
        assert_eq!(value(&report, "redis.errors_total", "ERR"), Some(3.0));
    }
}
