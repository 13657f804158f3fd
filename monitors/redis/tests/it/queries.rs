//! Custom queries.

use serde_json::json;
use wise_testbed::{Redis, Watch, evidence, find, value};

use crate::stub::Stub;
use crate::{SHORT, failed, pair, passes, settles, watch_with};

fn watch(server: &Redis, queries: &[(&str, &str)]) -> Watch {
    let queries: Vec<_> =
        queries.iter().map(|(name, command)| json!({"name": name, "command": command})).collect();
    watch_with(&server.url(), json!({"queries": queries}))
}

#[tokio::test]
async fn numbers_become_readings() {
    let server = Redis::start(&[]);
    for command in [
        "RPUSH queue a b c",
        "SET limit 12.5",
        "SET forever 1",
        "HSET stats errors 7",
        "ZADD due 1 a 2 b 9 c",
        "XADD jobs * n 1",
        "XADD jobs * n 2",
        "XGROUP CREATE jobs workers 0",
        "XREADGROUP GROUP workers ann COUNT 2 STREAMS jobs >",
    ] {
        let answer = server.run(command);
        assert!(!answer.starts_with("ERR"), "{command}: {answer}");
    }
    let mut watch = watch(
        &server,
        &[
            ("queue", "LLEN queue"),
            ("limit", "GET limit"),
            ("errors", "hget stats errors"),
            ("due", "ZCOUNT due -inf (9"),
            ("jobs", "XPENDING jobs workers"),
            ("ttl", "TTL forever"),
            ("missing", "GET nothing"),
            ("keys", "DBSIZE"),
            ("memory", "MEMORY USAGE queue"),
        ],
    );
    let report = watch.check("queries").await;
    passes(&report);
    assert_eq!(value(&report, "redis.query.queue.value", &[]), 3.0);
    assert_eq!(value(&report, "redis.query.limit.value", &[]), 12.5);
    assert_eq!(value(&report, "redis.query.errors.value", &[]), 7.0);
    assert_eq!(value(&report, "redis.query.due.value", &[]), 2.0);
    assert_eq!(value(&report, "redis.query.jobs.value", &[("consumer", "ann")]), 2.0);
    assert_eq!(value(&report, "redis.query.keys.value", &[]), 6.0);
    assert!(value(&report, "redis.query.memory.value", &[]) > 0.0);
    for absent in ["redis.query.ttl.value", "redis.query.missing.value"] {
        assert!(find(&report, absent, &[]).is_none(), "{absent}: what is not there is no zero");
    }
    settles(&server, "", 0).await;
}

#[tokio::test]
async fn one_bad_query_leaves_the_others_alone() {
    let server = Redis::start(&[]);
    assert_eq!(server.run("SET text hello"), "OK");
    assert_eq!(server.run(&format!("SET long {}", "9".repeat(5000))), "OK");
    for (command, code) in
        [("LLEN text", "refused"), ("GET text", "not_a_number"), ("GET long", "not_a_number")]
    {
        let mut watch = watch(&server, &[("bad", command), ("good", "EXISTS text long gone")]);
        let report = watch.check("queries").await;
        let failure = report.failure.clone().unwrap();
        let found = (failure.class.name.to_owned(), failure.code.unwrap().into_owned());
        assert_eq!(found, pair("custom_query", code), "{command}");
        assert!(failure.message.contains("bad"));
        assert_eq!(value(&report, "redis.query.good.value", &[]), 2.0);
        assert!(evidence(&report).contains("\"query\":\"bad\""));
    }
    settles(&server, "", 0).await;
}

#[tokio::test]
async fn a_right_that_a_query_lacks_is_named() {
    let server = Redis::start(&[]);
    let rules = "ACL SETUSER mon on >monpassword -@all +ping +info +client|setname +client|id";
    assert_eq!(server.run(rules), "OK");
    let mut watch = watch_with(
        &server.url(),
        json!({"username": "mon", "password": "monpassword", "queries": [{"name": "a", "command": "LLEN a"}]}),
    );
    let (class, code, message) = watch.failure("queries", SHORT).await;
    assert_eq!((class.as_str(), code.as_str()), ("permission", "noperm"));
    assert!(message.contains("+llen"), "{message}");
}

#[tokio::test]
async fn a_query_has_a_time_limit_of_its_own() {
    let server = Stub::new(|command| match command {
        "LLEN" => None,
        "DBSIZE" => Some(":7\r\n".to_owned()),
        _ => Stub::usual(command),
    });
    let queries = json!([
        {"name": "slow", "command": "LLEN a", "limits": {"timeout": "200ms"}},
        {"name": "good", "command": "DBSIZE"},
    ]);
    let mut watch = watch_with(&server.url(), json!({"queries": queries}));
    let report = watch.check_within("queries", SHORT).await;
    assert!(failed(&report, "custom_query", "timeout"), "{:?}", report.failure);
    assert!(report.failure.as_ref().unwrap().message.contains("slow"));
    assert_eq!(value(&report, "redis.query.good.value", &[]), 7.0, "its answer is not taken for another's");
    server.is_left().await;
}
