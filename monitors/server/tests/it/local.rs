//! The machine that the test runs on, and trees of files that look like one.

use std::time::Duration;

use serde_json::json;
use wise_core::{Absent, ReadingValue};

use crate::support::{PATIENT, Tree, assert_near, check, class, disk, fact, net, probe, reading, run, stat};

/// Time between checks of a made-up machine, whose clock stands still otherwise.
const INTERVAL: Duration = Duration::from_secs(10);

#[tokio::test]
async fn this_machine_tells_everything() {
    let report = check(json!({}), "availability", PATIENT).await;
    assert_eq!(report.failure, None);
    assert!(report.local);
    assert!(reading(&report, "server.uptime_seconds", "").unwrap() > 0.0);
    assert!(reading(&report, "server.processes.count", "").unwrap() >= 1.0);
    assert!(reading(&report, "server.load.per_core_ratio", "").is_some());
    for name in
        ["server.hostname", "server.kernel", "server.os", "server.cores", "server.booted", "server.platform"]
    {
        assert!(fact(&report, name).is_some_and(|fact| !fact.is_empty()), "{name}: {:?}", report.facts);
    }

    let mut resources = probe(json!({}), "resources");
    let first = run(&mut resources, PATIENT, false).await;
    assert_eq!(first.failure, None);
    assert_eq!(reading(&first, "server.cpu.used_ratio", ""), None, "the first check has no interval");
    assert!(reading(&first, "server.memory.total_bytes", "").unwrap() > 1e8);
    // The interval must be half a second long at least; until then there are no shares of it.
    let second = loop {
        let report = run(&mut resources, PATIENT, false).await;
        if reading(&report, "server.cpu.used_ratio", "").is_some() {
            break report;
        }
    };
    let modes = ["user", "nice", "system", "iowait", "irq", "steal", "idle"];
    let sum: f64 =
        modes.iter().map(|mode| reading(&second, &format!("server.cpu.{mode}_ratio"), "").unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6, "the modes add up to {sum}");
    assert!(reading(&second, "server.cpu.core.used_ratio", "0").is_some());
    let evidence = run(&mut resources, PATIENT, true).await.evidence.unwrap();
    assert!(evidence["top_by_cpu"].as_array().is_some_and(|list| !list.is_empty()), "{evidence}");
    assert!(evidence["top_by_memory"][0]["memory_bytes"].as_u64().unwrap() > 0);

    let storage = check(json!({}), "storage", PATIENT).await;
    assert_eq!(storage.failure, None);
    let size = reading(&storage, "server.filesystem.size_bytes", "/").unwrap();
    let available = reading(&storage, "server.filesystem.available_bytes", "/").unwrap();
    assert!(size > available && available > 0.0);
    assert_eq!(reading(&storage, "server.filesystem.stale_state", "/"), Some(0.0));

    let containers = check(json!({}), "containers", PATIENT).await;
    assert_eq!(containers.failure, None);
    assert!(reading(&containers, "server.container.count", "").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_made_up_machine_is_read_to_the_digit() {
    let tree = Tree::machine();
    let report = check(tree.settings(), "availability", PATIENT).await;
    assert_eq!(reading(&report, "server.uptime_seconds", ""), Some(100_000.5));
    assert_eq!(reading(&report, "server.load.per_core_ratio", ""), Some(0.75));
    assert_eq!(reading(&report, "server.processes.count", ""), Some(1.0));
    assert_eq!(reading(&report, "server.reboot_detected_state", ""), Some(0.0));
    assert_eq!(
        (fact(&report, "server.hostname"), fact(&report, "server.kernel")),
        (Some("made-up"), Some("6.6.6"))
    );

    let mut resources = probe(tree.settings(), "resources");
    let first = run(&mut resources, PATIENT, false).await;
    let at = |name: &str| reading(&first, name, "");
    assert_eq!(at("server.memory.available_ratio"), Some(0.4));
    assert_eq!(at("server.memory.used_bytes"), Some(600_000.0 * 1024.0));
    assert_eq!(at("server.swap.used_ratio"), Some(0.25));
    assert_eq!(at("server.memory.oom_kills_total"), Some(1.0));
    assert_eq!(at("server.memory.oom_kills_recent_count"), None, "no one saw when that was");
    assert_eq!(at("server.file_descriptors.used_ratio"), Some(0.7));
    assert_eq!(at("server.conntrack.used_ratio"), Some(0.8));
    assert_eq!(at("server.processes.threads_used_ratio"), Some(345.0 / 4096.0));
    let disks: Vec<_> =
        first.readings.iter().filter(|reading| reading.metric.name() == "server.disk.reads_total").collect();
    assert_eq!(disks.len(), 1, "neither partitions nor loops: {disks:?}");
    assert_eq!(reading(&first, "server.network.speed_per_second_bytes", "eth0"), Some(125e6));
    assert_eq!(reading(&first, "server.network.up_state", "eth0"), Some(1.0));
    assert_eq!(reading(&first, "server.network.received_bytes_total", "veth1"), None);
    let clock =
        first.readings.iter().find(|reading| reading.metric.name() == "server.clock.offset_seconds").unwrap();
    assert_eq!(clock.value, ReadingValue::Absent(Absent::Unsupported));

    tokio::time::advance(INTERVAL).await;
    tree.write("proc/stat", &stat(130, 1070));
    tree.write("proc/diskstats", &disk("sda", 110, 1200));
    tree.write("proc/net/dev", &net(625_001_000, 1100));
    tree.write("proc/vmstat", "pswpin 10\npswpout 20\npgmajfault 30\noom_kill 3\n");
    let second = run(&mut resources, PATIENT, false).await;
    let at = |name: &str, label: &str| reading(&second, name, label);
    assert_near(at("server.cpu.used_ratio", ""), 0.3);
    assert_near(at("server.cpu.core.used_ratio", "1"), 0.3);
    assert_near(at("server.disk.read_await_seconds", "sda"), 0.02);
    assert_eq!(at("server.disk.write_await_seconds", "sda"), None, "there was no write");
    assert_near(at("server.disk.busy_ratio", "sda"), 0.02);
    assert_near(at("server.disk.queue_depth_count", "sda"), 0.02);
    assert_eq!(at("server.network.error_ratio", "eth0"), Some(0.0));
    assert_near(at("server.network.used_ratio", "eth0"), 0.5);
    assert_eq!(at("server.memory.oom_kills_recent_count", ""), Some(2.0));
}

#[tokio::test(start_paused = true)]
async fn counters_that_begin_again_give_no_interval() {
    let tree = Tree::machine();
    tree.write("proc/pressure/io", "some avg10=0 total=5000000\nfull avg10=0 total=4000000\n");
    let mut resources = probe(tree.settings(), "resources");
    run(&mut resources, PATIENT, false).await;
    tokio::time::advance(INTERVAL).await;
    tree.write("proc/stat", &stat(5, 10));
    tree.write("proc/diskstats", &disk("sda", 1, 10));
    tree.write("proc/net/dev", &net(10, 1));
    tree.write("proc/pressure/io", "some avg10=0 total=5\nfull avg10=0 total=4\n");
    let report = run(&mut resources, PATIENT, false).await;
    for name in ["cpu.used_ratio", "cpu.core.busiest_ratio", "pressure.io.some_ratio"] {
        assert_eq!(reading(&report, &format!("server.{name}"), ""), None, "{name}");
    }
    assert_eq!(reading(&report, "server.disk.busy_ratio", "sda"), None);
    assert_eq!(reading(&report, "server.network.used_ratio", "eth0"), None);
    assert_eq!(reading(&report, "server.disk.reads_total", "sda"), Some(1.0), "counters are passed on raw");
    // From here on there is an interval again; another disk has taken the name in between.
    tokio::time::advance(INTERVAL).await;
    tree.write("proc/stat", &stat(15, 20));
    tree.write("proc/diskstats", &disk("sda", 1000, 9_000_000));
    let report = run(&mut resources, PATIENT, false).await;
    assert_near(reading(&report, "server.cpu.used_ratio", ""), 0.5);
    assert_eq!(reading(&report, "server.disk.busy_ratio", "sda"), None, "busier than there was time");
}

#[tokio::test(start_paused = true)]
async fn a_core_that_comes_and_goes_does_not_distort() {
    let tree = Tree::machine();
    let mut resources = probe(tree.settings(), "resources");
    run(&mut resources, PATIENT, false).await;
    tokio::time::advance(INTERVAL).await;
    tree.write("proc/stat", "cpu0 150 0 0 1050 0 0 0 0 0 0\ncpu2 999999 0 0 1 0 0 0 0 0 0\n");
    let report = run(&mut resources, PATIENT, false).await;
    assert_near(reading(&report, "server.cpu.used_ratio", ""), 0.5);
    assert_eq!(reading(&report, "server.cpu.core.used_ratio", "2"), None);
    assert_eq!(reading(&report, "server.cpu.online_count", ""), Some(2.0));
}

#[tokio::test(start_paused = true)]
async fn two_checks_in_a_row_share_an_interval() {
    let tree = Tree::machine();
    let mut resources = probe(tree.settings(), "resources");
    run(&mut resources, PATIENT, false).await;
    tokio::time::advance(INTERVAL).await;
    tree.write("proc/stat", &stat(110, 1010));
    assert_near(reading(&run(&mut resources, PATIENT, false).await, "server.cpu.used_ratio", ""), 0.5);
    let at_once = run(&mut resources, PATIENT, false).await;
    assert_eq!(reading(&at_once, "server.cpu.used_ratio", ""), None);
    tokio::time::advance(INTERVAL).await;
    tree.write("proc/stat", &stat(120, 1040));
    assert_near(reading(&run(&mut resources, PATIENT, false).await, "server.cpu.used_ratio", ""), 0.25);
}

#[tokio::test]
async fn a_restart_that_is_seen_is_told_of() {
    let tree = Tree::machine();
    tree.write("proc/uptime", "59.00 10.00\n");
    let mut availability = probe(tree.settings(), "availability");
    let state = |report: &wise_core::Report| reading(report, "server.reboot_detected_state", "");
    assert_eq!(state(&run(&mut availability, PATIENT, false).await), Some(0.0), "a start that no one saw");
    tree.write("proc/uptime", "12.00 1.00\n");
    assert_eq!(state(&run(&mut availability, PATIENT, false).await), Some(1.0));
    tree.write("proc/uptime", "700.00 1.00\n");
    assert_eq!(state(&run(&mut availability, PATIENT, false).await), Some(0.0));
}

#[tokio::test]
async fn files_that_cannot_be_read_are_our_own_trouble() {
    let tree = Tree::machine();
    std::fs::remove_file(tree.path().join("proc/loadavg")).unwrap();
    let report = check(tree.settings(), "availability", PATIENT).await;
    assert_eq!(class(&report), ("source_unreadable", "missing"));
    assert_eq!(report.failure.unwrap().class.fault, wise_core::Fault::Own);
    tree.write("proc/loadavg", "none of this is a number\n");
    let report = check(tree.settings(), "availability", PATIENT).await;
    assert_eq!(class(&report), ("source_unreadable", "not_understood"));
    std::fs::remove_file(tree.path().join("proc/stat")).unwrap();
    let report = check(tree.settings(), "resources", PATIENT).await;
    assert_eq!(class(&report), ("source_unreadable", "missing"));
    std::fs::remove_file(tree.path().join("proc/self/mountinfo")).unwrap();
    let report = check(tree.settings(), "storage", PATIENT).await;
    assert_eq!(class(&report), ("source_unreadable", "missing"));
}

#[tokio::test]
async fn the_least_files_are_enough() {
    let tree = Tree(tempfile::tempdir().unwrap());
    tree.write("proc/loadavg", "0 0 0 1/1 1\n");
    tree.write("proc/uptime", "1000 1\n");
    tree.write("proc/stat", "cpu0 1 2 3 4\n");
    tree.write("proc/meminfo", "MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 10 kB\nCached: 20 kB\n");
    for name in ["availability", "resources"] {
        assert_eq!(check(tree.settings(), name, PATIENT).await.failure, None, "{name}");
    }
    let report = check(tree.settings(), "resources", PATIENT).await;
    let estimate = report
        .readings
        .iter()
        .find(|reading| reading.metric.name() == "server.memory.available_bytes")
        .unwrap();
    assert_eq!(estimate.value, ReadingValue::Estimate(40.0 * 1024.0), "an old kernel has no MemAvailable");
    let containers = check(tree.settings(), "containers", PATIENT).await;
    assert_eq!(
        (containers.failure, fact(&check(tree.settings(), "containers", PATIENT).await, "server.cgroups")),
        (None, Some("none"))
    );
}

#[tokio::test]
async fn filesystems_are_those_of_the_first_process_below_the_given_root() {
    let tree = Tree::machine();
    tree.write(
        "proc/1/mountinfo",
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /srv/a\\040b rw - xfs /dev/sdb1 ro\n3 1 0:9 / /gone rw - ext4 /dev/x rw\n\
         4 1 0:5 / /proc rw - proc proc rw\n",
    );
    std::fs::create_dir_all(tree.path().join("srv/a b")).unwrap();
    let report = check(tree.settings(), "storage", PATIENT).await;
    assert_eq!(report.failure, None);
    assert!(reading(&report, "server.filesystem.size_bytes", "/").unwrap() > 0.0);
    assert!(reading(&report, "server.filesystem.size_bytes", "/srv/a b").unwrap() > 0.0);
    assert_eq!(reading(&report, "server.filesystem.read_only_state", "/srv/a b"), Some(1.0));
    assert_eq!(reading(&report, "server.filesystem.size_bytes", "/gone"), None);
    assert_eq!(
        reading(&report, "server.filesystem.stale_state", "/gone"),
        Some(0.0),
        "refused, and not stale"
    );
    assert_eq!(reading(&report, "server.filesystem.size_bytes", "/proc"), None);
    let evidence = report.evidence.unwrap();
    assert!(evidence["filesystems"].to_string().contains("/gone"), "{evidence}");
}
