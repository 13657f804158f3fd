//! `cargo xtask test` and `cargo xtask ci`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::shell::{command, output, root, run, target};
use crate::{codegen, new_monitor, setup, tidy};

type Group = (&'static str, fn() -> anyhow::Result<()>);

const GROUPS: [Group; 5] = [
    ("rust", rust),
    ("dashboard", dashboard),
    ("e2e", e2e),
    ("browser", browser),
    ("new-monitor", new_monitor::try_out),
];

/// Runs the groups named, or all, and prints the time of each.
pub(crate) fn test(wanted: &[String]) -> anyhow::Result<()> {
    if let Some(unknown) = wanted.iter().find(|name| !GROUPS.iter().any(|(known, _)| known == name)) {
        let known: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
        bail!("there is no group `{unknown}`; the groups are {}", known.join(", "));
    }
    let mut times = Vec::new();
    let mut failed = Vec::new();
    timed("set-up", &mut times, || {
        setup::for_tests()?;
        setup::npm()
    })?;
    for (name, group) in GROUPS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        if let Err(error) = timed(name, &mut times, group) {
            eprintln!("{name}: {error:#}");
            failed.push(name);
        }
    }
    println!("\ngroup          seconds");
    for (name, time) in &times {
        println!(
            "{name:<14} {:7.1}{}",
            time.as_secs_f64(),
            if failed.contains(name) { "  FAILED" } else { "" }
        );
    }
    println!("\n{} passed, {} failed", times.len() - failed.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn timed(
    name: &'static str,
    times: &mut Vec<(&'static str, Duration)>,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    println!("\n== {name}");
    let clock = stopwatch();
    let result = work();
    times.push((name, clock()));
    result
}

/// Elapsed time. Nothing here runs on a test clock.
#[expect(clippy::disallowed_methods, reason = "measures real commands, outside of any runtime")]
pub(crate) fn stopwatch() -> impl Fn() -> Duration {
    let started = std::time::Instant::now();
    move || started.elapsed()
}

fn rust() -> anyhow::Result<()> {
    run(&mut command(
        "cargo",
        &["test", "--locked", "--workspace", "--exclude", "wise-e2e", "--exclude", "xtask"],
    ))
}

fn dashboard() -> anyhow::Result<()> {
    for script in ["check", "test"] {
        run(command("npm", &["run", script]).current_dir(root().join("dashboard")).env_remove("NODE_ENV"))?;
    }
    Ok(())
}

/// The long round of what `e2e` does shortly.
pub(crate) fn soak() -> anyhow::Result<()> {
    setup::for_tests()?;
    run(&mut command("cargo", &["build", "--locked", "-p", "wise-monitoring"]))?;
    let long = |package: &str, test: &str, name: &str, variable: &str, value: &str| {
        let arguments = ["test", "--locked", "-p", package, "--test", test, "--", name, "--nocapture"];
        run(with_paths(&mut command("cargo", &arguments)).env(variable, value))
    };
    long("wise-e2e", "it", "kills", "WISE_KILL_ROUNDS", "50")?;
    long("wise-storage", "conformance", "ten_minutes", "WISE_OUTAGE_SECONDS", "600")
}

/// Tells tests where the binary and the Python programs are, wherever Cargo builds.
fn with_paths(command: &mut Command) -> &mut Command {
    command.env("WISE_BINARY", target().join("debug/wise-monitoring")).env("WISE_VENV", target().join("venv"))
}

fn e2e() -> anyhow::Result<()> {
    run(&mut command("cargo", &["build", "--locked", "-p", "wise-monitoring"]))?;
    run(with_paths(&mut command("cargo", &["test", "--locked", "-p", "wise-e2e"])))
}

fn browser() -> anyhow::Result<()> {
    run(&mut command("cargo", &["build", "--locked", "-p", "wise-monitoring"]))?;
    let server = Server::start("debug")?;
    run(command("npm", &["run", "e2e"]).current_dir(root().join("dashboard")).env("BASE_URL", &server.url))
}

/// Makes the README's screenshot from a server with a few monitors, one of which is down and one too slow.
pub(crate) fn screenshot() -> anyhow::Result<()> {
    setup::for_tests()?;
    setup::npm()?;
    run(&mut command("cargo", &["build", "--locked", "-p", "wise-monitoring"]))?;
    let server = Server::start("debug")?;
    let add = |name: &str, path: &str, extra: serde_json::Value| {
        let mut body = serde_json::json!({
            "name": name, "kind": "website", "interval": "1s", "settings": {"url": format!("{}{path}", server.url)}
        });
        for (key, value) in extra.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        let url = format!("{}/api/v1/monitors", server.url);
        let text = body.to_string();
        output(&mut command("curl", &["-fsS", "-H", "Content-Type: application/json", "-d", &text, &url]))
            .map(|_| ())
    };
    let none = serde_json::json!({});
    add("shop", "/health", serde_json::json!({"tags": {"team": "web"}}))?;
    add(
        "shop api",
        "/api/v1/overview",
        serde_json::json!({"tags": {"team": "web"}, "depends_on": ["shop"]}),
    )?;
    add("documentation", "/dashboard", none.clone())?;
    let slow =
        serde_json::json!({"website.total_seconds": {"warning": 0.000_001, "critical": null, "checks": 1}});
    add("search", "/api/v1/plugins", serde_json::json!({"thresholds": slow}))?;
    add("intranet", "/metrics", serde_json::json!({"enabled": false}))?;
    add("payment", "/api/v1/nothing", serde_json::json!({"tags": {"team": "money"}}))?;
    add("status page", "/health/live", none)?;
    let picture = root().join("docs/dashboard.png").display().to_string();
    // Long enough for the second failure that makes a monitor unhealthy.
    let counts = || {
        output(&mut command("curl", &["-fsS", &format!("{}/api/v1/monitors?status=unhealthy", server.url)]))
    };
    while !counts()?.contains("payment") {}
    run(command("npm", &["run", "screenshot", "--", &picture])
        .current_dir(root().join("dashboard"))
        .env("BASE_URL", &server.url))
}

/// A server on a free port with a store of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(profile: &str) -> anyhow::Result<Self> {
        Self::start_binary(&target().join(profile).join("wise-monitoring"))
    }

    pub(crate) fn start_binary(binary: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(binary)
            .current_dir(folder.path())
            .env("WISE_SERVER__LISTEN", "127.0.0.1:0")
            .env("WISE_LOG__LEVEL", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .context("the server does not start")?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let url = lines.map_while(Result::ok).find_map(|line| {
            line.split_once("is running: ").map(|(_, url)| url.trim().trim_end_matches('/').to_owned())
        });
        let url = url.context("the server ended before it was ready")?;
        Ok(Self { child, url, _folder: folder })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Everything that CI checks.
pub(crate) fn ci() -> anyhow::Result<()> {
    setup::for_build()?;
    run(&mut command("cargo", &["fmt", "--all", "--check"]))?;
    tidy::tidy()?;
    run(&mut command(
        "cargo",
        &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"],
    ))?;
    run(command("cargo", &["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-D warnings"))?;
    codegen::codegen(true)?;
    test(&[])?;
    readme()
}

/// Runs the commands of the README that need nothing but a running server, against one.
fn readme() -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root().join("README.md"))?;
    let server = Server::start("debug")?;
    let mut count = 0;
    for block in text.split("```sh").skip(1).filter_map(|rest| rest.split("```").next()) {
        for line in block.replace("\\\n", " ").lines().map(str::trim).filter(|line| line.starts_with("curl "))
        {
            let line = line.replace("http://127.0.0.1:8080", &server.url).replacen(
                "curl ",
                "curl -fsS --max-time 20 ",
                1,
            );
            let answer = output(&mut command("sh", &["-c", &line]))
                .with_context(|| format!("a command of the README fails: {line}"))?;
            println!("{line}\n  {}", answer.chars().take(100).collect::<String>().replace('\n', " "));
            count += 1;
        }
    }
    if count == 0 {
        bail!("the README shows no curl command");
    }
    println!("{count} commands of the README work");
    Ok(())
}
