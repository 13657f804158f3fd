//! A website goes up, down and up again, and the history survives.

use serde_json::{Value, json};
use wise_e2e::{EventStream, Nginx, Server, until};

#[test]
fn nginx_off_and_on_is_seen_live_and_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut nginx = Nginx::start();
    let server = Server::start(folder.path());
    let mut events = EventStream::open(server.port, None).unwrap();
    events.next("snapshot");
    let id = server.add_website("shop", &nginx.url());
    let (_, first) = events.next_status(&id);
    assert!(first["to"] == "healthy", "{first}");
    let healthy = server.wait_for_status(&id, "healthy");
    assert_eq!(healthy["facts"]["website.address"], format!("127.0.0.1:{}", nginx.port));

    nginx.switch_off();
    let (last_id, down) = loop {
        let (last, change) = events.next_status(&id);
        if change["name"] == "shop" && change["to"] == "unhealthy" {
            break (last, change);
        }
    };
    assert_eq!(down["reason"]["class"], "refused");
    assert_eq!(down["down"], true);
    let monitor = server.wait_for_status(&id, "unhealthy");
    assert_eq!(monitor["reason"]["class"], "refused");
    let condition = &monitor["conditions"][0];
    assert_eq!(
        (&condition["kind"], &condition["severity"]),
        (&json!("down"), &json!("critical")),
        "{monitor}"
    );
    assert_eq!(condition["evidence"]["stage"], "connect");
    assert!(condition["evidence"]["addresses"][0]["error"].as_str().unwrap().contains("refused"));
    let results = server.get(&format!("/api/v1/monitors/{id}/results?failed=true"));
    let failures = results["items"].as_array().unwrap();
    // The first failure did not decide, the second did.
    let statuses: Vec<&str> =
        failures.iter().rev().map(|result| result["status"].as_str().unwrap()).collect();
    assert_eq!(&statuses[..2], ["healthy", "unhealthy"]);
    assert!(
        failures.iter().all(|result| result["error_class"] == "refused" && !result["evidence"].is_null())
    );
    // Down since the first failure, and not since the second, which decided.
    let first_failure = failures.last().unwrap()["time"].clone();
    assert_eq!((&condition["since"], &monitor["since"]), (&first_failure, &first_failure));
    assert_ne!(down["time"], down["since"]);

    nginx.switch_on();
    server.wait_for_status(&id, "healthy");
    let uptime = server.get(&format!("/api/v1/monitors/{id}/uptime?windows=24h"));
    assert_eq!(uptime["items"][0]["incidents"], 1);
    assert!(uptime["items"][0]["down_seconds"].as_f64().unwrap() > 0.0);
    let ratio = uptime["items"][0]["uptime_ratio"].as_f64().unwrap();
    assert!(ratio > 0.0 && ratio < 1.0, "{ratio}");

    // A client that comes back gets what it missed.
    let mut back = EventStream::open(server.port, Some(&last_id)).unwrap();
    let (_, missed) = back.next_status(&id);
    assert_eq!(missed["to"], "healthy");

    let before = history(&server, &id);
    server.kill();
    let server = Server::start(folder.path());
    let after = history(&server, &id);
    assert_eq!(before.0[..], after.0[after.0.len() - before.0.len()..], "events");
    // Results of the last quarter of a second may be missing; none may differ.
    let (old, new) = (&before.1, &after.1);
    let shared = old.iter().filter(|result| new.contains(result)).count();
    assert!(shared + 1 >= old.len(), "{shared} of {}", old.len());
    server.wait_for_status(&id, "healthy");
    assert_eq!(server.stop(), Some(0));
}

/// Events and results, newest first, as far as they are older than the restart.
fn history(server: &Server, id: &str) -> (Vec<Value>, Vec<Value>) {
    let items = |path: &str| {
        server.get(&format!("/api/v1/monitors/{id}/{path}"))["items"].as_array().unwrap().clone()
    };
    (items("events"), items("results?limit=1000"))
}

#[test]
fn history_has_every_phase_and_the_overview_keeps_up() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start();
    let server = Server::start(folder.path());
    let id = server.add_website("shop", &nginx.url());
    server.wait_for_status(&id, "healthy");
    let metrics = "website.phase.dns_seconds,website.phase.connect_seconds,website.phase.first_byte_seconds,website.total_seconds";
    until("points in every phase", || {
        let history =
            server.get(&format!("/api/v1/monitors/{id}/history?metric={metrics}&from=-5m&points=300"));
        let full = history["items"].as_array().unwrap().iter().all(|one| {
            one["unit"] == "seconds"
                && one["series"][0]["points"].as_array().is_some_and(|points| points.len() >= 2)
        });
        if full { Ok(()) } else { Err(history) }
    });
    let overview = server.get("/api/v1/overview");
    let place =
        |field: &str| overview["fields"].as_array().unwrap().iter().position(|one| one == field).unwrap();
    let items = overview["items"].as_array().unwrap();
    let item = items.iter().find(|item| item[place("id")] == id.as_str()).unwrap();
    assert!(item[place("beats")].as_str().unwrap().ends_with('h'), "{item}");
    assert!(item[place("latency")].as_str().unwrap().contains('!'), "{item}");
    assert!(item[place("latency_ms")].as_f64().unwrap() > 0.0);
    assert_eq!((&item[place("uptime_24h")], &item[place("status")]), (&json!(1), &json!(0)));
    assert_eq!(
        (overview["statuses"][0].as_str(), overview["groups"].as_array().unwrap().len()),
        (Some("healthy"), 1)
    );
    assert_eq!(overview["counts"]["healthy"], 2);
}

#[test]
fn stopping_is_orderly_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Server::start(folder.path());
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let id = server.add(&serde_json::json!({
        "name": "silent", "kind": "website", "interval": "60s", "timeout": "4s", "settings": {"url": url}
    }));
    until("the check runs", || {
        let running = server.metric("wise_scheduler_checks_in_flight");
        if running >= Some(1.0) { Ok(()) } else { Err(running) }
    });
    assert_eq!(server.call("GET", "/health/ready", None).status, 200);
    wise_e2e::signal(server.child.id(), "TERM");
    until("it is not ready any more", || {
        let answer = server.call("GET", "/health/ready", None);
        if answer.status == 503 { Ok(()) } else { Err(answer.body) }
    });
    assert_eq!(server.call("GET", "/health/live", None).status, 200);
    let code = until("it ends", || server.child.try_wait().unwrap().ok_or("still running")).code();
    assert_eq!(code, Some(0), "{}", server.log());
    // The check that was running has been stored.
    let server = Server::start(folder.path());
    let results = server.get(&format!("/api/v1/monitors/{id}/results"));
    assert_eq!(results["items"][0]["error_class"], "timeout", "{results}");
}

#[test]
fn due_times_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start();
    let server = Server::start(folder.path());
    let body = serde_json::json!({"name": "rare", "kind": "website", "interval": "1h", "settings": {"url": nginx.url()}});
    let id = server.add(&body);
    server.wait_for_status(&id, "healthy");
    let first = server.get(&format!("/api/v1/monitors/{id}/results"));
    assert_eq!(server.stop(), Some(0));
    let server = Server::start(folder.path());
    // Something else is checked meanwhile, so that the scheduler has had its turn.
    let other = server.add_website("often", &nginx.url());
    server.wait_for_status(&other, "healthy");
    let again = server.get(&format!("/api/v1/monitors/{id}/results"));
    assert_eq!(first["items"], again["items"]);
    assert_eq!(server.get(&format!("/api/v1/monitors/{id}"))["status"], "healthy");
}

#[test]
fn time_without_monitoring_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start();
    let server = Server::start(folder.path());
    let id = server.add_website("shop", &nginx.url());
    server.wait_for_status(&id, "healthy");
    server.kill();
    // Three missed checks: long enough for a gap, by the time that the next server starts.
    let stopped = nginx.url();
    until("three seconds have passed", || {
        let age = std::fs::metadata(folder.path().join("server.log"))
            .unwrap()
            .modified()
            .unwrap()
            .elapsed()
            .unwrap();
        if age.as_secs() >= 3 { Ok(()) } else { Err(format!("{stopped} {age:?}")) }
    });
    let server = Server::start(folder.path());
    server.wait_for_status(&id, "healthy");
    until("the gap is written", || {
        let events = server.get(&format!("/api/v1/monitors/{id}/events"));
        let newest = &events["items"][0];
        let found = (&newest["type"], &newest["reason"]["class"], &newest["reason"]["code"]);
        if found == (&json!("gap"), &json!("unwatched"), &json!("restart")) { Ok(()) } else { Err(events) }
    });
    let uptime = server.get(&format!("/api/v1/monitors/{id}/uptime?windows=1h"));
    assert!(uptime["items"][0]["unknown_seconds"].as_f64().unwrap() >= 1.0, "{uptime}");
    assert_eq!(uptime["items"][0]["uptime_ratio"], 1.0);
}

#[test]
fn places_on_the_map_are_kept_for_life() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let add = |server: &Server, name: &str, group: &str| {
        server.add(&json!({"name": name, "kind": "website", "enabled": false, "tags": {"group": group},
            "settings": {"url": "http://127.0.0.1:9/"}}))
    };
    // Name, group and slot of each monitor, and the circles.
    let map = |server: &Server| {
        let overview = server.get("/api/v1/overview");
        let fields = overview["fields"].as_array().unwrap().clone();
        let place = |field: &str| fields.iter().position(|one| one == field).unwrap();
        let places: Vec<Value> = overview["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                let group = &overview["groups"][item[place("group")].as_u64().unwrap() as usize];
                json!([item[place("name")], group, item[place("slot")]])
            })
            .collect();
        places
    };
    let ids: Vec<String> = ["a", "b", "c"].iter().map(|name| add(&server, name, "shop")).collect();
    add(&server, "d", "mail");
    let before = map(&server);
    assert_eq!(server.call("DELETE", &format!("/api/v1/monitors/{}", ids[0]), None).status, 204);
    assert_eq!(server.stop(), Some(0));
    let server = Server::start(folder.path());
    let after = map(&server);
    assert!(after.iter().all(|place| before.contains(place)), "{after:?} is not of {before:?}");
    // What has become free is used again, and anyone who changes the group moves.
    add(&server, "e", "shop");
    let body = json!({"tags": {"group": "mail"}});
    let path = format!("/api/v1/monitors/{}", ids[1]);
    let headers = ["Content-Type: application/merge-patch+json"];
    let moved =
        wise_e2e::request(server.port, "PATCH", &path, &headers, body.to_string().as_bytes()).unwrap();
    assert_eq!(moved.status, 200, "{}", moved.body);
    let places = map(&server);
    let of = |name: &str| {
        let place = places.iter().find(|place| place[0] == name).unwrap();
        (place[1][0].as_str().unwrap().to_owned(), place[2].as_u64().unwrap())
    };
    assert_eq!(
        (of("e"), of("b"), of("c")),
        (("shop".to_owned(), 0), ("mail".to_owned(), 1), ("shop".to_owned(), 2))
    );
}
