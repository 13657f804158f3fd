//! Each route asks for its permission, and who sees only some monitors sees no others anywhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wise_core::{Principal, Role};

use crate::test_app::TestApp;

/// Every method and path of the document, with an id that names nothing.
async fn routes(app: &TestApp) -> Vec<(String, String)> {
    let document = app.get("/api/v1/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let path = path.replace("{id}", "0190a000-0000-7000-8000-000000000000").replace("{kind}", "quiet");
        let methods: Vec<String> = item.as_object().unwrap().keys().map(|name| name.to_uppercase()).collect();
        methods.into_iter().map(move |method| (method, path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

const OPEN: [&str; 5] = ["/health", "/health/live", "/health/ready", "/metrics", "/metrics/prometheus"];

#[actix_web::test]
async fn every_route_but_the_open_ones_asks_who_it_is_and_whether_they_may() {
    let app = TestApp::new();
    let routes = routes(&app).await;
    assert!(routes.len() > 25, "{routes:?}");
    let no_scope = Principal { scopes: Some(BTreeSet::new()), ..Principal::unlimited("token") };
    for (who, status, kind) in [(None, 401, "unauthenticated"), (Some(no_scope), 403, "forbidden")] {
        app.log_in(who);
        for (method, path) in &routes {
            let answer = app.json(method, path, &json!({})).await;
            if OPEN.contains(&path.as_str()) {
                assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
            } else {
                assert_eq!((answer.status, answer.problem().as_str()), (status, kind), "{method} {path}");
            }
        }
    }
}

#[actix_web::test]
async fn a_role_or_a_scope_is_enough_for_what_it_says_and_no_more() {
    let app = TestApp::new();
    let id = app.add("shop", json!({})).await;
    let path = format!("/api/v1/monitors/{id}");
    let can = async |who: &Principal| {
        app.log_in(Some(who.clone()));
        let edit = [("Content-Type", "application/merge-patch+json")];
        [
            app.get(&path).await.status,
            app.send("POST", &format!("{path}/check"), &[], "").await.status,
            app.send("PATCH", &path, &edit, "{}").await.status,
            app.get("/api/v1/settings").await.status,
        ]
    };
    let viewer = Principal { role: Role::Viewer, ..Principal::unlimited("viewer") };
    let editor = Principal { role: Role::Editor, ..Principal::unlimited("editor") };
    assert_eq!(can(&viewer).await, [200, 403, 403, 200]);
    assert_eq!(can(&editor).await, [200, 200, 200, 200]);
    let scoped =
        |scope: &str| Principal { scopes: Some(BTreeSet::from([scope.to_owned()])), ..editor.clone() };
    assert_eq!(can(&scoped("monitors:read")).await, [200, 403, 403, 403]);
    assert_eq!(can(&scoped("monitors:check")).await, [403, 200, 403, 403]);
    assert_eq!(can(&scoped("monitors:write")).await, [403, 403, 200, 403]);
    assert_eq!(can(&scoped("settings:read")).await, [403, 403, 403, 200]);
}

#[actix_web::test]
async fn who_sees_some_monitors_sees_no_others_anywhere() {
    let app = TestApp::new();
    let mine = app.add("mine", json!({"tags": {"team": "web"}})).await;
    let theirs = app.add("theirs", json!({"tags": {"team": "data"}})).await;
    let gone = app.add("gone", json!({"tags": {"team": "data"}})).await;
    assert_eq!(app.send("DELETE", &format!("/api/v1/monitors/{gone}"), &[], "").await.status, 204);
    let tags = BTreeMap::from([("team".to_owned(), "web".to_owned())]);
    app.log_in(Some(Principal { tags, ..Principal::unlimited("ann") }));
    for path in [
        "/api/v1/monitors",
        "/api/v1/monitors/removed",
        "/api/v1/overview",
        "/api/v1/sla",
        "/api/v1/export/monitors",
        "/api/v1/export/history?format=csv",
        "/api/v1/query?metric=quiet.total_seconds",
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        for hidden in ["theirs", "gone", theirs.as_str(), gone.as_str()] {
            assert!(!answer.text.contains(hidden), "{path} shows {hidden}: {}", answer.text);
        }
    }
    let counts = app.get("/api/v1/overview").await.json()["counts"].clone();
    let sum: u64 = counts.as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(sum, 1, "{counts}");
    for (method, end) in [
        ("GET", ""),
        ("PUT", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/check"),
        ("GET", "/readings"),
        ("GET", "/history"),
        ("GET", "/results"),
        ("GET", "/events"),
        ("GET", "/uptime"),
        ("GET", "/uptime/days"),
        ("GET", "/incidents"),
    ] {
        let body = json!({"name": "x", "kind": "quiet", "settings": {}});
        let answer = app.json(method, &format!("/api/v1/monitors/{theirs}{end}"), &body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{method} {end}");
    }
    assert_eq!(app.send("POST", &format!("/api/v1/monitors/{gone}/restore"), &[], "").await.status, 404);
    // No one makes a monitor, or moves one, to where they do not see it.
    let body = json!({"name": "new", "kind": "quiet", "settings": {}, "tags": {"team": "data"}});
    for answer in [
        app.json("POST", "/api/v1/monitors", &body).await,
        app.json("PUT", &format!("/api/v1/monitors/{mine}"), &body).await,
    ] {
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["field"]),
            (422, &json!("tags")),
            "{answer:?}"
        );
    }
}

#[actix_web::test]
async fn without_a_login_everyone_is_the_operator() {
    let mut app = TestApp::new();
    app.without_login();
    let id = app.add("shop", json!({})).await;
    assert_eq!(app.get(&format!("/api/v1/monitors/{id}")).await.json()["created_by"], "operator");
}
