//! Metrics that Prometheus itself accepts.

use std::io::Write;
use std::process::{Command, Stdio};

use wise_e2e::{Nginx, Server, request, until};

fn accepted_by(program: &mut Command, text: &str) {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

#[test]
fn promtool_and_the_strict_parser_accept_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start();
    let server = Server::start(folder.path());
    let id = server.add_website("shop \"quoted\" \\ and ü", &nginx.url());
    server.wait_for_status(&id, "healthy");
    until("readings are shown", || {
        let text = server.call("GET", "/metrics", None).body;
        if text.contains("wise_website_total_seconds{") { Ok(()) } else { Err(text.len()) }
    });
    let get = |accept: &str| request(server.port, "GET", "/metrics", &[accept], b"").unwrap();
    let text = get("Accept: text/plain;version=0.0.4");
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(!text.body.contains("# EOF") && text.body.contains("# TYPE wise_monitor_up gauge"));
    accepted_by(Command::new("promtool").args(["check", "metrics"]), &text.body);
    let open = get("Accept: application/openmetrics-text;version=1.0.0");
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.body.ends_with("# EOF\n"));
    let venv = std::env::var("WISE_VENV")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../target/venv").to_owned());
    let python = format!("{venv}/bin/python");
    let parse = |module: &str| {
        format!(
            "import sys\nfrom {module} import text_string_to_metric_families as f\nassert len(list(f(sys.stdin.read()))) > 10"
        )
    };
    accepted_by(
        Command::new(&python).args(["-c", &parse("prometheus_client.openmetrics.parser")]),
        &open.body,
    );
    accepted_by(Command::new(&python).args(["-c", &parse("prometheus_client.parser")]), &text.body);
    assert_eq!(server.call("GET", "/metrics/prometheus", None).status, 200);
}

#[test]
fn every_answer_has_an_id_and_a_time_and_the_page_its_policy() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for path in [
        "/",
        "/dashboard",
        "/monitors/whatever",
        "/health",
        "/api/v1/overview",
        "/api/v1/nothing",
        "/assets/none.js",
    ] {
        let answer = request(server.port, "GET", path, &["X-Request-ID: my-id.1"], b"").unwrap();
        assert_eq!(answer.header("x-request-id"), Some("my-id.1"), "{path}");
        assert!(answer.header("x-process-time").unwrap().parse::<f64>().is_ok(), "{path}");
    }
    let page = server.call("GET", "/monitors/whatever", None);
    assert!(page.header("content-security-policy").unwrap().contains("require-trusted-types-for 'script'"));
    assert_eq!(server.call("GET", "/assets/none.js", None).status, 404);
    let script = page.body.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let asset = request(server.port, "GET", script, &["Accept-Encoding: gzip"], b"").unwrap();
    assert_eq!((asset.status, asset.header("content-encoding")), (200, Some("gzip")));
    assert!(asset.header("cache-control").unwrap().contains("immutable"));
    let etag = format!("If-None-Match: {}", page.header("etag").unwrap());
    assert_eq!(request(server.port, "GET", "/", &[&etag], b"").unwrap().status, 304);
    let log = server.log();
    assert!(log.contains("there is no login yet"), "{log}");
}
