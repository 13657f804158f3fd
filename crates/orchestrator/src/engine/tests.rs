use serde_json::json;
use wise_core::{
    Direction, Failure, MetricSpec, MonitorSpec, Plugin, ProbeSpec, Reading, Report, Status, Threshold,
    ThresholdOverride, Timestamp, common,
};

use super::*;

static TOTAL: MetricSpec = MetricSpec::latency("t.total_seconds", "Response time", "Time of the whole check")
    .threshold(Threshold {
        direction: Direction::Above,
        warning: Some(1.0),
        critical: Some(3.0),
        hysteresis: 0.1,
        checks: 2,
    });
static PROBES: [ProbeSpec; 2] = [
    ProbeSpec::new(
        "availability",
        "Availability",
        std::time::Duration::from_secs(30),
        std::time::Duration::from_secs(5),
    ),
    ProbeSpec::new(
        "storage",
        "Storage",
        std::time::Duration::from_secs(30),
        std::time::Duration::from_secs(5),
    ),
];
static PLUGIN: Plugin = Plugin { metrics: &[&TOTAL], probes: &PROBES, ..Plugin::new::<Nothing>("t", "t") };

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

impl wise_core::MonitorSettings for Nothing {
    fn example() -> serde_json::Value {
        json!({})
    }
    fn build(
        self,
        _: &wise_core::BuildContext,
    ) -> Result<std::sync::Arc<dyn wise_core::Monitor>, wise_core::FieldErrors> {
        Err(wise_core::FieldErrors::default())
    }
}

fn engine(change: impl FnOnce(&mut MonitorSpec)) -> StatusEngine {
    let mut spec = MonitorSpec::new("m", "t", json!({}));
    change(&mut spec);
    StatusEngine::new(&spec, &PLUGIN, Timestamp::default())
}

fn pass() -> Report {
    Report::default()
}

fn fail() -> Report {
    Report::failed(Failure::new(&common::REFUSED, "connection refused"))
}

fn own() -> Report {
    Report::failed(Failure::new(&common::NO_EGRESS, "no way out"))
}

fn slow(seconds: f64) -> Report {
    Report { readings: vec![Reading::exact(&TOTAL, seconds)], ..Report::default() }
}

/// Applies reports and answers the statuses after each, by their first letters; D for down.
fn run(engine: &mut StatusEngine, reports: impl IntoIterator<Item = Report>) -> String {
    reports
        .into_iter()
        .map(|report| {
            engine.apply(0, &report, Timestamp::default());
            match (engine.down(), engine.status()) {
                (true, _) => 'D',
                (_, Status::Healthy) => 'h',
                (_, Status::Degraded) => 'd',
                (_, Status::Unhealthy) => 'u',
                (_, Status::Unknown) => '?',
                (_, Status::Paused | Status::Maintenance) => 'p',
            }
        })
        .collect()
}

#[test]
fn two_failures_in_a_row_are_down_and_one_success_is_up() {
    let mut engine = engine(|_| {});
    assert_eq!(
        run(&mut engine, [pass(), fail(), pass(), fail(), fail(), fail(), pass(), fail()]),
        "hhhhDDhh"
    );
}

#[test]
fn the_first_checks_decide_before_anything_is_said() {
    let mut engine = engine(|_| {});
    assert_eq!(run(&mut engine, [fail(), fail()]), "?D");
}

#[test]
fn n_of_m_counts_failures_that_are_not_in_a_row() {
    let mut engine = engine(|spec| (spec.failures_before_unhealthy, spec.failure_window) = (3, Some(5)));
    assert_eq!(run(&mut engine, [pass(), fail(), pass(), fail(), pass(), fail()]), "hhhhhD");
    assert_eq!(run(&mut engine, [pass(), fail(), fail(), pass(), fail()]), "hhhhD");
}

#[test]
fn recovery_takes_the_successes_asked_for() {
    let mut engine = engine(|spec| spec.successes_before_healthy = 3);
    assert_eq!(
        run(&mut engine, [pass(), fail(), fail(), pass(), pass(), fail(), pass(), pass(), pass()]),
        "hhDDDDDDh"
    );
}

#[test]
fn own_trouble_is_unknown_at_once_and_changes_no_count() {
    let mut engine = engine(|_| {});
    assert_eq!(run(&mut engine, [pass(), fail(), own(), fail()]), "hh?D");
    assert_eq!(run(&mut engine, [own(), fail(), own(), pass()]), "?D?h");
}

#[test]
fn a_final_failure_is_down_at_once_and_backs_off() {
    let mut engine = engine(|_| {});
    engine.apply(0, &pass(), Timestamp::default());
    let report = Report::failed(Failure::new(&common::AUTH, "login refused"));
    let evaluation = engine.apply(0, &report, Timestamp::default());
    assert!(engine.down() && evaluation.back_off && !evaluation.retry);
}

#[test]
fn retries_are_wanted_until_it_is_decided() {
    let mut engine = engine(|_| {});
    assert!(engine.apply(0, &fail(), Timestamp::default()).retry);
    assert!(!engine.apply(0, &fail(), Timestamp::default()).retry);
}

#[test]
fn thresholds_need_their_checks_to_cross_and_a_margin_to_clear() {
    let mut engine = engine(|_| {});
    let reports = [0.5, 1.5, 0.5, 1.5, 1.5, 0.95, 0.89, 4.0, 4.0, 2.8, 2.5, 0.1].map(slow);
    assert_eq!(run(&mut engine, reports), "hhhhddhhuudh");
    assert_eq!(engine.reason(), None);
}

#[test]
fn a_crossed_critical_threshold_is_unhealthy_and_not_down() {
    let mut engine = engine(|spec| {
        let bounds = ThresholdOverride { warning: None, critical: Some(1.0), checks: Some(1) };
        spec.thresholds.insert("t.total_seconds".to_owned(), bounds);
    });
    assert_eq!(run(&mut engine, [slow(0.5), slow(2.0)]), "hu");
    let reason = engine.reason().unwrap();
    assert_eq!((reason.class.as_str(), reason.value), ("threshold", Some(2.0)));
    assert_eq!(reason.message, "Response time is 2 s, critical at 1 s");
}

#[test]
fn another_probe_that_fails_is_degraded() {
    let mut engine = engine(|_| {});
    run(&mut engine, [pass()]);
    for (report, expected) in [
        (fail(), Status::Healthy),
        (fail(), Status::Degraded),
        (own(), Status::Degraded),
        (pass(), Status::Healthy),
    ] {
        engine.apply(1, &report, Timestamp::default());
        assert_eq!(engine.status(), expected);
    }
}

#[test]
fn a_monitor_that_was_down_stays_down_over_a_restart() {
    let mut engine = engine(|_| {});
    engine.restore(Status::Unknown, Timestamp::default(), None, true);
    assert_eq!(run(&mut engine, [fail()]), "D");
    let mut engine = self::engine(|_| {});
    engine.restore(Status::Unknown, Timestamp::default(), None, true);
    assert_eq!(run(&mut engine, [pass()]), "h");
}

#[test]
fn going_down_while_unhealthy_by_a_threshold_is_a_change() {
    let mut engine = engine(|spec| {
        let bounds = ThresholdOverride { warning: None, critical: Some(1.0), checks: Some(1) };
        spec.thresholds.insert("t.total_seconds".to_owned(), bounds);
    });
    assert_eq!(run(&mut engine, [slow(0.5), slow(2.0), fail()]), "huu");
    let evaluation = engine.apply(0, &fail(), Timestamp::default());
    assert_eq!((evaluation.changed_from, engine.down()), (Some(Status::Unhealthy), true));
    assert_eq!(engine.reason().unwrap().class, "refused");
    let evaluation = engine.apply(0, &slow(2.0), Timestamp::default());
    assert_eq!((evaluation.changed_from, engine.down()), (Some(Status::Unhealthy), false));
}

#[test]
fn a_changed_definition_forgets_no_outage() {
    let mut old = engine(|_| {});
    run(&mut old, [pass(), fail(), fail(), own()]);
    let mut new = engine(|spec| spec.successes_before_healthy = 2);
    new.succeed(old);
    assert_eq!(run(&mut new, [fail(), pass(), pass()]), "DDh");
}

#[test]
fn warning_and_critical_in_turn_count_together() {
    let mut engine = engine(|_| {});
    assert_eq!(run(&mut engine, [0.5, 1.5, 4.0].map(slow)), "hhu");
}

#[test]
fn a_part_of_the_target_that_is_gone_troubles_nobody_any_more() {
    let slow_part = |value: Option<f64>| {
        let mut report = pass();
        let labels = wise_core::Labels::one("disk", "a");
        match value {
            Some(value) => report.push_labelled(&TOTAL, &labels, value),
            None => report.push_absent(&TOTAL, &labels, wise_core::Absent::NotKnown),
        }
        report
    };
    let mut engine = engine(|_| {});
    run(&mut engine, [pass()]);
    for (report, expected) in [
        (slow_part(Some(2.0)), Status::Healthy),
        (slow_part(Some(2.0)), Status::Degraded),
        // Not known is not better, and neither is a failed check.
        (slow_part(None), Status::Degraded),
        (own(), Status::Degraded),
        (pass(), Status::Healthy),
    ] {
        engine.apply(1, &report, Timestamp::default());
        assert_eq!(engine.status(), expected);
    }
}

#[test]
fn what_no_longer_applies_is_dropped_after_a_while() {
    let mut engine = engine(|_| {});
    run(&mut engine, [pass()]);
    for (report, expected) in [
        (slow(2.0), Status::Healthy),
        (slow(2.0), Status::Degraded),
        (pass(), Status::Degraded),
        (slow(2.0), Status::Degraded),
        (pass(), Status::Degraded),
        (fail(), Status::Degraded),
        (pass(), Status::Degraded),
        (pass(), Status::Healthy),
    ] {
        engine.apply(1, &report, Timestamp::default());
        assert_eq!(engine.status(), expected);
    }
}
