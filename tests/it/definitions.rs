//! Bad input says which field and why, and changes nothing; good input does what it says.

use serde_json::{Value, json};
use wise_e2e::{Builder, Nginx, Server, request, until};

fn website(name: &str) -> Value {
    json!({"name": name, "kind": "website", "interval": "60s", "settings": {"url": "http://127.0.0.1:9/"}})
}

fn with(changes: Value) -> Value {
    let mut body = website("bad");
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn every_mistake_names_its_field_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let first = server.add(&website("first"));
    let before = server.get("/api/v1/monitors");
    let cases = [
        (with(json!({"intervall": "5s"})), 422, "intervall"),
        (with(json!({"interval": 5})), 422, "interval"),
        (with(json!({"interval": "100ms"})), 422, "interval"),
        (with(json!({"interval": "25h"})), 422, "interval"),
        (with(json!({"interval": "5 parsecs"})), 422, "interval"),
        (with(json!({"timeout": "90s"})), 422, "timeout"),
        (with(json!({"timeout": "1ms"})), 422, "timeout"),
        (with(json!({"kind": "teapot"})), 422, "kind"),
        (with(json!({"name": ""})), 422, "name"),
        (with(json!({"name": "a\u{7}b"})), 422, "name"),
        (with(json!({"name": "first"})), 409, "name"),
        (with(json!({"depends_on": ["nobody"]})), 422, "depends_on[0]"),
        (with(json!({"depends_on": ["bad"]})), 422, "depends_on[0]"),
        (with(json!({"settings": {"url": "ftp://x/"}})), 422, "settings.url"),
        (with(json!({"settings": {"url": "nonsense"}})), 422, "settings.url"),
        (with(json!({"settings": {"url": "http://x/", "nope": 1}})), 422, "settings.nope"),
        (with(json!({"settings": []})), 422, "settings"),
        (with(json!({"failures_before_unhealthy": 0})), 422, "failures_before_unhealthy"),
        (with(json!({"failure_window": 1})), 422, "failure_window"),
        (with(json!({"probes": {"storage": {}}})), 422, "probes.storage"),
        (with(json!({"thresholds": {"website.nope": {"warning": 1}}})), 422, "thresholds.website.nope"),
        (
            with(json!({"thresholds": {"website.total_seconds": {"warning": 5, "critical": 1}}})),
            422,
            "thresholds.website.total_seconds.critical",
        ),
        (json!({"kind": "website", "settings": {}}), 422, "name"),
        (json!([]), 422, ""),
    ];
    for (body, status, field) in cases {
        let answer = server.call("POST", "/api/v1/monitors", Some(&body));
        let problem = answer.json();
        assert_eq!(answer.status, status, "{body}: {problem}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.iter().any(|error| error["field"] == field), "{body}: {problem}");
        assert!(errors.iter().all(|error| !error["reason"].as_str().unwrap().is_empty()), "{problem}");
        assert_eq!(problem["request_id"].as_str(), answer.header("x-request-id"));
    }
    let raw = |headers: &[&str], body: &[u8]| {
        request(server.port, "POST", "/api/v1/monitors", headers, body).unwrap()
    };
    let json_type = "Content-Type: application/json";
    assert_eq!(raw(&[json_type], b"{\"name\": ").status, 400);
    assert_eq!(raw(&[json_type], &vec![b' '; (1 << 20) + 1]).status, 413);
    assert_eq!(raw(&["Content-Type: text/plain"], b"{}").status, 415);
    assert_eq!(raw(&[json_type, "Origin: http://evil.example"], b"{}").status, 403);
    assert_eq!(raw(&[json_type, "Host: evil.example"], b"{}").status, 403);
    assert_eq!(server.call("GET", "/api/v1/monitors/nope", None).status, 404);
    assert_eq!(server.call("GET", "/api/v1/nothing", None).status, 404);
    let answer = server.call("DELETE", "/api/v1/monitors", None);
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")));
    for query in ["limit=0", "limit=x", "cursor=x", "status=green", "nope=1"] {
        assert_eq!(server.call("GET", &format!("/api/v1/monitors?{query}"), None).status, 400, "{query}");
    }
    for query in ["metric=website.nope", "from=yesterday", "from=now&to=-1h", "points=0", "aggregate=mode"] {
        let path = format!("/api/v1/monitors/{first}/history?{query}");
        assert_eq!(server.call("GET", &path, None).status, 400, "{query}");
    }
    let after = server.get("/api/v1/monitors");
    let definitions = |all: &Value| -> Vec<(Value, Value)> {
        all["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["id"].clone(), one["version"].clone()))
            .collect()
    };
    assert_eq!(definitions(&before), definitions(&after));
}

#[test]
fn versions_guard_changes_and_circles_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let a = server.add(&website("a"));
    let b = server.add(&with(json!({"name": "b", "depends_on": ["a"]})));
    let path = format!("/api/v1/monitors/{a}");
    let changed = server.call("PATCH", &path, Some(&json!({"tags": {"team": "web"}})));
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
    assert_eq!(changed.json()["tags"]["team"], "web");
    assert_eq!(changed.json()["updated_by"], "operator");
    let headers = ["Content-Type: application/json", "If-Match: \"1\""];
    let stale = request(server.port, "PATCH", &path, &headers, b"{\"tags\": null}").unwrap();
    assert_eq!(stale.status, 412, "{}", stale.body);
    let circle = server.call("PATCH", &path, Some(&json!({"depends_on": ["b"]})));
    assert_eq!(circle.status, 422);
    assert!(circle.json()["errors"][0]["reason"].as_str().unwrap().contains("a → b → a"), "{}", circle.body);
    let in_use = server.call("DELETE", &path, None);
    assert_eq!(in_use.status, 409, "{}", in_use.body);
    assert_eq!(server.call("DELETE", &format!("/api/v1/monitors/{b}"), None).status, 204);
    assert_eq!(server.call("DELETE", &path, None).status, 204);
    assert_eq!(server.call("GET", &path, None).status, 404);
}

#[test]
fn pausing_checking_by_hand_and_replacing() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start();
    let server = Server::start(folder.path());
    let id = server
        .add(&json!({"name": "shop", "kind": "website", "interval": "1h", "settings": {"url": nginx.url()}}));
    server.wait_for_status(&id, "healthy");
    let path = format!("/api/v1/monitors/{id}");
    let checked = server.call("POST", &format!("{path}/check"), None);
    assert_eq!(checked.status, 200, "{}", checked.body);
    let checked = checked.json();
    assert!(checked["readings"]["website.total_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(checked["evidence"]["response"]["body"], "hello\n");
    until("the check by hand is stored", || {
        let results = server.get(&format!("{path}/results"));
        let is_there = results["items"].as_array().unwrap().iter().any(|one| one["time"] == checked["time"]);
        if is_there { Ok(()) } else { Err(results) }
    });
    assert_eq!(server.call("PATCH", &path, Some(&json!({"enabled": false}))).status, 200);
    server.wait_for_status(&id, "paused");
    assert_eq!(server.call("POST", &format!("{path}/check"), None).status, 409);
    server.call("PATCH", &path, Some(&json!({"enabled": true})));
    server.wait_for_status(&id, "healthy");
    let replaced = json!({"name": "shop", "kind": "website", "interval": "1h", "settings": {"url": format!("{}teapot", nginx.url())},
                          "failures_before_unhealthy": 1});
    assert_eq!(server.call("PUT", &path, Some(&replaced)).status, 200);
    let monitor = server.wait_for_status(&id, "unhealthy");
    assert_eq!(monitor["reason"]["code"], "418");
    let tried = server.call("POST", "/api/v1/monitors/check", Some(&website("not saved")));
    assert_eq!((tried.status, tried.json()["error_class"].as_str()), (200, Some("refused")));
    assert!(tried.json()["evidence"]["addresses"].is_array());
    assert!(!server.get("/api/v1/monitors").to_string().contains("not saved"));
}

#[test]
fn files_keep_monitors_and_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("config/monitors.d");
    std::fs::create_dir_all(&files).unwrap();
    let file = files.join("shop.toml");
    let text = |interval: &str| {
        format!(
            "[[monitor]]\nname = \"front\"\nkind = \"website\"\ninterval = \"{interval}\"\ndepends_on = [\"back\"]\n\
             [monitor.settings]\nurl = \"http://127.0.0.1:9/\"\n\
             [[monitor]]\nname = \"back\"\nkind = \"website\"\nsettings = {{ url = \"${{BACK:-http://127.0.0.1:9/}}\" }}\n"
        )
    };
    std::fs::write(&file, text("30s")).unwrap();
    let server = Server::start(folder.path());
    let find = |name: &str| {
        let all = server.get("/api/v1/monitors");
        all["items"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned()
    };
    let front = find("front").expect("the file's monitor");
    assert_eq!(front["interval"], "30s");
    assert!(front["managed_by"].as_str().unwrap().ends_with("shop.toml"));
    let path = format!("/api/v1/monitors/{}", front["id"].as_str().unwrap());
    let refused = server.call("PATCH", &path, Some(&json!({"interval": "5s"})));
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("shop.toml"));
    std::fs::write(&file, text("45s")).unwrap();
    until("the change is taken over", || {
        let front = find("front").unwrap();
        if front["interval"] == "45s" { Ok(()) } else { Err(front) }
    });
    // A mistake leaves everything as it was, and the log says where it is.
    std::fs::write(&file, text("45 parsecs")).unwrap();
    until("the log names file, line and field", || {
        let log = server.log();
        if log.contains("shop.toml:4: interval: `45 parsecs` is no duration") { Ok(()) } else { Err(log) }
    });
    assert!(find("front").is_some() && find("back").is_some());
    assert_eq!(server.get("/health")["checks"]["monitor_files"]["status"], "degraded");
    // Another file is taken over all the same.
    let good =
        "[[monitor]]\nname = \"side\"\nkind = \"website\"\nsettings = { url = \"http://127.0.0.1:9/\" }\n";
    std::fs::write(files.join("side.toml"), good).unwrap();
    until("the good file is taken over", || find("side").ok_or("not there"));
    assert!(find("front").is_some() && find("back").is_some());
    // A folder that is gone, as with a volume that is not mounted, removes nothing.
    let away = folder.path().join("away");
    std::fs::rename(&files, &away).unwrap();
    until("the log says that the folder is gone", || {
        let log = server.log();
        if log.contains("monitors.d: cannot be read") { Ok(()) } else { Err(log) }
    });
    assert!(find("front").is_some() && find("side").is_some());
    // So does an empty folder in its place, and a file that is emptied before it is written again.
    std::fs::create_dir(&files).unwrap();
    until("the log says that the folder is empty", || {
        let log = server.log();
        if log.contains("monitors.d: has no file any more") { Ok(()) } else { Err(log) }
    });
    std::fs::remove_dir(&files).unwrap();
    std::fs::rename(&away, &files).unwrap();
    std::fs::write(&file, "").unwrap();
    until("the log says that the file is empty", || {
        let log = server.log();
        if log.contains("shop.toml: is empty") { Ok(()) } else { Err(log) }
    });
    assert_eq!(server.get("/health")["checks"]["monitor_files"]["status"], "degraded");
    assert_eq!(find("front").unwrap()["id"], front["id"]);
    // A file that is away for a moment, as while it is replaced, keeps its monitors.
    std::fs::remove_file(&file).unwrap();
    until("the folder without it was taken over", || {
        match &server.get("/health")["checks"]["monitor_files"]["status"] {
            status if status == "healthy" => Ok(()),
            other => Err(other.clone()),
        }
    });
    assert_eq!(find("front").unwrap()["id"], front["id"]);
    std::fs::write(&file, text("50s")).unwrap();
    until("it is as the new file says", || {
        let front = find("front").unwrap();
        if front["interval"] == "50s" { Ok(()) } else { Err(front) }
    });
    let events = server.get(&format!("{path}/events"));
    let was_removed = events["items"].as_array().unwrap().iter().any(|event| event["type"] == "removed");
    assert!(!was_removed, "{events}");
    std::fs::remove_file(&file).unwrap();
    until("they are gone with their file", || match (find("front"), find("back")) {
        (None, None) => Ok(()),
        both => Err(format!("{both:?}")),
    });
}

#[test]
fn all_definitions_go_out_and_in_again_without_loss_and_all_or_none() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let server = Server::start(folders[0].path());
    let database = json!({"name": "ledger", "kind": "postgresql", "settings": {
        "url": "postgresql://mon@db.example/ledger", "password": "s3cret-pw", "tls": {"mode": "off"}
    }, "tags": {"team": "größe", "group": "money"}, "enabled": false});
    server.add(&database);
    server.add(&json!({"name": "shop", "kind": "website", "interval": "5m", "timeout": "4s", "failures_before_unhealthy": 3,
        "settings": {"url": "http://127.0.0.1:9/", "headers": {"X-A": "${id} $$ ${"}}, "depends_on": ["ledger"],
        "thresholds": {"website.total_seconds": {"warning": 0.5, "critical": 2.0}}, "enabled": false}));
    let json_text = server.call("GET", "/api/v1/export/monitors", None).body;
    let toml_text = server.call("GET", "/api/v1/export/monitors?format=toml", None).body;
    assert!(!json_text.contains("s3cret-pw") && !toml_text.contains("s3cret-pw"));
    let exported: Value = serde_json::from_str(&json_text).unwrap();
    assert_eq!(exported["secrets_to_set"], json!(["LEDGER_PASSWORD"]));

    let target = Builder::new(folders[1].path()).env("LEDGER_PASSWORD", "s3cret-pw").start();
    let import = |query: &str, kind: &str, text: &str| {
        let header = format!("Content-Type: application/{kind}");
        let path = format!("/api/v1/import/monitors{query}");
        wise_e2e::request(target.port, "POST", &path, &[&header], text.as_bytes()).unwrap()
    };
    let names = || target.get("/api/v1/monitors")["items"].as_array().unwrap().len();
    let before = names();
    let (without, text) = (exported, json_text);
    let tried = import("?dry_run=true", "json", &text);
    assert_eq!((tried.status, &tried.json()["created"]), (200, &json!(2)), "{}", tried.body);
    assert_eq!(names(), before, "nothing was done");

    // One that is wrong takes none of the others with it.
    let mut wrong = without.clone();
    wrong["monitor"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "bad", "kind": "website", "settings": {"url": "ftp://x"}}));
    wrong["monitor"].as_array_mut().unwrap().push(json!({"name": "round", "kind": "website", "settings": {"url": "http://x/"}, "depends_on": ["about"]}));
    wrong["monitor"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "env", "kind": "website", "settings": {"url": "http://${HOME}/"}}));
    wrong["monitor"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "shop", "kind": "website", "settings": {"url": "http://y/"}}));
    let refused = import("", "json", &wrong.to_string());
    assert_eq!(refused.status, 422);
    let fields: Vec<String> = refused.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap().to_owned())
        .collect();
    for expected in
        ["monitor[2].settings.url", "monitor[3].depends_on", "monitor[4].settings.url", "monitor[5].name"]
    {
        assert!(fields.iter().any(|field| field.starts_with(expected)), "{expected} is not in {fields:?}");
    }
    let circle = json!({"monitor": [
        {"name": "a", "kind": "website", "settings": {"url": "http://x/"}, "depends_on": ["b"]},
        {"name": "b", "kind": "website", "settings": {"url": "http://x/"}, "depends_on": ["a"]},
    ]});
    assert_eq!(import("", "json", &circle.to_string()).status, 422);
    assert_eq!(names(), before, "nothing was changed");

    let done = import("", "json", &text);
    assert_eq!((done.status, &done.json()["created"]), (200, &json!(2)), "{}", done.body);
    let again = import("", "json", &text);
    assert_eq!(
        (&again.json()["unchanged"], &again.json()["created"]),
        (&json!(2), &json!(0)),
        "{}",
        again.body
    );
    // What comes out again is the same.
    let back: Value =
        serde_json::from_str(&target.call("GET", "/api/v1/export/monitors", None).body).unwrap();
    let sorted = |all: &Value| {
        let mut all = all["monitor"].as_array().unwrap().clone();
        all.sort_by_key(|one| one["name"].to_string());
        all
    };
    assert_eq!(sorted(&back), sorted(&without));
    let shop = target.get("/api/v1/monitors?q=shop")["items"][0].clone();
    let ledger = target.get("/api/v1/monitors?q=ledger")["items"][0]["id"].clone();
    assert_eq!(
        (&shop["depends_on"][0], &shop["thresholds"]["website.total_seconds"]["warning"]),
        (&ledger, &json!(0.5))
    );

    let changed = text.replace("\"5m\"", "\"10m\"");
    assert_eq!(import("", "json", &changed).status, 422, "another monitor has the name");
    assert_eq!(import("?on_conflict=skip", "json", &changed).json()["skipped"], 1);
    assert_eq!(target.get("/api/v1/monitors?q=shop")["items"][0]["interval"], "5m");
    assert_eq!(import("?on_conflict=replace", "json", &changed).json()["replaced"], 1);
    assert_eq!(target.get("/api/v1/monitors?q=shop")["items"][0]["interval"], "10m");
    // TOML goes the same way.
    let done = import("?on_conflict=replace", "toml", &toml_text);
    assert_eq!((done.status, &done.json()["replaced"]), (200, &json!(1)), "{}", done.body);
    assert_eq!(import("", "xml", "<a/>").status, 415);
    assert_eq!(import("?on_conflict=perhaps", "json", &text).status, 422);
    assert_eq!(import("", "json", "{\"monitors\": []}").status, 422);
}
