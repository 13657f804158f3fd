//! Control groups of both versions in trees written here, and Docker's answers over a real socket.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

use crate::support::{
    PATIENT, SHORT, Tree, assert_near, check, class, fact, http, linger, probe, read_head, reading, run,
};

const MIB: f64 = 1024.0 * 1024.0;

pub fn id(digit: &str) -> String {
    digit.repeat(64)
}

/// Files of a group of version 2.
fn v2(tree: &Tree, path: &str, cpu_us: u64, throttled: u64) {
    let file = |name: &str, text: &str| tree.write(&format!("sys/fs/cgroup/{path}/{name}"), text);
    file(
        "cpu.stat",
        &format!(
            "usage_usec {cpu_us}\nuser_usec 1\nnr_periods {}\nnr_throttled {throttled}\nthrottled_usec 1500000\n",
            throttled * 4
        ),
    );
    file("cpu.max", "200000 100000\n");
    file("memory.current", &format!("{}\n", 600 * 1024 * 1024));
    file(
        "memory.stat",
        &format!("anon 1000\nfile 2000\nshmem 30\ninactive_file {}\nactive_file 5\n", 100 * 1024 * 1024),
    );
    file("memory.max", "max\n");
    file("memory.swap.current", "77\n");
    file("memory.events", "low 0\nhigh 3\nmax 4\noom 1\noom_kill 1\n");
    file("memory.pressure", "some avg10=0 total=1000000\nfull avg10=0 total=500000\n");
    file(
        "io.stat",
        "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n253:0 rbytes=10 wbytes=20 rios=1 wios=2\n",
    );
    file("pids.current", "5\n");
    file("pids.max", "50\n");
}

#[tokio::test(start_paused = true)]
async fn version_2_is_read_to_the_digit() {
    let tree = Tree::machine();
    tree.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
    let group = format!("system.slice/docker-{}.scope", id("a"));
    v2(&tree, &group, 1_000_000, 10);
    // The slice above allows less than the container asks for.
    tree.write("sys/fs/cgroup/system.slice/memory.max", &format!("{}\n", 1000 * 1024 * 1024));
    tree.write("sys/fs/cgroup/system.slice/cpu.max", "max 100000\n");
    std::fs::create_dir_all(tree.path().join("sys/dev/block")).unwrap();
    std::os::unix::fs::symlink("../../devices/virtual/block/dm-0", tree.path().join("sys/dev/block/253:0"))
        .unwrap();
    std::os::unix::fs::symlink("../../devices/pci0/block/sda", tree.path().join("sys/dev/block/8:0"))
        .unwrap();
    let mut containers = probe(tree.settings(), "containers");
    let first = run(&mut containers, PATIENT, false).await;
    assert_eq!(first.failure, None);
    assert_eq!(fact(&first, "server.cgroups"), Some("cgroup v2"));
    assert_eq!(reading(&first, "server.container.count", ""), Some(1.0));
    assert_eq!(reading(&first, "server.container.left_out_count", ""), Some(0.0));
    let at = |name: &str| reading(&first, &format!("server.container.{name}"), "aaaaaaaaaaaa");
    assert_eq!(at("memory.working_set_bytes"), Some(500.0 * MIB));
    assert_eq!(at("memory.limit_bytes"), Some(1000.0 * MIB), "of the slice above");
    assert_eq!(at("memory.used_of_limit_ratio"), Some(0.5));
    assert_eq!(at("cpu.limit_cores_count"), Some(2.0));
    assert_eq!(at("cpu.throttled_seconds_total"), Some(1.5));
    assert_eq!(at("memory.oom_kills_total"), Some(1.0));
    assert_eq!((at("memory.high_events_total"), at("memory.max_events_total")), (Some(3.0), Some(4.0)));
    assert_eq!((at("memory.anon_bytes"), at("memory.swap_bytes")), (Some(1000.0), Some(77.0)));
    assert_eq!(
        (at("io.read_bytes_total"), at("io.writes_total")),
        (Some(10.0), Some(2.0)),
        "dm-0 lies over sda"
    );
    assert_eq!(at("pids.used_ratio"), Some(0.1));
    assert_eq!(at("cpu.used_cores_count"), None, "the first check has no interval");
    tokio::time::advance(Duration::from_secs(10)).await;
    v2(&tree, &group, 16_000_000, 30);
    let second = run(&mut containers, PATIENT, false).await;
    let at = |name: &str| reading(&second, &format!("server.container.{name}"), "aaaaaaaaaaaa");
    assert_near(at("cpu.used_cores_count"), 1.5);
    assert_near(at("cpu.used_of_limit_ratio"), 0.75);
    assert_near(at("cpu.throttled_ratio"), 0.25);
    assert_near(at("pressure.memory.some_ratio"), 0.0);
    assert_near(at("memory.oom_kills_recent_count"), 0.0);
    // It was made again under the same id: nothing of the interval is known, and nothing is negative.
    tokio::time::advance(Duration::from_secs(10)).await;
    v2(&tree, &group, 5, 1);
    let third = run(&mut containers, PATIENT, false).await;
    assert_eq!(reading(&third, "server.container.cpu.used_cores_count", "aaaaaaaaaaaa"), None);
}

#[tokio::test]
async fn version_1_has_a_tree_for_each_controller() {
    let tree = Tree::machine();
    let group = format!("docker/{}", id("b"));
    let file = |controller: &str, name: &str, text: &str| {
        tree.write(&format!("sys/fs/cgroup/{controller}/{group}/{name}"), text);
    };
    file("cpu,cpuacct", "cpuacct.usage", "5000000000\n");
    file("cpu,cpuacct", "cpu.stat", "nr_periods 10\nnr_throttled 5\nthrottled_time 2500000000\n");
    file("cpu,cpuacct", "cpu.cfs_quota_us", "-1\n");
    file("cpu,cpuacct", "cpu.cfs_period_us", "100000\n");
    file("memory", "memory.usage_in_bytes", "1000\n");
    file("memory", "memory.limit_in_bytes", "9223372036854771712\n");
    file(
        "memory",
        "memory.stat",
        "cache 1\ntotal_inactive_file 5000\ntotal_rss 6\ntotal_cache 7\nhierarchical_memory_limit 9223372036854771712\n",
    );
    file("memory", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    file("memory", "memory.failcnt", "3\n");
    file("blkio", "blkio.throttle.io_service_bytes", "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n");
    file("blkio", "blkio.throttle.io_serviced", "8:0 Read 1\n8:0 Write 2\nTotal 3\n");
    file("pids", "pids.current", "4\n");
    file("pids", "pids.max", "max\n");
    // A hybrid machine has a tree of version 2 beside, without controllers.
    tree.write("sys/fs/cgroup/unified/cgroup.controllers", "\n");
    // Our own group has another path in each tree.
    tree.write(
        "proc/self/cgroup",
        "5:memory:/system.slice/ours\n4:cpu,cpuacct:/\n3:pids:/system.slice/ours\n0::/\n",
    );
    tree.write("sys/fs/cgroup/memory/system.slice/ours/memory.usage_in_bytes", "55\n");
    tree.write("sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "99000000000\n");
    let report = check(tree.settings(), "containers", PATIENT).await;
    assert_eq!(report.failure, None);
    assert_eq!(fact(&report, "server.cgroups"), Some("cgroup v1"));
    let at = |name: &str| reading(&report, &format!("server.container.{name}"), "bbbbbbbbbbbb");
    assert_eq!((at("cpu.seconds_total"), at("cpu.throttled_seconds_total")), (Some(5.0), Some(2.5)));
    assert_eq!((at("cpu.limit_cores_count"), at("memory.limit_bytes")), (None, None), "there is no limit");
    assert_eq!(at("memory.working_set_bytes"), Some(0.0), "never below zero");
    assert_eq!((at("memory.anon_bytes"), at("memory.file_bytes")), (Some(6.0), Some(7.0)));
    assert_eq!((at("memory.oom_kills_total"), at("memory.max_events_total")), (Some(2.0), Some(3.0)));
    assert_eq!((at("io.read_bytes_total"), at("io.writes_total")), (Some(10.0), Some(2.0)));
    assert_eq!((at("pids.current_count"), at("pids.used_ratio")), (Some(4.0), None));
    assert_eq!(reading(&report, "server.container.memory.working_set_bytes", "self"), Some(55.0));
    assert_eq!(
        reading(&report, "server.container.cpu.seconds_total", "self"),
        None,
        "that is the whole machine's"
    );
    assert_eq!(reading(&report, "server.container.count", ""), Some(1.0), "we are no container");
}

#[tokio::test]
async fn those_with_the_most_memory_are_watched_and_the_rest_is_counted() {
    let tree = Tree::machine();
    tree.write("sys/fs/cgroup/cgroup.controllers", "memory\n");
    for (digit, bytes) in [("1", 10), ("2", 40), ("3", 20), ("4", 30)] {
        tree.write(
            &format!("sys/fs/cgroup/kubepods.slice/pod1/cri-containerd-{}.scope/memory.current", id(digit)),
            &format!("{bytes}\n"),
        );
    }
    let mut settings = tree.settings();
    settings["containers"] = json!({"top": 2});
    let report = check(settings.clone(), "containers", PATIENT).await;
    let watched: Vec<_> = ["1", "2", "3", "4"]
        .into_iter()
        .filter(|digit| {
            reading(&report, "server.container.memory.working_set_bytes", &digit.repeat(12)).is_some()
        })
        .collect();
    assert_eq!(watched, ["2", "4"]);
    assert_eq!(reading(&report, "server.container.count", ""), Some(4.0));
    assert_eq!(reading(&report, "server.container.left_out_count", ""), Some(2.0));
    settings["containers"] = json!({"enabled": false});
    assert_eq!(check(settings, "containers", PATIENT).await.readings, []);
}

#[tokio::test]
async fn inside_of_a_container_its_own_group_is_the_root_of_the_tree() {
    let memory =
        |report: &wise_core::Report| reading(report, "server.container.memory.working_set_bytes", "self");
    let tree = Tree::machine();
    tree.write("sys/fs/cgroup/cgroup.controllers", "memory\n");
    assert_eq!(
        memory(&check(tree.settings(), "containers", PATIENT).await),
        None,
        "that is the whole machine's"
    );
    tree.write("sys/fs/cgroup/memory.current", "10\n");
    assert_eq!(memory(&check(tree.settings(), "containers", PATIENT).await), Some(10.0));
    // A service has a group of its own, unless it is inside of a container that is listed already.
    tree.write("proc/self/cgroup", "0::/system.slice/wise.service\n");
    tree.write("sys/fs/cgroup/system.slice/wise.service/memory.current", "20\n");
    assert_eq!(memory(&check(tree.settings(), "containers", PATIENT).await), Some(20.0));
    let group = format!("system.slice/docker-{}.scope", id("e"));
    tree.write("proc/self/cgroup", &format!("0::/{group}/inner\n"));
    tree.write(&format!("sys/fs/cgroup/{group}/memory.current"), "30\n");
    tree.write(&format!("sys/fs/cgroup/{group}/inner/memory.current"), "30\n");
    assert_eq!(memory(&check(tree.settings(), "containers", PATIENT).await), None);
    // Version 1 shows the machine's path, and the tree begins at the container's own group.
    let tree = Tree::machine();
    tree.write("proc/self/cgroup", &format!("5:memory:/docker/{}\n", id("f")));
    tree.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "40\n");
    assert_eq!(memory(&check(tree.settings(), "containers", PATIENT).await), Some(40.0));
}

/// What Docker answers to a path.
pub type Answers = Arc<Mutex<BTreeMap<String, String>>>;

/// An engine behind a socket in a folder. Requests are kept.
pub async fn engine(answers: Answers) -> (TempDir, String, Arc<Mutex<Vec<String>>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answers, log) = (answers.clone(), log.clone());
            tokio::spawn(async move {
                let head = read_head(&mut stream).await;
                let line = head.lines().next().unwrap_or_default().to_owned();
                let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
                log.lock().unwrap().push(line);
                let answer = answers.lock().unwrap().get(&target).cloned();
                let answer =
                    answer.unwrap_or_else(|| http("404 Not Found", "{\"message\":\"no such container\"}"));
                stream.write_all(answer.as_bytes()).await.ok();
                linger(&mut stream).await;
            });
        }
    });
    (folder, path.to_str().unwrap().to_owned(), asked)
}

pub fn ok(body: &Value) -> String {
    http("200 OK", &body.to_string())
}

/// An engine with a container that runs and one that was killed.
fn two_containers(restarts: u32) -> BTreeMap<String, String> {
    let (web, job) = (id("a"), id("c"));
    let list = json!([
        {"Id": job, "Names": ["/job"], "Image": "job:1", "State": "exited", "Status": "Exited (137) 2 hours ago"},
        {"Id": web, "Names": ["/proxy/web", "/web"], "Image": "nginx:1", "State": "running", "Status": "Up 2 hours (unhealthy)"},
        {"Id": id("d"), "Names": ["/gone"], "Image": "x", "State": "removing"},
    ]);
    let running = json!({
        "Id": web, "RestartCount": restarts,
        "State": {"Status": "running", "Running": true, "ExitCode": 0, "OOMKilled": false,
            "StartedAt": "2026-01-01T00:00:00.123456789Z", "Health": {"Status": "unhealthy", "FailingStreak": 3}},
        "Config": {"Env": ["PASSWORD=hunter2"]},
    });
    let ended = json!({"Id": job, "RestartCount": 0,
        "State": {"Status": "exited", "ExitCode": 137, "OOMKilled": true, "StartedAt": "2026-01-01T00:00:00Z"}});
    let sizes = json!({
        "LayersSize": 5, "Images": null,
        "Containers": [{"Id": web, "SizeRw": 4096}, {"Id": job, "SizeRootFs": 5}],
        "Volumes": [{"Name": "data", "UsageData": {"Size": 1000, "RefCount": 1}}, {"Name": "new", "UsageData": {"Size": -1}}, {"Name": "x"}],
    });
    BTreeMap::from([
        ("/containers/json?all=1".to_owned(), ok(&list)),
        (format!("/containers/{web}/json"), ok(&running)),
        (format!("/containers/{job}/json"), ok(&ended)),
        ("/system/df?type=container&type=volume".to_owned(), ok(&sizes)),
    ])
}

pub fn with_socket(tree: &Tree, socket: &str) -> Value {
    let mut settings = tree.settings();
    settings["containers"] = json!({"docker_socket": socket});
    settings
}

#[tokio::test]
async fn docker_gives_names_states_and_sizes() {
    let tree = Tree::machine();
    tree.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    v2(&tree, &format!("system.slice/docker-{}.scope", id("a")), 5, 0);
    let answers = Arc::new(Mutex::new(two_containers(2)));
    let (_folder, socket, asked) = engine(answers.clone()).await;
    let mut containers = probe(with_socket(&tree, &socket), "containers");
    let report = run(&mut containers, PATIENT, true).await;
    assert_eq!(report.failure, None);
    let at = |name: &str, label: &str| reading(&report, &format!("server.container.{name}"), label);
    assert_eq!(at("memory.working_set_bytes", "web"), Some(500.0 * MIB), "the group has Docker's name");
    assert_eq!((at("running_state", "web"), at("running_state", "job")), (Some(1.0), Some(0.0)));
    assert_eq!((at("restarts_total", "web"), at("restarts_recent_count", "web")), (Some(2.0), None));
    assert_eq!((at("health_state", "web"), at("health_state", "job")), (Some(2.0), None));
    assert!(at("uptime_seconds", "web").is_some_and(|age| age > 0.0));
    assert_eq!((at("exit_code_state", "web"), at("exit_code_state", "job")), (None, Some(137.0)));
    assert_eq!(at("oom_killed_state", "job"), Some(1.0));
    assert_eq!((at("writable_layer_bytes", "web"), at("writable_layer_bytes", "job")), (Some(4096.0), None));
    assert_eq!((at("volume_bytes", "data"), at("volume_bytes", "new")), (Some(1000.0), None));
    assert_eq!(at("running_state", "gone"), Some(0.0), "it was removed while we asked");
    let all = format!("{report:?}");
    assert!(!all.contains("hunter2"), "the environment of a container is no one's business");
    assert!(all.contains("nginx:1"));
    assert!(asked.lock().unwrap().iter().all(|line| line.starts_with("GET ")));

    // A minute later only the list is asked for again, and an hour later the sizes.
    let count = |what: &str| asked.lock().unwrap().iter().filter(|line| line.contains(what)).count();
    run(&mut containers, PATIENT, false).await;
    assert_eq!((count("/containers/json"), count(&id("a")), count("/system/df")), (2, 1, 1));
    // A change of state is asked about at once.
    let stopped = two_containers(2)
        .into_iter()
        .map(|(path, answer)| (path, answer.replace("\"State\":\"running\"", "\"State\":\"created\"")));
    *answers.lock().unwrap() = stopped.collect();
    let report = run(&mut containers, PATIENT, false).await;
    assert_eq!(count(&id("a")), 2);
    assert_eq!(reading(&report, "server.container.running_state", "web"), Some(0.0));
}

#[tokio::test]
async fn what_goes_wrong_with_docker_has_its_class_and_costs_no_groups() {
    let tree = Tree::machine();
    tree.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    v2(&tree, &format!("docker-{}.scope", id("a")), 5, 0);
    let folder = tempfile::tempdir().unwrap();
    let nobody = folder.path().join("nobody.sock");
    drop(UnixListener::bind(&nobody).unwrap());
    let silent_path = folder.path().join("silent.sock");
    let silent = UnixListener::bind(&silent_path).unwrap();
    let mut cases = vec![
        (folder.path().join("missing.sock").to_str().unwrap().to_owned(), ("refused", "no_socket")),
        (nobody.to_str().unwrap().to_owned(), ("refused", "refused")),
        (silent_path.to_str().unwrap().to_owned(), ("timeout", "docker")),
    ];
    let mut engines = Vec::new();
    for (answer, wanted) in [
        (ok(&json!({"not": "a list"})), ("protocol", "not_docker")),
        (http("200 OK", "<html>"), ("protocol", "not_docker")),
        (http("403 Forbidden", ""), ("permission", "403")),
        (http("500 Internal Server Error", ""), ("protocol", "500")),
        ("+PONG\r\n+PONG\r\n\r\n".to_owned(), ("protocol", "invalid_http")),
    ] {
        let answers = BTreeMap::from([("/containers/json?all=1".to_owned(), answer)]);
        let (folder, socket, _) = engine(Arc::new(Mutex::new(answers))).await;
        engines.push(folder);
        cases.push((socket, wanted));
    }
    for (socket, wanted) in cases {
        let report = check(with_socket(&tree, &socket), "containers", SHORT).await;
        assert_eq!(class(&report), wanted, "{socket}");
        assert!(report.evidence.as_ref().unwrap()["docker"]["connection"]["socket"].is_string());
        assert_eq!(
            reading(&report, "server.container.memory.working_set_bytes", "aaaaaaaaaaaa"),
            Some(500.0 * MIB)
        );
    }
    drop(silent);
}

#[tokio::test]
async fn sizes_that_take_too_long_are_no_failure() {
    let tree = Tree::machine();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let answers = two_containers(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                let head = read_head(&mut stream).await;
                let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                if !target.starts_with("/system") {
                    let missing = http("404 Not Found", "{}");
                    stream.write_all(answers.get(&target).unwrap_or(&missing).as_bytes()).await.ok();
                }
                linger(&mut stream).await;
            });
        }
    });
    let mut containers = probe(with_socket(&tree, path.to_str().unwrap()), "containers");
    let report = run(&mut containers, SHORT, false).await;
    assert_eq!(report.failure, None);
    assert_eq!(reading(&report, "server.container.running_state", "web"), Some(1.0));
    let started = tokio::time::Instant::now();
    assert_eq!(run(&mut containers, PATIENT, false).await.failure, None);
    assert!(started.elapsed() < Duration::from_secs(5), "it is not asked again");
}

#[tokio::test]
async fn our_own_group_on_this_machine_is_found_or_there_is_none() {
    let report = check(json!({}), "containers", PATIENT).await;
    assert_eq!(report.failure, None);
    let expected = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        "cgroup v2"
    } else if Path::new("/sys/fs/cgroup/memory").exists() {
        "cgroup v1"
    } else {
        "none"
    };
    assert_eq!(fact(&report, "server.cgroups"), Some(expected));
}
