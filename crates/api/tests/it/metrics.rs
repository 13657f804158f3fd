//! Statistics of the requests to the server, and the text for Prometheus beside them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wise_core::{Principal, Role};

use crate::test_app::TestApp;

const JSON: (&str, &str) = ("Accept", "application/json");

async fn statistics(app: &TestApp) -> Value {
    let answer = app.send("GET", "/metrics", &[JSON], "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[actix_web::test]
async fn statistics_are_for_those_who_ask_for_json() {
    let app = TestApp::new();
    for path in ["/health/live", "/api/v1/nothing", "/api/v1/plugins"] {
        app.get(path).await;
    }
    let found = statistics(&app).await;
    let keys: BTreeSet<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "active_requests",
        "avg_response_time_ms",
        "error_count",
        "error_rate_percent",
        "slow_request_count",
        "total_requests",
    ];
    assert_eq!(keys, BTreeSet::from(expected));
    assert_eq!((&found["total_requests"], &found["error_count"]), (&json!(3), &json!(1)));
    assert_eq!((&found["error_rate_percent"], &found["slow_request_count"]), (&json!(33.33), &json!(0)));
    assert_eq!(found["active_requests"], 1, "this one");
    assert!(found["avg_response_time_ms"].as_f64().is_some_and(|millis| millis >= 0.0), "{found}");
    for accept in ["*/*", "text/plain", "text/html, */*;q=0.8"] {
        let text = app.send("GET", "/metrics", &[("Accept", accept)], "").await.text;
        assert!(text.starts_with("# HELP"), "{accept}: {text}");
    }
    let text = app.send("GET", "/metrics/prometheus", &[JSON], "").await.text;
    assert!(text.starts_with("# HELP"), "{text}");
}

#[actix_web::test]
async fn a_reset_is_of_the_statistics_and_not_of_what_is_scraped() {
    let app = TestApp::new();
    for _ in 0..3 {
        app.get("/api/v1/nothing").await;
    }
    let counted = r#"http_errors_total{method="GET",endpoint="unmatched",status="404"} 3"#;
    assert!(app.get("/metrics").await.text.contains(counted));
    let refused = app.get("/metrics/reset").await;
    assert_eq!((refused.status, refused.allow.as_deref()), (405, Some("POST")), "{}", refused.text);
    assert_eq!(statistics(&app).await["error_count"], 4);
    let answer = app.send("POST", "/metrics/reset", &[], "").await;
    assert_eq!((answer.status, &answer.json()["total_requests"]), (200, &json!(0)), "{}", answer.text);
    let found = statistics(&app).await;
    assert_eq!((&found["total_requests"], &found["error_count"]), (&json!(1), &json!(0)), "the reset itself");
    assert!(app.get("/metrics").await.text.contains(counted), "counters never go back");
}

#[actix_web::test]
async fn statistics_take_a_permission_and_text_takes_none() {
    let app = TestApp::new();
    let viewer = Principal { role: Role::Viewer, ..Principal::unlimited("viewer") };
    for (who, status) in [(None, 401), (Some(viewer), 403), (Some(Principal::unlimited("admin")), 200)] {
        app.log_in(who);
        assert_eq!(app.send("GET", "/metrics", &[JSON], "").await.status, status);
        assert_eq!(app.send("POST", "/metrics/reset", &[], "").await.status, status);
        assert_eq!(app.get("/metrics").await.status, 200);
    }
    // A page that has made its name one of this machine's.
    let foreign = [JSON, ("Host", "10.1.2.3:8080")];
    assert_eq!(app.send("GET", "/metrics", &foreign, "").await.status, 403);
}
