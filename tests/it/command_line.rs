//! The command line.

use std::process::{Command, Output};

use wise_e2e::{Builder, Nginx, Server, binary, until};

fn run(folder: &std::path::Path, arguments: &[&str]) -> (bool, String, String) {
    let output: Output = Command::new(binary()).args(arguments).current_dir(folder).output().unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn check_prints_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start();
    let (is_ok, out, _) = run(folder.path(), &["check", &nginx.url()]);
    assert!(
        is_ok && out.contains("check: passed") && out.contains("website.phase.connect_seconds = "),
        "{out}"
    );
    assert!(out.contains("first_byte_ms:") && out.contains("body: hello\\n"), "{out}");
    let (is_ok, out, _) = run(folder.path(), &["check", "http://127.0.0.1:9/"]);
    assert!(!is_ok && out.contains("failed, refused/refused") && out.contains("hint: "), "{out}");
    let (is_ok, _, err) = run(folder.path(), &["check", "no-such-file.toml"]);
    assert!(!is_ok && err.contains("neither a web address"), "{err}");
    let (is_ok, _, err) = run(folder.path(), &["check", "ftp://x/"]);
    assert!(!is_ok && err.contains("only http and https"), "{err}");
}

#[test]
fn check_config_names_file_line_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("m");
    std::fs::create_dir(&files).unwrap();
    let good = "[[monitor]]\nname = \"a\"\nkind = \"website\"\nsettings = { url = \"http://x/\" }\n";
    std::fs::write(files.join("good.toml"), good).unwrap();
    let (is_ok, out, _) = run(folder.path(), &["check-config", "--monitors", "m"]);
    assert!(is_ok && out.contains("1 monitors"), "{out}");
    let bad =
        format!("{good}[[monitor]]\nname = \"b\"\nkind = \"website\"\nsettings = {{ url = \"ftp://x/\" }}\n");
    std::fs::write(files.join("bad.toml"), bad).unwrap();
    let (is_ok, out, _) = run(folder.path(), &["check-config", "--monitors", "m"]);
    assert!(!is_ok, "{out}");
    assert!(out.contains("m/bad.toml:5: b: settings.url: only http and https"), "{out}");
    assert!(
        out.contains("name: is taken by m/bad.toml:1") || out.contains("name: is taken by m/good.toml:1"),
        "{out}"
    );
    std::fs::write(folder.path().join("w.toml"), "[server]\nlisten = [\"0.0.0.0:80\"]\n").unwrap();
    let (is_ok, _, err) = run(folder.path(), &["check-config", "--config", "w.toml"]);
    assert!(!is_ok && err.contains("there is no login yet"), "{err}");
    let (is_ok, _, err) = run(folder.path(), &["check-config", "--config", "missing.toml"]);
    assert!(!is_ok && err.contains("missing.toml"), "{err}");
}

#[test]
fn plugins_are_listed_and_an_export_comes_back_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let (is_ok, out, _) = run(folder.path(), &["plugins"]);
    assert!(
        is_ok && out.contains("\nwebsite: Website") && out.contains("probe availability: every 60s"),
        "{out}"
    );
    let server = Server::start(folder.path());
    server.add(
        &serde_json::json!({"name": "back", "kind": "website", "settings": {"url": "http://127.0.0.1:9/"}}),
    );
    server.add(&serde_json::json!({
        "name": "front", "kind": "website", "interval": "45s", "tags": {"team": "web"}, "depends_on": ["back"],
        "settings": {"url": "http://127.0.0.1:9/x", "assertions": [{"on": "body", "op": "contains", "value": "ok"}]},
        "thresholds": {"website.total_seconds": {"warning": 1.5, "critical": null}}
    }));
    let (is_ok, out, err) = run(folder.path(), &["export"]);
    assert!(is_ok, "{err}");
    let shown = |server: &Server| -> Vec<serde_json::Value> {
        let mut all = server.get("/api/v1/monitors")["items"].as_array().unwrap().clone();
        all.retain(|one| one["name"] != "wise-monitoring");
        let names: Vec<(String, String)> = all
            .iter()
            .map(|one| (one["id"].as_str().unwrap().to_owned(), one["name"].as_str().unwrap().to_owned()))
            .collect();
        all.sort_by_key(|one| one["name"].to_string());
        all.iter()
            .map(|one| {
                let keys = [
                    "name",
                    "kind",
                    "interval",
                    "timeout",
                    "settings",
                    "tags",
                    "thresholds",
                    "depends_on",
                    "enabled",
                ];
                let mut text = serde_json::json!(keys.map(|key| one[key].clone())).to_string();
                for (id, name) in &names {
                    text = text.replace(id, name);
                }
                serde_json::from_str(&text).unwrap()
            })
            .collect()
    };
    let before = shown(&server);
    let other = tempfile::tempdir().unwrap();
    let files = other.path().join("config/monitors.d");
    std::fs::create_dir_all(&files).unwrap();
    let without_own: String = out
        .split("\n[[monitor]]")
        .filter(|part| !part.contains("\"wise-monitoring\""))
        .collect::<Vec<_>>()
        .join("\n[[monitor]]");
    std::fs::write(files.join("all.toml"), without_own).unwrap();
    let second = Builder::new(other.path()).start();
    assert_eq!(before, shown(&second), "{out}");
}

#[test]
fn a_backup_of_a_running_server_comes_back_in_another_folder() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start();
    let server = Server::start(folder.path());
    let id = server.add_website("shop", &nginx.url());
    server.wait_for_status(&id, "healthy");
    // The status is known at once, its results are stored a moment later.
    until("a result is stored", || {
        let results = server.get(&format!("/api/v1/monitors/{id}/results?from=-1h"));
        if results["items"].as_array().unwrap().is_empty() { Err(results) } else { Ok(()) }
    });
    let (is_ok, out, err) = run(folder.path(), &["backup", "store.tar"]);
    assert!(is_ok && out.contains("store.tar: ") && out.contains("secret.key"), "{out}{err}");
    assert!(err.contains("wise.sqlite3"), "progress names the files: {err}");
    let (is_ok, _, err) = run(folder.path(), &["backup", "store.tar"]);
    assert!(!is_ok && err.contains("name a new one"), "{err}");
    let (is_ok, out, _) = run(folder.path(), &["check-store"]);
    assert!(is_ok && out.contains("every file is whole"), "{out}");
    let (is_ok, _, err) = run(folder.path(), &["restore", "store.tar"]);
    assert!(!is_ok && err.contains("in use") && err.contains("nothing was changed"), "{err}");
    let other = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.tar").display().to_string();
    let (is_ok, out, err) = run(other.path(), &["restore", &file]);
    assert!(is_ok && out.contains("secret.key"), "{out}{err}");
    std::fs::copy(folder.path().join("data/secret.key"), other.path().join("data/secret.key")).unwrap();
    let second = Server::start(other.path());
    assert_eq!(second.get(&format!("/api/v1/monitors/{id}"))["name"], "shop");
    let results = second.get(&format!("/api/v1/monitors/{id}/results?from=-1h"));
    assert!(!results["items"].as_array().unwrap().is_empty(), "{results}");
    let (is_ok, _, err) = run(other.path(), &["restore", &file]);
    assert!(!is_ok && err.contains("in use"), "{err}");
    let nowhere = tempfile::tempdir().unwrap();
    let (is_ok, _, err) = run(nowhere.path(), &["restore", "missing.tar"]);
    assert!(!is_ok && err.contains("missing.tar") && !nowhere.path().join("data").exists(), "{err}");
    let (is_ok, _, err) = run(nowhere.path(), &["check-store"]);
    assert!(!is_ok && err.contains("no store"), "a folder without a store is not whole: {err}");
}
