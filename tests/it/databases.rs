//! One monitor of each kind, by one API call or one file, against real servers: live status, metrics, sizes and
//! replication state.

use std::fs;

use serde_json::{Value, json};
use wise_e2e::{Builder, Server, until};
use wise_testbed::{MariaDb, Mongo, Postgres, Redis};

/// The readings of a monitor once each of these probes has reported and passed.
fn readings(server: &Server, id: &str, probes: &[&str]) -> Value {
    until("every probe has reported", || {
        let found = server.get(&format!("/api/v1/monitors/{id}/readings"));
        let list = found["probes"].as_array().cloned().unwrap_or_default();
        let is_there =
            |probe: &&str| list.iter().any(|one| one["probe"] == **probe && one["error_class"].is_null());
        if probes.iter().all(is_there) { Ok(found) } else { Err(found.to_string()) }
    })
}

/// The value of a metric of any probe, with these labels.
fn value(readings: &Value, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let all = readings["probes"]
        .as_array()?
        .iter()
        .flat_map(|probe| probe["readings"].as_array().into_iter().flatten());
    let mut fitting = all.filter(|reading| {
        reading["metric"] == metric && labels.iter().all(|(name, value)| reading["labels"][name] == *value)
    });
    fitting.next()?["value"].as_f64()
}

fn add(server: &Server, name: &str, kind: &str, settings: Value) -> String {
    server.add(&json!({"name": name, "kind": kind, "settings": settings}))
}

const ALL: [&str; 4] = ["availability", "activity", "replication", "storage"];

#[test]
fn one_call_each_gives_status_metrics_sizes_and_replication() {
    let primary = Postgres::start(&[]);
    primary.add_monitor_user();
    primary.sql(
        "postgres",
        "CREATE TABLE orders AS SELECT generate_series(1, 5000) AS n; GRANT SELECT ON orders TO mon",
    );
    let standby = Postgres::standby_of(&primary, &[]);
    let maria = MariaDb::start(MariaDb::PRIMARY);
    maria.add_monitor_user();
    maria.add_replication_user();
    maria.sql("CREATE DATABASE shop; CREATE TABLE shop.t (n int PRIMARY KEY); INSERT INTO shop.t SELECT seq FROM seq_1_to_5000");
    let follower = MariaDb::replica_of(&maria, &[]);
    let redis = Redis::start(&[]);
    redis.run("SET greeting hello");
    let redis_replica = Redis::replica_of(&redis, &[]);
    until("the replicas follow", || {
        let streaming =
            primary.sql("postgres", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'");
        let has_user = follower.sql("SELECT COUNT(*) FROM mysql.user WHERE User = 'mon'");
        let online = redis.run("INFO replication").contains("state=online");
        if (streaming.as_str(), has_user.as_str(), online) == ("1", "1", true) {
            Ok(())
        } else {
            Err((streaming, has_user, online))
        }
    });
    let mongo = Mongo::start(&Mongo::programs()[0], &[]);

    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let query = json!([{"name": "orders", "sql": "SELECT count(*) AS rows FROM orders"}]);
    let pg = add(
        &server,
        "pg",
        "postgresql",
        json!({"url": primary.url(), "queries": query, "expected_replicas": 1}),
    );
    let pg_standby = add(&server, "pg standby", "postgresql", json!({"url": standby.url()}));
    let my = add(&server, "maria", "mysql", json!({"url": maria.url()}));
    let my_replica = add(&server, "maria replica", "mysql", json!({"url": follower.url()}));
    let re = add(&server, "redis", "redis", json!({"url": redis.url()}));
    let re_replica = add(&server, "redis replica", "redis", json!({"url": redis_replica.url()}));
    let mo = add(&server, "mongo", "mongodb", json!({"url": mongo.url()}));
    let host = add(&server, "this machine", "server", json!({}));

    // Every probe of a new monitor runs at once, so all of it is there long before two intervals are over.
    for id in [&pg, &pg_standby, &my, &re, &re_replica, &mo, &host] {
        // A server that was just started, or a machine that is busy, may be degraded for that.
        until("the monitor is up", || {
            let monitor = server.get(&format!("/api/v1/monitors/{id}"));
            if matches!(monitor["status"].as_str(), Some("healthy" | "degraded")) {
                Ok(())
            } else {
                Err(monitor)
            }
        });
    }
    let found = readings(&server, &pg, &ALL);
    assert!(value(&found, "postgresql.database.size_bytes", &[("database", "postgres")]).unwrap() > 1e6);
    assert!(value(&found, "postgresql.table.total_bytes", &[("table", "orders")]).unwrap() > 1e5);
    assert_eq!(value(&found, "postgresql.replication.standbys_count", &[]), Some(1.0));
    let found = readings(&server, &pg, &["queries"]);
    assert_eq!(value(&found, "postgresql.query.orders.rows", &[]), Some(5000.0));
    let found = readings(&server, &pg_standby, &ALL);
    assert_eq!(value(&found, "postgresql.server.role_state", &[]), Some(1.0));
    assert_eq!(value(&found, "postgresql.walreceiver.streaming_state", &[]), Some(1.0));
    let found = readings(&server, &my, &ALL);
    assert!(value(&found, "mysql.table.file_bytes", &[("database", "shop"), ("table", "t")]).unwrap() > 1e5);
    let found = readings(&server, &my_replica, &["availability", "replication"]);
    assert_eq!(value(&found, "mysql.replica.sql_running_state", &[]), Some(1.0));
    let found = readings(&server, &re, &ALL);
    assert_eq!(value(&found, "redis.replicas.online_count", &[]), Some(1.0));
    readings(&server, &re_replica, &ALL);
    readings(&server, &mo, &["availability", "storage"]);
    let found = readings(&server, &host, &["availability", "resources", "storage"]);
    let memory = value(&found, "server.memory.available_ratio", &[]).unwrap();
    assert!((0.0..=1.0).contains(&memory), "{memory}");

    let metrics = server.call("GET", "/metrics", None).body;
    for (name, label) in [
        ("wise_postgresql_database_size_bytes", "database=\"postgres\""),
        ("wise_postgresql_query", "name=\"orders.rows\""),
        ("wise_mysql_table_file_bytes", "table=\"t\""),
        ("wise_server_memory_available_ratio", "monitor=\"this machine\""),
    ] {
        let is_there = metrics.lines().any(|line| line.starts_with(name) && line.contains(label));
        assert!(is_there, "{name}{{{label}}} is not in /metrics");
    }
    assert!(!metrics.contains("s3cret-pw"));
    let shown = server.get(&format!("/api/v1/monitors/{pg}"));
    assert!(!shown.to_string().contains("s3cret-pw"), "{shown}");
    assert_eq!(shown["facts"]["role"], "primary");

    // History has a series a table, as soon as the writer has been there.
    until("the history", || {
        let path = format!("/api/v1/monitors/{pg}/history?metric=postgresql.table.total_bytes&from=-1h");
        let history = server.get(&path);
        if history["series"].as_array().is_some_and(|series| !series.is_empty()) {
            Ok(())
        } else {
            Err(history)
        }
    });
}

#[test]
fn a_file_does_the_same_and_a_lost_database_is_down() {
    let mut postgres = Postgres::start(&[]);
    postgres.add_monitor_user();
    let folder = tempfile::tempdir().unwrap();
    let monitors = folder.path().join("config/monitors.d");
    fs::create_dir_all(&monitors).unwrap();
    let text = format!(
        "[[monitor]]\nname = \"orders\"\nkind = \"postgresql\"\ninterval = \"1s\"\n[monitor.settings]\n\
         url = \"postgresql://mon@127.0.0.1:{}/postgres\"\npassword = \"${{ORDERS_PASSWORD}}\"\n",
        postgres.port
    );
    fs::write(monitors.join("databases.toml"), text).unwrap();
    let server = Builder::new(folder.path()).env("ORDERS_PASSWORD", "s3cret-pw").start();
    let id = until("the monitor is there", || {
        let list = server.get("/api/v1/monitors");
        list["items"][0]["id"].as_str().map(str::to_owned).ok_or(list.to_string())
    });
    server.wait_for_status(&id, "healthy");
    readings(&server, &id, &ALL);
    postgres.stop();
    let down = server.wait_for_status(&id, "unhealthy");
    assert_eq!((down["reason"]["class"].as_str(), down["down"].as_bool()), (Some("refused"), Some(true)));
    postgres.start_again();
    server.wait_for_status(&id, "healthy");
    // A wrong password is final at the first failure, and the monitor backs off.
    postgres.sql("postgres", "ALTER ROLE mon PASSWORD 'changed'");
    let down = server.wait_for_status(&id, "unhealthy");
    assert_eq!(down["reason"]["class"], "auth");
    let results = server.get(&format!("/api/v1/monitors/{id}/results?failed=true&limit=1"));
    assert!(!results.to_string().contains("s3cret-pw"), "{results}");
}

/// A monitor whose replication is looked at every second.
fn watch_closely(server: &Server, name: &str, kind: &str, settings: Value) -> String {
    let probes = json!({"replication": {"interval": "1s", "timeout": "1s"}});
    server.add(&json!({"name": name, "kind": kind, "interval": "1s", "settings": settings, "probes": probes}))
}

#[test]
fn broken_replication_is_degraded_and_never_down() {
    let primary = Postgres::start(&[]);
    primary.add_monitor_user();
    let mut standby = Postgres::standby_of(&primary, &[]);
    let maria = MariaDb::start(MariaDb::PRIMARY);
    maria.add_monitor_user();
    maria.add_replication_user();
    let follower = MariaDb::replica_of(&maria, &[]);
    let redis = Redis::start(&[]);
    let mut redis_replica = Redis::replica_of(&redis, &[]);
    until("the replicas follow", || {
        let streaming =
            primary.sql("postgres", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'");
        let has_user = follower.sql("SELECT COUNT(*) FROM mysql.user WHERE User = 'mon'");
        let online = redis.run("INFO replication").contains("state=online");
        if (streaming.as_str(), has_user.as_str(), online) == ("1", "1", true) { Ok(()) } else { Err(online) }
    });
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let expecting = |url: String| json!({"url": url, "expected_replicas": 1});
    let pg = watch_closely(&server, "pg", "postgresql", expecting(primary.url()));
    let my = watch_closely(&server, "replica", "mysql", json!({"url": follower.url()}));
    let re = watch_closely(&server, "redis", "redis", expecting(redis.url()));
    for id in [&pg, &my, &re] {
        server.wait_for_status(id, "healthy");
        readings(&server, id, &["availability", "replication"]);
    }
    standby.stop();
    follower.sql("STOP SLAVE SQL_THREAD");
    redis_replica.service.stop();
    for id in [&pg, &my, &re] {
        // A threshold may be passed at the first failure, and be the reason until the second.
        until("replication is the reason", || {
            let monitor = server.get(&format!("/api/v1/monitors/{id}"));
            assert_eq!(monitor["down"], false, "{monitor}");
            let reason = &monitor["reason"];
            let is_told = reason["class"] == "replication" && reason["probe"] == "replication";
            if is_told && monitor["status"] == "degraded" { Ok(()) } else { Err(monitor) }
        });
    }
    follower.sql("START SLAVE SQL_THREAD");
    server.wait_for_status(&my, "healthy");
}
