//! The server's own requests: in history, as quantiles, as statistics that can be set back, by thresholds.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpListener;

use serde_json::{Value, json};
use wise_e2e::{Builder, Mongo, Server, request, until};

/// Takes connections and answers nothing, so that a check by hand takes as long as its deadline.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        kept.extend(listener.incoming().map_while(Result::ok));
    });
    format!("http://{address}/")
}

fn total(answer: &Value) -> f64 {
    let points = |one: &Value| -> f64 {
        one["points"].as_array().unwrap().iter().map(|point| point[1].as_f64().unwrap()).sum()
    };
    answer["series"].as_array().unwrap().iter().map(points).sum()
}

fn ask(server: &Server, metric: &str, rest: &str) -> Value {
    server.get(&format!("/api/v1/query?metric={metric}&points=1&from=-2h&{rest}"))
}

fn statistics(server: &Server) -> Value {
    let answer = request(server.port, "GET", "/metrics", &["Accept: application/json"], b"").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    answer.json()
}

fn on(builder: Builder) {
    let server = builder.env("SLOW_REQUEST_THRESHOLD", "300").env("VERY_SLOW_THRESHOLD", "100000").start();
    for _ in 0..20 {
        assert_eq!(server.call("GET", "/health/live", None).status, 200);
    }
    for number in 0..5 {
        assert_eq!(server.call("GET", &format!("/api/v1/monitors/{number}"), None).status, 404);
    }
    // One that is slow: the check runs into its deadline.
    let slow = json!({"name": "slow", "kind": "website", "timeout": "1s", "settings": {"url": silent()}});
    assert_eq!(server.call("POST", "/api/v1/monitors/check", Some(&slow)).status, 200);
    let found = statistics(&server);
    let keys: BTreeSet<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 6, "{found}");
    assert!(found["total_requests"].as_u64() >= Some(26), "{found}");
    assert!(found["error_count"].as_u64() >= Some(5), "{found}");
    assert!(found["slow_request_count"] == 1 && found["active_requests"] == 1, "{found}");
    assert!(found["avg_response_time_ms"].as_f64() > Some(10.0), "{found}");

    // Every ten seconds all of it goes into the store.
    let live = "source=server&match=method=GET,endpoint=/health/live";
    until("the requests are in history", || {
        let answer = ask(&server, "http.requests_total", &format!("aggregate=increase&{live}"));
        if total(&answer) >= 20.0 { Ok(()) } else { Err(answer) }
    });
    let last = ask(&server, "http.requests_total", &format!("aggregate=last&{live}"));
    assert_eq!(total(&last), 20.0, "{last}");
    let labels = json!({"source": "server:default", "method": "GET", "endpoint": "/health/live"});
    assert_eq!(last["series"][0]["labels"], labels);
    let errors = ask(&server, "http.errors_total", "aggregate=increase&source=server&by=endpoint");
    let of_monitors = errors["series"].as_array().unwrap().iter();
    let of_monitors: Vec<&Value> =
        of_monitors.filter(|one| one["labels"]["endpoint"] == "/api/v1/monitors/{id}").collect();
    assert_eq!(of_monitors[0]["points"][0][1], 5.0, "{errors}");
    let check = "source=server&match=endpoint=/api/v1/monitors/check";
    assert_eq!(total(&ask(&server, "http.slow_requests_total", &format!("aggregate=increase&{check}"))), 1.0);
    assert_eq!(
        total(&ask(&server, "http.very_slow_requests_total", "aggregate=increase&source=server")),
        0.0
    );
    let slowest = total(&ask(&server, "http.request_duration_seconds", &format!("aggregate=p99&{check}")));
    let longest = total(&ask(&server, "http.request_duration_seconds", &format!("aggregate=max&{check}")));
    assert!((0.9..5.0).contains(&longest) && (slowest / longest - 1.0).abs() <= 0.01, "{slowest} {longest}");
    let count = total(&ask(&server, "http.request_duration_seconds", &format!("aggregate=count&{live}")));
    assert_eq!(count, 20.0);
    for quantile in ["p50", "p95"] {
        let value =
            total(&ask(&server, "http.request_duration_seconds", &format!("aggregate={quantile}&{live}")));
        assert!(value > 0.0 && value < 1.0, "{quantile}: {value}");
    }
    let csv = server.call("GET", "/api/v1/export/history?format=csv&source=server", None).body;
    assert!(csv.contains(",http.requests_total,") && csv.contains("source=server:default"), "{csv}");

    // Set back are the statistics, and neither the counters nor history.
    let refused = server.call("GET", "/metrics/reset", None);
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
    assert_eq!(server.call("POST", "/metrics/reset", None).status, 200);
    let after = statistics(&server);
    assert!(after["total_requests"].as_u64() < Some(5) && after["slow_request_count"] == 0, "{after}");
    let text = server.call("GET", "/metrics", None).body;
    let counted = r#"http_requests_total{method="GET",endpoint="/health/live",status="200"} 20"#;
    assert!(text.contains(counted), "{text}");
    let still = ask(&server, "http.requests_total", &format!("aggregate=increase&{live}"));
    assert_eq!(total(&still), 20.0);

    // Its last words are stored when it stops, and it goes on from there.
    assert_eq!(server.call("GET", "/health/live", None).status, 200);
    let folder = server.folder.clone();
    server.stop();
    let builder = Builder::new(&folder);
    let again = match std::fs::read_to_string(folder.join("url")) {
        Ok(url) => builder.env("WISE_STORAGE__URL", &url),
        Err(_) => builder,
    };
    let again = again.start();
    let kept = ask(&again, "http.requests_total", &format!("aggregate=increase&{live}"));
    assert_eq!(total(&kept), 21.0, "{kept}");
    again.stop();
}

#[test]
fn requests_to_the_server_are_history_on_the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    on(Builder::new(folder.path()));
}

#[test]
fn requests_to_the_server_are_history_in_mongodb() {
    for program in Mongo::programs() {
        let mongo = Mongo::start(&program, &[]);
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{}/wise", mongo.url());
        std::fs::write(folder.path().join("url"), &url).unwrap();
        on(Builder::new(folder.path()).env("WISE_STORAGE__URL", &url));
    }
}

#[test]
fn a_threshold_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Builder::new(folder.path()).env("SLOW_REQUEST_THRESHOLD", "1s").spawn();
    assert!(!child.wait().unwrap().success());
    let mut said = String::new();
    std::fs::File::open(folder.path().join("server.log")).unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("SLOW_REQUEST_THRESHOLD: `1s` is no whole number of milliseconds"), "{said}");
}
