//! Trouble of our own is unknown, and never counts against a target. Needs root, for network namespaces.

use std::process::Command;

use serde_json::{Value, json};
use wise_e2e::{Builder, Server, binary, until};

/// A server in a network namespace of its own, which `setup` prepares; asked through `nsenter`.
struct Isolated {
    server: Server,
    _folder: tempfile::TempDir,
}

impl Isolated {
    fn start(setup: &str, monitors: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("config/monitors.d");
        std::fs::create_dir_all(&files).unwrap();
        std::fs::write(files.join("m.toml"), monitors).unwrap();
        let mut command = Command::new("unshare");
        let script = format!("ip link set lo up; {setup} exec {}", binary().display());
        command.args(["--net", "sh", "-c", &script]);
        let mut builder = Builder::with(command, folder.path());
        for (name, value) in variables {
            builder = builder.env(name, value);
        }
        Self { server: builder.start(), _folder: folder }
    }

    fn get(&self, path: &str) -> Value {
        let (id, url) =
            (self.server.child.id().to_string(), format!("http://127.0.0.1:{}{path}", self.server.port));
        let output = Command::new("nsenter")
            .args(["--net", "--target", &id, "curl", "-fsS", &url])
            .output()
            .expect("nsenter and curl");
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn monitors(&self) -> Vec<Value> {
        let all = self.get("/api/v1/monitors");
        all["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|monitor| monitor["managed_by"] != "api")
            .cloned()
            .collect()
    }
}

fn monitor(name: &str, url: &str) -> String {
    format!(
        "[[monitor]]\nname = \"{name}\"\nkind = \"website\"\ninterval = \"1s\"\ntimeout = \"900ms\"\nsettings = {{ url = \"{url}\" }}\n"
    )
}

#[test]
fn without_a_network_everything_is_unknown_and_nothing_counts() {
    let monitors = [
        monitor("address", "http://192.0.2.10/"),
        monitor("name", "https://www.example.com/"),
        monitor("private", "http://10.1.2.3:8080/"),
        monitor("v6", "http://[2001:db8::1]/"),
    ];
    let isolated = Isolated::start("", &monitors.concat(), &[]);
    let all = until("each has been checked three times", || {
        let all = isolated.monitors();
        let counts: Vec<usize> = all
            .iter()
            .map(|one| {
                let path = format!("/api/v1/monitors/{}/results", one["id"].as_str().unwrap());
                isolated.get(&path)["items"].as_array().unwrap().len()
            })
            .collect();
        if counts.len() == 4 && counts.iter().all(|count| *count >= 3) { Ok(all) } else { Err(counts) }
    });
    for one in &all {
        assert_eq!(one["status"], "unknown", "{one}");
        let class = one["reason"]["class"].as_str().unwrap();
        assert!(matches!(class, "no_egress" | "resolver"), "{one}");
        let id = one["id"].as_str().unwrap();
        let uptime = isolated.get(&format!("/api/v1/monitors/{id}/uptime?windows=1h"));
        assert_eq!(uptime["items"][0]["down_seconds"], 0.0, "{uptime}");
        assert!(uptime["items"][0]["uptime_ratio"].is_null(), "{uptime}");
    }
}

/// A network that swallows everything, as behind a dead uplink: packets leave and nothing comes back. The neighbours are
/// known for ever, so that no failed ARP gives the answer away.
const BLACK_HOLE: &str = "ip link add hole type veth peer name wall; ip addr add 10.9.0.1/24 dev hole; \
     ip link set hole up; ip link set wall up; for n in 7 8 9; do ip neigh add 10.9.0.$n lladdr 02:00:00:00:00:01 dev hole; done;";

#[test]
fn a_dead_uplink_is_told_from_a_dead_target() {
    let monitors = monitor("far", "http://10.9.0.7/");
    // The self-check goes into the hole as well: the uplink is dead, and the target is not blamed.
    let dead = [("WISE_EGRESS__ADDRESSES", "10.9.0.8:53,10.9.0.9:53"), ("WISE_EGRESS__TIMEOUT", "300ms")];
    let isolated = Isolated::start(BLACK_HOLE, &monitors, &dead);
    let unknown = until("the target is unknown", || {
        let one = isolated.monitors().remove(0);
        if one["reason"]["class"] == "no_egress" { Ok(one) } else { Err(one) }
    });
    assert_eq!(unknown["status"], "unknown");
    assert!(unknown["reason"]["message"].as_str().unwrap().contains("self-check"), "{unknown}");
    let health = isolated.get("/health");
    assert_eq!(health["checks"]["egress"]["status"], "degraded", "{health}");
    // With one address that answers the uplink is alive, and the same silence is the target's. A closed port answers.
    let alive = [("WISE_EGRESS__ADDRESSES", "10.9.0.1:9"), ("WISE_EGRESS__TIMEOUT", "300ms")];
    let isolated = Isolated::start(BLACK_HOLE, &monitors, &alive);
    until("the target is down", || {
        let one = isolated.monitors().remove(0);
        if one["status"] == "unhealthy" && one["reason"]["class"] == "timeout" { Ok(()) } else { Err(one) }
    });
}

#[test]
fn too_many_checks_at_once_are_our_overload() {
    let folder = tempfile::tempdir().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let server = Builder::new(folder.path()).env("WISE_CHECKS__MAX_IN_FLIGHT_PER_HOST", "1").start();
    for index in 0..4 {
        server.add(&json!({
            "name": format!("m{index}"), "kind": "website", "interval": "1s", "timeout": "1s", "settings": {"url": url}
        }));
    }
    until("checks are dropped and counted", || {
        let dropped = server.metric("wise_scheduler_ticks_dropped_total");
        if dropped >= Some(3.0) { Ok(()) } else { Err(dropped) }
    });
    until("and marked as unknown", || {
        let all = server.get("/api/v1/monitors?status=unknown");
        let is_marked =
            all["items"].as_array().unwrap().iter().any(|one| one["reason"]["class"] == "overload");
        if is_marked { Ok(()) } else { Err(all) }
    });
}
