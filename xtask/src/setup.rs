//! Getting what is missing on a fresh Debian machine that has Rust.

use anyhow::bail;

use crate::shell::{command, has, output, root, run, target};

/// Programs that only a comparison needs, and the Debian packages they come from.
const PEERS: [(&str, &str); 3] = [
    ("prometheus-postgres-exporter", "prometheus-postgres-exporter"),
    ("prometheus-mysqld-exporter", "prometheus-mysqld-exporter"),
    ("prometheus-redis-exporter", "prometheus-redis-exporter"),
];

/// Programs and the Debian packages they come from.
const TOOLS: [(&str, &str); 11] = [
    ("nginx", "nginx-light"),
    ("promtool", "prometheus"),
    ("chromium", "chromium"),
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
    ("curl", "curl"),
    ("python3", "python3-venv"),
    ("psql", "postgresql"),
    ("mariadbd", "mariadb-server"),
    ("redis-server", "redis-server"),
    ("prometheus-node-exporter", "prometheus-node-exporter"),
];

/// What a build needs beside Rust: a C compiler for SQLite, Node.js for the dashboard.
pub(crate) fn for_build() -> anyhow::Result<()> {
    install([("cc", "gcc")].into_iter())?;
    node()
}

/// What the tests need.
pub(crate) fn for_tests() -> anyhow::Result<()> {
    for_build()?;
    install(TOOLS.into_iter())?;
    venv()
}

/// What the benchmark of monitors compares with.
pub(crate) fn for_comparison() -> anyhow::Result<()> {
    for_tests()?;
    install(PEERS.into_iter())
}

fn install(tools: impl Iterator<Item = (&'static str, &'static str)>) -> anyhow::Result<()> {
    let missing: Vec<&str> = tools.filter(|(program, _)| !has(program)).map(|(_, package)| package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !has("apt-get") {
        bail!(
            "these Debian packages are missing, and this is no Debian: install what they contain: {packages}"
        );
    }
    let is_root = output(&mut command("id", &["-u"]))?.trim() == "0";
    println!("installing: {packages}");
    let apt = |arguments: &[&str]| {
        let mut all = if is_root { vec!["env"] } else { vec!["sudo", "env"] };
        all.extend(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]);
        all.extend(arguments);
        run(&mut command(all[0], &all[1..]))
    };
    // The servers are started by the tests: the packages' own services must not take their ports.
    apt(&["update"])?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(missing);
    apt(&arguments)
}

fn node() -> anyhow::Result<()> {
    let version = if has("node") { output(&mut command("node", &["--version"]))? } else { String::new() };
    let mut numbers =
        version.trim().trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let is_new_enough = major > 22 || (major == 22 && minor >= 12) || (major == 20 && minor >= 19);
    if is_new_enough && has("npm") {
        return Ok(());
    }
    let found = if version.is_empty() {
        "none is installed".to_owned()
    } else {
        format!("{} is installed", version.trim())
    };
    bail!(
        "the dashboard needs Node.js 20.19 or later, or 22.12 or later, with npm; {found}.\n\
         Debian 13 and later have it: apt-get install nodejs npm. On Debian 12 take the Linux archive from nodejs.org,\n\
         unpack it into /usr/local with: tar -xJf node-v22.*-linux-x64.tar.xz -C /usr/local --strip-components=1\n\
         Without a dashboard: UI_SKIP=1 cargo build --profile dist -p wise-monitoring"
    )
}

/// A Python environment with the strict OpenMetrics parser, and a server that speaks MongoDB's protocol.
fn venv() -> anyhow::Result<()> {
    let folder = target().join("venv");
    let stamp = folder.join(".installed");
    let wanted = std::fs::read_to_string(root().join("tests/requirements.txt"))?;
    if std::fs::read_to_string(&stamp).ok().as_deref() == Some(&wanted) {
        return Ok(());
    }
    let path = folder.display().to_string();
    if run(&mut command("python3", &["-m", "venv", &path])).is_err() {
        install([("no-such-program", "python3-venv")].into_iter())?;
        run(&mut command("python3", &["-m", "venv", &path]))?;
    }
    let pip = folder.join("bin/pip").display().to_string();
    run(&mut command(
        &pip,
        &["install", "--quiet", "--disable-pip-version-check", "-r", "tests/requirements.txt"],
    ))?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}

/// The dashboard's packages. crates/web-ui/build.rs leaves the same mark.
pub(crate) fn npm() -> anyhow::Result<()> {
    let folder = root().join("dashboard");
    let lock = std::fs::read(folder.join("package-lock.json"))?;
    let stamp = folder.join("node_modules/.installed");
    if std::fs::read(&stamp).ok().as_deref() != Some(&lock) {
        let mut npm = command("npm", &["ci", "--ignore-scripts", "--include=dev", "--no-audit", "--no-fund"]);
        run(npm.current_dir(&folder).env_remove("NODE_ENV"))?;
        std::fs::write(stamp, lock)?;
    }
    Ok(())
}
