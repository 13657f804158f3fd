//! Wrong passwords, missing rights, and secrets that must not show.

use serde_json::json;
use wise_core::Absent;
use wise_testbed::{Redis, absent, evidence, value};

use crate::{SHORT, class, pair, passes, settles, watch, watch_with};

const MINIMUM: &str = "ACL SETUSER mon on >monpassword resetkeys resetchannels -@all +ping +info +select \
    +client|setname +client|id +config|get +slowlog|get +latency|latest +cluster|info +cluster|nodes";

fn user(server: &Redis, rules: &str) -> serde_json::Value {
    assert_eq!(server.run(rules), "OK");
    json!({"username": "mon", "password": "monpassword"})
}

#[tokio::test]
async fn the_minimum_of_rights_is_enough_for_everything() {
    let server = Redis::start(&[]);
    let settings = user(&server, MINIMUM);
    let mut watch = watch_with(&server.url(), settings);
    for probe in ["availability", "activity", "replication", "storage", "queries"] {
        let report = watch.check(probe).await;
        passes(&report);
        let missing: Vec<_> = report
            .readings
            .iter()
            .filter(|r| matches!(&r.value, wise_core::ReadingValue::Absent(Absent::NoPermission(_))))
            .collect();
        assert!(missing.is_empty(), "{probe}: {missing:?}");
    }
    assert!(value(&watch.check("availability").await, "redis.stage.auth_seconds", &[]) > 0.0);
    let refused = server.run("INFO errorstats");
    assert!(!refused.contains("NOPERM"), "the monitor causes no errors that it counts: {refused}");
}

#[tokio::test]
async fn a_wrong_login_is_final_for_every_probe() {
    let server = Redis::start(&[]);
    user(&server, MINIMUM);
    let wrong = json!({"username": "mon", "password": "wrong-password-77"});
    let mut known = watch_with(&server.url(), json!({"username": "mon", "password": "monpassword"}));
    passes(&known.check("storage").await);
    let mut watch = watch_with(&server.url(), wrong);
    let report = watch.check_within("availability", SHORT).await;
    let failure = report.failure.clone().unwrap();
    assert_eq!((failure.class.name, failure.code.as_deref()), ("auth", Some("wrongpass")));
    assert!(failure.class.is_final);
    assert!(!format!("{report:?}").contains("wrong-password-77"));
    for probe in ["activity", "replication", "storage"] {
        assert_eq!(class(&mut watch, probe).await, pair("auth", "wrongpass"), "{probe}");
    }
    // The password is changed under a monitor that knows the server.
    assert_eq!(server.run("ACL SETUSER mon resetpass >another-one"), "OK");
    assert_eq!(class(&mut known, "storage").await, pair("auth", "wrongpass"));
    settles(&server, "", 0).await;
}

#[tokio::test]
async fn a_server_that_wants_a_password_says_so() {
    let server = Redis::start(&["--requirepass", "default-secret"]);
    assert_eq!(class(&mut watch(&server.url()), "availability").await, pair("auth", "noauth"));
    assert_eq!(class(&mut watch(&server.url()), "storage").await, pair("auth", "noauth"));
    let mut good = watch_with(&server.url(), json!({"password": "default-secret"}));
    for probe in ["availability", "activity", "replication", "storage"] {
        passes(&good.check(probe).await);
    }
    settles(&server, "-a default-secret", 1).await;
}

#[tokio::test]
async fn a_password_for_a_server_without_one_is_refused() {
    let server = Redis::start(&[]);
    let mut watch = watch_with(&server.url(), json!({"password": "needless-secret"}));
    let (class, code, message) = watch.failure("availability", SHORT).await;
    assert_eq!((class.as_str(), code.as_str()), ("auth", "refused"), "{message}");
}

#[tokio::test]
async fn a_missing_right_names_its_hint() {
    let server = Redis::start(&[]);
    let settings = user(&server, "ACL SETUSER mon on >monpassword -@all +ping +client|setname +client|id");
    let mut watch = watch_with(&server.url(), settings);
    let (class, code, message) = watch.failure("availability", SHORT).await;
    assert_eq!((class.as_str(), code.as_str()), ("permission", "noperm"));
    assert!(message.contains("ACL SETUSER <user> +info"), "{message}");
    assert_eq!(server.run("ACL SETUSER mon +info -ping"), "OK");
    let (class, _, message) = watch.failure("availability", SHORT).await;
    assert!(class == "permission" && message.contains("+ping"), "{message}");
    // With INFO and PING the rest goes on, and says what it lacks.
    assert_eq!(server.run("ACL SETUSER mon +ping"), "OK");
    passes(&watch.check("availability").await);
    let report = watch.check("activity").await;
    passes(&report);
    for (metric, rule) in [
        ("redis.slowlog.entries_total", "+slowlog|get"),
        ("redis.latency.latest_seconds", "+latency|latest"),
        ("redis.persistence.last_save_age_seconds", "+config|get"),
    ] {
        let why = absent(&report, metric, &[]);
        assert!(matches!(&why, Absent::NoPermission(hint) if hint.contains(rule)), "{metric}: {why:?}");
    }
    assert!(value(&report, "redis.memory.used_bytes", &[]) > 0.0);
    passes(&watch.check("replication").await);
}

#[tokio::test]
async fn protected_mode_is_told_by_its_word() {
    // Real servers only refuse clients from other machines, so that these are their words.
    let words = b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n";
    let peer = wise_testbed::Speaking::new(words, true);
    let mut watch = watch(&format!("redis://127.0.0.1:{}", peer.port));
    assert_eq!(class(&mut watch, "availability").await, pair("auth", "protected_mode"));
}

#[tokio::test]
async fn no_secret_is_in_any_output() {
    let server = Redis::start(&[]);
    let secret = "planted-secret-4711";
    assert_eq!(server.run(&format!("ACL SETUSER mon on >{secret} ~* +@all")), "OK");
    let url = format!("redis://mon:{secret}@127.0.0.1:{}", server.port);
    let more = json!({"queries": [
        {"name": "echo", "command": format!("GET {secret}")},
        {"name": "bad", "command": "LLEN text"},
    ]});
    assert_eq!(server.run(&format!("SET {secret} {secret}")), "OK");
    assert_eq!(server.run("SET text 1"), "OK");
    let mut good = watch_with(&url, more.clone());
    let mut bad = watch_with(&url.replace("mon:", "nobody:"), more);
    for probe in ["availability", "activity", "replication", "storage", "queries"] {
        for watch in [&mut good, &mut bad] {
            let report = watch.check_within(probe, SHORT).await;
            let all = format!("{report:?} {}", evidence(&report));
            assert!(!all.contains(secret), "{probe}: {all}");
        }
    }
    assert!(!format!("{good:?}").contains(secret));
}
