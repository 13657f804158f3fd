use serde_json::json;
use wise_core::{
    Direction, EventKind, Failure, Labels, MetricSpec, MonitorSpec, MonitorState, Plugin, ProbeSpec, Reading,
    Reason, Report, Status, Threshold, ThresholdOverride, Timestamp, common,
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

/// Applies a report; answers what it led to.
fn take(engine: &mut StatusEngine, probe: usize, report: &Report) -> Evaluation {
    engine.apply(probe, report, None, Timestamp::default(), &mut Vec::new())
}

/// Applies a report at a time; answers the events, in short.
fn events(engine: &mut StatusEngine, probe: usize, report: &Report, seconds: i64) -> Vec<String> {
    let mut events = Vec::new();
    engine.apply(probe, report, None, Timestamp::from_seconds(seconds), &mut events);
    in_short(&events)
}

fn in_short(events: &[EventKind]) -> Vec<String> {
    let seconds = |time: &Timestamp| time.as_seconds();
    let short = |event: &EventKind| match event {
        EventKind::Raised { condition } => {
            format!("+{} {:?} @{}", condition.key, condition.severity, seconds(&condition.since))
        }
        EventKind::Changed { condition, .. } => format!("~{} {:?}", condition.key, condition.severity),
        EventKind::Cleared { condition, cause } => format!("-{} {cause:?}", condition.key),
        EventKind::Status(change) => {
            format!("{}{} @{}", change.to, if change.down { " down" } else { "" }, seconds(&change.since))
        }
        other => format!("{other:?}"),
    };
    events.iter().map(short).collect()
}

/// What a store would have kept of an engine.
fn state_of(engine: &StatusEngine) -> MonitorState {
    // No time of a store is that of 1970.
    MonitorState {
        status: engine.status(),
        down: engine.down(),
        since: engine.since().max(Timestamp::from_micros(1)),
        reason: engine.reason().cloned(),
        conditions: engine.conditions().cloned().collect(),
        gap_until: None,
    }
}

/// An engine that goes on from what a store has kept of another.
fn restarted(old: &StatusEngine, change: impl FnOnce(&mut MonitorSpec)) -> StatusEngine {
    let mut new = engine(change);
    let mut events = Vec::new();
    new.restore(&state_of(old), &mut events);
    assert_eq!(in_short(&events), [""; 0]);
    new
}

/// Applies reports and answers the statuses after each, by their first letters; D for down.
fn run(engine: &mut StatusEngine, reports: impl IntoIterator<Item = Report>) -> String {
    reports
        .into_iter()
        .map(|report| {
            take(engine, 0, &report);
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
    // The check that could be made ends what was ours, and decides nothing about the target: no all-clear on a failure.
    let mut engine = self::engine(|_| {});
    assert_eq!(run(&mut engine, [pass(), own(), fail(), pass()]), "h??h");
    assert_eq!(run(&mut engine, [own(), fail(), fail(), pass()]), "??Dh");
    let mut engine = self::engine(|_| {});
    assert_eq!(events(&mut engine, 0, &own(), 1), ["+unknown:availability Warning @1", "unknown @1"]);
    assert_eq!(run(&mut engine, [own(), fail(), pass()]), "??h");
    let mut engine = self::engine(|_| {});
    run(&mut engine, [pass(), fail(), own(), fail()]);
    assert_eq!(run(&mut engine, [own(), fail(), own(), pass()]), "?D?h");
}

#[test]
fn a_final_failure_is_down_at_once_and_backs_off() {
    let mut engine = engine(|_| {});
    take(&mut engine, 0, &pass());
    let report = Report::failed(Failure::new(&common::AUTH, "login refused"));
    let evaluation = take(&mut engine, 0, &report);
    assert!(engine.down() && evaluation.back_off && !evaluation.retry);
}

#[test]
fn retries_are_wanted_until_it_is_decided() {
    let mut engine = engine(|_| {});
    assert!(take(&mut engine, 0, &fail()).retry);
    assert!(!take(&mut engine, 0, &fail()).retry);
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
        take(&mut engine, 1, &report);
        assert_eq!(engine.status(), expected);
    }
}

#[test]
fn a_monitor_that_was_down_stays_down_over_a_restart() {
    let mut before = engine(|_| {});
    run(&mut before, [pass(), fail(), fail(), own()]);
    assert_eq!(run(&mut restarted(&before, |_| {}), [fail()]), "D");
    assert_eq!(run(&mut restarted(&before, |_| {}), [pass()]), "h");
}

#[test]
fn going_down_while_unhealthy_by_a_threshold_is_a_change() {
    let mut engine = engine(|spec| {
        let bounds = ThresholdOverride { warning: None, critical: Some(1.0), checks: Some(1) };
        spec.thresholds.insert("t.total_seconds".to_owned(), bounds);
    });
    assert_eq!(run(&mut engine, [slow(0.5), slow(2.0), fail()]), "huu");
    let evaluation = take(&mut engine, 0, &fail());
    assert!(evaluation.has_changed && engine.down());
    assert_eq!((engine.status(), engine.reason().unwrap().class.as_str()), (Status::Unhealthy, "refused"));
    let evaluation = take(&mut engine, 0, &slow(2.0));
    assert!(evaluation.has_changed && !engine.down());
    assert_eq!(engine.status(), Status::Unhealthy);
}

#[test]
fn a_changed_definition_forgets_no_outage() {
    let mut old = engine(|_| {});
    run(&mut old, [pass(), fail(), fail(), own()]);
    let mut new = engine(|spec| spec.successes_before_healthy = 2);
    new.replace(old, &|_| true, &mut Vec::new());
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
        let labels = Labels::one("disk", "a");
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
        take(&mut engine, 1, &report);
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
        take(&mut engine, 1, &report);
        assert_eq!(engine.status(), expected);
    }
}

#[test]
fn down_counts_from_the_first_failure_of_the_run_that_decided_it() {
    let mut engine = engine(|spec| (spec.failures_before_unhealthy, spec.failure_window) = (3, Some(5)));
    for (report, seconds) in [(pass(), 10), (fail(), 20), (pass(), 30), (fail(), 40)] {
        events(&mut engine, 0, &report, seconds);
    }
    assert_eq!(events(&mut engine, 0, &fail(), 50), ["+down Critical @20", "unhealthy down @20"]);
    assert_eq!(events(&mut engine, 0, &fail(), 60), [""; 0]);
    assert_eq!(events(&mut engine, 0, &pass(), 70), ["-down Recovered", "healthy @70"]);
    // Failures that have left the window are not the beginning of anything.
    let mut engine =
        self::engine(|spec| (spec.failures_before_unhealthy, spec.failure_window) = (2, Some(3)));
    for (report, seconds) in [(fail(), 1), (pass(), 2), (pass(), 3), (fail(), 4), (pass(), 5)] {
        events(&mut engine, 0, &report, seconds);
    }
    assert_eq!(events(&mut engine, 0, &fail(), 6), ["+down Critical @4", "unhealthy down @4"]);
    // A final failure ends the run that it stands in.
    let mut engine = self::engine(|spec| spec.failures_before_unhealthy = 5);
    for (report, seconds) in [(fail(), 1), (pass(), 2), (fail(), 3), (fail(), 4)] {
        events(&mut engine, 0, &report, seconds);
    }
    let login = Report::failed(Failure::new(&common::AUTH, "login refused"));
    assert_eq!(events(&mut engine, 0, &login, 5), ["+down Critical @3", "unhealthy down @3"]);
}

#[test]
fn our_own_trouble_in_between_does_not_begin_a_new_outage() {
    let mut engine = engine(|_| {});
    for (report, seconds) in [(pass(), 1), (fail(), 2), (fail(), 3)] {
        events(&mut engine, 0, &report, seconds);
    }
    assert_eq!(events(&mut engine, 0, &own(), 4), ["+unknown:availability Warning @4", "unknown @4"]);
    assert_eq!(events(&mut engine, 0, &fail(), 5), ["-unknown:availability Recovered", "unhealthy down @5"]);
    let down = engine.conditions().find(|condition| condition.key.kind() == "down").unwrap();
    assert_eq!(down.since, Timestamp::from_seconds(2));
}

fn table(name: &str, seconds: f64) -> Reading {
    Reading::new(&TOTAL, &Labels::one("table", name), wise_core::ReadingValue::Exact(seconds))
}

fn tables(readings: &[(&str, f64)]) -> Report {
    Report {
        readings: readings.iter().map(|(name, value)| table(name, *value)).collect(),
        ..Report::default()
    }
}

#[test]
fn every_series_over_a_bound_is_a_condition_of_its_own() {
    let mut engine = engine(|_| {});
    events(&mut engine, 0, &pass(), 1);
    assert_eq!(events(&mut engine, 1, &tables(&[("a", 2.0), ("b", 0.1)]), 2), [""; 0]);
    assert_eq!(
        events(&mut engine, 1, &tables(&[("a", 2.0), ("b", 2.0)]), 3),
        ["+threshold:t.total_seconds,table=\"a\" Warning @2", "degraded @3"]
    );
    // The status stays, and yet something has happened.
    assert_eq!(
        events(&mut engine, 1, &tables(&[("a", 2.0), ("b", 2.0)]), 4),
        ["+threshold:t.total_seconds,table=\"b\" Warning @3"]
    );
    events(&mut engine, 1, &tables(&[("a", 2.0), ("b", 9.0)]), 5);
    assert_eq!(
        events(&mut engine, 1, &tables(&[("a", 2.0), ("b", 9.0)]), 6),
        ["~threshold:t.total_seconds,table=\"b\" Critical", "unhealthy @6"]
    );
    assert_eq!(
        events(&mut engine, 1, &tables(&[("a", 2.0)]), 7),
        ["-threshold:t.total_seconds,table=\"b\" Gone", "degraded @7"]
    );
    assert_eq!(
        events(&mut engine, 1, &tables(&[("a", 0.1)]), 8),
        ["-threshold:t.total_seconds,table=\"a\" Recovered", "healthy @8"]
    );
}

/// An engine with every kind of condition raised.
fn with_every_condition() -> StatusEngine {
    let mut engine = engine(|_| {});
    run(&mut engine, [pass(), slow(2.0), slow(2.0)]);
    for report in [tables(&[("a", 9.0)]), tables(&[("a", 9.0)]), fail(), fail(), own(), own()] {
        take(&mut engine, 1, &report);
    }
    run(&mut engine, [fail(), fail(), own()]);
    let mut keys: Vec<String> = engine.conditions().map(|condition| condition.key.to_string()).collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "down",
            "probe_failing:storage",
            "threshold:t.total_seconds",
            "threshold:t.total_seconds,table=\"a\"",
            "unknown:availability",
            "unknown:storage"
        ]
    );
    engine
}

#[test]
fn a_restart_with_every_condition_raised_changes_nothing() {
    let before = with_every_condition();
    let mut after = restarted(&before, |_| {});
    assert_eq!(state_of(&after).status, Status::Unknown);
    // Each probe clears its own, when it has reported, and no other's.
    assert_eq!(
        events(&mut after, 0, &slow(0.1), 10),
        [
            "-down Recovered",
            "-unknown:availability Recovered",
            "-threshold:t.total_seconds Recovered",
            "unhealthy @10"
        ]
    );
    let mut events = events(&mut after, 1, &tables(&[("a", 0.1)]), 20);
    events.sort();
    assert_eq!(
        events,
        [
            "-probe_failing:storage Recovered",
            "-threshold:t.total_seconds,table=\"a\" Recovered",
            "-unknown:storage Recovered",
            "healthy @20"
        ]
    );
}

#[test]
fn a_degraded_monitor_is_not_healthy_in_between_after_a_restart() {
    let mut engine = engine(|_| {});
    run(&mut engine, [pass()]);
    for _ in 0..2 {
        take(&mut engine, 1, &tables(&[("a", 2.0)]));
    }
    assert_eq!(engine.status(), Status::Degraded);
    let mut engine = restarted(&engine, |_| {});
    assert_eq!(events(&mut engine, 0, &pass(), 1), [""; 0]);
    assert_eq!(events(&mut engine, 1, &tables(&[("a", 2.0)]), 2), [""; 0]);
    // Within the margin of the bound it stays, as it would have without the restart.
    assert_eq!(events(&mut engine, 1, &tables(&[("a", 0.95)]), 3), [""; 0]);
    assert_eq!(engine.status(), Status::Degraded);
}

#[test]
fn an_edit_clears_what_it_has_left_without_meaning_and_nothing_else() {
    let edited = |change: &dyn Fn(&mut MonitorSpec), runs: &dyn Fn(&str) -> bool| {
        let mut new = engine(change);
        let mut events = Vec::new();
        new.replace(with_every_condition(), runs, &mut events);
        let mut events = in_short(&events);
        events.sort();
        events
    };
    assert_eq!(edited(&|spec| spec.successes_before_healthy = 2, &|_| true), [""; 0]);
    assert_eq!(edited(&|spec| spec.settings = json!({"other": true}), &|_| true), [""; 0]);
    assert_eq!(
        edited(&|_| {}, &|probe| probe != "storage"),
        [
            "-probe_failing:storage Edited",
            "-threshold:t.total_seconds,table=\"a\" Edited",
            "-unknown:storage Edited"
        ]
    );
    let no_bounds = |spec: &mut MonitorSpec| {
        spec.thresholds.insert("t.total_seconds".to_owned(), ThresholdOverride::default());
    };
    assert_eq!(
        edited(&no_bounds, &|_| true),
        ["-threshold:t.total_seconds Edited", "-threshold:t.total_seconds,table=\"a\" Edited"]
    );
}

#[test]
fn another_kind_of_monitor_begins_with_nothing() {
    static OTHER: Plugin = Plugin { metrics: &[&TOTAL], probes: &PROBES, ..Plugin::new::<Nothing>("o", "o") };
    let mut new = StatusEngine::new(&MonitorSpec::new("m", "o", json!({})), &OTHER, Timestamp::default());
    let mut events = Vec::new();
    new.replace(with_every_condition(), &|_| true, &mut events);
    assert_eq!(events.len(), 6);
    new.set_paused(false, Timestamp::default(), &mut events);
    assert_eq!((new.conditions().count(), new.status()), (0, Status::Unknown));
}

#[test]
fn no_check_changes_the_status_of_a_monitor_in_maintenance() {
    let mut engine = engine(|_| {});
    run(&mut engine, [pass()]);
    let mut changes = Vec::new();
    let window = Reason::new("maintenance", "upgrade");
    engine.set_maintenance(Some(window.clone()), Timestamp::from_seconds(5), &mut changes);
    assert_eq!(in_short(&changes), ["maintenance @5"]);
    assert_eq!(events(&mut engine, 0, &fail(), 6), [""; 0]);
    // Conditions go on below, so that it is known how the monitor stands when the window ends.
    assert_eq!(events(&mut engine, 0, &fail(), 7), ["+down Critical @6"]);
    assert_eq!((engine.status(), engine.reason()), (Status::Maintenance, Some(&window)));
    let mut engine = restarted(&engine, |_| {});
    assert_eq!(engine.status(), Status::Maintenance);
    let mut changes = Vec::new();
    engine.set_maintenance(None, Timestamp::from_seconds(9), &mut changes);
    assert_eq!(in_short(&changes), ["unhealthy down @9"]);
}

#[test]
fn a_monitor_that_is_switched_on_again_is_unknown_until_its_first_check() {
    let mut engine = engine(|_| {});
    run(&mut engine, [pass(), fail(), fail()]);
    let mut changes = Vec::new();
    engine.set_paused(true, Timestamp::from_seconds(5), &mut changes);
    engine.set_maintenance(Some(Reason::new("maintenance", "")), Timestamp::from_seconds(6), &mut changes);
    let mut engine = restarted(&engine, |_| {});
    engine.set_paused(true, Timestamp::from_seconds(7), &mut changes);
    engine.set_paused(false, Timestamp::from_seconds(8), &mut changes);
    assert_eq!(in_short(&changes), ["paused @5", "unknown @8"]);
    // It was down, and its first check says that it is down still.
    assert_eq!(events(&mut engine, 0, &fail(), 9), ["unhealthy down @9"]);
}

#[test]
fn runs_of_before_a_pause_count_no_more() {
    let mut engine = engine(|_| {});
    run(&mut engine, [pass(), fail()]);
    let mut changes = Vec::new();
    engine.set_paused(true, Timestamp::from_seconds(5), &mut changes);
    engine.set_paused(false, Timestamp::from_seconds(9000), &mut changes);
    assert_eq!(events(&mut engine, 0, &fail(), 9001), [""; 0], "the first of two");
    assert_eq!(events(&mut engine, 0, &fail(), 9002), ["+down Critical @9001", "unhealthy down @9001"]);
}

#[test]
fn a_pause_hides_a_maintenance_window_and_does_not_end_it() {
    let mut engine = engine(|_| {});
    run(&mut engine, [pass()]);
    let mut changes = Vec::new();
    let mut at = |engine: &mut StatusEngine, paused, seconds| {
        engine.set_paused(paused, Timestamp::from_seconds(seconds), &mut changes);
    };
    engine.set_maintenance(Some(Reason::new("maintenance", "")), Timestamp::from_seconds(5), &mut Vec::new());
    at(&mut engine, true, 6);
    assert_eq!(engine.status(), Status::Paused);
    at(&mut engine, false, 7);
    assert_eq!(engine.status(), Status::Maintenance);
    // One that begins while it is paused counts too.
    at(&mut engine, true, 8);
    engine.set_maintenance(None, Timestamp::from_seconds(9), &mut Vec::new());
    engine.set_maintenance(
        Some(Reason::new("maintenance", "")),
        Timestamp::from_seconds(10),
        &mut Vec::new(),
    );
    at(&mut engine, false, 11);
    assert_eq!(engine.status(), Status::Maintenance);
}

#[test]
fn a_restart_before_the_first_check_after_a_pause_knows_no_more() {
    let mut engine = engine(|_| {});
    run(&mut engine, [pass(), fail(), fail()]);
    engine.set_paused(true, Timestamp::from_seconds(5), &mut Vec::new());
    engine.set_paused(false, Timestamp::from_seconds(6), &mut Vec::new());
    let mut engine = restarted(&engine, |_| {});
    let mut changes = Vec::new();
    engine.set_problem(None, Timestamp::from_seconds(7), &mut changes);
    assert_eq!((in_short(&changes), engine.status()), (vec![], Status::Unknown));
    assert_eq!(events(&mut engine, 0, &fail(), 9), ["unhealthy down @9"]);
}

#[test]
fn a_definition_that_cannot_be_built_is_unknown_until_it_can() {
    let mut engine = engine(|_| {});
    run(&mut engine, [pass()]);
    let problem = || Some("settings.url: missing".to_owned());
    let mut changes = Vec::new();
    engine.set_problem(problem(), Timestamp::from_seconds(5), &mut changes);
    engine.set_problem(problem(), Timestamp::from_seconds(6), &mut changes);
    assert_eq!(in_short(&changes), ["+unknown:availability Warning @5", "unknown @5"]);
    let mut changes = Vec::new();
    engine.set_problem(None, Timestamp::from_seconds(7), &mut changes);
    assert_eq!(in_short(&changes), ["-unknown:availability Edited", "healthy @7"]);
    // Other trouble of ours is not ended by an edit.
    let no_file = Report::failed(Failure::new(&common::DEFINITION, "no such file").code("ca_file"));
    for report in [own(), no_file] {
        run(&mut engine, [report]);
        engine.set_problem(None, Timestamp::from_seconds(8), &mut changes);
        assert_eq!(engine.status(), Status::Unknown);
    }
}

#[test]
fn of_two_readings_of_one_series_the_worse_decides_wherever_it_stands() {
    for readings in [[("a", 0.1), ("a", 9.0), ("b", 0.1)], [("a", 9.0), ("a", 0.1), ("b", 0.1)]] {
        let mut engine = engine(|_| {});
        run(&mut engine, [pass()]);
        for _ in 0..2 {
            let mut report = tables(&readings);
            let dropped = engine.drop_duplicates(&mut report);
            assert_eq!((dropped.len(), &dropped[0].1), (1, &Labels::one("table", "a")));
            assert_eq!(report.readings.len(), 2);
            take(&mut engine, 1, &report);
        }
        assert_eq!((engine.status(), engine.conditions().count()), (Status::Unhealthy, 1));
    }
    let mut engine = engine(|_| {});
    let mut none = tables(&[("a", 1.0), ("b", 1.0)]);
    assert!(engine.drop_duplicates(&mut none).is_empty() && none.readings.len() == 2);
}
