//! What is wrong is kept: over restarts, kills, edits and takeovers nothing changes but what a check has seen.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wise_e2e::{Builder, KEY, Mongo, Nginx, Server, free_port, signal, until};
use wise_testbed::Redis;

/// A place for the store of a server that is started several times.
struct Place {
    folder: tempfile::TempDir,
    mongo: Option<Mongo>,
}

impl Place {
    /// One for each backend.
    fn all() -> Vec<Self> {
        let new = |mongo| Self { folder: tempfile::tempdir().unwrap(), mongo };
        let servers = Mongo::programs().into_iter().map(|program| Some(Mongo::start(&program, &[])));
        std::iter::once(None).chain(servers).map(new).collect()
    }

    fn start(&self, folder: &Path) -> Server {
        let url = self.mongo.as_ref().map(|mongo| format!("{}/wise", mongo.url()));
        let builder = Builder::new(folder).env("WISE_SECRET_KEY", KEY);
        builder.env("WISE_STORAGE__URL", url.as_deref().unwrap_or("sqlite://./data")).start()
    }

    /// Another folder, as that of another machine, where the store is in MongoDB; else the same.
    fn next(&self) -> PathBuf {
        match &self.mongo {
            None => self.folder.path().to_owned(),
            Some(_) => {
                let other = self.folder.path().join("other");
                std::fs::create_dir_all(&other).unwrap();
                other
            }
        }
    }
}

/// Monitors with every kind of condition raised, some of them with several.
struct Troubled {
    ids: Vec<String>,
    _nginx: Nginx,
    _redis: Redis,
}

impl Troubled {
    fn add(server: &Server) -> Self {
        let (nginx, redis) = (Nginx::start(), Redis::start(&[]));
        redis.run("SET greeting hello");
        let always = json!({"website.total_seconds": {"warning": 0.000_001, "checks": 1}});
        let many = json!({"redis.uptime_seconds": {"warning": 0, "checks": 1},
            "redis.memory.used_bytes": {"warning": 1, "critical": 2, "checks": 1}});
        let website = |name: &str, url: &str, more: Value| {
            let mut body =
                json!({"name": name, "kind": "website", "interval": "1s", "settings": {"url": url}});
            for (key, value) in more.as_object().unwrap() {
                body[key] = value.clone();
            }
            server.add(&body)
        };
        let closed = format!("http://127.0.0.1:{}/", free_port());
        let every_second = json!({"interval": "1s", "timeout": "1s"});
        let ids = vec![
            website("slow", &nginx.url(), json!({"thresholds": always})),
            website("down", &closed, json!({})),
            website(
                "ours",
                "",
                json!({"settings": {"url": nginx.url().replace("http:", "https:"), "tls": {"ca_file": "/nowhere/ca.pem"}}}),
            ),
            // A list is no number: the probe of custom queries fails, and others are over their bounds.
            server.add(&json!({"name": "many", "kind": "redis", "interval": "1s", "thresholds": many,
                "settings": {"url": redis.url(), "queries": [{"name": "bad", "command": "GET greeting"}]},
                "probes": {"queries": every_second, "activity": every_second, "storage": every_second}})),
        ];
        let troubled = Self { ids, _nginx: nginx, _redis: redis };
        for (id, kinds) in troubled.ids.iter().zip([
            &["threshold"][..],
            &["down"],
            &["unknown"],
            &["probe_failing", "threshold", "threshold"],
        ]) {
            until("its conditions are raised", || {
                let monitor = server.get(&format!("/api/v1/monitors/{id}"));
                let mut found: Vec<String> = Vec::new();
                for condition in monitor["conditions"].as_array().unwrap() {
                    found.push(condition["kind"].as_str().unwrap().to_owned());
                }
                found.sort();
                if found == kinds { Ok(()) } else { Err(monitor) }
            });
        }
        troubled
    }

    /// Every event, the oldest first, but for gaps, by what it says and not by its number.
    fn events(&self, server: &Server) -> Vec<String> {
        let of = |id: &String| {
            let page = server.get(&format!("/api/v1/monitors/{id}/events?limit=1000"));
            let all = page["items"].as_array().unwrap().clone();
            all.into_iter()
                .rev()
                .filter(|event| event["type"] != "gap")
                .map(|event| event["identity"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        self.ids.iter().flat_map(of).collect()
    }

    fn gaps(&self, server: &Server, id: &str) -> usize {
        let page = server.get(&format!("/api/v1/monitors/{id}/events?limit=1000"));
        page["items"].as_array().unwrap().iter().filter(|event| event["type"] == "gap").count()
    }

    /// How each stands, without what moves with every check.
    fn standing(&self, server: &Server) -> Vec<Value> {
        let of = |id: &String| {
            let monitor = server.get(&format!("/api/v1/monitors/{id}"));
            json!([monitor["status"], monitor["down"], monitor["since"], monitor["conditions"]])
        };
        self.ids.iter().map(of).collect()
    }

    /// Waits until every probe of every monitor has been checked twice since now.
    fn checked_again(&self, server: &Server) {
        for id in &self.ids {
            let results = |page: &Value| {
                let mut count = std::collections::BTreeMap::<String, usize>::new();
                for one in page["items"].as_array().unwrap() {
                    *count.entry(one["probe"].as_str().unwrap().to_owned()).or_default() += 1;
                }
                count
            };
            let since = server.get("/api/v1/overview")["time"].as_str().unwrap().to_owned();
            let known: Vec<String> =
                results(&server.get(&format!("/api/v1/monitors/{id}/results?limit=1000")))
                    .into_keys()
                    .filter(|probe| !matches!(probe.as_str(), "replication"))
                    .collect();
            until("it is checked again", || {
                let found = results(&server.get(&format!("/api/v1/monitors/{id}/results?from={since}")));
                let is_done = known.iter().all(|probe| found.get(probe).is_some_and(|count| *count >= 2));
                if is_done { Ok(()) } else { Err(format!("{known:?} {found:?}")) }
            });
        }
    }
}

#[test]
fn restarts_kills_takeovers_and_edits_change_nothing() {
    for place in Place::all() {
        let mut folder = place.folder.path().to_owned();
        let mut server = place.start(&folder);
        let troubled = Troubled::add(&server);
        troubled.checked_again(&server);
        let (events, standing) = (troubled.events(&server), troubled.standing(&server));
        assert!(events.len() >= 9, "{events:?}");
        for round in ["in order", "killed", "by another process", "killed again"] {
            match round {
                "killed" | "killed again" => server.kill(),
                _ => assert_eq!(server.stop(), Some(0)),
            }
            if round == "by another process" {
                folder = place.next();
            }
            server = place.start(&folder);
            troubled.checked_again(&server);
            assert_eq!(troubled.events(&server), events, "{round}");
            assert_eq!(troubled.standing(&server), standing, "{round}");
        }
        let gaps = troubled.gaps(&server, &troubled.ids[0]);
        assert!(gaps <= 4, "one a restart at the most, and not {gaps}");
        for id in &troubled.ids {
            let path = format!("/api/v1/monitors/{id}");
            let headers = ["Content-Type: application/merge-patch+json"];
            let edit = json!({"tags": {"edited": "yes"}, "successes_before_healthy": 2}).to_string();
            let answer = wise_e2e::request(server.port, "PATCH", &path, &headers, edit.as_bytes()).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        troubled.checked_again(&server);
        assert_eq!(troubled.events(&server), events, "edited");
        // What an edit leaves without meaning is cleared, and says so.
        let path = format!("/api/v1/monitors/{}", troubled.ids[3]);
        let headers = ["Content-Type: application/merge-patch+json"];
        let edit = json!({"probes": {"queries": {"enabled": false}}}).to_string();
        let answer = wise_e2e::request(server.port, "PATCH", &path, &headers, edit.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        until("the condition is cleared", || {
            let page = server.get(&format!("{path}/events?limit=1"));
            let event = &page["items"][0];
            let expected = (&json!("cleared"), &json!("edited"), &json!("probe_failing"));
            let found = (&event["type"], &event["cause"], &event["condition"]["kind"]);
            if found == expected { Ok(()) } else { Err(page) }
        });
    }
}

#[test]
fn time_in_which_the_process_stood_still_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let mut nginx = Nginx::start();
    let server = Server::start(folder.path());
    let up = server.add_website("up", &nginx.url());
    let down = server.add_website("down", &format!("http://127.0.0.1:{}/", free_port()));
    let rare = json!({"name": "rare", "kind": "website", "interval": "1h", "settings": {"url": nginx.url()}});
    let rare = server.add(&rare);
    server.wait_for_status(&up, "healthy");
    server.wait_for_status(&rare, "healthy");
    server.wait_for_status(&down, "unhealthy");
    signal(server.child.id(), "STOP");
    let begun = tokio::time::Instant::now();
    until("three seconds have passed", || {
        let age = begun.elapsed();
        if age.as_secs() >= 3 { Ok(()) } else { Err(age) }
    });
    signal(server.child.id(), "CONT");
    let gap = |id: &str| {
        until("the gap is told of", || {
            let events = server.get(&format!("/api/v1/monitors/{id}/events"));
            let found =
                events["items"].as_array().unwrap().iter().find(|event| event["type"] == "gap").cloned();
            found.ok_or(events)
        })
    };
    for id in [&up, &down] {
        let gap = gap(id);
        assert_eq!(
            (&gap["reason"]["class"], &gap["reason"]["code"]),
            (&json!("unwatched"), &json!("frozen"))
        );
        until("checks go on", || {
            let monitor = server.get(&format!("/api/v1/monitors/{id}"));
            if monitor["last_check"].as_str() > gap["until"].as_str() { Ok(()) } else { Err(monitor) }
        });
        let uptime = server.get(&format!("/api/v1/monitors/{id}/uptime?windows=1h"));
        let unknown = uptime["items"][0]["unknown_seconds"].as_f64().unwrap();
        assert!((1.5..4.5).contains(&unknown), "{uptime}");
        // No dropped checks on top of it, and no condition that came and went.
        let events = server.get(&format!("/api/v1/monitors/{id}/events"));
        assert!(
            events["items"].as_array().unwrap().iter().all(|event| event["condition"]["kind"] != "unknown")
        );
    }
    let ratio = |id: &str| {
        server.get(&format!("/api/v1/monitors/{id}/uptime?windows=1h"))["items"][0]["uptime_ratio"].clone()
    };
    assert_eq!((ratio(&up), ratio(&down)), (json!(1.0), json!(0.0)));
    let rare = server.get(&format!("/api/v1/monitors/{rare}/events"));
    assert!(!rare.to_string().contains("\"gap\""), "no check of it was due: {rare}");
    assert!(server.metric("wise_scheduler_gaps_total").unwrap() >= 2.0);
    nginx.switch_off();
}

#[test]
fn a_monitor_that_was_removed_comes_back_with_its_history() {
    for place in Place::all() {
        let nginx = Nginx::start();
        let server = place.start(place.folder.path());
        let id = server.add_website("shop", &nginx.url());
        server.wait_for_status(&id, "healthy");
        let path = format!("/api/v1/monitors/{id}");
        let before = server.get(&format!("{path}/events"))["items"].as_array().unwrap().clone();
        assert_eq!(server.call("POST", &format!("{path}/restore"), None).status, 409, "it is there");
        assert_eq!(server.call("DELETE", &path, None).status, 204);
        assert_eq!(server.call("GET", &path, None).status, 404);
        let other = server.add_website("shop", &nginx.url());
        let removed = server.get("/api/v1/monitors/removed");
        assert_eq!(removed["items"][0]["id"], id, "{removed}");
        let taken = server.call("POST", &format!("{path}/restore"), None);
        assert_eq!(taken.status, 409, "{}", taken.body);
        // Another has its name by now, and the store is taken over.
        assert_eq!(server.stop(), Some(0));
        let server = place.start(&place.next());
        assert_eq!(server.call("DELETE", &format!("/api/v1/monitors/{other}"), None).status, 204);
        let back = server.call("POST", &format!("{path}/restore"), None);
        assert_eq!((back.status, &back.json()["name"]), (200, &json!("shop")), "{}", back.body);
        server.wait_for_status(&id, "healthy");
        let after = server.get(&format!("{path}/events"))["items"].as_array().unwrap().clone();
        let kinds: Vec<&str> = after.iter().rev().map(|event| event["type"].as_str().unwrap()).collect();
        assert!(kinds.starts_with(&["status", "removed", "restored"]), "{kinds:?}");
        assert_eq!(after.last(), before.last());
        let gone = server.get("/api/v1/monitors/removed");
        assert_eq!(gone["items"].as_array().unwrap().len(), 1, "{gone}");
    }
}
