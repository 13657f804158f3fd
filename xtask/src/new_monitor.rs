//! `cargo xtask new-monitor` and `sync-monitors`: a new kind of monitor is a new crate and one manifest line.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use crate::codegen;
use crate::shell::{command, output, root, run, target};

const MANIFEST: &str = "crates/all-monitors/Cargo.toml";

/// The template, file by file. `__NAME__` is the crate's word, `__TITLE__` that word for people.
const TEMPLATE: [(&str, &str); 8] = [
    ("Cargo.toml", include_str!("../template/Cargo.toml.txt")),
    ("README.md", include_str!("../template/README.md.txt")),
    ("src/lib.rs", include_str!("../template/lib.rs.txt")),
    ("src/config.rs", include_str!("../template/config.rs.txt")),
    ("src/client.rs", include_str!("../template/client.rs.txt")),
    ("src/collect.rs", include_str!("../template/collect.rs.txt")),
    ("src/error.rs", include_str!("../template/error.rs.txt")),
    ("src/tests.rs", include_str!("../template/tests.rs.txt")),
];

pub(crate) fn new_monitor(name: Option<&str>) -> anyhow::Result<()> {
    let name = name.context("name the new kind, such as `cargo xtask new-monitor clickhouse`")?;
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !is_word {
        bail!("`{name}` must be one word of lower-case letters and digits, such as clickhouse");
    }
    let folder = root().join("monitors").join(name);
    if folder.exists() {
        bail!("monitors/{name} is there already");
    }
    let mut letters = name.chars();
    let title: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    for (path, text) in TEMPLATE {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().context("a file has a folder")?)?;
        fs::write(&file, text.replace("__NAME__", name).replace("__TITLE__", &title))?;
        println!("wrote monitors/{name}/{path}");
    }
    sync()?;
    // Where lines break depends on the length of the name.
    run(&mut command("cargo", &["fmt", "--package", &format!("wise-monitor-{name}")]))?;
    // Generated documents list every kind; this also brings Cargo.lock up to date.
    codegen::codegen(false)?;
    println!(
        "\nnext: describe the settings in monitors/{name}/src/config.rs, then measure in src/collect.rs.\n\
         docs/monitor-spec.md has the rules; `cargo test -p wise-monitor-{name}` runs the tests."
    );
    Ok(())
}

/// Brings the manifest lines in line with the folders.
pub(crate) fn sync() -> anyhow::Result<()> {
    let mut names: Vec<String> = fs::read_dir(root().join("monitors"))?
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().join("Cargo.toml").is_file()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let path = root().join(MANIFEST);
    let text = fs::read_to_string(&path)?;
    let is_link = |line: &&str| line.starts_with("wise-monitor-");
    let lines: Vec<String> = names
        .iter()
        .map(|name| format!("wise-monitor-{name} = {{ path = \"../../monitors/{name}\" }}"))
        .collect();
    let at = text
        .lines()
        .position(|line| line == "[dependencies]")
        .context("the manifest has no [dependencies]")?;
    let rest: Vec<&str> = text.lines().filter(|line| !is_link(line)).collect();
    let mut out: Vec<&str> = rest[..=at].to_vec();
    out.extend(lines.iter().map(String::as_str));
    out.extend(&rest[at + 1..]);
    let new = format!("{}\n", out.join("\n"));
    if new != text {
        fs::write(&path, new)?;
        println!("wrote {MANIFEST}");
    }
    Ok(())
}

/// Writes a throw-away monitor in a copy of the tree, and wants it to build, to pass its tests, to be listed by the
/// program, and to have changed nothing but what it may.
pub(crate) fn try_out() -> anyhow::Result<()> {
    let copy = target().join("new-monitor");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    for file in
        output(&mut command("git", &["ls-files", "--cached", "--others", "--exclude-standard"]))?.lines()
    {
        let from = root().join(file);
        // A file that was removed and not committed yet is still listed.
        if from.is_file() {
            let to = copy.join(file);
            fs::create_dir_all(to.parent().context("a file has a folder")?)?;
            fs::copy(from, to)?;
        }
    }
    let in_copy = |program: &str, arguments: &[&str]| {
        let mut command = command(program, arguments);
        // Dependencies are built already; the dashboard is not what is tested here.
        command
            .current_dir(&copy)
            .env("CARGO_TARGET_DIR", target().join("new-monitor-target"))
            .env("UI_SKIP", "1");
        command
    };
    let git = |arguments: &[&str]| {
        let mut all =
            vec!["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "core.hooksPath=/dev/null"];
        all.extend(arguments);
        in_copy("git", &all)
    };
    run(&mut git(&["init", "--quiet"]))?;
    run(&mut git(&["add", "--all"]))?;
    run(&mut git(&["commit", "--quiet", "--message", "before"]))?;
    run(&mut in_copy("cargo", &["xtask", "new-monitor", "throwaway"]))?;
    let changed = output(&mut git(&["status", "--porcelain", "--untracked-files=all"]))?;
    let allowed = |path: &str| {
        path.starts_with("monitors/throwaway/")
            || [MANIFEST, "Cargo.lock", "docs/monitors/throwaway.md"].contains(&path)
    };
    let stray: Vec<&str> =
        changed.lines().filter_map(|line| line.get(3..)).filter(|path| !allowed(path)).collect();
    if !stray.is_empty() {
        bail!("a new monitor changed more than it may: {}", stray.join(", "));
    }
    run(&mut in_copy("cargo", &["fmt", "--check", "-p", "wise-monitor-throwaway"]))?;
    run(&mut in_copy("cargo", &["test", "-p", "wise-monitor-throwaway", "-p", "wise-monitoring"]))?;
    let binary = target().join("new-monitor-target/debug/wise-monitoring");
    listed(&binary)?;
    println!("a new monitor changes {} files and is listed by the program", changed.lines().count());
    Ok(())
}

/// Whether the running program offers the new kind where the form of the dashboard comes from, and watches with it.
fn listed(binary: &Path) -> anyhow::Result<()> {
    let server = crate::test::Server::start_binary(binary)?;
    let plugins = output(&mut command("curl", &["-fsS", &format!("{}/api/v1/plugins", server.url)]))?;
    let plugins: serde_json::Value = serde_json::from_str(&plugins)?;
    let plugin =
        plugins["items"].as_array().into_iter().flatten().find(|plugin| plugin["kind"] == "throwaway");
    let plugin = plugin.context("the API does not list the new kind")?;
    let address = server.url.trim_start_matches("http://");
    if plugin["schema"]["properties"]["address"].is_null() {
        bail!("the new kind has no schema for its form");
    }
    let body =
        serde_json::json!({"name": "t", "kind": "throwaway", "settings": {"address": address}}).to_string();
    let url = format!("{}/api/v1/monitors/check", server.url);
    let checked =
        output(&mut command("curl", &["-fsS", "-H", "Content-Type: application/json", "-d", &body, &url]))?;
    let checked: serde_json::Value = serde_json::from_str(&checked)?;
    if checked["status"] != "healthy" {
        bail!("a check of the new kind fails: {checked}");
    }
    Ok(())
}
