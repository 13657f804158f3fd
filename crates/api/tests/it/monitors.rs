//! The life of a monitor through the API, and a store that fails in the middle of it.

use serde_json::{Value, json};

use crate::test_app::TestApp;

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[actix_web::test]
async fn a_change_of_the_wrong_version_changes_nothing() {
    let app = TestApp::new();
    let id = app.add("shop", json!({})).await;
    let path = format!("/api/v1/monitors/{id}");
    let first = app.get(&path).await;
    assert_eq!(first.etag.as_deref(), Some("\"1\""));
    let body = json!({"name": "shop", "kind": "quiet", "settings": {"number": 2}}).to_string();
    let changed = app.send("PUT", &path, &[JSON, ("If-Match", "\"1\"")], &body).await;
    assert_eq!((changed.status, changed.etag.as_deref()), (200, Some("\"2\"")), "{}", changed.text);
    for method in ["PUT", "PATCH", "DELETE"] {
        let stale = app.send(method, &path, &[JSON, ("If-Match", "\"1\"")], &body).await;
        assert_eq!((stale.status, stale.problem().as_str()), (412, "stale-version"), "{method}");
        let odd = app.send(method, &path, &[JSON, ("If-Match", "later")], &body).await;
        assert_eq!((odd.status, odd.json()["errors"][0]["field"].as_str()), (400, Some("If-Match")));
    }
    assert_eq!(app.get(&path).await.json()["settings"]["number"], 2);
    let any = app.send("DELETE", &path, &[("If-Match", "*")], "").await;
    assert_eq!((any.status, app.get(&path).await.status), (204, 404));
}

#[actix_web::test]
async fn what_the_store_does_not_take_is_not_there() {
    let app = TestApp::new();
    let id = app.add("shop", json!({"settings": {"number": 3}})).await;
    let path = format!("/api/v1/monitors/{id}");
    app.store.fail_after(0);
    let body = json!({"name": "other", "kind": "quiet", "settings": {"number": 4}});
    let attempts = [
        app.json("POST", "/api/v1/monitors", &body).await,
        app.json("PUT", &path, &body).await,
        app.send("PATCH", &path, &[("Content-Type", "application/merge-patch+json")], "{\"name\":\"x\"}")
            .await,
        app.send("DELETE", &path, &[], "").await,
    ];
    for attempt in &attempts {
        assert_eq!((attempt.status, attempt.problem().as_str()), (503, "unavailable"), "{}", attempt.text);
        assert!(!attempt.text.contains("/secret/path"), "paths of the server are for its log");
    }
    app.store.recover();
    let list = app.get("/api/v1/monitors").await.json();
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["shop"]);
    let shop = &list["items"][0];
    assert_eq!((&shop["settings"]["number"], &shop["version"]), (&json!(3), &json!(1)));
    // What could not be removed goes on being checked.
    let check = app.send("POST", &format!("{path}/check"), &[], "").await;
    assert_eq!(check.status, 200, "{}", check.text);
    // The name that was refused is free.
    assert_eq!(app.json("POST", "/api/v1/monitors", &body).await.status, 201);
}

#[actix_web::test]
async fn an_import_is_taken_back_when_the_store_fails_in_the_middle() {
    let app = TestApp::new();
    let id = app.add("a", json!({"settings": {"number": 1}})).await;
    let monitor =
        |name: &str, number: u8| json!({"name": name, "kind": "quiet", "settings": {"number": number}});
    let all = json!({"monitor": [monitor("a", 2), monitor("b", 2), monitor("c", 2), monitor("d", 2)]});
    let path = "/api/v1/import/monitors?on_conflict=replace";
    let state = async || {
        let list = app.get("/api/v1/monitors").await.json();
        let items = list["items"].as_array().unwrap().clone();
        items.iter().map(|one| json!([one["name"], one["settings"]["number"]])).collect::<Vec<Value>>()
    };
    // The store comes back while what was done is taken back, or it does not.
    for (writes, names_what_stayed) in [(0, false), (1, true), (3, true)] {
        app.store.fail_after(writes);
        let failed = app.json("POST", path, &all).await;
        assert_eq!((failed.status, failed.problem().as_str()), (503, "unavailable"), "{}", failed.text);
        assert_eq!(failed.text.contains("could not be taken back"), names_what_stayed, "{}", failed.text);
        app.store.recover();
        if !names_what_stayed {
            assert_eq!(state().await, [json!(["a", 1])]);
        }
        // By hand, what the answer has named.
        for one in app.get("/api/v1/monitors").await.json()["items"].as_array().unwrap() {
            if one["name"] != "a" {
                let path = format!("/api/v1/monitors/{}", one["id"].as_str().unwrap());
                assert_eq!(app.send("DELETE", &path, &[], "").await.status, 204);
            }
        }
        let body = json!({"name": "a", "kind": "quiet", "settings": {"number": 1}});
        assert_eq!(app.json("PUT", &format!("/api/v1/monitors/{id}"), &body).await.status, 200);
    }
    let wrong = json!({"monitor": [monitor("b", 2), monitor("c", 99)]});
    let refused = app.json("POST", path, &wrong).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["errors"][0]["field"], "monitor[1].settings.number");
    assert_eq!(state().await, [json!(["a", 1])]);
    let done = app.json("POST", path, &all).await;
    assert_eq!((done.status, &done.json()["created"], &done.json()["replaced"]), (200, &json!(3), &json!(1)));
}

#[actix_web::test]
async fn a_monitor_is_removed_and_brought_back() {
    let app = TestApp::new();
    let id = app.add("shop", json!({"settings": {"password": "hunter22"}})).await;
    let path = format!("/api/v1/monitors/{id}");
    assert_eq!(app.send("POST", &format!("{path}/restore"), &[], "").await.status, 409);
    assert_eq!(app.send("DELETE", &path, &[], "").await.status, 204);
    let removed = app.get("/api/v1/monitors/removed").await;
    assert_eq!(removed.json()["items"][0]["name"], "shop");
    assert!(!removed.text.contains("hunter22"));
    app.store.fail_after(0);
    assert_eq!(app.send("POST", &format!("{path}/restore"), &[], "").await.status, 503);
    app.store.recover();
    let back = app.send("POST", &format!("{path}/restore"), &[], "").await;
    assert_eq!((back.status, &back.json()["version"]), (200, &json!(2)), "{}", back.text);
    assert_eq!(app.get("/api/v1/monitors/removed").await.json()["items"], json!([]));
    assert_eq!(app.send("POST", "/api/v1/monitors/nothing/restore", &[], "").await.status, 404);
}
