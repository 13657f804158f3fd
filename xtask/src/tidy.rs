//! `cargo xtask tidy`: rules that no compiler checks, offline.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use serde_json::Value;

use crate::shell::{command, output, root};

/// Licences that may be linked. Each alternative of an expression is enough.
const LICENCES: [&str; 13] = [
    "MIT",
    "Apache-2.0",
    "Unicode-3.0",
    "Zlib",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "0BSD",
    "BSL-1.0",
    "Unlicense",
    "MIT-0",
    "CDLA-Permissive-2.0",
];
/// Crates that must not come in: a second TLS stack, and abandoned or vulnerable ones.
const BANNED: [&str; 8] = [
    "openssl-sys",
    "native-tls",
    "aws-lc-sys",
    "aws-lc-rs",
    "dotenv",
    "backoff",
    "evalexpr",
    "actix-governor",
];
/// What may stand in the root.
const ROOT: [&str; 24] = [
    ".cargo",
    ".ci",
    ".env.example",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "config",
    "crates",
    "dashboard",
    "docs",
    "examples",
    "monitors",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
    "xtask",
];
/// Which crates of ours a crate may know.
const ARROWS: [(&str, &[&str]); 12] = [
    ("wise-core", &[]),
    ("wise-net", &["wise-core"]),
    ("wise-telemetry", &[]),
    ("wise-web-ui", &[]),
    ("wise-orchestrator", &["wise-core"]),
    ("wise-storage", &["wise-core"]),
    ("wise-catalog", &["wise-core", "wise-orchestrator", "wise-storage"]),
    (
        "wise-api",
        &["wise-catalog", "wise-core", "wise-orchestrator", "wise-storage", "wise-telemetry", "wise-web-ui"],
    ),
    ("wise-database", &["wise-core", "wise-net"]),
    ("wise-testbed", &["wise-core"]),
    ("wise-e2e", &["wise-testbed"]),
    ("xtask", &[]),
];

pub(crate) fn tidy() -> anyhow::Result<()> {
    let metadata: Value = serde_json::from_str(&output(&mut command(
        "cargo",
        &["metadata", "--locked", "--format-version", "1"],
    ))?)?;
    let mut problems = Vec::new();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    for package in &packages {
        let (name, licence) = (text(package, "name"), text(package, "license"));
        if !is_allowed(licence) {
            problems.push(format!("{name}: the licence `{licence}` is not among the allowed ones"));
        }
        if BANNED.contains(&name) {
            problems.push(format!("{name} is banned: see xtask/src/tidy.rs"));
        }
        if package["source"].is_null() {
            arrows(package, &mut problems);
        }
    }
    for file in output(&mut command("git", &["ls-files"]))?.lines() {
        let top = file.split('/').next().unwrap_or(file);
        if !ROOT.contains(&top) {
            problems.push(format!("{file}: `{top}` does not belong in the root"));
        }
        if Path::new(file).extension().is_some_and(|extension| extension == "rs") {
            source(file, &mut problems)?;
        }
    }
    for problem in &problems {
        eprintln!("tidy: {problem}");
    }
    if problems.is_empty() {
        println!("tidy: {} packages, licences and folders are in order", packages.len());
        return Ok(());
    }
    bail!("{} problems", problems.len())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

/// Reads an SPDX expression as far as it is used: alternatives of conjunctions.
fn is_allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ").replace(" WITH LLVM-exception", "");
    let is_fine = |part: &str| part.split(" AND ").all(|licence| LICENCES.contains(&licence.trim()));
    // `(A OR B) AND C` loses its brackets: then each licence named must be allowed.
    let all: BTreeSet<&str> =
        plain.split(" OR ").flat_map(|part| part.split(" AND ")).map(str::trim).collect();
    plain.split(" OR ").any(is_fine) || all.iter().all(|licence| LICENCES.contains(licence))
}

fn arrows(package: &Value, problems: &mut Vec<String>) {
    let name = text(package, "name");
    let allowed: &[&str] = match ARROWS.iter().find(|(known, _)| *known == name) {
        Some((_, allowed)) => allowed,
        None if name.starts_with("wise-monitor-") => &["wise-core", "wise-database", "wise-net"],
        None => return,
    };
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let other = text(dependency, "name");
        if dependency["kind"].is_null() && other.starts_with("wise-") && !allowed.contains(&other) {
            problems.push(format!(
                "{name} must not depend on {other}: dependencies point one way, see ARCHITECTURE.md"
            ));
        }
    }
}

fn source(file: &str, problems: &mut Vec<String>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root().join(file))?;
    let is_test = file.contains("/tests/") || file.ends_with("tests.rs");
    if !is_test && text.lines().count() > 750 {
        problems.push(format!(
            "{file}: {} lines; does it still have one reason to change?",
            text.lines().count()
        ));
    }
    if file != "xtask/src/tidy.rs" && (text.contains("#[allow(") || text.contains("#[ignore")) {
        problems.push(format!("{file}: use #[expect(lint, reason = \"…\")], and no ignored tests"));
    }
    Ok(())
}
