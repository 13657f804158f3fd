//! A planted password is found nowhere.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use wise_e2e::{Builder, binary, until};

const PLANTED: [&str; 5] =
    ["pl4nted-basic", "pl4nted-token", "pl4nted-cookie", "pl4nted-url", "pl4nted-body"];

fn assert_clean(what: &str, bytes: &[u8]) {
    for secret in PLANTED {
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "{secret} is in {what}: {}",
            String::from_utf8_lossy(bytes)
        );
    }
}

fn assert_folder_clean(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_folder_clean(&path);
        } else {
            assert_clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn planted_passwords_are_in_no_log_answer_error_or_file() {
    let folder = tempfile::tempdir().unwrap();
    // A server that echoes the head of each request, with a status that fails the check.
    let echo = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("127.0.0.1:{}", echo.local_addr().unwrap().port());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in echo.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 8192];
            let length = stream.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..length]);
            let answer = format!(
                "HTTP/1.1 500 Oops\r\nX-Seen: {}\r\nContent-Length: {}\r\n\r\n{text}",
                text.replace(['\r', '\n'], " "),
                text.len()
            );
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    let server = Builder::new(folder.path()).env("WISE_LOG__LEVEL", "trace").start();
    let full = json!({
        "name": "basic", "kind": "website", "interval": "1s",
        "settings": {
            "url": format!("http://{url}/"), "method": "POST", "body": "password=pl4nted-body",
            "auth": {"type": "basic", "username": "ann", "password": "pl4nted-basic"},
            "headers": {"Cookie": "sid=pl4nted-cookie", "X-Api-Token": "pl4nted-token"}
        }
    });
    let in_url = json!({"name": "url", "kind": "website", "interval": "1s",
                        "settings": {"url": format!("http://ann:pl4nted-url@{url}/")}});
    let ids = [server.add(&full), server.add(&in_url)];
    for id in &ids {
        server.wait_for_status(id, "unhealthy");
        for path in ["", "/results", "/events"] {
            let answer = server.call("GET", &format!("/api/v1/monitors/{id}{path}"), None);
            assert_clean(path, format!("{}{}", answer.head, answer.body).as_bytes());
        }
        let checked = server.call("POST", &format!("/api/v1/monitors/{id}/check"), None);
        assert_clean("check", checked.body.as_bytes());
    }
    // The mask that was read comes back as "unchanged", and the login still works: the echo has seen it.
    let shown = server.get(&format!("/api/v1/monitors/{}", ids[0]));
    assert_eq!(shown["settings"]["auth"]["password"], "********");
    let mut back = full.clone();
    back["settings"] = shown["settings"].clone();
    back["tags"] = json!({"changed": "yes"});
    let answer = server.call("PUT", &format!("/api/v1/monitors/{}", ids[0]), Some(&back));
    assert_eq!(answer.status, 200, "{}", answer.body);
    // Errors about a definition with secrets.
    let mut wrong = full;
    wrong["settings"]["auth"]["password"] = json!(["pl4nted-basic"]);
    wrong["name"] = json!("other");
    assert_clean("an error", server.call("POST", "/api/v1/monitors", Some(&wrong)).body.as_bytes());
    let wrong =
        json!({"name": "other", "kind": "website", "settings": {"url": "http://ann:pl4nted-url@exa mple/"}});
    assert_clean("an error", server.call("POST", "/api/v1/monitors", Some(&wrong)).body.as_bytes());
    for path in ["/api/v1/overview", "/metrics", "/health"] {
        assert_clean(path, server.call("GET", path, None).body.as_bytes());
    }
    until("results are stored", || {
        let stored = server.metric("wise_store_results_stored_total");
        if stored >= Some(6.0) { Ok(()) } else { Err(stored) }
    });
    let export = Command::new(binary()).arg("export").current_dir(folder.path()).output().unwrap();
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    assert_clean("the export", &export.stdout);
    let text = String::from_utf8(export.stdout).unwrap();
    assert!(text.contains("env = \"BASIC_AUTH_PASSWORD\"") && text.contains("ann:${URL_URL}@"), "{text}");
    assert_clean("the log", server.log().as_bytes());
    assert_folder_clean(folder.path());
    server.kill();
    assert_folder_clean(folder.path());
    // A check by hand on the command line.
    let file = folder.path().join("one.toml");
    let toml = format!(
        "[[monitor]]\nname = \"x\"\nkind = \"website\"\n[monitor.settings]\nurl = \"http://ann:${{SECRET}}@{url}/\"\n"
    );
    std::fs::write(&file, toml).unwrap();
    let check = Command::new(binary()).arg("check").arg(&file).env("SECRET", "pl4nted-url").output().unwrap();
    assert_clean("check", &check.stdout);
    assert_clean("check", &check.stderr);
    assert!(String::from_utf8_lossy(&check.stdout).contains("http_status/500"), "{check:?}");
}
