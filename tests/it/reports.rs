//! Queries across monitors, uptime by day and incident, reports and exports.

use std::process::Command;

use serde_json::{Value, json};
use wise_e2e::{Nginx, Server, until};

/// Two monitors of one team, one of which has been down and is up again, and one of another team.
fn scene(folder: &std::path::Path) -> (Server, Vec<String>, [Nginx; 2]) {
    let mut nginx = Nginx::start();
    let steady = Nginx::start();
    let server = Server::start(folder);
    let add = |name: &str, url: &str, team: &str| {
        server.add(&json!({
            "name": name, "kind": "website", "interval": "1s", "settings": {"url": url}, "tags": {"team": team}
        }))
    };
    let ids = vec![
        add("shop", &nginx.url(), "web"),
        add("=cart", &steady.url(), "web"),
        add("mail", &steady.url(), "post"),
    ];
    ids.iter().for_each(|id| drop(server.wait_for_status(id, "healthy")));
    nginx.switch_off();
    server.wait_for_status(&ids[0], "unhealthy");
    nginx.switch_on();
    server.wait_for_status(&ids[0], "healthy");
    (server, ids, [nginx, steady])
}

#[test]
fn one_query_merges_and_groups_many_monitors() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ids, _targets) = scene(folder.path());
    let ask = |rest: &str| server.get(&format!("/api/v1/query?metric=website.total_seconds&points=1{rest}"));
    let each = until("every monitor has samples", || {
        let answer = ask("");
        // The server's own monitor is one more.
        if answer["series"].as_array().is_some_and(|all| all.len() == 4) { Ok(answer) } else { Err(answer) }
    });
    assert_eq!(each["unit"], "seconds");
    assert_eq!(each["monitors"][&ids[0]], "shop", "{each}");
    let teams = ask("&by=monitor&tags=team:web&aggregate=p95");
    assert_eq!(teams["series"].as_array().unwrap().len(), 2, "{teams}");
    let one = ask("&by=&monitors=shop,mail&aggregate=count");
    let count = one["series"][0]["points"][0][1].as_f64().unwrap();
    assert!(one["series"].as_array().unwrap().len() == 1 && count >= 2.0, "{one}");
    for (rest, field) in [
        ("&monitors=nobody", "monitors"),
        ("&match=code", "match"),
        ("&match=code%3D~%28", "match"),
        ("&tags=team", "tags"),
        ("&aggregate=mode", "aggregate"),
        ("&points=0", "points"),
        ("&from=tomorrow", "from"),
    ] {
        let path = format!("/api/v1/query?metric=website.total_seconds{rest}");
        let answer = server.call("GET", &path, None);
        assert!(matches!(answer.status, 400 | 422), "{rest}: {}", answer.status);
        assert_eq!(answer.json()["errors"][0]["field"], field, "{}", answer.body);
    }
    let unknown = server.call("GET", "/api/v1/query?metric=nothing.of_seconds", None);
    assert!(unknown.body.contains("see /api/v1/plugins"), "{}", unknown.body);
}

#[test]
fn uptime_is_told_by_day_by_incident_and_as_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ids, _targets) = scene(folder.path());
    let shop = &ids[0];
    let incidents = server.get(&format!("/api/v1/monitors/{shop}/incidents"));
    let one = &incidents["items"][0];
    assert_eq!(
        (incidents["items"].as_array().unwrap().len(), &one["cause"]["class"]),
        (1, &json!("refused"))
    );
    assert!(one["duration_seconds"].as_f64().unwrap() > 0.0 && one["end"].is_string(), "{one}");
    let days = server.get(&format!("/api/v1/monitors/{shop}/uptime/days?days=3&time_zone=Asia/Kolkata"));
    let items = days["items"].as_array().unwrap();
    assert_eq!((days["time_zone"].as_str(), items.len()), (Some("Asia/Kolkata"), 3));
    assert!(items[0]["uptime_ratio"].is_null(), "nothing is known of the day before yesterday: {days}");
    let today = items[2]["uptime_ratio"].as_f64().or(items[1]["uptime_ratio"].as_f64()).unwrap();
    assert!(today > 0.0 && today < 1.0, "{days}");
    let bad = server.call("GET", &format!("/api/v1/monitors/{shop}/uptime/days?time_zone=Mars"), None);
    assert!(bad.status >= 400 && bad.body.contains("Europe/Berlin"), "{}", bad.body);
    let report = server.get("/api/v1/sla?by=tag:team&from=-1h");
    let rows = report["items"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!((row("web")["monitors"].as_u64(), row("web")["incidents"].as_u64()), (Some(2), Some(1)));
    assert!(row("web")["mean_seconds_to_recover"].as_f64().unwrap() > 0.0);
    assert_eq!(row("post")["uptime_ratio"], 1.0);
    let csv = server.call("GET", "/api/v1/sla?format=csv", None);
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
    assert!(csv.body.starts_with("name,id,monitors,") && csv.body.contains("\r\nshop,"), "{}", csv.body);
    assert!(csv.body.contains("\r\n'=cart,"), "no spreadsheet takes a name for a formula: {}", csv.body);
    let bad = server.call("GET", "/api/v1/sla?by=colour", None);
    assert!(bad.status >= 400 && bad.body.contains("tag:KEY"), "{}", bad.body);
}

#[test]
fn history_is_exported_as_promtool_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let (server, ids, _targets) = scene(folder.path());
    let path =
        |format: &str| format!("/api/v1/export/history?format={format}&monitors={}&from=-1h", ids.join(","));
    let text = until("there are samples of all", || {
        let answer = server.call("GET", &path("openmetrics"), None);
        let is_whole = ["shop", "cart", "mail"].iter().all(|name| answer.body.contains(name));
        if answer.status == 200 && is_whole { Ok(answer) } else { Err(answer.body) }
    });
    assert!(text.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(text.body.ends_with("# EOF\n"));
    let file = folder.path().join("history.txt");
    std::fs::write(&file, &text.body).unwrap();
    let blocks = folder.path().join("blocks");
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &blocks])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}\n{}", String::from_utf8_lossy(&made.stderr), text.body);
    // A database that was never written to has no log, and a dump asks for one.
    std::fs::create_dir_all(blocks.join("wal")).unwrap();
    let dumped = Command::new("promtool").args(["tsdb", "dump"]).arg(&blocks).output().unwrap();
    let dumped = String::from_utf8_lossy(&dumped.stdout).into_owned();
    let samples = text.body.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(dumped.lines().count(), samples, "every sample has come over");
    assert!(dumped.contains("wise_website_total_seconds") && dumped.contains("monitor=\"shop\""), "{dumped}");
    let csv = server.call("GET", &path("csv"), None);
    let lines: Vec<&str> = csv.body.lines().collect();
    assert_eq!(lines[0], "time,monitor,monitor_name,metric,labels,value");
    assert!(lines.len() > samples / 2 && lines.iter().any(|line| line.contains(",'=cart,")), "{}", csv.body);
    let none = server.call("GET", "/api/v1/export/history?format=xml", None);
    assert!(none.status >= 400 && none.body.contains("openmetrics"), "{}", none.body);
    let whole: Value = server.get("/api/v1/monitors?limit=10");
    assert!(whole["items"].as_array().unwrap().len() >= 3);
}
