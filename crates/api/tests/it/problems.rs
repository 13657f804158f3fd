//! Each type of problem, and what every one of them has.

use serde_json::json;

use crate::test_app::{Answer, TestApp};

fn check(answer: &Answer, status: u16, kind: &str) {
    assert_eq!((answer.status, answer.problem().as_str()), (status, kind), "{}", answer.text);
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    for field in ["title", "detail", "request_id"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {problem}");
    }
}

#[actix_web::test]
async fn each_type_of_problem_is_told_by_its_name() {
    let app = TestApp::new();
    let id = app.add("shop", json!({})).await;
    let path = format!("/api/v1/monitors/{id}");
    let json_type = [("Content-Type", "application/json")];
    check(&app.get("/api/v1/monitors?limit=0").await, 400, "malformed");
    check(&app.get("/api/v1/monitors?colour=red").await, 400, "malformed");
    check(&app.send("POST", "/api/v1/monitors", &json_type, "{").await, 400, "malformed");
    check(&app.get("/api/v1/monitors/nothing").await, 404, "not-found");
    check(&app.get("/api/v1/nothing").await, 404, "not-found");
    check(&app.send("POST", &path, &json_type, "{}").await, 405, "method-not-allowed");
    let twice = json!({"name": "shop", "kind": "quiet", "settings": {}});
    check(&app.json("POST", "/api/v1/monitors", &twice).await, 409, "conflict");
    let stale = app.send("DELETE", &path, &[("If-Match", "\"7\"")], "").await;
    check(&stale, 412, "stale-version");
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(2 << 20));
    check(&app.send("POST", "/api/v1/monitors", &json_type, &large).await, 413, "too-large");
    check(
        &app.send("POST", "/api/v1/monitors", &[("Content-Type", "text/plain")], "{}").await,
        415,
        "unsupported-media-type",
    );
    let wrong = json!({"name": "a", "kind": "quiet", "settings": {"number": 11}});
    let invalid = app.json("POST", "/api/v1/monitors", &wrong).await;
    check(&invalid, 422, "invalid");
    let error = &invalid.json()["errors"][0];
    let expected = json!({"field": "settings.number", "value": "11", "reason": "out of range",
        "hint": "use a number from 1 to 10"});
    assert_eq!(error, &expected);
    app.store.fail_after(0);
    check(&app.send("DELETE", &path, &[], "").await, 503, "unavailable");
}

#[actix_web::test]
async fn foreign_hosts_are_refused_but_for_health_and_metrics() {
    let app = TestApp::new();
    let foreign = [("Host", "10.1.2.3:8080")];
    check(&app.send("GET", "/api/v1/overview", &foreign, "").await, 403, "forbidden-origin");
    for open in ["/health", "/health/live", "/health/ready", "/metrics", "/metrics/prometheus"] {
        assert_eq!(app.send("GET", open, &foreign, "").await.status, 200, "{open}");
        // A page of another site may not read them through a browser of the operator's.
        let from_elsewhere = [("Host", "10.1.2.3:8080"), ("Origin", "http://evil.example")];
        check(&app.send("GET", open, &from_elsewhere, "").await, 403, "forbidden-origin");
    }
    check(&app.send("GET", "/healthy", &foreign, "").await, 403, "forbidden-origin");
    check(&app.send("POST", "/health", &foreign, "").await, 403, "forbidden-origin");
}
