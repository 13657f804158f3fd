//! Parts with names that are alike, and that are series of their own for all that.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};

use serde_json::json;
use wise_core::Report;

use crate::containers::{engine, id, ok, with_socket};
use crate::exporter::at;
use crate::support::{PATIENT, Tree, answer, check, http, probe, run};

/// The labels of a metric's series, in one text each, with its number.
fn series(report: &Report, metric: &str) -> BTreeMap<String, f64> {
    let all = report.readings.iter().filter(|reading| reading.metric.name() == metric);
    let shown = all.filter_map(|reading| {
        let pairs = reading.labels.pairs().iter().map(|(name, value)| format!("{name}={value}"));
        Some((pairs.collect::<Vec<_>>().join(" "), reading.value.number()?))
    });
    shown.collect()
}

fn of(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// What an exporter's page gives.
async fn page(lines: &str, probe: &str) -> Report {
    let text = format!("node_load1 1\nnode_load5 1\nnode_load15 1\n{lines}");
    check(at(answer(http("200 OK", &text)).await), probe, PATIENT).await
}

#[tokio::test]
async fn an_exporter_s_filesystems_at_one_mount_point_are_told_apart() {
    let mut lines = String::new();
    for (device, point, kind, size) in [
        ("/dev/sda1", "/", "ext4", 100),
        ("/dev/sdb1", "/data", "xfs", 200),
        ("/dev/sdc1", "/data", "ext4", 300),
        // It only waits for the one above, and must not take it along.
        ("systemd-1", "/net", "autofs", 0),
        ("host:/x", "/net", "nfs4", 400),
        ("/dev/fuse", "/one", "fuse.rclone", 500),
        ("/dev/fuse", "/two", "fuse.rclone", 600),
    ] {
        let labels = format!("{{device=\"{device}\",fstype=\"{kind}\",mountpoint=\"{point}\"}}");
        for (name, value) in [("size_bytes", size), ("free_bytes", size / 2), ("avail_bytes", size / 2)] {
            lines += &format!("node_filesystem_{name}{labels} {value}\n");
        }
    }
    let report = page(&lines, "storage").await;
    assert_eq!(
        series(&report, "server.filesystem.size_bytes"),
        of(&[
            ("mount=/", 100.0),
            ("device=/dev/sdb1 mount=/data", 200.0),
            ("device=/dev/sdc1 mount=/data", 300.0),
            ("mount=/net", 400.0),
            ("mount=/one", 500.0),
            ("mount=/two", 600.0)
        ])
    );
}

#[tokio::test]
async fn an_exporter_s_parts_with_strange_and_long_names_are_told_apart() {
    let long = "d".repeat(250);
    let (one, two) = (format!("{long}1"), format!("{long}2"));
    let mut lines = String::new();
    for (device, reads) in [(one.as_str(), 1), (&two, 2), ("sda", 3), ("a b", 4), ("a\u{fffd}", 5)] {
        lines += &format!("node_disk_reads_completed_total{{device=\"{device}\"}} {reads}\n");
    }
    // A chip and a sensor whose names would run together.
    for (chip, sensor, celsius) in
        [("a", "b temp1", 20), ("a b", "temp1", 30), ("nvme_nvme0", "temp1", 40), ("nvme_nvme1", "temp1", 90)]
    {
        lines += &format!("node_hwmon_temp_celsius{{chip=\"{chip}\",sensor=\"{sensor}\"}} {celsius}\n");
        if chip.starts_with("nvme") {
            lines += &format!(
                "node_hwmon_sensor_label{{chip=\"{chip}\",sensor=\"{sensor}\",label=\"Composite\"}} 1\n\
                 node_hwmon_sensor_label{{chip=\"{chip}\",sensor=\"fan1\",label=\"Fan\"}} 1\n"
            );
        }
    }
    for (zone, celsius) in [("0", 50), ("1", 60)] {
        lines += &format!("node_thermal_zone_temp{{type=\"acpitz\",zone=\"{zone}\"}} {celsius}\n");
    }
    for cpu in ["0", "00", "+1"] {
        lines += &format!("node_cpu_seconds_total{{cpu=\"{cpu}\",mode=\"idle\"}} 5\n");
    }
    let report = page(&lines, "resources").await;
    let disks = series(&report, "server.disk.reads_total");
    let values: BTreeSet<u64> = disks.values().map(|reads| *reads as u64).collect();
    assert_eq!(values, BTreeSet::from([1, 2, 3, 4, 5]), "{disks:?}");
    assert_eq!(
        series(&report, "server.temperature.sensor_celsius"),
        of(&[
            ("chip=a sensor=b temp1", 20.0),
            ("chip=a b sensor=temp1", 30.0),
            ("chip=nvme_nvme0 sensor=Composite", 40.0),
            ("chip=nvme_nvme1 sensor=Composite", 90.0),
            ("chip=thermal_zone0 sensor=acpitz", 50.0),
            ("chip=thermal_zone1 sensor=acpitz", 60.0)
        ])
    );
    assert_eq!(series(&report, "server.cpu.online_count"), of(&[("", 1.0)]), "00 and +1 are no cores");
}

#[tokio::test]
async fn parts_that_a_password_makes_alike_stay_apart() {
    let planted = "hunter2-planted";
    let mut lines = String::new();
    for (device, reads) in [(planted, 1), ("********", 2), ("sda", 3)] {
        lines += &format!("node_disk_reads_completed_total{{device=\"{device}\"}} {reads}\n");
    }
    let address = answer(http("200 OK", &lines)).await;
    let settings = json!({"node_exporter": format!("http://mon:{planted}@{address}/metrics")});
    let report = check(settings, "resources", PATIENT).await;
    assert_eq!(
        series(&report, "server.disk.reads_total"),
        of(&[("disk=********", 2.0), ("disk=******** occurrence=2", 1.0), ("disk=sda", 3.0)])
    );
    assert!(!format!("{report:?}").contains(planted));
}

#[tokio::test]
async fn names_that_are_no_text_stay_apart() {
    let tree = Tree::machine();
    let mounts = tree.path().join("proc/self/mountinfo");
    let line = |name: &[u8], number: &str| {
        [b"27 1 ", number.as_bytes(), b" / /", name, b" rw - ext4 /dev/sda1 rw\n"].concat()
    };
    let text = [line(b"", "8:1"), line(b"a\xff", "8:2"), line(b"a\xfe", "8:3")].concat();
    fs::write(mounts, text).unwrap();
    // The folder of one is there, and that of the other is not: each is asked for by its own bytes.
    fs::create_dir(tree.path().join(OsStr::from_bytes(b"a\xff"))).unwrap();
    let report = check(tree.settings(), "storage", PATIENT).await;
    let stale = series(&report, "server.filesystem.stale_state");
    assert_eq!(stale.keys().collect::<Vec<_>>(), ["mount=/", "mount=/a\u{fffd}fe", "mount=/a\u{fffd}ff"]);
    let sizes = series(&report, "server.filesystem.size_bytes");
    assert_eq!(sizes.keys().collect::<Vec<_>>(), ["mount=/", "mount=/a\u{fffd}ff"]);

    let numbers = b": 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n";
    let text = [&b"Inter-|\n face |\n"[..], b"e\xff", numbers, b"e\xfe", numbers].concat();
    fs::write(tree.path().join("proc/net/dev"), text).unwrap();
    let report = check(tree.settings(), "resources", PATIENT).await;
    assert_eq!(
        series(&report, "server.network.received_bytes_total"),
        of(&[("interface=e\u{fffd}fe", 5.0), ("interface=e\u{fffd}ff", 5.0)])
    );
}

#[tokio::test]
async fn sensors_of_two_chips_of_one_model_are_told_apart() {
    let tree = Tree::machine();
    for (chip, disk, value) in [("hwmon0", "nvme0", "40000\n"), ("hwmon1", "nvme1", "90000\n")] {
        tree.write(&format!("sys/devices/nvme/{disk}/model"), "Same SSD\n");
        let file = |name: &str| format!("sys/class/hwmon/{chip}/{name}");
        tree.write(&file("temp1_input"), value);
        tree.write(&file("temp1_label"), "Composite\n");
        let device = tree.path().join(format!("sys/devices/nvme/{disk}"));
        std::os::unix::fs::symlink(device, tree.path().join(file("device"))).unwrap();
    }
    let report = check(tree.settings(), "resources", PATIENT).await;
    assert_eq!(
        series(&report, "server.temperature.sensor_celsius"),
        of(&[("chip=nvme_nvme0 sensor=Composite", 40.0), ("chip=nvme_nvme1 sensor=Composite", 90.0)])
    );
}

#[tokio::test]
async fn containers_of_one_name_are_told_apart_and_keep_it_while_docker_is_away() {
    let tree = Tree::machine();
    tree.write("sys/fs/cgroup/cgroup.controllers", "memory\n");
    let memory = |group: &str, bytes: u64| {
        tree.write(&format!("sys/fs/cgroup/{group}/memory.current"), &format!("{bytes}\n"));
    };
    let twelve = "0".repeat(12);
    let (a, b) = (format!("{twelve}{}", "a".repeat(52)), format!("{twelve}{}", "b".repeat(52)));
    memory(&format!("system.slice/docker-{}.scope", id("c")), 10);
    memory("lxc.payload.web", 20);
    memory("user.slice/user-7.slice/lxc.payload.web", 30);
    memory("lxc.payload.self", 40);
    memory(&format!("kubepods/cri-containerd-{a}.scope"), 50);
    memory(&format!("kubepods/cri-containerd-{b}.scope"), 60);
    memory(&format!("system.slice/docker-{}.scope", id("d")), 70);
    memory("system.slice/wise.service", 80);
    tree.write("proc/self/cgroup", "0::/system.slice/wise.service\n");
    // One that calls itself as another's id begins.
    let list = json!([
        {"Id": id("c"), "Names": ["/web"], "Image": "x", "State": "running"},
        {"Id": id("c"), "Names": ["/web"], "Image": "x", "State": "running"},
        {"Id": id("d"), "Names": ["/db"], "Image": "x", "State": "running"},
        {"Id": id("e"), "Names": [format!("/{twelve}")], "Image": "x", "State": "exited"},
    ]);
    let answers = Arc::new(Mutex::new(BTreeMap::from([("/containers/json?all=1".to_owned(), ok(&list))])));
    let (_folder, socket, _) = engine(answers.clone()).await;
    let mut watched = probe(with_socket(&tree, &socket), "containers");
    let report = run(&mut watched, PATIENT, false).await;
    let wanted = of(&[
        (&format!("container=web id={}", id("c")), 10.0),
        ("container=web id=/lxc.payload.web", 20.0),
        ("container=web id=/user.slice/user-7.slice/lxc.payload.web", 30.0),
        ("container=self id=/lxc.payload.self", 40.0),
        (&format!("container={twelve} id={a}"), 50.0),
        (&format!("container={twelve} id={b}"), 60.0),
        ("container=db", 70.0),
        ("container=self id=self", 80.0),
    ]);
    assert_eq!(series(&report, "server.container.memory.working_set_bytes"), wanted);
    assert_eq!(
        series(&report, "server.container.running_state"),
        of(&[
            (&format!("container=web id={}", id("c")), 1.0),
            ("container=db", 1.0),
            (&format!("container={twelve} id={}", id("e")), 0.0)
        ])
    );
    // Docker does not answer for once: what it called its containers is still known.
    answers.lock().unwrap().clear();
    let report = run(&mut watched, PATIENT, false).await;
    assert!(report.failure.is_some());
    assert_eq!(series(&report, "server.container.memory.working_set_bytes"), wanted);
}
