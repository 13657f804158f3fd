//! Another machine through its node_exporter: a real one, and everything else that may answer on its port.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::support::{
    PATIENT, SHORT, answer, check, class, fact, http, linger, probe, read_head, reading, run, serve,
};

const SECRET: &str = "hunter2-planted";

/// A node_exporter of Debian on a free port; it ends with the value.
pub struct Exporter {
    pub address: SocketAddr,
    _child: Child,
}

pub async fn node_exporter() -> Exporter {
    // The exporter takes no port 0 that it would tell us of.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let child = Command::new("prometheus-node-exporter")
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("prometheus-node-exporter of Debian is needed here");
    let listening = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), listening).await.expect("node_exporter did not start");
    Exporter { address, _child: child }
}

pub fn at(address: SocketAddr) -> Value {
    json!({"node_exporter": format!("http://{address}/metrics")})
}

#[tokio::test]
async fn a_real_exporter_gives_what_the_machine_itself_gives() {
    let exporter = node_exporter().await;
    let settings = at(exporter.address);
    let (near, far) = (
        check(json!({}), "availability", PATIENT).await,
        check(settings.clone(), "availability", PATIENT).await,
    );
    assert_eq!(far.failure, None);
    assert!(far.local, "the exporter is on the loopback address");
    for name in ["server.uptime_seconds", "server.load.one_minute_count", "server.load.per_core_ratio"] {
        let (near, far) = (reading(&near, name, "").unwrap(), reading(&far, name, "").unwrap());
        assert!((near - far).abs() <= near.abs() * 0.2 + 3.0, "{name}: {near} and {far}");
    }
    assert!(reading(&far, "server.clock.difference_seconds", "").unwrap() < 5.0);
    for name in ["server.hostname", "server.kernel", "server.cores"] {
        assert_eq!(fact(&near, name), fact(&far, name), "{name}");
    }
    assert!(fact(&far, "server.source").unwrap().starts_with("node_exporter "));

    let mut probes = [probe(json!({}), "resources"), probe(settings.clone(), "resources")];
    let mut reports = Vec::new();
    for probe in &mut probes {
        // Until there is an interval; the exporter's page is shared for five seconds.
        reports.push(loop {
            let report = run(probe, PATIENT, false).await;
            if reading(&report, "server.cpu.used_ratio", "").is_some() {
                break report;
            }
        });
    }
    let (near, far) = (&reports[0], &reports[1]);
    assert_eq!(reading(near, "server.memory.total_bytes", ""), reading(far, "server.memory.total_bytes", ""));
    let names = |report: &wise_core::Report| -> std::collections::BTreeSet<String> {
        report.readings.iter().map(|reading| reading.metric.name().to_owned()).collect()
    };
    // What Debian's version 1.5 does not export unless it is told to, and what depends on there having been traffic.
    let optional = [
        "server.processes.",
        "server.disk.",
        "server.network.",
        "server.tcp.retransmit_ratio",
        "server.pressure.irq",
        "server.raid",
    ];
    let is_optional = |name: &&String| optional.iter().any(|optional| name.starts_with(optional));
    let missing: Vec<_> =
        names(near).difference(&names(far)).filter(|name| !is_optional(name)).cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "the exporter lacks these");
    let counters = |report| reading(report, "server.cpu.context_switches_total", "").unwrap();
    assert!((counters(near) / counters(far) - 1.0).abs() < 0.05);

    let (near, far) = (check(json!({}), "storage", PATIENT).await, check(settings, "storage", PATIENT).await);
    assert_eq!(
        reading(&near, "server.filesystem.size_bytes", "/"),
        reading(&far, "server.filesystem.size_bytes", "/")
    );
    let used = |report| reading(report, "server.filesystem.used_ratio", "/").unwrap();
    assert!((used(&near) - used(&far)).abs() < 0.02);
}

#[tokio::test]
async fn containers_are_not_known_of_an_exporter() {
    let report = check(json!({"node_exporter": "http://127.0.0.1:9/metrics"}), "containers", PATIENT).await;
    assert_eq!(report.failure, None);
    assert_eq!(reading(&report, "server.container.count", ""), None);
}

#[tokio::test]
async fn a_closed_port_is_refused_and_a_name_without_an_address_is_dns() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for name in ["availability", "resources", "storage"] {
        let report = check(at(free), name, PATIENT).await;
        assert_eq!(class(&report), ("refused", "refused"), "{name}");
        assert_eq!(report.evidence.unwrap()["stage"], "connect");
    }
}

#[tokio::test]
async fn whoever_accepts_and_is_silent_runs_into_the_deadline() {
    let silent = serve(|mut stream| async move { linger(&mut stream).await }).await;
    for name in ["availability", "resources", "storage"] {
        let report = check(at(silent), name, SHORT).await;
        assert_eq!(class(&report), ("timeout", "http"), "{name}");
    }
    let slow = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await.ok();
        while stream.write_all(b"node_load1 1\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(class(&check(at(slow), "availability", SHORT).await), ("timeout", "http"));
}

#[tokio::test]
async fn answers_that_are_no_page_of_a_machine_have_their_classes() {
    for (bytes, wanted) in [
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), ("protocol", "invalid_http")),
        (vec![0xff; 100], ("protocol", "invalid_http")),
        (http("404 Not Found", "no such page").into_bytes(), ("exporter_status", "404")),
        (http("503 Service Unavailable", "").into_bytes(), ("exporter_status", "503")),
        (http("401 Unauthorized", "").into_bytes(), ("auth", "401")),
        (http("403 Forbidden", "").into_bytes(), ("permission", "403")),
        (
            http("200 OK", "<html><body>It works!</body></html>").into_bytes(),
            ("not_node_exporter", "no_metrics"),
        ),
        (http("200 OK", "").into_bytes(), ("not_node_exporter", "no_metrics")),
        (
            http("200 OK", "pg_up 1\npg_size{a=\"b\"} 5\n").into_bytes(),
            ("not_node_exporter", "other_exporter"),
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nnode_load1 1\n".to_vec(), ("timeout", "http")),
    ] {
        let report = check(at(answer(bytes.clone()).await), "availability", SHORT).await;
        assert_eq!(class(&report), wanted, "{:?}", String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test]
async fn a_cut_connection_is_reset_and_an_endless_page_is_too_large() {
    let cut = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nnode_load1 1\n").await.ok();
        stream.shutdown().await.ok();
    })
    .await;
    assert_eq!(class(&check(at(cut), "availability", PATIENT).await).0, "reset");
    let endless = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.ok();
        let line = "node_load1 1\n".repeat(10_000);
        while stream.write_all(line.as_bytes()).await.is_ok() {}
    })
    .await;
    assert_eq!(class(&check(at(endless), "availability", PATIENT).await), ("protocol", "too_large"));
}

#[tokio::test]
async fn a_page_of_junk_between_good_lines_is_read_as_far_as_it_goes() {
    let page = "# HELP x\nnode_load1 NaN\nnode_load5 1\nnode_cpu_seconds_total{cpu=\"x\",mode=\"user\"} 1\nnode_disk_reads_completed_total 5\n\
        node_filesystem_size_bytes{mountpoint=\"/a\"} 10\nnode_filesystem_device_error{mountpoint=\"/nfs\",fstype=\"nfs4\",device=\"h:/x\"} 1\n\
        node_time_seconds 100\nnode_boot_time_seconds 200\nnode_network_up{device=\"\\\"} 1\n\u{fffd}{{{ 1\nnode_memory_MemTotal_bytes 1e400\n";
    let address = answer(http("200 OK", page)).await;
    let report = check(at(address), "availability", PATIENT).await;
    assert_eq!(report.failure, None);
    assert_eq!(reading(&report, "server.uptime_seconds", ""), None, "it was not started in the future");
    assert_eq!(check(at(address), "resources", PATIENT).await.failure, None);
    let storage = check(at(address), "storage", PATIENT).await;
    assert_eq!(reading(&storage, "server.filesystem.stale_state", "/nfs"), Some(1.0));
    assert_eq!(reading(&storage, "server.filesystem.used_ratio", "/a"), None);
}

#[tokio::test]
async fn a_page_cannot_make_us_keep_more_than_a_machine_has() {
    let mut page = String::from("node_load1 1\nnode_load5 1\nnode_load15 1\n");
    page.push_str(&format!("node_uname_info{{nodename=\"{}\"}} 1\n", "h".repeat(100_000)));
    page.push_str(&format!("node_disk_reads_completed_total{{device=\"{}\"}} 1\n", "d".repeat(100_000)));
    for at in 0..5000 {
        page.push_str(&format!("node_disk_reads_completed_total{{device=\"sd{at}\"}} -1\n"));
        page.push_str(&format!("node_network_receive_bytes_total{{device=\"eth{at}\"}} 1\n"));
        page.push_str(&format!("node_cpu_seconds_total{{cpu=\"{at}\",mode=\"user\"}} 1\n"));
        page.push_str(&format!(
            "node_filesystem_size_bytes{{mountpoint=\"/m{at}\",fstype=\"ext4\",device=\"/dev/{at}\"}} 1\n"
        ));
    }
    let address = answer(http("200 OK", &page)).await;
    let report = check(at(address), "availability", PATIENT).await;
    assert_eq!(report.failure, None);
    assert_eq!(fact(&report, "server.hostname").map(str::len), Some(200));
    let report = check(at(address), "resources", PATIENT).await;
    assert!(report.readings.len() < 256 * 13, "{}", report.readings.len());
    assert!(
        report.readings.iter().all(|reading| reading.labels.pairs().iter().all(|pair| pair.1.len() <= 200))
    );
    let report = check(at(address), "storage", PATIENT).await;
    assert_eq!(
        reading(&report, "server.filesystem.left_out_count", ""),
        Some(192.0),
        "of the 256 that are kept, 64 are watched"
    );
}

#[tokio::test]
async fn a_machine_that_was_started_again_has_no_interval() {
    let page = |uptime: u64, ticks: u64| {
        http(
            "200 OK",
            &format!(
                "node_time_seconds {}\nnode_boot_time_seconds 0\nnode_cpu_seconds_total{{cpu=\"0\",mode=\"user\"}} {ticks}\nnode_cpu_seconds_total{{cpu=\"0\",mode=\"idle\"}} {ticks}\n",
                uptime
            ),
        )
    };
    let pages = std::sync::Arc::new(std::sync::Mutex::new(vec![page(3, 90), page(1010, 60), page(1000, 50)]));
    let address = serve(move |mut stream| {
        let pages = pages.clone();
        async move {
            read_head(&mut stream).await;
            let page = pages.lock().unwrap().pop().unwrap_or_default();
            stream.write_all(page.as_bytes()).await.ok();
            linger(&mut stream).await;
        }
    })
    .await;
    let settings = at(address);
    let mut resources = probe(settings, "resources");
    tokio::time::pause();
    let mut found = Vec::new();
    for _ in 0..3 {
        let report = run(&mut resources, Duration::from_secs(3600), false).await;
        assert_eq!(report.failure, None);
        found.push(reading(&report, "server.cpu.used_ratio", ""));
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    assert_eq!(found, [None, Some(0.5), None], "its counters passed what they showed before");
}

#[tokio::test]
async fn probes_that_are_due_together_share_one_page() {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = asked.clone();
    let address = serve(move |mut stream| {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            read_head(&mut stream).await;
            stream
                .write_all(http("200 OK", "node_load1 1\nnode_load5 1\nnode_load15 1\n").as_bytes())
                .await
                .ok();
            linger(&mut stream).await;
        }
    })
    .await;
    let monitor = crate::support::try_build(at(address)).unwrap();
    let probes = ["availability", "resources", "storage"].map(|name| monitor.probe(name).unwrap());
    let [mut a, mut b, mut c] = probes;
    let reports =
        tokio::join!(run(&mut a, PATIENT, false), run(&mut b, PATIENT, false), run(&mut c, PATIENT, false));
    assert!(reports.0.failure.is_none() && reports.1.failure.is_none() && reports.2.failure.is_none());
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_slow_exporter_is_not_asked_one_check_after_the_other() {
    let slow = serve(|mut stream| async move {
        read_head(&mut stream).await;
        // That is how long it takes to answer.
        tokio::time::sleep(Duration::from_millis(400)).await;
        stream.write_all(http("200 OK", "node_load1 1\n").as_bytes()).await.ok();
        linger(&mut stream).await;
    })
    .await;
    let monitor = crate::support::try_build(at(slow)).unwrap();
    let (mut resources, mut availability) =
        (monitor.probe("resources").unwrap(), monitor.probe("availability").unwrap());
    let timeout = Duration::from_millis(700);
    let (first, second) =
        tokio::join!(run(&mut resources, timeout, false), run(&mut availability, timeout, false));
    assert_eq!((first.failure, second.failure), (None, None));
}

#[tokio::test]
async fn a_password_goes_to_the_exporter_and_nowhere_else() {
    // An exporter that tells all it was told, in its page, its labels and its errors.
    let encoded = "YW5uOmh1bnRlcjItcGxhbnRlZA==";
    for status in ["200 OK", "500 Internal Server Error", "401 Unauthorized"] {
        let address = serve(move |mut stream| async move {
            let head = read_head(&mut stream).await;
            let is_sent = head.contains(&format!("authorization: Basic {encoded}"));
            let page = format!(
                "node_uname_info{{nodename=\"{SECRET}\",release=\"{encoded}\"}} 1\nnode_sent {}\nnode_filesystem_size_bytes{{mountpoint=\"/{SECRET}\",fstype=\"ext4\",device=\"/{SECRET}\"}} 5\nnode_disk_reads_completed_total{{device=\"{SECRET}\"}} 1\n",
                u8::from(is_sent)
            );
            assert!(is_sent, "{head}");
            stream.write_all(http(status, &page).as_bytes()).await.ok();
            linger(&mut stream).await;
        })
        .await;
        let settings = json!({"node_exporter": format!("http://ann:{SECRET}@{address}/metrics")});
        for name in ["availability", "resources", "storage"] {
            let report = run(&mut probe(settings.clone(), name), PATIENT, true).await;
            assert_eq!(report.failure.is_none(), status.starts_with("200"), "{name}");
            let all = format!("{report:?} {}", report.evidence.as_ref().unwrap());
            assert!(!all.contains(SECRET) && !all.contains(encoded), "{name}: {all}");
        }
        let monitor = crate::support::try_build(settings).unwrap();
        let shown = format!("{monitor:?}");
        assert!(!shown.contains(SECRET) && !shown.contains(encoded), "{shown}");
    }
}
