//! The server is killed at any moment, under load, and comes back with everything that was acknowledged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use wise_e2e::{Builder, KEY, Mongo, Nginx, Server};

/// Rounds; `cargo xtask soak` asks for more.
fn rounds() -> u64 {
    std::env::var("WISE_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

/// What the API has acknowledged: name to version, or that it is gone.
type Acknowledged = Arc<Mutex<BTreeMap<String, Option<u64>>>>;

/// Creates, changes and deletes monitors until it is told to stop or the server is gone; answers how often it was told
/// that this is done.
fn write_on(port: u16, url: &str, round: u64, done: &Acknowledged, stop: &AtomicBool) -> usize {
    let mut count = 0;
    let mut call = |method: &str, path: &str, body: Option<&Value>| {
        let text = body.map(Value::to_string).unwrap_or_default();
        let headers = ["Content-Type: application/json"];
        let answer = wise_e2e::request(port, method, path, &headers, text.as_bytes()).ok()?;
        // One that is alive and refuses would leave nothing to be lost.
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        count += 1;
        Some(answer)
    };
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("round {round} number {number}");
        let mut body = json!({"name": name, "kind": "website", "interval": "1s", "settings": {"url": url}});
        let Some(made) = call("POST", "/api/v1/monitors", Some(&body)) else { break };
        done.lock().unwrap().insert(name.clone(), made.json()["version"].as_u64());
        let path = format!("/api/v1/monitors/{}", made.json()["id"].as_str().unwrap());
        if number % 3 == 1 {
            body["interval"] = json!("2s");
            let Some(changed) = call("PUT", &path, Some(&body)) else { break };
            done.lock().unwrap().insert(name, changed.json()["version"].as_u64());
        } else if number % 3 == 2 {
            if call("DELETE", &path, None).is_none() {
                // Whether it is gone is not known.
                done.lock().unwrap().remove(&name);
                break;
            }
            done.lock().unwrap().insert(name, None);
        }
    }
    count
}

#[expect(clippy::disallowed_methods, reason = "nothing is awaited: the moment of the kill is left to chance")]
fn pass(time: Duration) {
    thread::sleep(time);
}

/// Times of a monitor's checks, as the store has them.
fn results(server: &Server, id: &str) -> Vec<String> {
    let items = server.get(&format!("/api/v1/monitors/{id}/results?limit=1000&from=-1h"))["items"].clone();
    items.as_array().unwrap().iter().map(|item| item["time"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn whatever_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let server = kill_again_and_again(&|| Builder::new(folder.path()));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn whatever_was_acknowledged_survives_kill_9_in_mongodb() {
    for program in Mongo::programs() {
        let mongo = Mongo::start(&program, &[]);
        let url = format!("{}/kills", mongo.url());
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let start =
            |folder: &Path| Builder::new(folder).env("WISE_STORAGE__URL", &url).env("WISE_SECRET_KEY", KEY);
        let server = kill_again_and_again(&|| start(folder.path()));
        let path = "/api/v1/monitors?q=watched";
        let watched = server.get(path)["items"][0]["id"].as_str().unwrap().to_owned();
        let seen = results(&server, &watched);
        assert_eq!(server.stop(), Some(0));
        // All of it is in MongoDB: another machine, which has nothing, finds it there.
        let server = start(elsewhere.path()).start();
        assert_eq!(server.get(path)["items"][0]["id"], watched.as_str());
        let found = results(&server, &watched);
        let lost: Vec<_> = seen.iter().filter(|time| !found.contains(time)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert_eq!(server.stop(), Some(0));
    }
}

fn kill_again_and_again(start: &dyn Fn() -> Builder) -> Server {
    let nginx = Nginx::start();
    let acknowledged = Acknowledged::default();
    let mut server = start().start();
    let watched = server.add(
        &json!({"name": "watched", "kind": "website", "interval": "1s", "settings": {"url": nginx.url()}}),
    );
    server.wait_for_status(&watched, "healthy");
    let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let mut written = 0;
    for round in 0..rounds() {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (port, url, done, stop) = (server.port, nginx.url(), acknowledged.clone(), stop.clone());
            thread::spawn(move || write_on(port, &url, round, &done, &stop))
        };
        // Any moment within a second and a half: in the middle of a write, of a group of results, of a sealing.
        let mixed = (seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        pass(Duration::from_millis(mixed % 1500));
        let seen = results(&server, &watched);
        let last = server.get(&format!("/api/v1/monitors/{watched}/events?limit=1"))["items"][0].clone();
        server.kill();
        stop.store(true, Ordering::Relaxed);
        written += writer.join().unwrap();

        server = start().start();
        assert!(!server.log().contains("damaged"), "seed {seed}, round {round}: {}", server.log());
        let mut there = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let page = server.get(&format!("/api/v1/monitors?limit=500{cursor}"));
            for one in page["items"].as_array().unwrap() {
                there.insert(one["name"].as_str().unwrap().to_owned(), one["version"].as_u64());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        for (name, version) in &*acknowledged.lock().unwrap() {
            let found = there.get(name).copied().flatten();
            // A change that was on its way may have been made without being acknowledged.
            let is_kept = match version {
                Some(version) => found.is_some_and(|found| found >= *version),
                None => found.is_none(),
            };
            assert!(is_kept, "seed {seed}, round {round}: {name} is {found:?} and was {version:?}");
        }
        let after = results(&server, &watched);
        let lost: Vec<_> = seen.iter().filter(|time| !after.contains(time)).collect();
        assert!(lost.is_empty(), "seed {seed}, round {round}: lost {lost:?}");
        let events = server.get(&format!("/api/v1/monitors/{watched}/events?limit=100"));
        let kept = events["items"].as_array().unwrap().iter().any(|one| one["sequence"] == last["sequence"]);
        assert!(kept, "seed {seed}, round {round}: {last} is not in {events}");
        // The next round begins with few monitors.
        let list = server.get("/api/v1/monitors?limit=1000&q=round");
        for one in list["items"].as_array().unwrap() {
            let path = format!("/api/v1/monitors/{}", one["id"].as_str().unwrap());
            assert_eq!(server.call("DELETE", &path, None).status, 204);
        }
        acknowledged.lock().unwrap().clear();
    }
    assert!(written > rounds() as usize, "{written} writes were acknowledged in all");
    server
}
