//! The whole product on a store in MongoDB: away from the start, away in the middle, two processes, one of them paused.

use std::path::Path;
use std::process::Child;

use serde_json::json;
use wise_e2e::{Builder, KEY, Mongo, Nginx, Server, signal, until};

fn builder(folder: &Path, mongo: &Mongo, name: &str) -> Builder {
    Builder::new(folder)
        .env("WISE_STORAGE__URL", &format!("{}/wise", mongo.url()))
        .env("WISE_SECRET_KEY", KEY)
        .env("WISE_CHECKS__WORKER", name)
}

/// A process that waits for its turn.
struct Waiting<'a> {
    child: Child,
    folder: &'a Path,
}

impl<'a> Waiting<'a> {
    fn start(folder: &'a Path, mongo: &Mongo, name: &str) -> Self {
        let waiting = Self { child: builder(folder, mongo, name).spawn(), folder };
        waiting.until_log("has the store; waiting");
        waiting
    }

    fn until_log(&self, text: &str) {
        until(text, || {
            let log = std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
            if log.contains(text) { Ok(()) } else { Err(log) }
        });
    }

    /// Waits until it serves.
    fn served(self) -> Server {
        let port = until("it takes over", || {
            let said = std::fs::read_to_string(self.folder.join("server.out")).unwrap_or_default();
            let line = said.lines().filter_map(|line| line.split_once("is running: http://")).next_back();
            line.and_then(|(_, rest)| rest.trim_end_matches('/').rsplit(':').next()?.parse().ok()).ok_or(said)
        });
        Server { child: self.child, port, folder: self.folder.to_owned() }
    }
}

#[test]
fn the_product_runs_on_it_and_goes_on_without_it() {
    for program in Mongo::programs() {
        let mut mongo = Mongo::start(&program, &[]);
        let mut nginx = Nginx::start();
        let folder = tempfile::tempdir().unwrap();
        let server = builder(folder.path(), &mongo, "a").start();
        let id = server.add_website("shop", &nginx.url());
        server.wait_for_status(&id, "healthy");
        assert_eq!(server.metric("wise_store_remote_connected"), Some(1.0));
        mongo.service.stop();
        until("it is noticed", || {
            let health = server.call("GET", "/health", None);
            if health.body.contains("MongoDB cannot be used") { Ok(()) } else { Err(health.body) }
        });
        assert_eq!(server.call("GET", "/health/ready", None).status, 200, "it is no reason to stop");
        let body = json!({"name": "late", "kind": "website", "settings": {"url": nginx.url()}});
        let refused = server.call("POST", "/api/v1/monitors", Some(&body));
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert!(refused.body.contains("MongoDB cannot be reached"), "{}", refused.body);
        let kept = server.call("DELETE", &format!("/api/v1/monitors/{id}"), None);
        assert_eq!(kept.status, 503, "{}", kept.body);
        nginx.switch_off();
        // It goes on being watched, as if no one had asked.
        server.wait_for_status(&id, "unhealthy");
        let results = server.get(&format!("/api/v1/monitors/{id}/results?limit=5"));
        assert_eq!(results["items"][0]["error_class"], "refused", "{results}");
        assert_eq!(server.stop(), Some(0));
        // Away from the start: the copy has everything.
        let server = builder(folder.path(), &mongo, "a").start();
        server.wait_for_status(&id, "unhealthy");
        mongo.start_again();
        until("it is there again", || {
            let connected = server.metric("wise_store_remote_connected");
            if connected == Some(1.0) { Ok(()) } else { Err(connected) }
        });
        server.add(&body);
        let events = server.get(&format!("/api/v1/monitors/{id}/events?limit=100"));
        assert_eq!(server.stop(), Some(0));
        let elsewhere = tempfile::tempdir().unwrap();
        let server = builder(elsewhere.path(), &mongo, "b").start();
        let found = server.get(&format!("/api/v1/monitors/{id}/events?limit=100"));
        for one in events["items"].as_array().unwrap() {
            let same = |other: &&serde_json::Value| {
                other["sequence"] == one["sequence"] && other["time"] == one["time"]
            };
            assert!(
                found["items"].as_array().unwrap().iter().any(|other| same(&other)),
                "{one} is not in {found}"
            );
        }
        assert_eq!(server.stop(), Some(0));
    }
}

#[test]
fn a_second_process_takes_over_from_one_that_died_or_sleeps() {
    for program in Mongo::programs() {
        let mongo = Mongo::start(&program, &[]);
        let nginx = Nginx::start();
        let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let first = builder(folders[0].path(), &mongo, "first").start();
        let id = first.add_website("shop", &nginx.url());
        first.wait_for_status(&id, "healthy");
        let second = Waiting::start(folders[1].path(), &mongo, "second");
        first.kill();
        // `until` gives up after thirty seconds.
        let second = second.served();
        second.wait_for_status(&id, "healthy");
        assert_eq!(second.get(&format!("/api/v1/monitors/{id}"))["name"], "shop");

        let third = Waiting::start(folders[2].path(), &mongo, "third");
        signal(second.child.id(), "STOP");
        let third = third.served();
        let checked = third.get(&format!("/api/v1/monitors/{id}"));
        assert_eq!(checked["name"], "shop");
        // The one that slept finds the store taken. It stops watching, and waits for its turn.
        signal(second.child.id(), "CONT");
        until("it gives up", || {
            let log = second.log();
            if log.contains("the store was taken over by third") { Ok(()) } else { Err(log) }
        });
        until("it waits", || {
            let log = second.log();
            if log.contains("third has the store; waiting") { Ok(()) } else { Err(log) }
        });
        until("it checks", || {
            let results = third.get(&format!("/api/v1/monitors/{id}/results?limit=1"));
            if results["items"][0]["worker"] == "third" { Ok(()) } else { Err(results) }
        });
        // It is the same process: anyone who started it can end it.
        let before = second.child.id();
        assert_eq!(third.stop(), Some(0));
        until("it takes its turn", || {
            let said = std::fs::read_to_string(folders[1].path().join("server.out")).unwrap_or_default();
            if said.matches("is running: http://").count() == 2 { Ok(()) } else { Err(said) }
        });
        assert_eq!(second.child.id(), before);
        assert_eq!(second.stop(), Some(0));
    }
}

#[test]
fn another_key_is_refused() {
    for program in Mongo::programs() {
        let mongo = Mongo::start(&program, &[]);
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        assert_eq!(builder(folders[0].path(), &mongo, "a").start().stop(), Some(0));
        let other = KEY.replace("AAAA=", "AAAE=");
        let mut child = builder(folders[1].path(), &mongo, "b").env("WISE_SECRET_KEY", &other).spawn();
        assert!(!child.wait().unwrap().success());
        let log = std::fs::read_to_string(folders[1].path().join("server.log")).unwrap();
        assert!(log.contains("sealed with another key") && !log.contains(&other), "{log}");
    }
}

#[test]
fn everything_moves_to_it_and_back_by_one_command() {
    for program in Mongo::programs() {
        let mongo = Mongo::start(&program, &[]);
        let nginx = Nginx::start();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{}/moved", mongo.url());
        let run = |arguments: &[&str]| {
            let mut command = std::process::Command::new(wise_e2e::binary());
            let output = command.current_dir(folder.path()).args(arguments).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8(said).unwrap())
        };
        let server = Server::start(folder.path());
        let id = server.add(&json!({"name": "shop", "kind": "website", "interval": "1s", "settings": {
            "url": nginx.url(), "auth": {"type": "bearer", "token": "tok-123456"}
        }}));
        server.wait_for_status(&id, "healthy");
        let (done, said) = run(&["migrate", "--to", &url]);
        assert!(!done && said.contains("in use by another process"), "{said}");
        let events = server.get(&format!("/api/v1/monitors/{id}/events"))["items"].clone();
        assert_eq!(server.stop(), Some(0));
        let (done, said) = run(&["migrate", "--from", "sqlite://./nothing", "--to", &url]);
        assert!(!done && said.contains("there is no store in ./nothing"), "{said}");
        let (done, said) = run(&["migrate", "--to", &url]);
        assert!(done && said.contains("2 monitors") && said.contains("secret.key"), "{said}");
        assert!(!said.contains("tok-123456"));

        let server = Builder::new(folder.path()).env("WISE_STORAGE__URL", &url).start();
        let there = server.wait_for_status(&id, "healthy");
        assert_eq!((&there["name"], &there["problem"]), (&json!("shop"), &json!(null)), "{there}");
        let found = server.get(&format!("/api/v1/monitors/{id}/events"))["items"].to_string();
        for one in events.as_array().unwrap() {
            assert!(found.contains(one["time"].as_str().unwrap()), "{one} is not in {found}");
        }
        let (done, said) = run(&["migrate", "--from", &url, "--to", "sqlite://./back"]);
        assert!(!done && said.contains("runs on it: stop it first"), "{said}");
        assert_eq!(server.stop(), Some(0));
        let (done, said) = run(&["migrate", "--from", &url, "--to", "sqlite://./back"]);
        assert!(done, "{said}");
        let server = Builder::new(folder.path()).env("WISE_STORAGE__URL", "sqlite://./back").start();
        let back = server.wait_for_status(&id, "healthy");
        assert_eq!(back["name"], "shop");
        assert_eq!(server.stop(), Some(0));
        assert!(!folder.path().join("data/spool.migration-to").exists());
    }
}
