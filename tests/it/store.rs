//! The store in trouble: a full disk, a damaged file, a second server.

use std::io::Read;
use std::process::{Command, Stdio};

use wise_e2e::{Builder, Nginx, Server, binary, until};

#[test]
fn a_full_disk_loses_no_definition_and_changes_no_status() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    // A small disk of its own, in a mount namespace that goes with the server.
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size=2m none data && exec {}", binary().display());
    command.args(["--mount", "sh", "-c", &script]);
    let server = Builder::with(command, folder.path()).start();
    let id = server.add_website("shop", &nginx.url());
    server.wait_for_status(&id, "healthy");
    let ballast = format!("/proc/{}/root{}/data/ballast", server.child.id(), folder.path().display());
    let mut filled = vec![0u8; 2 << 20];
    while std::fs::write(&ballast, &filled).is_err() {
        let less = filled.len().saturating_sub(4096);
        assert!(less > 0, "there was no room at all");
        filled.truncate(less);
    }
    // Whatever is left in pages is used up by the results themselves.
    until("the trouble is named", || {
        let health = server.call("GET", "/health", None);
        if health.status == 503 && health.body.contains("store cannot be written") {
            Ok(())
        } else {
            Err(health.body)
        }
    });
    let refused = server.call(
        "POST",
        "/api/v1/monitors",
        Some(&serde_json::json!({
            "name": "late", "kind": "website", "settings": {"url": nginx.url()}
        })),
    );
    // The definition may find room in the log of the main file; what it must not do is to be lost after a 201.
    assert!(matches!(refused.status, 201 | 503), "{}", refused.body);
    assert!(server.log().contains("the disk is full"), "{}", server.log());
    assert_eq!(server.get(&format!("/api/v1/monitors/{id}"))["status"], "healthy");
    std::fs::remove_file(&ballast).unwrap();
    until("it recovers by itself", || {
        let health = server.call("GET", "/health", None);
        if health.status == 200 { Ok(()) } else { Err(health.body) }
    });
    let names = server.get("/api/v1/monitors").to_string();
    assert!(names.contains("shop") && (refused.status != 201 || names.contains("late")), "{names}");
}

#[test]
fn a_damaged_or_used_store_gives_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    // Starts a server that is expected to end by itself, and answers what it said.
    let run = || {
        let mut child = Command::new(binary())
            .current_dir(folder.path())
            .env("WISE_SERVER__LISTEN", "127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!child.wait().unwrap().success());
        said
    };
    let second = run();
    assert!(second.contains("in use by another process"), "{second}");
    assert_eq!(server.stop(), Some(0));
    for log in ["data/wise.sqlite3-wal", "data/wise.sqlite3-shm"] {
        std::fs::remove_file(folder.path().join(log)).ok();
    }
    std::fs::write(folder.path().join("data/wise.sqlite3"), "this is no database, and has never been one")
        .unwrap();
    let damaged = run();
    assert!(damaged.contains("wise.sqlite3 is damaged") && damaged.contains("backup"), "{damaged}");
}

#[test]
fn a_read_only_folder_gives_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Server::start(folder.path()).stop(), Some(0));
    // As root, only a read-only mount refuses to be written.
    let script =
        format!("mount --bind data data && mount -o remount,bind,ro data && exec {}", binary().display());
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).current_dir(folder.path());
    let output = command.env("WISE_SERVER__LISTEN", "127.0.0.1:0").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("cannot be written") && said.contains("mount options"), "{said}");
}

#[test]
fn a_lost_key_keeps_definitions_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let id = server.add(&serde_json::json!({"name": "shop", "kind": "website", "settings": {
        "url": "http://127.0.0.1:9/", "auth": {"type": "bearer", "token": "tok-123456"}
    }}));
    assert_eq!(server.stop(), Some(0));
    std::fs::remove_file(folder.path().join("data/secret.key")).unwrap();
    let server = Server::start(folder.path());
    let monitor = server.wait_for_status(&id, "unknown");
    assert!(monitor["problem"].as_str().unwrap().contains("put the old key file back"), "{monitor}");
    assert_eq!(monitor["name"], "shop");
}
