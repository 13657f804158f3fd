//! History of sources that are no monitors, alone and beside monitors.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wise_core::{Clock, Labels, Principal, Reading, ReadingValue, SourceName, SystemClock};
use wise_storage::ports::{HistoryStore, SourceSamples};

use crate::test_app::{JOBS, TestApp};

fn with_samples(app: &TestApp) {
    for (name, total) in [("a", 5.0), ("b, \"c\"", 7.0)] {
        let source = SourceName::new("daemon", name).unwrap();
        let queue = Labels::one("queue", "mail");
        let reading = |value| Reading::new(&JOBS, &queue, ReadingValue::Exact(value));
        let now = SystemClock.now();
        let before = now.minus(std::time::Duration::from_secs(30));
        let samples = [(before, 0.0), (now.minus(std::time::Duration::from_secs(5)), total)]
            .map(|(time, value)| SourceSamples::of(source.clone(), time, vec![reading(value)]));
        app.store.append_samples(&samples).unwrap();
    }
}

async fn series(app: &TestApp, query: &str) -> Vec<(Value, f64)> {
    let answer = app.get(&format!("/api/v1/query?points=1&{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    let of = |one: &Value| {
        let points = one["points"].as_array().unwrap();
        (one["labels"].clone(), points.iter().map(|point| point[1].as_f64().unwrap()).sum())
    };
    answer.json()["series"].as_array().unwrap().iter().map(of).collect()
}

#[actix_web::test]
async fn a_query_takes_kinds_and_names_of_sources() {
    let app = TestApp::new();
    assert_eq!(series(&app, "metric=jobs.done_total&source=daemon").await, [], "there is none yet");
    with_samples(&app);
    let label = |name: &str| json!({"source": format!("daemon:{name}"), "queue": "mail"});
    let both = [(label("a"), 5.0), (label("b, \"c\""), 7.0)];
    for what in ["&source=daemon", ""] {
        let found = series(&app, &format!("metric=jobs.done_total&aggregate=increase{what}")).await;
        assert_eq!(found, both, "{what}");
    }
    let one =
        series(&app, "metric=jobs.done_total&aggregate=increase&source=daemon:a&match=queue=mail").await;
    assert_eq!(one, both[..1]);
    let sum = series(&app, "metric=jobs.done_total&aggregate=increase&source=daemon&by=queue").await;
    assert_eq!(sum, [(json!({"queue": "mail"}), 12.0)]);
    let answer = app.get("/api/v1/query?metric=jobs.done_total&source=daemon").await.json();
    assert_eq!(answer["unit"], "total");
}

#[actix_web::test]
async fn what_is_no_source_or_has_no_such_metric_is_named() {
    let app = TestApp::new();
    with_samples(&app);
    let id = app.add("shop", json!({})).await;
    for (query, field, hint) in [
        ("metric=jobs.done_total&source=nothing", "source", "daemon"),
        ("metric=jobs.done_total&source=daemon:x", "source", "daemon:a"),
        ("metric=quiet.total_seconds&source=daemon", "metric", "jobs.done_total"),
        ("metric=jobs.done_total&monitors=shop", "metric", "/api/v1/plugins"),
    ] {
        let answer = app.get(&format!("/api/v1/query?{query}")).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (400, "malformed"),
            "{query}: {}",
            answer.text
        );
        let error = &answer.json()["errors"][0];
        assert_eq!(error["field"], field, "{query}");
        assert!(error["hint"].as_str().unwrap().contains(hint), "{query}: {error}");
    }
    // The id of a monitor is a source too.
    let check = app.send("POST", &format!("/api/v1/monitors/{id}/check"), &[], "").await;
    assert_eq!(check.status, 200, "{}", check.text);
    let asked = app.get(&format!("/api/v1/query?metric=quiet.total_seconds&source={id}")).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
}

#[actix_web::test]
async fn an_export_has_sources_too() {
    let app = TestApp::new();
    with_samples(&app);
    let csv = app.get("/api/v1/export/history?format=csv").await.text;
    let line = csv.lines().find(|line| line.ends_with(",5")).expect(&csv);
    assert!(line.ends_with("Z,,,jobs.done_total,source=daemon:a;queue=mail,5"), "{line}");
    let text = app.get("/api/v1/export/history?format=openmetrics&source=daemon").await.text;
    assert!(text.contains("# TYPE jobs_done counter\n"), "{text}");
    assert!(text.contains(r#"jobs_done_total{queue="mail",source="daemon:b, \"c\""} 7 "#), "{text}");
    app.add("shop", json!({})).await;
    let none = app.get("/api/v1/export/history?format=csv&monitors=shop").await.text;
    assert!(!none.contains("daemon"), "{none}");
}

#[actix_web::test]
async fn who_sees_only_some_monitors_sees_no_other_source() {
    let app = TestApp::new();
    with_samples(&app);
    let tags = BTreeMap::from([("team".to_owned(), "web".to_owned())]);
    app.log_in(Some(Principal { tags, ..Principal::unlimited("ann") }));
    let csv = app.get("/api/v1/export/history?format=csv").await.text;
    assert!(!csv.contains("daemon"), "{csv}");
    let answer = app.get("/api/v1/query?metric=jobs.done_total&source=daemon").await;
    assert!(answer.status == 400 && !answer.text.contains("daemon:a"), "{}", answer.text);
}

#[actix_web::test]
async fn samples_wait_for_a_store_that_fails_and_hold_up_no_check() {
    let app = TestApp::new();
    let id = app.add("shop", json!({})).await;
    app.store.fail_samples(true);
    let source = SourceName::new("daemon", "a").unwrap();
    let begin = SystemClock.now().minus(std::time::Duration::from_secs(60));
    for second in 0..3_u32 {
        let time = begin.plus(std::time::Duration::from_secs(second.into()));
        let reading = Reading::exact(&JOBS, f64::from(second));
        app.recorder.send_samples(SourceSamples::of(source.clone(), time, vec![reading])).unwrap();
    }
    let state = app.recorder.state().clone();
    let failed = async {
        while state.trouble().is_none() {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    actix_web::rt::time::timeout(std::time::Duration::from_secs(20), failed).await.expect("it is told");
    assert_eq!(app.send("POST", &format!("/api/v1/monitors/{id}/check"), &[], "").await.status, 200);
    let stored = async {
        while state.stored() == 0 {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    actix_web::rt::time::timeout(std::time::Duration::from_secs(20), stored).await.expect("checks go on");
    assert_eq!(app.store.sources().unwrap(), [], "nothing of it is stored yet");
    app.store.fail_samples(false);
    // What waits is written when it ends, at the latest.
    app.recorder.close();
    assert!(state.trouble().is_none() && state.samples_dropped() == 0);
    let kept = series(&app, "metric=jobs.done_total&aggregate=count").await;
    assert_eq!(kept, [(json!({"source": "daemon:a"}), 3.0)]);
}
